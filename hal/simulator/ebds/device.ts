/**
 * A simulated EBDS bill validator that speaks bytes. It follows the protocol and no driver. What is
 * out of turn is answered as the protocol says and written down in `violations`.
 * Source: cash-hardware.md 4 and 13; for the commands, CPI's text as quoted by decapod-atm/ebds.
 */
import type { CancelTimer, Clock } from '#protocol/base/clock.ts';
import { EBDS_LINE, type EbdsFrame, EbdsFramer, encodeFrame } from '../../ebds/wire.ts';
import type { ControlCommand, DeviceTruth, SimulatedDevice } from '../device.ts';
import { FaultSwitches } from '../faults.ts';
import { handleValidator } from '../hands.ts';
import { Transmitter } from '../transmitter.ts';
import { Violations } from '../violations.ts';
import { type EbdsFaultName, ebdsFaults } from './faults.ts';
import { EBDS_TIMINGS, type EbdsNote, type EbdsSwitches, type EbdsTimings } from './inside.ts';
import { EbdsMechanism } from './mechanism.ts';
import { auxiliaryBytes, type EbdsIdentity, noteBytes, noteSaid, statusBytes } from './words.ts';

/** What may differ between simulated validators. */
export interface EbdsDeviceOptions extends Partial<EbdsSwitches> {
  readonly identity?: Partial<EbdsIdentity>;
  /** The note table, in its order. */
  readonly notes?: readonly EbdsNote[];
  readonly timings?: Partial<EbdsTimings>;
  /** Settings of described notes are confirmed by an extended reply; else by an omnibus reply. */
  readonly confirmsExtended?: boolean;
  /** Keeps to this power-up policy, whatever the host asks for. */
  readonly fixedPolicy?: 'a' | 'c';
  /** Knows no special interrupt mode: newer firmware does not. */
  readonly neverInterrupts?: boolean;
}

/** A Cashflow SC. */
export const CASHFLOW_SC: EbdsIdentity = {
  modelCode: 0x54,
  revision: 0x23,
  deviceType: 0,
  type: 'SC8327R',
  serialNumber: '12345678',
  bootPartNumber: '286001123',
  applicationPartNumber: '285001123',
  variantName: 'USD',
  variantPartNumber: '490001123',
  inhibitBytes: 8,
};

/** Seven dollar notes in the order of their value. */
export const DOLLAR_NOTES: readonly EbdsNote[] = [1, 2, 5, 10, 20, 50, 100].map(
  (denomination, at) => ({ index: at + 1, currency: 'USD', denomination }),
);

const TYPES = { omnibus: 1, omnibusReply: 2, auxiliary: 6, extended: 7 } as const;
const ENQUIRY = 0x05;
const SOFT_RESET = 0x7f;
const NOTE_SPECIFICATION = 0x02;
const NOTE_INHIBITS = 0x03;
const ESCROW_TIMEOUT = 0x04;
/** Silence after which an unfinished frame from the host is forgotten; 20 ms by the book. */
const INTER_BYTE_MS = 200;
const OMNIBUS_BYTES = 3;
const NOTES_PER_BYTE = 7;

const DEFAULT_SWITCHES: EbdsSwitches = {
  reportsCreditAfterPowerUp: true,
  showsHeldNote: false,
  resetGivesBack: true,
  jamNeedsReset: false,
};

/** A simulated EBDS validator. It is made switched on, starting, empty. */
export class EbdsDevice implements SimulatedDevice {
  readonly kind = 'acceptor';
  readonly protocol = 'ebds';
  readonly line = EBDS_LINE;
  readonly faults = ebdsFaults;
  readonly #clock: Clock;
  readonly #options: EbdsDeviceOptions;
  readonly #identity: EbdsIdentity;
  readonly #notes: readonly EbdsNote[];
  readonly #timings: EbdsTimings;
  readonly #framer = new EbdsFramer();
  readonly #switches = new FaultSwitches<EbdsFaultName>(ebdsFaults);
  readonly #mechanism: EbdsMechanism;
  readonly #violations = new Violations();
  readonly #transmitter: Transmitter;
  #heardMs = 0;
  #deafUntilMs = 0;
  #lastAck: EbdsFrame['ack'] | undefined;
  #lastReply: Uint8Array | undefined;
  #settings: readonly number[] = [0, 0, 0];
  /** A set bit enables; after power-up every note is. */
  #inhibits: readonly number[] | undefined;
  #cancelSilence: CancelTimer = () => undefined;

  constructor(parts: { readonly clock: Clock; readonly options?: EbdsDeviceOptions }) {
    const { clock, options = {} } = parts;
    this.#clock = clock;
    this.#transmitter = new Transmitter(clock);
    this.#options = options;
    this.#identity = { ...CASHFLOW_SC, ...options.identity };
    this.#notes = options.notes ?? DOLLAR_NOTES;
    this.#timings = { ...EBDS_TIMINGS, ...options.timings };
    this.#mechanism = new EbdsMechanism({
      clock,
      timings: this.#timings,
      notes: this.#notes,
      switches: { ...DEFAULT_SWITCHES, ...options },
      faults: this.#switches,
      onChange: () => this.#interrupt(),
    });
  }

  receive(bytes: Uint8Array): void {
    const nowMs = this.#clock.monotonic();
    if (!this.#mechanism.isOn || nowMs < this.#deafUntilMs) return;
    if (nowMs - this.#heardMs > INTER_BYTE_MS) this.#framer.reset();
    this.#heardMs = nowMs;
    for (const event of this.#framer.push(bytes)) {
      if (!this.#mechanism.isOn || nowMs < this.#deafUntilMs) return;
      // By the protocol nothing answers what is no frame: the host asks again.
      if (event.kind === 'frame') this.#onFrame(event.frame);
      else this.#violations.add(`${event.bytes.length} bytes that are no frame`);
    }
  }

  connect(send: (bytes: Uint8Array) => void): void {
    this.#transmitter.connect(send);
  }

  control(command: ControlCommand): unknown {
    return handleValidator(
      {
        mechanism: this.#mechanism,
        fault: (name, times, value) => this.#fault(name, times, value),
        power: (on) => this.#power(on),
      },
      command,
    );
  }

  truth(): DeviceTruth {
    return this.#mechanism.truth();
  }

  violations(): readonly string[] {
    return this.#violations.list();
  }

  stop(): void {
    this.#mechanism.stop();
    this.#cancelSilence();
    this.#transmitter.forget();
  }

  // What the host says

  #onFrame(frame: EbdsFrame): void {
    const isThis = (value: number | undefined) => value === undefined || value === frame.type;
    if (this.#switches.strikes('deaf', isThis)) return;
    this.#watchHost();
    // The same bit again: the host has missed the answer, and nothing is done twice.
    if (frame.ack === this.#lastAck && this.#lastReply) {
      this.#transmit(this.#lastReply, frame.type);
      return;
    }
    if (this.#transmitter.isAnswering) {
      this.#violations.add(`a new command of type ${frame.type} before the last one was answered`);
    }
    this.#lastAck = frame.ack;
    this.#mechanism.heard();
    if (this.#switches.strikes('invalid', isThis)) this.#reply(frame, { isInvalid: true });
    else this.#onCommand(frame);
  }

  #onCommand(frame: EbdsFrame): void {
    const { data, type } = frame;
    if (type === TYPES.omnibus && data.length === OMNIBUS_BYTES) {
      this.#onOmnibus(frame, [...data]);
    } else if (type === TYPES.auxiliary && data.length === OMNIBUS_BYTES) {
      this.#onAuxiliary(frame);
    } else if (type === TYPES.extended && this.#identity.inhibitBytes !== undefined) {
      this.#onExtended(frame);
    } else this.#refuse(frame, 'not known to this model');
  }

  #onOmnibus(frame: EbdsFrame, settings: readonly number[]): void {
    const mode = settings[1] ?? 0;
    const [stacks, returns] = [(mode & 0x20) !== 0, (mode & 0x40) !== 0];
    if (stacks && returns) {
      this.#refuse(frame, 'stack and return at once');
      return;
    }
    this.#set(settings);
    const isInEscrow = this.#mechanism.escrowed !== undefined;
    if ((stacks || returns) && !isInEscrow) {
      const word = stacks ? 'stack' : 'return';
      this.#violations.add(`${word} in state ${this.#mechanism.state}: no note is in escrow`);
    } else if (stacks) this.#mechanism.stack();
    else if (returns) this.#mechanism.giveBack();
    // The power may have gone with it, and the answer too.
    if (this.#mechanism.isOn) this.#reply(frame);
    else this.#forgetHost();
  }

  #onAuxiliary(frame: EbdsFrame): void {
    const [first, second, code = 0] = frame.data;
    if (code === SOFT_RESET && first === SOFT_RESET && second === SOFT_RESET) {
      this.#forgetHost();
      this.#deafUntilMs = this.#clock.monotonic() + this.#timings.resetMs;
      this.#mechanism.reset();
      return;
    }
    const isKnown = this.#identity.inhibitBytes !== undefined && first === 0 && second === 0;
    const answer = isKnown ? auxiliaryBytes(this.#identity, code) : undefined;
    if (answer) this.#say(frame, TYPES.auxiliary, answer);
    else this.#refuse(frame, `auxiliary ${code} is not known to this model`);
  }

  #onExtended(frame: EbdsFrame): void {
    const [subtype, ...data] = frame.data;
    const settings = data.slice(0, OMNIBUS_BYTES);
    const rest = data.slice(OMNIBUS_BYTES);
    const [first = 0] = rest;
    if (subtype === NOTE_SPECIFICATION && rest.length === 1 && first > 0) {
      this.#set(settings);
      const note = this.#notes.find(({ index }) => index === first);
      this.#sayNote(frame, noteBytes(note, first));
    } else if (subtype === NOTE_INHIBITS && rest.length === this.#identity.inhibitBytes) {
      this.#inhibits = rest;
      this.#set(settings);
      this.#reply(frame, { subtype: this.#options.confirmsExtended ? subtype : undefined });
    } else if (subtype === ESCROW_TIMEOUT && rest.length === 2) {
      this.#set(settings);
      this.#reply(frame);
    } else this.#refuse(frame, `extended ${subtype} with ${data.length} bytes is not known`);
  }

  #set(settings: readonly number[]): void {
    this.#settings = settings;
    const [enabled = 0, mode = 0, configuration = 0] = settings;
    const isOn = (note: EbdsNote) =>
      this.#isExtended ? this.#isInhibited(note) === false : isBitSet(enabled, note.index - 1);
    const policies = ['a', 'b', 'c', 'a'] as const;
    this.#mechanism.want({
      isEnabled: isOn,
      isOn: enabled !== 0,
      escrow: (mode & 0x10) !== 0,
      policy: this.#options.fixedPolicy ?? policies[(configuration >> 2) & 0x03] ?? 'a',
    });
  }

  get #isExtended(): boolean {
    const isAsked = ((this.#settings[2] ?? 0) & 0x10) !== 0;
    return isAsked && this.#identity.inhibitBytes !== undefined;
  }

  #isInhibited({ index }: EbdsNote): boolean {
    if (!this.#inhibits) return false;
    const byte = this.#inhibits[Math.floor((index - 1) / NOTES_PER_BYTE)] ?? 0;
    return !isBitSet(byte, (index - 1) % NOTES_PER_BYTE);
  }

  #refuse(frame: EbdsFrame, why: string): void {
    this.#violations.add(`a command of type ${frame.type}: ${why}`);
    this.#reply(frame, { isInvalid: true });
  }

  #watchHost(): void {
    this.#cancelSilence();
    this.#cancelSilence = this.#clock.after(this.#timings.hostTimeoutMs, () => {
      this.#mechanism.hostIsSilent();
    });
  }

  // What hands do

  #fault(name: string, times: number, value: number | undefined): void {
    switch (this.#switches.set(name, times, value)) {
      case 'failure':
        if (this.#switches.strikes('failure')) this.#mechanism.fail();
        return;
      case 'stall':
        if (this.#switches.strikes('stall')) this.#mechanism.stall();
        return;
      case 'transportOpen':
        this.#mechanism.openPath(this.#switches.strikes('transportOpen'));
        return;
      case 'pause':
        if (this.#switches.strikes('pause')) this.#mechanism.pause(value);
        else this.#mechanism.unpause();
        return;
      case 'blankStacked':
        if (this.#switches.strikes('blankStacked')) this.#mechanism.sayBlank();
        return;
      default:
    }
  }

  #power(on: boolean): void {
    this.#forgetHost();
    this.#deafUntilMs = 0;
    this.#mechanism.power(on);
  }

  /** What is kept in volatile memory beside the mechanism's. */
  #forgetHost(): void {
    this.#transmitter.forget();
    this.#cancelSilence();
    this.#framer.reset();
    this.#lastAck = undefined;
    this.#lastReply = undefined;
    this.#settings = [0, 0, this.#settings[2] ?? 0];
    this.#inhibits = undefined;
  }

  // Bytes out

  /** A status; with extended notes one in escrow or just stacked is described instead. */
  #reply(
    frame: EbdsFrame,
    { isInvalid = false, subtype }: { isInvalid?: boolean; subtype?: number | undefined } = {},
  ): void {
    const { state, news } = this.#mechanism;
    const isAboutNote = state === 'escrowed' || news?.kind === 'stacked';
    if (this.#isExtended && isAboutNote && !isInvalid && frame.type === TYPES.omnibus) {
      this.#sayNote(frame, noteBytes(noteSaid(this.#mechanism), 0));
      return;
    }
    const status = this.#status({ isExtended: this.#isExtended, isInvalid });
    if (subtype === undefined) this.#say(frame, TYPES.omnibusReply, status);
    else this.#say(frame, TYPES.extended, [subtype, ...status]);
  }

  #sayNote(frame: EbdsFrame, note: readonly number[]): void {
    const status = this.#status({ isExtended: true, isInvalid: false });
    this.#say(frame, TYPES.extended, [NOTE_SPECIFICATION, ...status, ...note]);
  }

  /** The status now; what is told in one reply only is told with it. */
  #status(said: { readonly isExtended: boolean; readonly isInvalid: boolean }): number[] {
    const bytes = statusBytes(this.#mechanism, this.#identity, said);
    const isCredit = this.#mechanism.news?.kind === 'stacked';
    this.#mechanism.said();
    if (isCredit && this.#switches.strikes('powerCutAfterCredit')) {
      this.#transmitter.after(this.#timings.replyMs + 1, () => this.#power(false));
    }
    return bytes;
  }

  #say(frame: EbdsFrame, type: number, data: readonly number[]): void {
    this.#lastReply = encodeFrame(type, frame.ack, data, this.#identity.deviceType);
    this.#transmit(this.#lastReply, frame.type);
  }

  #transmit(reply: Uint8Array, commandType: number): void {
    const isThis = (value: number | undefined) => value === undefined || value === commandType;
    this.#transmitter.expect(this.#timings.replyMs);
    if (this.#switches.strikes('loseReply', isThis)) return;
    const frame = Uint8Array.from(reply);
    const last = frame.length - 1;
    if (this.#switches.strikes('badChecksum')) frame[last] = (frame[last] ?? 0) ^ 0x55;
    if (this.#switches.strikes('wrongAck')) {
      frame[2] = (frame[2] ?? 0) ^ 0x01;
      frame[last] = (frame[last] ?? 0) ^ 0x01;
    }
    const sent = this.#switches.strikes('parity') ? frame.map(withEvenParity) : frame;
    const noise = this.#switches.strikes('noise') ? [Uint8Array.of(0xff, 0x02, 0x03, 0x7f)] : [];
    const copies = this.#switches.strikes('duplicateReply') ? [sent, sent] : [sent];
    const late = this.#switches.strike('late');
    this.#transmitter.transmit(
      [...noise, ...copies],
      this.#timings.replyMs + (late ? (late.value ?? 400) : 0),
    );
  }

  /** In special interrupt mode one byte tells the host to poll. */
  #interrupt(): void {
    const isWanted = ((this.#settings[1] ?? 0) & 0x01) !== 0;
    if (!isWanted || this.#options.neverInterrupts || !this.#mechanism.isOn) return;
    this.#transmitter.transmit([Uint8Array.of(ENQUIRY)], 1);
  }
}

function isBitSet(byte: number, bit: number): boolean {
  return ((byte >> bit) & 1) === 1;
}

/** The byte as a line of eight bits shows it: its parity is the eighth. */
function withEvenParity(byte: number): number {
  let ones = 0;
  for (let bit = 0; bit < 7; bit++) ones += (byte >> bit) & 1;
  return ones % 2 === 0 ? byte : byte | 0x80;
}
