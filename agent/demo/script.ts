/** Scripted runs: a customer's hands without a person, ended by a proof of conservation. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SimulatorError } from '#hal/simulator/device.ts';
import { sleep, timedOut, withDeadline } from '#protocol/base/clock.ts';
import { AtmError } from '#protocol/base/errors.ts';
import type { World } from '#protocol/simulator/world.ts';
import type { CashInView, CashOutView, CustomerCommand, MachineView } from '../api/schemas.ts';
import { makeAcceptor, makeDispenser } from '../devices.ts';
import { type Agent, startAgent } from '../main.ts';
import {
  type DemoContext,
  type DemoDevices,
  demoConfig,
  type Hardware,
  openHardware,
  openWorld,
  pairOnce,
} from './machine.ts';
import { differences, truthOf } from './truth.ts';

/** What a script may do, in any order. */
export const scriptSteps = ['cash-in', 'cash-out'] as const;
export type ScriptStep = (typeof scriptSteps)[number];

/** Faults that a script may be run with. */
export const scriptFaults = { 'lose-note': { device: 'dispenser', name: 'loseNote' } } as const;
export type ScriptFault = keyof typeof scriptFaults;

export interface ScriptOptions {
  readonly steps: readonly ScriptStep[];
  readonly fault: ScriptFault | undefined;
  readonly devices: DemoDevices;
  readonly behindPtys: boolean;
  /** Progress, a line at a time. */
  readonly say: (line: string) => void;
}

/** The last line of a run. */
export interface ScriptResult {
  readonly cashIn: object | null;
  readonly cashOut: object | null;
  readonly conserved: boolean;
  readonly journal: { readonly entries: number; readonly chain: 'ok' | 'broken' };
  /** What did not agree, in words; only when it did not. */
  readonly differences?: readonly string[];
}

/** Notes that the script puts in, and the most that it takes out. */
const NOTES = [20, 50, 5];
const PAYOUT_MINOR = 7_000;
/** A step of the machine takes seconds; a bunker that restarts takes longer. */
const STEP_LIMIT_MS = 60_000;
/** A slot that is shut opens within a second; ten say that it will not. */
const PUSH_MS = 100;
const PUSHES_MAX = 100;

/** Runs the script on a machine of its own, which is removed afterwards. */
export async function runScript(
  context: DemoContext,
  options: ScriptOptions,
): Promise<ScriptResult> {
  const folder = mkdtempSync(join(tmpdir(), 'spire-script-'));
  const stops: (() => Promise<void> | void)[] = [];
  try {
    const world = await openWorld(context, folder, options.devices);
    stops.push(() => world.stop());
    const hardware = await openHardware(context, folder, options.devices, options.behindPtys);
    stops.push(() => hardware.stop());
    await pairOnce(context, world, join(folder, 'state'));
    options.say('paired by a real seed');
    const agent = startDemoAgent(context, folder, options.devices, hardware);
    stops.push(() => agent.stop());
    return await new Script(context, options, world, hardware, agent).run();
  } finally {
    for (const stop of stops.reverse()) await stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

function startDemoAgent(
  context: DemoContext,
  folder: string,
  devices: DemoDevices,
  hardware: Hardware,
): Agent {
  const { clock, random, log } = context;
  const config = demoConfig(folder, devices, hardware.ports, 0);
  const common = { clock, random, log: log.child({ room: 'hal' }) };
  return startAgent({
    ...context,
    config,
    acceptor: makeAcceptor({
      ...common,
      ...devices.validator,
      port: hardware.ports.validator,
      currency: config.currency,
    }),
    dispenser: makeDispenser({ ...common, ...devices.dispenser, port: hardware.ports.dispenser }),
  });
}

/** What a look at the screen gives while it does not show yet what is waited for. */
type NotYet = false | null | undefined | 0;

/** What was granted. @throws AtmError `refused` with the reason when it was not. */
function granted<T extends { readonly ok: true }>(
  what: string,
  outcome: T | { readonly ok: false; readonly reason: string },
): T {
  if (outcome.ok) return outcome;
  throw new AtmError('refused', `${what}: ${outcome.reason}`);
}

/** One customer with a script. */
class Script {
  readonly #context: DemoContext;
  readonly #options: ScriptOptions;
  readonly #world: World;
  readonly #hardware: Hardware;
  readonly #agent: Agent;

  constructor(
    context: DemoContext,
    options: ScriptOptions,
    world: World,
    hardware: Hardware,
    agent: Agent,
  ) {
    this.#context = context;
    this.#options = options;
    this.#world = world;
    this.#hardware = hardware;
    this.#agent = agent;
  }

  async run(): Promise<ScriptResult> {
    const before = truthOf(this.#hardware);
    const { say, steps, fault } = this.#options;
    let cashIn: object | null = null;
    let cashOut: object | null = null;
    for (const step of steps) {
      const direction = step === 'cash-in' ? 'cashIn' : 'cashOut';
      await this.#until(
        `in service for ${step}`,
        (view) => view.state === 'idle' && view[direction].open,
      );
      if (step === 'cash-in') cashIn = await this.#cashIn();
      else {
        if (fault)
          this.#hardware.dispenser.control({ do: 'fault', name: scriptFaults[fault].name });
        cashOut = await this.#cashOut();
      }
    }
    const { store } = this.#agent;
    const found = differences(
      store,
      before,
      truthOf(this.#hardware),
      this.#world,
      this.#agent.service.view().currency,
    );
    for (const difference of found) say(`not conserved: ${difference}`);
    const { entries, chain } = store.verify();
    return {
      cashIn,
      cashOut,
      conserved: found.length === 0,
      journal: { entries, chain },
      ...(found.length === 0 ? {} : { differences: found }),
    };
  }

  async #cashIn(): Promise<object> {
    const { say } = this.#options;
    const session = await this.#start('startCashIn');
    let notes = 0;
    for (const denomination of NOTES) {
      await this.#cashInUntil('the slot is open', (view) => {
        const fits = view.terms?.acceptedMinor.some((value) => value === denomination * 100);
        return view.phase === 'inserting' && view.notes === notes && fits;
      });
      await this.#insert(denomination);
      notes += 1;
      const { netSats } = await this.#cashInUntil(
        `$${denomination} is in`,
        (view) => view.notes === notes && view,
      );
      say(`$${denomination} deposited, ${netSats} sats after the fee`);
    }
    const { step } = await this.#cashInUntil(
      'the customer may finish',
      (view) => view.phase === 'inserting' && view,
    );
    await this.#command({ do: 'finish', session, step });
    const lnurl = await this.#cashInUntil('the link is there', (view) => view.lnurl);
    say('withdraw link on the screen');
    const { sats } = granted('the claim', this.#world.keeper.claim(lnurl));
    const ended = await this.#cashInUntil('the claim is seen', (view) => view.outcome && view);
    say(`claimed ${sats} sats: ${ended.outcome?.code}`);
    await this.#command({ do: 'dismiss', session, step: ended.step });
    const { fiatMinor, principalSats, feeSats, netSats } = ended;
    const { currency } = this.#agent.service.view();
    return { fiatMinor, currency, principalSats, feeSats, netSats, lnurl };
  }

  /** Pushes a note in, again and again while the slot is shut, as a person does. */
  async #insert(denomination: number): Promise<void> {
    for (let push = 1; ; push++) {
      try {
        this.#hardware.validator.control({ do: 'insert', denomination });
        return;
      } catch (error) {
        if (!(error instanceof SimulatorError) || push >= PUSHES_MAX) throw error;
        await sleep(this.#context.clock, PUSH_MS);
      }
    }
  }

  async #cashOut(): Promise<object> {
    const { say } = this.#options;
    const session = await this.#start('startCashOut');
    const { step, amountMinor } = await this.#cashOutUntil('amounts are offered', (view) => {
      const most = view.offeredMinor.findLast((minor) => minor <= PAYOUT_MINOR);
      return most && { step: view.step, amountMinor: most };
    });
    await this.#command({ do: 'chooseAmount', session, step, amountMinor });
    const bolt11 = await this.#cashOutUntil('the invoice is there', (view) => view.bolt11);
    const paid = granted('the payment', this.#world.keeper.pay(bolt11));
    say(`paid ${paid.sats} sats for the invoice on the screen`);
    await this.#cashOutUntil(
      'the cash is out',
      (view) => view.phase === 'presenting' || view.outcome,
    );
    this.#hardware.dispenser.control({ do: 'take' });
    const ended = await this.#cashOutUntil('the cash is taken', (view) => view.outcome && view);
    say(`${ended.outcome?.code}: ${JSON.stringify(ended.dispensed)}`);
    await this.#command({ do: 'dismiss', session, step: ended.step });
    const { fiatMinor, principalSats, feeSats, wireSats, dispensed, reference } = ended;
    const { currency } = this.#agent.service.view();
    const paymentHash = this.#agent.store.transactions
      .recent(100)
      .find((one) => one.reference === reference)?.paymentHash;
    return { fiatMinor, currency, principalSats, feeSats, wireSats, paymentHash, dispensed };
  }

  async #start(what: 'startCashIn' | 'startCashOut'): Promise<string> {
    const session = Buffer.from(this.#context.random.bytes(16)).toString('hex');
    await this.#command({ do: what, session, step: 0 });
    return session;
  }

  async #command(command: CustomerCommand): Promise<void> {
    granted(command.do, await this.#agent.service.command(command));
  }

  #cashInUntil<T>(what: string, pick: (view: CashInView) => T | NotYet): Promise<T> {
    return this.#until(what, ({ session }) => session?.kind === 'cashIn' && pick(session));
  }

  #cashOutUntil<T>(what: string, pick: (view: CashOutView) => T | NotYet): Promise<T> {
    return this.#until(what, ({ session }) => session?.kind === 'cashOut' && pick(session));
  }

  /** Waits until the view says it, at most a minute. */
  async #until<T>(what: string, pick: (view: MachineView) => T | NotYet): Promise<T> {
    const { service } = this.#agent;
    const { promise, resolve } = Promise.withResolvers<T>();
    const look = (view: MachineView) => {
      const found = pick(view);
      if (found) resolve(found);
    };
    const off = service.subscribe(look);
    look(service.view());
    try {
      const found = await withDeadline(this.#context.clock, STEP_LIMIT_MS, promise);
      if (found !== timedOut) return found;
      const view = JSON.stringify(service.view());
      throw new AtmError('timeOut', `waited a minute for: ${what}. The machine shows ${view}`);
    } finally {
      off();
    }
  }
}
