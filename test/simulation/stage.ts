/** The machine as customers meet it, with the watch over what it promises, on virtual time. */
import type { MachineView } from '#agent/api/schemas.ts';
import { StoreError } from '#protocol/base/errors.ts';
import type { WholeMachine } from '#test/support/whole-machine.ts';
import { Violation } from './violation.ts';
import type { Watch } from './watch.ts';

/** A customer's command. */
export type Command = Parameters<WholeMachine['act']>[0];

/** What a stage needs. */
export interface StageOptions {
  readonly machine: WholeMachine;
  readonly watch: Watch;
  /** Told of everything that happens, for a history. */
  readonly tell: (line: string) => void;
  /** Timers that may have fired by now; one more, and the run has no end. */
  readonly stepsMax: () => number;
  /** True when a write may have been refused: the disk had a fault, or the program is dead. */
  readonly mayRefuse: () => boolean;
  /** Told of what was thrown where nobody would have caught it. */
  readonly died: (error: unknown) => void;
  /** Told that something was pressed, or written: then of which kind. */
  readonly moved: (entryKind?: string) => void;
}

/** One machine and whoever stands before it; every wait ends early when it dies. */
export class Stage {
  readonly machine: WholeMachine;
  readonly watch: Watch;
  /** The first promise that broke. */
  violation: Violation | undefined;
  readonly #options: StageOptions;
  #view: MachineView | undefined;

  constructor(options: StageOptions) {
    this.#options = options;
    this.machine = options.machine;
    this.watch = options.watch;
  }

  /** Nothing more happens: the program is dead, or a promise broke. */
  get isDead(): boolean {
    return this.machine.life.isDead || this.violation !== undefined;
  }

  /** The screen as it was shown last. */
  view(): MachineView | undefined {
    return this.#view;
  }

  /** Starts the program, and watches it. @throws what the start throws */
  start(): void {
    const { tell, moved } = this.#options;
    const { store, service } = this.machine.start();
    this.watch.reopened(store);
    store.journal.subscribe((entry) => {
      tell(`  ${entry.kind} ${JSON.stringify(entry.body)}`);
      this.guard(() => this.watch.see(entry, store));
      moved(entry.kind);
    });
    service.subscribe((view) => this.#show(view));
    this.#show(service.view());
  }

  /** The screen is dark: the program is dead. */
  darken(): void {
    this.#view = undefined;
  }

  /** Gives a command; the screen shows at once what came of it. `ok`, or the code of a refusal. */
  async act(command: Command): Promise<string> {
    this.#options.moved();
    const result = await this.written(() => this.machine.act(command));
    // The local API says so with status 500; the customer sees that nothing happens.
    if (!result) return 'closed';
    const answer = result.ok ? 'ok' : result.code;
    this.#options.tell(`${JSON.stringify(command)}: ${answer}`);
    if (!this.isDead) this.#show(this.machine.view);
    return answer;
  }

  /** Undefined when it could not be written, for which there may be a reason. */
  async written<T>(task: () => T): Promise<Awaited<T> | undefined> {
    try {
      return await task();
    } catch (error) {
      if (error instanceof StoreError && this.#options.mayRefuse()) return undefined;
      throw error;
    }
  }

  /** Waits until the screen shows it; false when it does not in time, or the machine dies. */
  async until(found: (view: MachineView) => boolean, limitMs: number): Promise<boolean> {
    let seen: MachineView | undefined;
    let isFound = false;
    await this.reach(() => {
      // A look costs more than a step: only at what is new.
      if (this.#view !== seen) {
        seen = this.#view;
        isFound = seen !== undefined && found(seen);
      }
      return isFound;
    }, limitMs);
    return isFound && !this.isDead;
  }

  /** Lets time pass. */
  async pause(ms: number): Promise<void> {
    await this.reach(() => false, ms);
  }

  /** Does something later, whatever the customer does by then. */
  later(ms: number, task: () => void): void {
    this.machine.clock.after(ms, task);
  }

  /** A customer takes the sats of a link. */
  claim(lnurl: string): void {
    const outcome = this.machine.keeper.claim(lnurl);
    this.#options.tell(`claimed: ${outcome.ok ? `${outcome.sats} sats` : outcome.reason}`);
    if (!outcome.ok) return;
    for (const known of this.watch.transactions.values()) {
      if (known.links.has(lnurl)) known.claimed = true;
    }
  }

  /** A customer pays an invoice. */
  pay(
    bolt11: string,
    how: { readonly internal?: boolean; readonly evenExpired?: boolean } = {},
  ): void {
    const { keeper } = this.machine;
    const outcome = keeper.pay(bolt11, how);
    this.#options.tell(`paid: ${outcome.ok ? `${outcome.sats} sats` : outcome.reason}`);
    if (!outcome.ok) return;
    const known = [...this.watch.transactions.values()].find((one) => one.bolt11s.has(bolt11));
    if (!known) throw new Error('an invoice was paid that nobody has seen');
    known.paid = true;
    known.isForeign = keeper.switches.foreignPreimages;
  }

  /** Keeps the first violation that is found inside a call of the agent, which goes on. */
  guard(task: () => void): void {
    try {
      task();
    } catch (error) {
      if (!(error instanceof Violation)) throw error;
      this.violation ??= error;
    }
  }

  /** @throws Violation when a promise broke. */
  check(): void {
    if (this.violation) throw this.violation;
  }

  /** Lets time pass until it is so. @throws Violation when a promise broke, or for a run without an end */
  async reach(done: () => boolean, limitMs: number): Promise<void> {
    const { clock } = this.machine;
    const stepsMax = this.#options.stepsMax();
    const isTooMuch = () => clock.fired > stepsMax;
    try {
      await clock.reach(() => done() || this.isDead || isTooMuch(), limitMs);
    } catch (error) {
      // Thrown by a timer, or by what it told of: nobody would have caught it.
      this.#options.died(error);
    }
    this.check();
    if (isTooMuch()) throw new Violation('a run ends', `more than ${stepsMax} steps`);
  }

  #show(view: MachineView): void {
    this.#view = view;
    const { session } = view;
    if (session) this.guard(() => this.watch.seeSession(session));
  }
}

/** What would end a real process comes to `died` until the answer is called. */
export function catchDeaths(died: (error: unknown) => void): () => void {
  const names = ['uncaughtException', 'unhandledRejection'] as const;
  const kept = names.map((name) => process.listeners(name as 'uncaughtException'));
  for (const name of names) {
    process.removeAllListeners(name);
    process.on(name, died);
  }
  return () => {
    for (const [at, name] of names.entries()) {
      process.removeAllListeners(name);
      for (const listener of kept[at] ?? []) process.on(name, listener);
    }
  };
}
