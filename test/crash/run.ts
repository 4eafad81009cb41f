/**
 * One visit to one machine with crashes in it, and the proof afterwards that nothing was lost: the
 * devices, the wallet and the customers are asked, never the agent.
 */
import type { MachineView } from '#agent/api/schemas.ts';
import { SimulatorError } from '#hal/simulator/device.ts';
import { StoreError } from '#protocol/base/errors.ts';
import { createNostrCrypto } from '#protocol/signer/nostr-crypto.ts';
import {
  compareNotes,
  proveStore,
  settleAccounts,
  settleWallet,
  unsettled,
} from '#test/simulation/books.ts';
import { redeemCode, visit } from '#test/simulation/customers.ts';
import { catchDeaths, Stage } from '#test/simulation/stage.ts';
import { Violation } from '#test/simulation/violation.ts';
import { type Eyes, Watch } from '#test/simulation/watch.ts';
import { cheapCrypto } from '#test/support/cheap-crypto.ts';
import { isUp, WholeMachine } from '#test/support/whole-machine.ts';
import { FarEnd } from './far-end.ts';
import { CASSETTES, deviceChoices, type Flow, type Pair } from './flows.ts';
import { HostEnd } from './host-end.ts';
import { type Counts, type Crash, countsOf, describeCrash, type Recording } from './moments.ts';

/** What one run is made of. */
export interface RunOptions {
  readonly flow: Flow;
  readonly pair: Pair;
  /** One for each life after that of the flow's own crash. */
  readonly crashes: readonly Crash[];
  readonly seed: string;
  readonly realCrypto?: boolean;
  /** Told of all that happens. */
  readonly tell?: (line: string) => void;
}

/** Told of the beginning and the end of what is recorded, in the very moment. */
export type Mark = (mark: 'begin' | 'end', machine: WholeMachine) => void;

/** Two recorders that must have seen the same. */
export interface Recorded {
  readonly recording: Recording;
  readonly counted: Counts;
  /** By the recorder at the far ends; the disk is looked at from outside. */
  readonly far: Pick<Counts, 'bytes' | 'events'> & { readonly allBytes: number };
}

/** What a run came to. */
export interface RunResult {
  readonly violation: { readonly promise: string; readonly message: string } | undefined;
  readonly recorded: Recorded | undefined;
}

/** Timers that may fire in one run: a visit fires about 1,000, an hour of settling 50,000. */
const STEPS_MAX = 1_000_000;
/** Longest that a machine may take to serve. */
const RECOVERY_LIMIT_MS = 600_000;
/** A withdraw is asked for three times in 6 min, an unpaid invoice for 13. */
const SETTLE_LIMIT_MS = 3_600_000;
const SETTLE_LOOK_MS = 2_000;
/** Recovery as it is recorded: what needs the wallet's minutes is no more part of it. */
const RECORDED_LIMIT_MS = 20_000;
const QUIET_STEP_MS = 1;
const QUIET_STEPS_MAX = 2_000;
/** A payment that nobody waits for is asked for less and less often. */
const BETWEEN_VISITS_MS = 60_000;
/** How long the machine is dark: systemd starts a program again, a fuse takes longer. */
const OFF_MS = { kill: 2_000, powerCut: 5_000 } as const;

/** Runs it. Never rejects for what the agent does. */
export async function runCrashes(options: RunOptions, mark?: Mark): Promise<RunResult> {
  const run = new CrashRun(options, mark);
  const restore = catchDeaths((error) => run.programDied(error));
  try {
    return await run.run();
  } finally {
    await run.end();
    restore();
  }
}

class CrashRun {
  readonly stage: Stage;
  readonly machine: WholeMachine;
  readonly watch: Watch;
  readonly #options: RunOptions;
  readonly #mark: Mark | undefined;
  readonly #crashes: readonly Crash[];
  readonly #host = new HostEnd();
  readonly #far = new FarEnd();
  readonly #eyes: Eyes;
  readonly #tell: (line: string) => void;
  #lives = 0;
  #recorded: Recorded | undefined;

  constructor(options: RunOptions, mark: Mark | undefined) {
    this.#options = options;
    this.#mark = mark;
    this.#tell = options.tell ?? (() => undefined);
    const { flow, crashes } = options;
    this.#crashes = flow.crash ? [flow.crash, ...crashes] : crashes;
    this.machine = new WholeMachine({
      seed: options.seed,
      cassettes: CASSETTES,
      devices: deviceChoices(options.pair, (port, device) => this.#far.watchDevice(port, device)),
      commitPlan: this.#host.commitPlan,
      onAct: (act) => this.stage.guard(() => this.watch.seeAct(act, this.machine.running.store)),
      makeCrypto: options.realCrypto ? createNostrCrypto : () => cheapCrypto(),
    });
    const { validator, dispenser } = this.machine;
    this.#eyes = {
      capSats: null,
      validator: () => validator.truth(),
      dispenser: () => dispenser.truth(),
      collected: () => 0,
      taken: () => 0,
      mayPickElsewhere: () => false,
      mayHideBay: () => false,
      mayMisstateNotes: () => false,
      givesForeignPreimages: () => false,
      lostMinor: () => 0,
    };
    this.watch = new Watch(this.#eyes);
    this.stage = new Stage({
      machine: this.machine,
      watch: this.watch,
      tell: this.#tell,
      stepsMax: () => STEPS_MAX,
      mayRefuse: () => this.machine.life.isDead,
      died: (error) => this.programDied(error),
      moved: (entryKind) => this.#crashAfter(entryKind),
    });
  }

  async run(): Promise<RunResult> {
    try {
      await this.#begin();
      await this.#visit();
      await this.#recover();
      await this.#prove();
    } catch (error) {
      if (!(error instanceof Violation)) throw error;
      this.stage.violation ??= error;
    }
    const violation = this.stage.violation;
    return {
      violation: violation && { promise: violation.promise, message: violation.message },
      recorded: this.#recorded,
    };
  }

  async end(): Promise<void> {
    if (!this.machine.life.isDead) this.machine.die('kill');
    this.machine.bury();
    await this.machine.stop();
  }

  /** The program would have ended: a promise was rejected that nobody waits for. */
  programDied(error: unknown): void {
    // What the dead still do to themselves is nobody's business.
    if (this.machine.life.isDead) return;
    const words = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.stage.violation ??= error instanceof Violation ? error : new Violation('it lives', words);
    this.machine.die('kill');
  }

  // One after the other

  async #begin(): Promise<void> {
    const { machine } = this;
    await machine.pair();
    await machine.publish();
    this.#host.watch(machine);
    this.#far.watch(machine);
    this.#start();
    const isOpen = ({ state, cashIn, cashOut }: MachineView) =>
      state === 'idle' && cashIn.open && cashOut.open;
    await this.stage.until(isOpen, RECOVERY_LIMIT_MS);
  }

  async #visit(): Promise<void> {
    const { before, doing } = this.#options.flow;
    if (before) {
      await visit(this.stage, before);
      await this.stage.pause(BETWEEN_VISITS_MS);
    }
    const isRecorded = this.#mark && this.#crashes.length === 0;
    if (isRecorded) await this.#record();
    this.#tell(JSON.stringify(doing));
    await visit(this.stage, doing);
    if (isRecorded) await this.#recordingEnds();
  }

  /** Starts the program again until it stays alive. */
  async #recover(): Promise<void> {
    for (const [at, crash] of this.#crashes.entries()) {
      // It may be that nobody was waiting for the moment: then it comes while nothing happens.
      await this.stage.reach(() => this.machine.life.isDead, RECORDED_LIMIT_MS * 2);
      if (!this.machine.life.isDead) {
        throw new Violation('the same run again', `never reached: ${describeCrash(crash)}`);
      }
      this.#tell(describeCrash(crash));
      this.machine.bury();
      this.stage.darken();
      await this.machine.clock.advance(OFF_MS[crash.death]);
      this.machine.plugIn();
      const isRecorded = this.#mark && at === this.#crashes.length - 1;
      if (isRecorded) await this.#record();
      this.#start();
      await this.#untilRecovered();
      if (isRecorded) await this.#recordingEnds();
    }
  }

  /** Everything that a start settles by itself, at its first attempt. */
  async #untilRecovered(): Promise<void> {
    const isBack = await this.stage.until(isUp, RECOVERY_LIMIT_MS);
    if (this.machine.life.isDead) return;
    if (!isBack) throw new Violation('it starts again', `it shows ${this.machine.view.state}`);
    const { store } = this.machine.running;
    for (let waited = 0; waited < RECORDED_LIMIT_MS; waited += SETTLE_LOOK_MS) {
      const view = this.stage.view();
      const isOpen = view?.cashIn.open && view.cashOut.open;
      if (this.machine.life.isDead || (isOpen && unsettled(store).length === 0)) return;
      await this.stage.pause(SETTLE_LOOK_MS);
    }
  }

  /** Lets everything settle, customers with codes come back, and holds the books against it. */
  async #prove(): Promise<void> {
    const { machine } = this;
    this.#host.armed = undefined;
    this.#takeNotes();
    await this.#untilSettled();
    for (const { code } of [...this.watch.transactions.values()]) {
      if (code !== undefined) await redeemCode(this.stage, code, true);
      await this.stage.pause(SETTLE_LOOK_MS);
    }
    const left = await this.#untilSettled();
    this.#takeNotes();
    const { store } = machine.running;
    proveStore(store);
    const inside = [machine.validator, machine.dispenser].map((one) => one.truth().path);
    if (inside.some((path) => Object.values(path).some((count) => count > 0))) {
      throw new Violation('everything settles', `notes are inside: ${JSON.stringify(inside)}`);
    }
    compareNotes(store, this.watch, this.#eyes);
    settleAccounts(store, this.watch, 0);
    settleWallet(machine.keeper.books(), this.watch);
    const [first] = left;
    if (first) throw new Violation('everything settles', `${first.reference} ${first.why}`);
    this.stage.check();
  }

  async #untilSettled(): Promise<ReturnType<typeof unsettled>> {
    const { store } = this.machine.running;
    let left = unsettled(store);
    for (let waited = 0; waited <= SETTLE_LIMIT_MS; waited += SETTLE_LOOK_MS) {
      this.stage.check();
      left = unsettled(store);
      if (left.length === 0 && !this.stage.view()?.session) return left;
      await this.stage.pause(SETTLE_LOOK_MS);
    }
    return left;
  }

  /** Customers take what lies in the mouths of the devices. */
  #takeNotes(): void {
    for (const device of [this.machine.validator, this.machine.dispenser]) {
      try {
        device.control({ do: 'take' });
      } catch (error) {
        if (!(error instanceof SimulatorError)) throw error;
      }
    }
  }

  // Lives

  #start(): void {
    const { machine } = this;
    const crash = this.#crashes[this.#lives];
    this.#lives += 1;
    this.#host.newLife(crash);
    try {
      this.stage.start();
    } catch (error) {
      // It was cut off in its first write, before it was up.
      if (!(error instanceof StoreError && machine.life.isDead)) throw error;
    }
  }

  #crashAfter(entryKind: string | undefined): void {
    const { armed } = this.#host;
    if (armed?.moment.kind !== 'entry' || armed.moment.entry !== entryKind) return;
    this.machine.clock.after(armed.moment.afterMs, () => this.#host.strike(armed));
  }

  // Recording

  async #record(): Promise<void> {
    await this.#quiet();
    this.#host.record();
    this.#far.record();
    this.#mark?.('begin', this.machine);
  }

  async #recordingEnds(): Promise<void> {
    await this.#quiet();
    this.#mark?.('end', this.machine);
    const recording = this.#host.recorded();
    const far = this.#far.recorded();
    this.#recorded = { recording, counted: countsOf(recording), far };
  }

  /** Waits until nothing is on its way between the two ends of anything. */
  async #quiet(): Promise<void> {
    for (let steps = 0; steps < QUIET_STEPS_MAX; steps++) {
      await this.machine.clock.advance(QUIET_STEP_MS);
      if (!this.#host.isUnderWay()) return;
    }
    throw new Error('something is always under way');
  }
}
