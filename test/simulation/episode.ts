/**
 * One run: a machine, its world and its customers, from a plan. Safety phase: anything may fail.
 * Then liveness: the faults stop, and everything has to settle or be a named obligation.
 */
import type { Random } from '#protocol/base/clock.ts';
import { messageOf, StoreError } from '#protocol/base/errors.ts';
import type { Log } from '#protocol/base/log.ts';
import type { NostrCrypto } from '#protocol/signer/nostr-crypto.ts';
import { diskFaultOf } from '#state/store-error.ts';
import { isOfTheDead } from '#test/support/life.ts';
import { isUp, WholeMachine } from '#test/support/whole-machine.ts';
import { compareNotes, proveStore, type Unsettled } from './books.ts';
import { Breaker } from './breaker.ts';
import { visit } from './customers.ts';
import { Hands } from './hands.ts';
import { type Aftermath, comeToRest, payByHand } from './liveness.ts';
import { deviceChoice } from './pairings.ts';
import type { Action, Doing, Plan } from './plan.ts';
import { catchDeaths, Stage } from './stage.ts';
import { Violation } from './violation.ts';
import { type Eyes, Watch } from './watch.ts';

/** What one run came to. */
export interface EpisodeResult {
  readonly transactions: number;
  readonly crashes: number;
  readonly faults: Readonly<Record<string, number>>;
  readonly outcomes: Readonly<Record<string, number>>;
  readonly violation: { readonly promise: string; readonly message: string } | undefined;
  readonly unsettled: readonly Unsettled[];
  /** Idle stretches count for 60 s at most. */
  readonly simulatedSeconds: number;
  /** Timers that fired. */
  readonly steps: number;
}

/** How a run is run. */
export interface EpisodeOptions {
  readonly makeCrypto?: (random: Random) => NostrCrypto;
  /** Told of everything that happens, for a history. */
  readonly tell?: (line: string) => void;
  readonly log?: Log;
}

/** Steps of one action and of the liveness phase; a machine polls its validator 10 times a s. */
const STEPS_PER_ACTION = 250_000;
const STEPS_OF_LIVENESS = 4_000_000;
const RECOVERY_LIMIT_MS = 600_000;
/** What the operator puts into the wallet when the faults have stopped. */
const FUNDS_SATS = 100_000_000;
/** A stretch in which nothing is written and nobody presses anything counts no longer than this. */
const IDLE_COUNTED_MS = 60_000;
/** Starts that may fail in a row: a full disk fails five of them at most. */
const STARTS_MAX = 12;
/** Within this a program writes what a disk has refused that takes writes again. */
const DISK_LOOK_MS = 30_000;
/** systemd waits so long before it starts a program that died. */
const RESTART_MS = 2_000;
/** A time that was corrected is off by no more, nor by what is too little to be corrected. */
const MISTIMED_MS = 10_000;
/** By then no command is under way any more, whatever the journal has of its end. */
const FOUND_MS = 240_000;

/** What better-sqlite3 says of a database that was closed. */
const BOOKS_CLOSED = 'The database connection is not open';

/** Runs a plan. Never rejects for what the agent does. */
export async function runPlan(plan: Plan, options: EpisodeOptions = {}): Promise<EpisodeResult> {
  const episode = new Episode(plan, options);
  const restore = catchDeaths((error) => episode.programDied(error));
  try {
    return await episode.run();
  } finally {
    await episode.end();
    // What the abandoned program still does to itself must not be laid at the door of the next one.
    await new Promise((resolve) => setImmediate(resolve));
    restore();
  }
}

class Episode implements Aftermath {
  readonly stage: Stage;
  readonly machine: WholeMachine;
  readonly watch: Watch;
  readonly #plan: Plan;
  readonly #breaker: Breaker;
  readonly #tell: (line: string) => void;
  readonly #hands: Hands;
  #turnedAway = 0;
  #stepsMax = 0;
  #activeMs = 0;
  #activeUntilMs = 0;

  constructor(plan: Plan, options: EpisodeOptions) {
    this.#plan = plan;
    this.#tell = options.tell ?? (() => undefined);
    this.#breaker = new Breaker(plan);
    this.machine = new WholeMachine({
      seed: plan.seed,
      fundSats: plan.fundSats,
      cassettes: plan.cassettes,
      config: { limits: { max_cash_in_sats: plan.capSats } },
      devices: {
        validator: deviceChoice(plan.validator, plan.cassettes, plan.pollMs?.validator),
        dispenser: deviceChoice(plan.dispenser, plan.cassettes, plan.pollMs?.dispenser),
      },
      commitPlan: this.#breaker.commitPlan,
      onAct: (act) => {
        this.#breaker.seeAct();
        this.stage.guard(() => this.watch.seeAct(act, this.machine.running.store));
      },
      ...(options.makeCrypto ? { makeCrypto: options.makeCrypto } : {}),
      ...(options.log ? { log: options.log } : {}),
    });
    this.#breaker.take(this.machine, () => this.#mayOpen());
    this.#hands = new Hands(this.machine, plan);
    const { validator, dispenser } = this.machine;
    const eyes: Eyes = {
      capSats: plan.capSats,
      validator: () => validator.truth(),
      dispenser: () => dispenser.truth(),
      collected: (value) => this.#hands.collected(value),
      taken: (value) => this.#hands.taken(value),
      mayPickElsewhere: () => this.#breaker.mayPickElsewhere,
      mayHideBay: () => this.#breaker.mayHideBay,
      mayMisstateNotes: () => this.#breaker.mayMisstateNotes,
      givesForeignPreimages: () => this.machine.keeper.switches.foreignPreimages,
      lostMinor: () => this.lostMinor(),
    };
    this.#eyes = eyes;
    this.watch = new Watch(eyes);
    this.stage = new Stage({
      machine: this.machine,
      watch: this.watch,
      tell: this.#tell,
      stepsMax: () => this.#stepsMax,
      mayRefuse: () => this.#breaker.diskFailed || this.machine.life.isDead,
      died: (error) => this.programDied(error),
      moved: () => this.#noteActivity(),
    });
  }

  readonly #eyes: Eyes;

  async run(): Promise<EpisodeResult> {
    let left: readonly Unsettled[] = [];
    try {
      await this.#begin();
      for (const action of this.#plan.actions) await this.#act(action);
      left = await this.#settle();
    } catch (error) {
      if (!(error instanceof Violation)) throw error;
      this.stage.violation ??= error;
    }
    return this.#result(left);
  }

  async end(): Promise<void> {
    this.machine.abandon();
    await this.machine.stop();
  }

  /** The program would have ended: a promise was rejected that nobody waits for. */
  programDied(error: unknown): void {
    // What the dead still do to themselves is nobody's business, also when the next one lives
    // already: nobody stops a program in order here, so only their books are closed.
    const isOfOthers = isOfTheDead(error) || messageOf(error) === BOOKS_CLOSED;
    if (this.machine.life.isDead || isOfOthers) return;
    this.#tell(`program died: ${messageOf(error)}`);
    if (error instanceof Violation) this.stage.violation ??= error;
    else if (!this.#endsForDisk(error)) {
      const words = error instanceof Error ? (error.stack ?? error.message) : String(error);
      this.stage.violation ??= new Violation('the program lives', words);
    }
    this.#breaker.offMs = RESTART_MS;
    this.machine.die('kill');
  }

  /** A disk that failed asks for a restart; a full one only for room, and the program says so. */
  #endsForDisk(error: unknown): boolean {
    const isDisk = error instanceof StoreError && this.#breaker.diskFailed;
    return isDisk && diskFaultOf(error) !== 'full';
  }

  // Phases

  async #begin(): Promise<void> {
    this.#stepsMax = STEPS_OF_LIVENESS;
    const { machine } = this;
    await machine.pair();
    await machine.publish();
    await this.#start();
    await this.stage.until((view) => view.state === 'idle' && view.cashOut.open, RECOVERY_LIMIT_MS);
  }

  async #act({ id, doing, disturbances }: Action): Promise<void> {
    this.#stepsMax = this.machine.clock.fired + STEPS_PER_ACTION;
    this.#tell(`${id} ${JSON.stringify(doing)}`);
    for (const disturbance of disturbances) this.#breaker.plan(disturbance);
    if (doing.kind === 'attend') await this.#attend(doing.refill);
    else if (doing.kind === 'wait') await this.stage.pause(doing.ms);
    else await this.#serve(doing);
    await this.revive();
    // What a full disk has refused is written in the moment in which it takes writes again.
    if (this.#breaker.diskFailed) await this.stage.pause(1);
    this.compare();
  }

  async #serve(doing: Doing): Promise<void> {
    const isServed = await visit(this.stage, doing);
    this.#turnedAway = isServed ? 0 : this.#turnedAway + 1;
    if (this.#turnedAway < (this.#plan.patience ?? Number.POSITIVE_INFINITY)) return;
    this.#turnedAway = 0;
    await this.#lookAfter();
  }

  /** Whoever is called reads what the machine asks for, and does that. */
  async #lookAfter(): Promise<void> {
    const view = this.stage.view();
    if (!view || view.session) return;
    const reasons = [...view.cashIn.reasons, ...view.cashOut.reasons];
    const codes = new Set(reasons.map(({ code }) => code));
    this.#tell(`somebody is called: ${[...codes].join(' ')}`);
    if (this.#asksForRestart()) {
      this.#breaker.offMs = RESTART_MS;
      this.machine.die('kill');
      await this.revive();
    }
    if (codes.has('unsettled')) await this.stage.written(() => payByHand(this.stage, 'cashOut'));
    if (codes.has('walletEmpty')) this.machine.keeper.fund(this.#plan.fundSats);
    if (codes.has('validator')) this.restartValidator();
    await this.#attend(codes.has('noNotes'));
  }

  /** A disk that failed asks for it, and a start that did; a full disk asks for room only. */
  #asksForRestart(): boolean {
    const reasons = this.stage.view()?.cashIn.reasons ?? [];
    return reasons.some(({ code, text }) => code === 'starting' || text.includes('restarted'));
  }

  /** Whoever looks after the machine clears what is stuck, and may fill the bays. */
  async #attend(refills: boolean): Promise<void> {
    this.mendDevices();
    const boxIsFull = this.stage.view()?.cashIn.reasons.some(({ code }) => code === 'cashBox');
    if (boxIsFull) this.#hands.emptyBox();
    await this.stage.pause(3_000);
    if (refills) await this.refill();
  }

  mendDevices(): void {
    this.#hands.clearJams(() => this.#breaker.mendDevices());
  }

  restartValidator(): void {
    this.#breaker.restartValidator();
  }

  emptyBox(): void {
    this.#hands.emptyBox();
  }

  lostMinor(): number {
    return this.#hands.lostMinor();
  }

  /** The operator's document says what is in the bays, which an attendant has just filled. */
  async refill(): Promise<void> {
    // Nobody opens the machine while it moves notes.
    if (this.stage.view()?.session || !this.#mayOpen()) return;
    this.mendDevices();
    this.watch.attribute();
    await this.#fillBays();
    await this.stage.pause(15_000);
  }

  /** A program that died while notes came out may be found hours later, by who fills the bays. */
  async #fillWhileDead(): Promise<void> {
    const { clock, dispenser } = this.machine;
    if (!this.#plan.countsAfterCut || !this.watch.isDispensing) return;
    await clock.advance(FOUND_MS);
    if (Object.keys(dispenser.truth().path).length > 0) return;
    this.#tell('the bays are filled before it starts');
    this.watch.attribute();
    this.#hands.look();
    await this.#fillBays();
  }

  async #fillBays(): Promise<void> {
    const { machine } = this;
    this.#breaker.keepHeads();
    const contents = this.#hands.fillBays();
    // Counts are as of a whole second, and what moved in it would be counted twice; who counts
    // does not hurry because the program has died.
    await machine.clock.advance(this.#breaker.mayMistime ? MISTIMED_MS : 1_100);
    this.watch.countsFrom(machine.clock.now());
    void machine.keeper.publishCassettes(contents);
  }

  async #settle(): Promise<readonly Unsettled[]> {
    this.#tell('the faults stop');
    this.#breaker.end();
    this.mendDevices();
    this.#stepsMax = this.machine.clock.fired + STEPS_OF_LIVENESS;
    // What a full disk did not take is kept in mind, for as long as the program lives.
    if (this.#breaker.diskFailed) await this.stage.pause(DISK_LOOK_MS);
    if (this.#plan.restarts || this.#asksForRestart()) this.machine.die('kill');
    await this.revive();
    this.#hands.emptyBox();
    this.machine.keeper.fund(FUNDS_SATS);
    return comeToRest(this);
  }

  // Lives

  /** Starts the program until it lives, after whatever ended it. */
  async revive(): Promise<void> {
    for (let starts = 0; this.machine.life.isDead; starts++) {
      this.stage.check();
      if (starts >= STARTS_MAX) throw new Violation('it starts again', `${starts} starts failed`);
      this.machine.bury();
      this.stage.darken();
      this.#tell('dead');
      await this.machine.clock.advance(this.#breaker.offMs);
      await this.#fillWhileDead();
      this.machine.plugIn();
      await this.#start();
      const isBack = await this.stage.until(isUp, RECOVERY_LIMIT_MS);
      if (this.machine.life.isDead) continue;
      if (!isBack) throw new Violation('it starts again', `it shows ${this.machine.view.state}`);
      proveStore(this.machine.running.store);
    }
    this.stage.check();
  }

  async #start(): Promise<void> {
    const { machine } = this;
    try {
      this.stage.start();
      this.#breaker.reborn();
    } catch (error) {
      if (error instanceof Violation) throw error;
      // The program ended before it was up: the disk failed, or it was cut off in its first write.
      if (!(error instanceof StoreError)) throw error;
      if (!this.#breaker.diskFailed && !machine.life.isDead) throw error;
      this.#breaker.offMs = RESTART_MS;
      machine.die('kill');
    }
    await Promise.resolve();
  }

  #noteActivity(): void {
    const nowMs = this.machine.clock.monotonic();
    this.#activeMs += Math.min(nowMs - this.#activeUntilMs, IDLE_COUNTED_MS);
    this.#activeUntilMs = nowMs;
  }

  /** Holds the books against the truth when the machine is at rest. */
  compare(): void {
    if (this.stage.view()?.session || this.machine.life.isDead) return;
    if (this.stage.view()?.cashIn.reasons.some(({ code }) => code === 'disk')) return;
    const { store } = this.machine.running;
    if (store.intents.listOpen().some(({ device }) => device !== undefined)) return;
    const inside = [this.machine.validator, this.machine.dispenser].map((one) => one.truth().path);
    if (inside.some((path) => Object.keys(path).length > 0)) return;
    compareNotes(store, this.watch, this.#eyes);
  }

  /** Hands open the dispenser only when it moves nothing; what was in it then is remembered. */
  #mayOpen(): boolean {
    this.#hands.look();
    const { agent, clock, dispenser } = this.machine;
    const acts = agent?.store.intents.listOpen() ?? [];
    const isMoving = acts.some(
      ({ device, openedAtUnixMs }) =>
        device === 'dispenser' && clock.now() - openedAtUnixMs < FOUND_MS,
    );
    return agent !== undefined && !isMoving && Object.keys(dispenser.truth().path).length === 0;
  }

  #result(left: readonly Unsettled[]): EpisodeResult {
    const obligations = this.machine.agent?.store.obligations.list() ?? [];
    const outcomes = new Map(this.watch.outcomes);
    outcomes.set('obligation', obligations.length);
    outcomes.set('remainder', obligations.filter(({ kind }) => kind === 'remainder').length);
    const violation = this.stage.violation;
    return {
      transactions: this.watch.transactions.size,
      crashes: this.#breaker.crashes,
      faults: Object.fromEntries(this.#breaker.given),
      outcomes: Object.fromEntries(outcomes),
      violation: violation && { promise: violation.promise, message: violation.message },
      unsettled: left,
      simulatedSeconds: this.#activeMs / 1_000,
      steps: this.machine.clock.fired,
    };
  }
}
