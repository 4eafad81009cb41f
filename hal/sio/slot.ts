/** Which channels are open: what the device was told, as far as it has echoed it. */
import { CHANNELS_MAX, commands, inhibitCode, uninhibitCode } from './commands.ts';
import type { SioLink, SioReply } from './link.ts';
import type { SioModel } from './models.ts';

const CHANNELS: readonly number[] = Array.from({ length: CHANNELS_MAX }, (_, at) => at + 1);

/** A word that was not echoed: the slot is in doubt. */
export interface SlotFailure {
  readonly reply: Exclude<SioReply, 'echoed'>;
  readonly what: string;
}

/** What the driver says while the slot is being opened. */
export interface SlotWatch {
  /** Still wanted: no other values were asked for since. */
  readonly isCurrent: () => boolean;
  /** A note has come in already. */
  readonly isBusy: () => boolean;
  /** The slot is about to be open. */
  readonly onOpening: () => void;
}

/** The slot of one device. Its methods give what went wrong; undefined for nothing. */
export class SioSlot {
  readonly #open = new Map<number, boolean>();
  #isEnabled: boolean | undefined;

  /** It may be another device, or have lost all settings. */
  forget(): void {
    this.#open.clear();
    this.#isEnabled = undefined;
  }

  /** Shuts it at once; whether that was heard is found out when it is opened again. */
  shutNow(link: SioLink | undefined): void {
    this.#isEnabled = undefined;
    link?.send(commands.disableAll.code);
  }

  /** Shut, in its mode, no channel open. */
  async configure(link: SioLink, { hasEscrow }: SioModel): Promise<SlotFailure | undefined> {
    this.forget();
    const modes = hasEscrow ? [commands.escrowOn, commands.escrowTimeoutOn] : [commands.escrowOff];
    for (const { code } of [commands.disableAll, ...modes]) {
      const reply = await link.set(code);
      // A device without escrow need not know how to leave it.
      const isFine = reply === 'refused' && code === commands.escrowOff.code;
      if (reply !== 'echoed' && !isFine) return { reply, what: `setting ${code}` };
    }
    this.#isEnabled = false;
    return this.#setChannels(link, () => false, isAlways);
  }

  /**
   * Opens just these channels; none shuts the slot. Whether ENABLE ALL opens channels that were
   * shut is not documented, so they are shut again after it, unless a note comes in meanwhile: then
   * they are the next time.
   */
  async open(
    link: SioLink,
    isOpen: (channel: number) => boolean,
    { isCurrent, isBusy, onOpening }: SlotWatch,
  ): Promise<SlotFailure | undefined> {
    if (!CHANNELS.some(isOpen)) {
      onOpening();
      return this.#setEnabled(link, false);
    }
    const failure = await this.#setChannels(link, isOpen, isCurrent);
    if (failure || !isCurrent()) return failure;
    onOpening();
    if (this.#isEnabled) return undefined;
    const notEnabled = await this.#setEnabled(link, true);
    if (notEnabled) return notEnabled;
    for (const channel of CHANNELS) if (!isOpen(channel)) this.#open.delete(channel);
    const notShut = await this.#setChannels(link, isOpen, () => isCurrent() && !isBusy());
    // A device need not hear settings while it is busy with a note.
    return isBusy() ? undefined : notShut;
  }

  async #setChannels(
    link: SioLink,
    isOpen: (channel: number) => boolean,
    goesOn: () => boolean,
  ): Promise<SlotFailure | undefined> {
    for (const channel of CHANNELS) {
      const wanted = isOpen(channel);
      if (this.#open.get(channel) === wanted || !goesOn()) continue;
      this.#open.delete(channel);
      const reply = await link.set(wanted ? uninhibitCode(channel) : inhibitCode(channel));
      if (reply !== 'echoed') return { reply, what: `channel ${channel}` };
      this.#open.set(channel, wanted);
    }
    return undefined;
  }

  async #setEnabled(link: SioLink, isEnabled: boolean): Promise<SlotFailure | undefined> {
    if (this.#isEnabled === isEnabled) return undefined;
    this.#isEnabled = undefined;
    const reply = await link.set((isEnabled ? commands.enableAll : commands.disableAll).code);
    if (reply !== 'echoed') return { reply, what: isEnabled ? 'ENABLE ALL' : 'DISABLE ALL' };
    this.#isEnabled = isEnabled;
    return undefined;
  }
}

const isAlways = () => true;
