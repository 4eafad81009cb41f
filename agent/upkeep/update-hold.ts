/**
 * A release that is not proven yet serves nobody (design: an update with a way back): what it did
 * could not be taken back with the state. It is held while the plan of its update is there.
 */
import { existsSync } from 'node:fs';
import type { CancelTimer, Clock } from '#protocol/base/clock.ts';
import { ConfigError } from '#protocol/base/errors.ts';
import { readPlan } from './update-plan.ts';

/** What the hold needs. */
export interface UpdateHoldOptions {
  /** Where the plan lies while an update is under way; without it nothing ever holds. */
  readonly planFile: string | undefined;
  /** The release that this is. */
  readonly version: string;
  readonly clock: Clock;
}

/** How often it is looked whether the plan is gone, ms: the update waits for nothing else. */
const LOOK_MS = 1_000;

/** Tells whether this release is still being proven. */
export class UpdateHold {
  readonly #options: UpdateHoldOptions;
  #cancel: CancelTimer = () => undefined;

  constructor(options: UpdateHoldOptions) {
    this.#options = options;
  }

  /** A plan that cannot be read holds as well: nobody knows what it says. */
  isHeld(): boolean {
    const { planFile, version } = this.#options;
    if (planFile === undefined) return false;
    try {
      return readPlan(planFile)?.to === version;
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      return true;
    }
  }

  /** Calls back once, when the plan is gone. */
  onRelease(task: () => void): void {
    const { planFile, clock } = this.#options;
    this.#cancel = clock.after(LOOK_MS, () => {
      if (planFile !== undefined && existsSync(planFile)) this.onRelease(task);
      else task();
    });
  }

  /** Looks no more. */
  close(): void {
    this.#cancel();
  }
}
