/**
 * A simulated CCNET bill validator that speaks bytes. It follows the protocol and no driver. What
 * is out of turn is answered as the protocol says and written down in `violations`. Drivers that
 * never acknowledge work with it as they do with real units; `strictAck` is the protocol to the
 * letter. Source: CashCode NET, bill validator; cash-hardware.md 3 and 13.
 */
import type { Clock } from '#protocol/base/clock.ts';
import {
  answeringStatuses,
  billToBillCommands,
  type CommandName,
  commands,
  decodeCommand,
  hexCode,
  replies,
  statuses,
} from '../../ccnet/commands.ts';
import { BILL_TYPES } from '../../ccnet/models.ts';
import { CCNET_LINE, CcnetFramer, encodeFrame, VALIDATOR_ADDRESS } from '../../ccnet/wire.ts';
import type { ControlCommand, DeviceTruth, SimulatedDevice } from '../device.ts';
import { FaultSwitches } from '../faults.ts';
import { handleValidator } from '../hands.ts';
import { Transmitter } from '../transmitter.ts';
import { Violations } from '../violations.ts';
import { type CcnetFaultName, ccnetFaults } from './faults.ts';
import {
  CCNET_TIMINGS,
  CcnetMechanism,
  type CcnetNote,
  type CcnetTimings,
  US_NOTES,
} from './mechanism.ts';

/** What may differ between simulated validators. */
export interface CcnetDeviceOptions {
  /** Up to 15 characters; what is before the hyphen names the family. */
  readonly partNumber?: string;
  /** Up to 12 characters. */
  readonly serialNumber?: string;
  /** The bill table. */
  readonly notes?: readonly CcnetNote[];
  readonly timings?: Partial<CcnetTimings>;
  /**
   * After a power cut past escrow, RESET ends in BILL STACKED: the maker calls that credit
   * recovery, and not every unit is known to have it. Without it the note goes to the cash box in
   * silence.
   */
  readonly creditAfterPowerUpInStacker?: boolean;
  /** Events (81, 82, 1C) are repeated until their ACK; without it each is said once. */
  readonly strictAck?: boolean;
  /** An ACK that comes later after the answer is not heard; not stated in the sources. */
  readonly ackWithinMs?: number;
  /** A command within 10 ms after an ACK or NAK is not heard. */
  readonly strictTiming?: boolean;
  /** With the cash box back it stays out of service until RESET; else it initialises itself. */
  readonly refitNeedsReset?: boolean;
  /** It tells who it is in every state; by the book it does so in a few only. */
  readonly identifiesAnytime?: boolean;
}

const PART_NUMBER = 'SM-US1234';
const SERIAL_NUMBER = '123456789012';
const ASSET_NUMBER = [1, 2, 3, 4, 5, 6, 7];
const CODE_CRC32 = [0x12, 0x34, 0x56, 0x78];
/** Silence after which an unfinished frame from the host is forgotten; 5 ms by the book. */
const INTER_BYTE_MS = 200;
/** The bus rests so long after an ACK. Source: t-free, cash-hardware.md 3.2. */
const FREE_MS = 10;
const BUSY_UNIT_MS = 100;
const FRAME_BYTES_MIN = 6;

/** A simulated CCNET validator. It is made switched on, in POWER UP, empty. */
export class CcnetDevice implements SimulatedDevice {
  readonly kind = 'acceptor';
  readonly protocol = 'ccnet';
  readonly line = CCNET_LINE;
  readonly faults = ccnetFaults;
  readonly #clock: Clock;
  readonly #options: CcnetDeviceOptions;
  readonly #timings: CcnetTimings;
  readonly #framer = new CcnetFramer();
  readonly #switches = new FaultSwitches<CcnetFaultName>(ccnetFaults);
  readonly #mechanism: CcnetMechanism;
  readonly #violations = new Violations();
  readonly #transmitter: Transmitter;
  #heardMs = 0;
  /** The answer that the host has to acknowledge, and when it was given. */
  #unacknowledged: { readonly body: readonly number[]; readonly saidMs: number } | undefined;
  #confirmedMs = Number.NEGATIVE_INFINITY;
  #busyUntilMs = 0;

  constructor(parts: { readonly clock: Clock; readonly options?: CcnetDeviceOptions }) {
    const { clock, options = {} } = parts;
    this.#clock = clock;
    this.#transmitter = new Transmitter(clock);
    this.#options = options;
    this.#timings = { ...CCNET_TIMINGS, ...options.timings };
    this.#mechanism = new CcnetMechanism({
      clock,
      timings: this.#timings,
      notes: options.notes ?? US_NOTES,
      creditAfterPowerUpInStacker: options.creditAfterPowerUpInStacker ?? false,
      strictAck: options.strictAck ?? false,
      refitNeedsReset: options.refitNeedsReset ?? false,
      switches: this.#switches,
      onViolation: (words) => this.#violations.add(words),
    });
  }

  receive(bytes: Uint8Array): void {
    if (!this.#mechanism.isOn) return;
    const nowMs = this.#clock.monotonic();
    if (nowMs - this.#heardMs > INTER_BYTE_MS) this.#framer.reset();
    this.#heardMs = nowMs;
    for (const event of this.#framer.push(bytes)) {
      if (!this.#mechanism.isOn) return;
      if (event.kind === 'discarded') this.#onDamaged(event.bytes);
      else if (event.frame.address === VALIDATOR_ADDRESS) this.#onBody(event.frame.body);
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
    this.#transmitter.forget();
  }

  // What the host says

  /** A frame with a wrong checksum is answered by NAK, other bytes by nothing. */
  #onDamaged(bytes: Uint8Array): void {
    this.#violations.add(`${bytes.length} bytes that are no frame`);
    const [start, address] = bytes;
    const isOurs = start === 0x02 && address === VALIDATOR_ADDRESS;
    if (isOurs && bytes.length >= FRAME_BYTES_MIN) this.#reply([replies.notUnderstood]);
  }

  #onBody(body: Uint8Array): void {
    const code = body[0] ?? 0;
    const isThis = (value: number | undefined) => value === undefined || value === code;
    if (this.#switches.strikes('deaf', isThis)) return;
    if (body.length === 1 && code === replies.acknowledge) {
      this.#onAck();
      return;
    }
    if (body.length === 1 && code === replies.notUnderstood) {
      this.#onNak();
      return;
    }
    const nowMs = this.#clock.monotonic();
    if (this.#transmitter.isAnswering) {
      this.#violations.add(`command ${hexCode(code)} before the last one was answered`);
    }
    if (this.#options.strictTiming && nowMs - this.#confirmedMs < FREE_MS) {
      this.#violations.add(`command ${hexCode(code)} while the bus had to rest`);
      return;
    }
    this.#noteUnacknowledged();
    this.#onCommandBody(body, isThis);
  }

  #onCommandBody(body: Uint8Array, isThis: (value: number | undefined) => boolean): void {
    const code = body[0] ?? 0;
    const busyMs = this.#busyUntilMs - this.#clock.monotonic();
    const command = decodeCommand(body);
    if (this.#switches.strikes('nak', isThis)) this.#reply([replies.notUnderstood], code);
    else if (this.#switches.strikes('illegal', isThis)) {
      this.#reply([replies.illegalCommand], code);
    } else if (busyMs > 0) {
      this.#replyData(code, [statuses.busy.code, Math.ceil(busyMs / BUSY_UNIT_MS)]);
    } else if (command !== undefined && body.length - 1 === commands[command].body) {
      this.#onCommand(command, [...body.subarray(1)]);
    } else {
      const what = billToBillCommands[code];
      this.#refuse(code, what === undefined ? 'no such command' : `${what}, of bill-to-bill units`);
    }
  }

  /** ACK: it belongs to the answer before it, and nobody answers it. */
  #onAck(): void {
    const said = this.#unacknowledged;
    this.#unacknowledged = undefined;
    this.#confirmedMs = this.#clock.monotonic();
    if (!said) this.#violations.add('ACK of nothing');
    else if (this.#confirmedMs - said.saidMs <= (this.#options.ackWithinMs ?? Infinity)) {
      this.#mechanism.acknowledge();
    }
  }

  /** NAK: the answer before it is given again. */
  #onNak(): void {
    const said = this.#unacknowledged;
    this.#confirmedMs = this.#clock.monotonic();
    if (said) this.#replyData(commands.nak.code, said.body);
    else this.#violations.add('NAK of nothing');
  }

  #noteUnacknowledged(): void {
    const said = this.#unacknowledged;
    this.#unacknowledged = undefined;
    if (!said || !this.#options.strictAck) return;
    // A host that has not written the credit down yet asks again, and is told again.
    if (said.body[0] === statuses.billStacked.code) return;
    this.#violations.add(`an answer that begins with ${hexCode(said.body[0] ?? 0)} got no ACK`);
  }

  #onCommand(command: CommandName, data: readonly number[]): void {
    const { code } = commands[command];
    switch (command) {
      case 'poll':
        this.#replyStatus();
        return;
      case 'reset':
        this.#reply([replies.acknowledge], code);
        this.#mechanism.reset();
        return;
      case 'stack':
        this.#inEscrow(code, () => this.#mechanism.stack());
        return;
      case 'return':
        this.#inEscrow(code, () => this.#mechanism.giveBack());
        return;
      case 'hold':
        this.#inEscrow(code, () => this.#mechanism.hold());
        return;
      case 'enableBillTypes':
        this.#set(code, () => this.#mechanism.enable(data.slice(0, 3), data.slice(3)));
        return;
      case 'setSecurity':
        this.#set(code, () => this.#mechanism.secure(data));
        return;
      case 'getStatus':
        this.#replyData(code, this.#mechanism.settings);
        return;
      case 'identification':
        this.#tell(code, () => this.#identification());
        return;
      case 'getBillTable':
        this.#tell(code, () => this.#billTable());
        return;
      case 'crc32OfTheCode':
        this.#tell(code, () => CODE_CRC32);
        return;
      default:
        this.#refuse(code, 'not known to this model');
    }
  }

  #inEscrow(code: number, act: () => void): void {
    if (!this.#mechanism.isInEscrow) {
      this.#refuse(code, 'no note is in escrow');
      return;
    }
    this.#reply([replies.acknowledge], code);
    act();
    // The power may have gone with it, and the answer too.
    if (!this.#mechanism.isOn) this.#transmitter.forget();
  }

  /** Settings are taken by a device that has been reset and is not broken. */
  #set(code: number, act: () => void): void {
    const { base } = this.#mechanism;
    const isAtRest = ['initialising', 'disabled', 'pause'].includes(base.name);
    if (answeringStatuses.has(base.name) && !isAtRest) {
      this.#refuse(code, 'it must be reset first');
      return;
    }
    this.#reply([replies.acknowledge], code);
    act();
  }

  #tell(code: number, data: () => readonly number[]): void {
    const isLawful = answeringStatuses.has(this.#mechanism.base.name);
    if (isLawful || this.#options.identifiesAnytime) this.#replyData(code, data());
    else this.#refuse(code, 'only when disabled, initialising or out of service');
  }

  #replyStatus(): void {
    const status = this.#mechanism.poll();
    const detail = status.detail === undefined ? [] : [status.detail];
    this.#replyData(commands.poll.code, [statuses[status.name].code, ...detail]);
    if (status.name === 'billStacked' && this.#switches.strikes('powerCutAfterCredit')) {
      this.#transmitter.after(this.#timings.replyMs + 1, () => this.#power(false));
    }
  }

  #refuse(code: number, why: string): void {
    this.#violations.add(`command ${hexCode(code)} in state ${this.#mechanism.base.name}: ${why}`);
    this.#reply([replies.illegalCommand], code);
  }

  // What hands do

  #fault(name: string, times: number, value: number | undefined): void {
    switch (this.#switches.set(name, times, value)) {
      case 'failure':
        if (this.#switches.strikes('failure')) this.#mechanism.fail(value ?? 0x50);
        return;
      case 'pause':
        if (this.#switches.strikes('pause')) this.#mechanism.pause(value);
        else this.#mechanism.unpause();
        return;
      case 'busy': {
        const isNow = this.#switches.strikes('busy');
        const busyMs = isNow ? (value ?? 5) * BUSY_UNIT_MS : 0;
        this.#busyUntilMs = this.#clock.monotonic() + busyMs;
        return;
      }
      default:
    }
  }

  #power(on: boolean): void {
    this.#transmitter.forget();
    this.#framer.reset();
    this.#busyUntilMs = 0;
    this.#mechanism.power(on);
  }

  // Bytes out

  /** An answer that the host has to acknowledge. */
  #replyData(code: number, body: readonly number[]): void {
    this.#reply(body, code);
    const saidMs = this.#clock.monotonic() + this.#timings.replyMs;
    this.#unacknowledged = { body, saidMs };
  }

  #reply(body: readonly number[], code?: number): void {
    const isThis = (value: number | undefined) => value === undefined || value === code;
    this.#transmitter.expect(this.#timings.replyMs);
    if (this.#switches.strikes('loseReply', isThis)) return;
    const frame = encodeFrame(body);
    if (this.#switches.strikes('badChecksum')) frame[frame.length - 1] = (frame.at(-1) ?? 0) ^ 0x55;
    const noise = this.#switches.strikes('noise') ? [Uint8Array.of(0xff, 0x02, 0x03, 0x00)] : [];
    const copies = this.#switches.strikes('duplicateReply') ? [frame, frame] : [frame];
    const late = this.#switches.strike('late');
    const delayMs = this.#timings.replyMs + (late ? (late.value ?? 400) : 0);
    this.#transmitter.transmit([...noise, ...copies], delayMs);
  }

  #identification(): readonly number[] {
    const { partNumber = PART_NUMBER, serialNumber = SERIAL_NUMBER } = this.#options;
    const text = `${partNumber.padEnd(15).slice(0, 15)}${serialNumber.padEnd(12).slice(0, 12)}`;
    return [...Buffer.from(text, 'latin1'), ...ASSET_NUMBER];
  }

  #billTable(): readonly number[] {
    const notes = this.#options.notes ?? US_NOTES;
    return Array.from({ length: BILL_TYPES }, (_, type) => {
      const note = notes.find((candidate) => candidate.type === type);
      if (!note) return [0, 0, 0, 0, 0];
      const exponent = note.exponent < 0 ? 0x80 | -note.exponent : note.exponent;
      return [note.value, ...Buffer.from(note.country, 'latin1'), exponent];
    }).flat();
  }
}
