/**
 * A disk that takes no more closes both directions, for what cannot be written down must not be
 * begun. Room may come back by itself; what an I/O error or a damaged page has left nobody knows
 * before a restart has looked.
 */
import type { PromiseActorLogic } from 'xstate';
import { type CancelTimer, type Clock, sleep } from '#protocol/base/clock.ts';
import { StoreError } from '#protocol/base/errors.ts';
import type { Log } from '#protocol/base/log.ts';
import type { Store } from '#state/store.ts';
import { type DiskFault, isDiskFull } from '#state/store-error.ts';
import { effect } from '../machines/effect.ts';
import type { ReasonBoard } from './reasons.ts';

/** Pace of trying a full disk: soon for the customer in front of it, nothing for the disk. */
const RETRY_MS = 10_000;

/** What stands on the board; an operator reads what to do, a customer why it is closed. */
const WORDS: Readonly<Record<DiskFault, string>> = {
  full: 'The disk of the machine is full: make room, and it opens by itself.',
  readOnly: 'The disk of the machine takes no writing.',
  failed: 'The disk of the machine failed: the service has to be restarted, and the disk checked.',
  damaged: 'The state of the machine is damaged: a backup has to be restored.',
};

/** What the watch needs. */
export interface DiskWatchParts {
  readonly store: Store;
  readonly board: ReasonBoard;
  readonly clock: Clock;
  readonly log: Log;
  /** True while no session is on. */
  isIdle(): boolean;
  /** Brings to an end what no session goes on with; called once the disk works again. */
  recover(): void;
}

/** Tells the board how the disk is, and tries one that may work again. */
export class DiskWatch {
  readonly #parts: DiskWatchParts;
  readonly #off: () => void;
  #cancel: CancelTimer = () => undefined;
  #fault: DiskFault | undefined;
  /** Something may be open that its session could not write the end of. */
  #isRecoveryDue: boolean = false;

  constructor(parts: DiskWatchParts) {
    this.#parts = parts;
    this.#off = parts.store.onDisk((fault) => this.#tell(fault));
  }

  /** To be called when a session is over, for it may have ended in a fault. */
  recoverIfDue(): void {
    if (!this.#isRecoveryDue || this.#fault !== undefined || !this.#parts.isIdle()) return;
    this.#isRecoveryDue = false;
    try {
      this.#parts.recover();
    } catch (err) {
      if (!(err instanceof StoreError)) throw err;
      // The disk fell ill again: the next end of that brings this back.
      this.#isRecoveryDue = true;
      this.#parts.log.error({ err }, 'not recovered');
    }
  }

  /**
   * The effect of a machine without a session: recovers what is due, then does `task`. What a full
   * disk does not take of it is done the next time, which is when the disk works again.
   */
  tidyingUp(task: () => Promise<void>): PromiseActorLogic<void, undefined> {
    return effect<void>(async () => {
      this.recoverIfDue();
      try {
        await task();
      } catch (err) {
        if (!isDiskFull(err)) throw err;
        this.#parts.log.error({ err }, 'not tidied up');
      }
    });
  }

  /** Does what a start cannot go on without, and again as long as a full disk does not take it. */
  async untilTaken(task: () => void, signal: AbortSignal): Promise<void> {
    for (;;) {
      try {
        return task();
      } catch (err) {
        if (!isDiskFull(err)) throw err;
        this.#parts.log.error({ err }, 'not recovered');
      }
      await sleep(this.#parts.clock, RETRY_MS, signal);
    }
  }

  /** Ends the watch. */
  close(): void {
    this.#off();
    this.#cancel();
  }

  #tell(fault: DiskFault | undefined): void {
    const { board, clock, log } = this.#parts;
    this.#cancel();
    this.#fault = fault;
    board.setBoth('disk', fault && WORDS[fault]);
    if (fault === undefined) {
      log.info('the disk takes writes again');
      // Not at once: this is told from within somebody's commit.
      this.#cancel = clock.after(0, () => this.recoverIfDue());
      return;
    }
    this.#isRecoveryDue = true;
    log.error({ fault }, 'the disk takes no writes');
    if (fault === 'full' || fault === 'readOnly') this.#tryLater(fault);
  }

  #tryLater(fault: DiskFault): void {
    this.#cancel = this.#parts.clock.after(RETRY_MS, () => this.#try(fault));
  }

  #try(fault: DiskFault): void {
    const { store, log } = this.#parts;
    this.#tryLater(fault);
    try {
      // Success is told to the watch itself, which ends the trying.
      store.commit(() => store.journal.append('disk.works', { after: fault }));
    } catch (err) {
      if (!(err instanceof StoreError)) throw err;
      log.debug({ err }, 'the disk still takes no writes');
    }
  }
}
