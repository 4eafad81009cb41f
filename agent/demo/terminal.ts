/** The demo for a person: keys at the terminal are the hands, the screen is in the browser. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { sleep } from '#protocol/base/clock.ts';
import { messageOf } from '#protocol/base/errors.ts';
import type { World } from '#protocol/simulator/world.ts';
import type { CustomerCommand, MachineView } from '../api/schemas.ts';
import { formatMoney } from '../format.ts';
import { AgentProcess } from './agent-process.ts';
import {
  type DemoContext,
  type DemoDevices,
  demoConfig,
  type Hardware,
  openHardware,
  openWorld,
  pairOnce,
} from './machine.ts';
import { describeTruth, truthOf } from './truth.ts';

/** Where keys come from and lines go to; a person's terminal or a pipe. */
export interface Streams {
  readonly stdin: Readable & { readonly isTTY?: boolean; setRawMode?(isRaw: boolean): unknown };
  readonly stdout: Writable;
  readonly stderr: Writable;
}

export interface TerminalOptions {
  readonly streams: Streams;
  readonly folder: string;
  readonly fresh: boolean;
  readonly screenPort: number;
  readonly devices: DemoDevices;
}

/** Pace of looking at the machine. */
const LOOK_MS = 250;
const NOTES = [1, 5, 10, 20, 50, 100];
const KEYS = `
  i cash in      1-6 insert $1 $5 $10 $20 $50 $100    f finish       c claim the link
  o cash out     1-9 choose an amount                 y pay          t take the notes
  x cancel       d done with the last screen          s where every note is
  u pull or plug the validator's cable                p cut the power, and give it back
  q quit         ? these keys
`;

type Act = Exclude<CustomerCommand['do'], 'redeem' | 'chooseAmount'>;

/** Runs until `q`, Ctrl-C or the end of the input. */
export async function runTerminal(context: DemoContext, options: TerminalOptions): Promise<number> {
  const folder = resolve(options.folder);
  if (options.fresh) rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const world = await openWorld(context, folder, options.devices);
  const hardware = await openHardware(context, folder, options.devices, true);
  try {
    await pairOnce(context, world, join(folder, 'state'));
    const { devices, screenPort } = options;
    const config = demoConfig(folder, devices, hardware.ports, screenPort);
    const file = join(folder, 'spire.json');
    writeFileSync(file, JSON.stringify(config, undefined, 2));
    const agent = new AgentProcess(file, config.paths.socket);
    return await new Terminal(context, options.streams, world, hardware, agent).run();
  } catch (error) {
    options.streams.stderr.write(`the demo failed: ${messageOf(error)}\n`);
    return 1;
  } finally {
    hardware.save();
    hardware.stop();
    await world.stop();
  }
}

/** The person at the terminal. */
class Terminal {
  readonly #context: DemoContext;
  readonly #streams: Streams;
  readonly #world: World;
  readonly #hardware: Hardware;
  readonly #agent: AgentProcess;
  readonly #ended = new AbortController();
  #isOn: boolean = false;
  /** The last change of power: the next one waits for it, or two agents would run. */
  #power: Promise<void> = Promise.resolve();
  #isPlugged: boolean = true;
  #last = '';
  readonly #told = new Set<string>();
  #view: MachineView | undefined;

  constructor(
    context: DemoContext,
    streams: Streams,
    world: World,
    hardware: Hardware,
    agent: AgentProcess,
  ) {
    this.#context = context;
    this.#streams = streams;
    this.#world = world;
    this.#hardware = hardware;
    this.#agent = agent;
  }

  async run(): Promise<number> {
    await this.#powerOn();
    this.#say(KEYS);
    const { stdin } = this.#streams;
    const end = () => this.#ended.abort();
    if (stdin.isTTY) stdin.setRawMode?.(true);
    stdin.setEncoding('utf8').on('data', (keys: string) => this.#onKeys(keys));
    stdin.on('end', end);
    process.once('SIGINT', end).once('SIGTERM', end);
    try {
      while (!this.#ended.signal.aborted) {
        await this.#look();
        await sleep(this.#context.clock, LOOK_MS, this.#ended.signal).catch(() => undefined);
      }
    } finally {
      process.off('SIGINT', end).off('SIGTERM', end);
      if (stdin.isTTY) stdin.setRawMode?.(false);
      stdin.destroy();
      await this.#agent.stop();
    }
    return 0;
  }

  #say(text: string): void {
    this.#streams.stdout.write(`${text}\n`);
  }

  #onKeys(keys: string): void {
    for (const key of keys) {
      if (key === 'q' || key === '\u0003') {
        this.#ended.abort();
        return;
      }
      this.#press(key).catch((error: unknown) => this.#say(`  ! ${messageOf(error)}`));
    }
  }

  async #press(key: string): Promise<void> {
    const acts: Readonly<Record<string, Act>> = {
      i: 'startCashIn',
      o: 'startCashOut',
      f: 'finish',
      x: 'cancel',
      d: 'dismiss',
    };
    const act = acts[key];
    if (act) return this.#act(act);
    if (/^[1-9]$/.test(key)) return this.#digit(Number(key));
    switch (key) {
      case 'y':
        return this.#pay();
      case 'c':
        return this.#claim();
      case 't':
        this.#hardware.dispenser.control({ do: 'take' });
        return this.#say('  the notes are taken');
      case 's':
        return this.#say(`  ${describeTruth(truthOf(this.#hardware))}`);
      case 'u':
        this.#isPlugged = !this.#isPlugged;
        this.#hardware.plugValidator(this.#isPlugged);
        return this.#say(`  the validator's cable is ${this.#isPlugged ? 'in' : 'out'}`);
      case 'p':
        return this.#turn();
      case '?':
        return this.#say(KEYS);
      default:
    }
  }

  async #act(act: Act): Promise<void> {
    const isStart = act === 'startCashIn' || act === 'startCashOut';
    const session = isStart
      ? Buffer.from(this.#context.random.bytes(16)).toString('hex')
      : (this.#view?.session?.session ?? '');
    const step = isStart ? 0 : (this.#view?.session?.step ?? 0);
    if (session === '') return this.#say('  ! there is no session');
    await this.#send({ do: act, session, step });
  }

  async #send(command: CustomerCommand): Promise<void> {
    const result = await this.#agent.command(command);
    if (!result) this.#say('  ! the machine does not answer');
    else if (!result.ok) this.#say(`  ! ${result.reason}`);
  }

  async #digit(digit: number): Promise<void> {
    const session = this.#view?.session;
    if (session?.kind === 'cashOut' && session.phase === 'choosing') {
      const amountMinor = session.offeredMinor[digit - 1];
      if (amountMinor === undefined) return this.#say('  ! no such amount');
      const { session: id, step } = session;
      return this.#send({ do: 'chooseAmount', session: id, step, amountMinor });
    }
    const denomination = NOTES[digit - 1];
    if (denomination === undefined) return;
    this.#hardware.validator.control({ do: 'insert', denomination });
    this.#say(`  a $${denomination} note goes in`);
  }

  async #pay(): Promise<void> {
    const session = this.#view?.session;
    const bolt11 = session?.kind === 'cashOut' ? session.bolt11 : null;
    if (!bolt11) return this.#say('  ! there is no invoice on the screen');
    const paid = this.#world.keeper.pay(bolt11);
    this.#say(paid.ok ? `  paid ${paid.sats} sats` : `  ! ${paid.reason}`);
  }

  async #claim(): Promise<void> {
    const session = this.#view?.session;
    const lnurl = session?.kind === 'cashIn' ? session.lnurl : null;
    if (!lnurl) return this.#say('  ! there is no link on the screen');
    const claimed = this.#world.keeper.claim(lnurl);
    this.#say(claimed.ok ? `  claimed ${claimed.sats} sats` : `  ! ${claimed.reason}`);
  }

  #turn(): Promise<void> {
    const turned = this.#power.then(() => (this.#isOn ? this.#powerOff() : this.#powerOn()));
    this.#power = turned.catch(() => undefined);
    return turned;
  }

  async #powerOn(): Promise<void> {
    this.#hardware.validator.control({ do: 'power', on: true });
    this.#hardware.dispenser.control({ do: 'power', on: true });
    const screen = await this.#agent.start();
    this.#isOn = true;
    this.#say(`the machine has power; its screen: ${screen}`);
  }

  async #powerOff(): Promise<void> {
    this.#isOn = false;
    this.#hardware.validator.control({ do: 'power', on: false });
    this.#hardware.dispenser.control({ do: 'power', on: false });
    await this.#agent.kill();
    this.#say('POWER CUT. p gives it back.');
    this.#say(`  ${describeTruth(truthOf(this.#hardware))}`);
  }

  /** Says what the machine owes, or does not know, once for each. */
  async #tellOwed(currency: string): Promise<void> {
    for (const {
      id,
      reference,
      kind,
      amountMinor,
      amountSats,
    } of await this.#agent.obligations()) {
      if (this.#told.has(id)) continue;
      this.#told.add(id);
      const money =
        amountMinor === null ? `${amountSats} sats` : formatMoney(amountMinor, currency);
      this.#say(`  OWED ${reference}: ${money}, ${OWED[kind] ?? kind}`);
    }
  }

  /** Says what changed since the last look. */
  async #look(): Promise<void> {
    if (!this.#isOn) return;
    this.#view = await this.#agent.view();
    const line = this.#view ? describe(this.#view) : this.#last;
    if (line === this.#last) return;
    this.#last = line;
    this.#say(line);
    if (this.#view?.session === null) await this.#tellOwed(this.#view.currency);
  }
}

const OWED: Readonly<Record<string, string>> = {
  dispenseUnknown: 'not known whether it was handed out',
  remainder: 'proven not handed out; the five words are good for it',
  doubtfulPayment: 'paid, but the payment does not prove itself; the operator has to judge it',
  latePayment: 'paid when nobody waited; the five words are good for it',
  noteUnknown: 'not known where the note went',
};

/** The machine in one line. */
function describe(view: MachineView): string {
  const money = (minor: number) => formatMoney(minor, view.currency);
  const { session } = view;
  if (!session) {
    const closed = [...view.cashIn.reasons, ...view.cashOut.reasons].map(({ text }) => text);
    const why = [...new Set(closed)].join(' ');
    return `${view.state}${why === '' ? '' : `: ${why}`}`;
  }
  const notice = session.notice ? ` — ${session.notice.text}` : '';
  const end = session.outcome ? ` — ${session.outcome.code}: ${session.outcome.text}` : '';
  const words = session.claimCode ? ` [${session.claimCode}]` : '';
  const reference = session.reference ? ` ${session.reference}` : '';
  if (session.kind === 'cashIn') {
    const { notes, fiatMinor, netSats, lnurl } = session;
    const link = lnurl ? ' — link on the screen' : '';
    return (
      `cash-in${reference} ${session.phase}: ${notes} notes, ${money(fiatMinor)}, ` +
      `${netSats} sats${link}${end || notice}${words}`
    );
  }
  const amounts = session.offeredMinor.map((minor, at) => `${at + 1}) ${money(minor)}`).join(' ');
  const sum =
    session.fiatMinor > 0 ? ` ${money(session.fiatMinor)} for ${session.wireSats} sats` : '';
  const out = session.dispensedMinor > 0 ? `, ${money(session.dispensedMinor)} handed out` : '';
  return `cash-out${reference} ${session.phase}:${sum}${out} ${amounts}${end || notice}${words}`;
}
