/** The slot: which notes are taken, and when that may be changed. */
import type { Clock } from '#protocol/base/clock.ts';
import type { AtmErrorCode, DeviceError } from '#protocol/base/errors.ts';
import { SlotChanges } from '../slot-changes.ts';
import { hexCode } from './commands.ts';
import type { SspContact } from './contact.ts';
import { openSlot, setChannels, shutSlot, type Unconfirmed } from './requests.ts';

/** What the slot needs of the driver. */
export interface SspSlotParts {
  readonly contact: SspContact;
  readonly clock: Clock;
  readonly isInService: () => boolean;
  /** Nothing is inside, nothing moves, and no credit is repeated that is not confirmed. */
  readonly isAtRest: () => boolean;
  /** Acknowledges what the device still repeats; whether it took that. */
  readonly acknowledge: () => Promise<boolean>;
  /** The device refuses to be enabled, and has not said why. */
  readonly onRefused: () => void;
  readonly error: (code: AtmErrorCode, reason: string) => DeviceError;
}

/** The slot of one device, from `open` until `close`. */
export class SspSlot {
  readonly #parts: SspSlotParts;
  readonly #changes: SlotChanges;
  /** Polls answered when ENABLE was; undefined while it is meant to be shut. */
  #openedAtPoll: number | undefined;

  constructor(parts: SspSlotParts) {
    this.#parts = parts;
    const nextNews = (limitMs: number) => parts.contact.next(limitMs);
    this.#changes = new SlotChanges({ ...parts, nextNews });
  }

  /**
   * Whether a device that says DISABLED does so against our wish. The first answer after ENABLE may
   * still tell of the time before.
   */
  get isMeantToBeOpen(): boolean {
    const since = this.#openedAtPoll;
    return since !== undefined && this.#parts.contact.polls > since + 1;
  }

  /** The device must be initialised before it takes notes again. */
  isShut(): void {
    this.#openedAtPoll = undefined;
  }

  /** Whoever waits to change it is told that this is over. */
  cancel(): void {
    this.#changes.cancel();
  }

  /** Takes the notes of these channels from now on. @throws DeviceError as `accept` does. */
  async accept(channels: readonly number[]): Promise<void> {
    const { contact, acknowledge, error } = this.#parts;
    const change = await this.#changes.begin();
    // What the device told of its start is journaled by now; until it is acknowledged no note is
    // let in.
    if (!(await acknowledge())) throw error('timeOut', 'the validator did not take EVENT ACK');
    this.#changes.requireLast(change);
    if (channels.length === 0) {
      this.isShut();
      this.#require(await shutSlot(contact.link));
      return;
    }
    this.#require(await setChannels(contact.link, channels));
    this.#changes.requireLast(change);
    const unopened = await openSlot(contact.link);
    if (unopened?.code !== undefined) this.#parts.onRefused();
    this.#require(unopened);
    this.#openedAtPoll = contact.polls;
  }

  #require(unconfirmed: Unconfirmed | undefined): void {
    if (!unconfirmed) return;
    const { error } = this.#parts;
    const { command, code } = unconfirmed;
    if (code === undefined) throw error('timeOut', `${command} was not confirmed`);
    throw error('refused', `${command} was refused (${hexCode(code)})`);
  }
}
