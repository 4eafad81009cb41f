/**
 * A simulated ID-003 validator that speaks bytes. It follows the protocol and no driver: poll and
 * interrupt mode, STACK-1, -2 and -3, RESET at any time, settings or none. What is out of turn is
 * answered as the protocol says and written down in `violations`.
 * Source: JCM ID-003 protocol; cash-hardware.md 2 and 13.
 */
import type { Clock } from '#protocol/base/clock.ts';
import {
  type CommandName,
  commands,
  decodeCommand,
  hexCode,
  RECYCLER_EXTENDED,
  replies,
  statuses,
} from '../../id003/commands.ts';
import { encodeFrame, ID003_LINE, type Id003Frame, Id003Framer } from '../../id003/wire.ts';
import type { ControlCommand, DeviceTruth, SimulatedDevice } from '../device.ts';
import { FaultSwitches } from '../faults.ts';
import { handleValidator } from '../hands.ts';
import { Transmitter } from '../transmitter.ts';
import { Violations } from '../violations.ts';
import {
  ID003_TIMINGS,
  type Id003FaultName,
  Id003Mechanism,
  type Id003Note,
  type Id003Setting,
  type Id003Timings,
  id003Faults,
  US_NOTES,
} from './mechanism.ts';

/** What may differ between simulated validators. */
export interface Id003DeviceOptions {
  /** Version text; its first letter names the family. */
  readonly version?: string;
  /** The currency table. */
  readonly notes?: readonly Id003Note[];
  readonly timings?: Partial<Id003Timings>;
  /** After a power cut past escrow, RESET ends in VEND VALID; real models differ in it. */
  readonly creditAfterPowerUpInStacker?: boolean;
}

const VERSION = 'U(USA)-02-1S ID003-05V272-55 10JUL09 ';
/** Silence after which an unfinished frame from the host is forgotten. */
const INTER_BYTE_MS = 200;

const SETTING_OF_GETTER = {
  getDenominations: 'setDenominations',
  getSecurity: 'setSecurity',
  getCommunicationMode: 'setCommunicationMode',
  getInhibit: 'setInhibit',
  getDirection: 'setDirection',
  getOptionalFunction: 'setOptionalFunction',
  getBarcodeFunction: 'setBarcodeFunction',
  getBarcodeInhibit: 'setBarcodeInhibit',
} as const satisfies Partial<Record<CommandName, Id003Setting>>;

/** A simulated ID-003 validator. It is made switched on, in POWER UP, empty. */
export class Id003Device implements SimulatedDevice {
  readonly kind = 'acceptor';
  readonly protocol = 'id003';
  readonly line = ID003_LINE;
  readonly faults = id003Faults;
  readonly #clock: Clock;
  readonly #version: string;
  readonly #notes: readonly Id003Note[];
  readonly #replyMs: number;
  readonly #framer = new Id003Framer();
  readonly #switches = new FaultSwitches<Id003FaultName>(id003Faults);
  readonly #mechanism: Id003Mechanism;
  readonly #violations = new Violations();
  readonly #transmitter: Transmitter;
  #heardMs = 0;

  constructor(parts: { readonly clock: Clock; readonly options?: Id003DeviceOptions }) {
    const { clock, options = {} } = parts;
    const timings = { ...ID003_TIMINGS, ...options.timings };
    this.#clock = clock;
    this.#transmitter = new Transmitter(clock);
    this.#version = options.version ?? VERSION;
    this.#notes = options.notes ?? US_NOTES;
    this.#replyMs = timings.replyMs;
    this.#mechanism = new Id003Mechanism({
      clock,
      timings,
      notes: this.#notes,
      creditAfterPowerUpInStacker: options.creditAfterPowerUpInStacker ?? false,
      switches: this.#switches,
      onNews: () => this.#enquire(),
      onViolation: (words) => this.#violations.add(words),
    });
  }

  receive(bytes: Uint8Array): void {
    if (!this.#mechanism.status) return;
    const nowMs = this.#clock.monotonic();
    if (nowMs - this.#heardMs > INTER_BYTE_MS) this.#framer.reset();
    this.#heardMs = nowMs;
    for (const event of this.#framer.push(bytes)) {
      if (event.kind === 'discarded')
        this.#violations.add(`${event.bytes.length} bytes that are no frame`);
      else if (this.#mechanism.status) this.#onFrame(event.frame);
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

  #onFrame(frame: Id003Frame): void {
    const isThis = (value: number | undefined) => value === undefined || value === frame.code;
    if (this.#switches.strikes('deaf', isThis)) return;
    if (this.#transmitter.isAnswering) {
      this.#violations.add(`command ${hexCode(frame.code)} before the last one was answered`);
    }
    if (this.#switches.strikes('communicationError', isThis)) {
      this.#reply(frame, replies.communicationError);
      return;
    }
    if (this.#switches.strikes('invalidCommand', isThis)) {
      this.#reply(frame, replies.invalidCommand);
      return;
    }
    const command = decodeCommand(frame);
    if (command !== undefined && frame.data.length === commands[command].body) {
      this.#onCommand(frame, command);
      return;
    }
    const isRecycler = frame.code === RECYCLER_EXTENDED;
    this.#refuse(frame, isRecycler ? 'a recycler command' : 'no such command');
  }

  #onCommand(frame: Id003Frame, command: CommandName): void {
    switch (command) {
      case 'statusRequest':
        this.#replyStatus(frame);
        return;
      case 'reset':
        this.#reply(frame, replies.acknowledge);
        this.#mechanism.reset();
        return;
      case 'stack1':
        this.#inEscrow(frame, () => this.#mechanism.stack('atLever'));
        return;
      case 'stack2':
      case 'stack3':
        this.#inEscrow(frame, () => this.#mechanism.stack('inBox'));
        return;
      case 'return':
        this.#inEscrow(frame, () => this.#mechanism.giveBack());
        return;
      case 'hold':
        this.#inEscrow(frame, () => this.#mechanism.hold());
        return;
      case 'wait':
        this.#reply(frame, replies.acknowledge);
        return;
      case 'ack':
        this.#mechanism.acknowledge();
        return;
      case 'version':
      case 'bootVersion':
        this.#reply(frame, frame.code, Buffer.from(this.#version, 'latin1'));
        return;
      case 'currencyTable':
        this.#reply(frame, frame.code, this.#currencyTable());
        return;
      default:
        this.#onSetting(frame, command);
    }
  }

  #onSetting(frame: Id003Frame, command: keyof typeof SETTING_OF_GETTER | Id003Setting): void {
    if (isGetter(command)) {
      this.#reply(frame, frame.code, this.#mechanism.settings[SETTING_OF_GETTER[command]]);
      return;
    }
    this.#reply(frame, frame.code, frame.data);
    this.#mechanism.set(command, [...frame.data]);
  }

  #inEscrow(frame: Id003Frame, act: () => void): void {
    if (!this.#mechanism.isInEscrow) {
      this.#refuse(frame, 'no note is in escrow');
      return;
    }
    this.#reply(frame, replies.acknowledge);
    act();
    // The power may have gone with it, and the answer too.
    if (!this.#mechanism.status) this.#transmitter.forget();
  }

  #replyStatus(frame: Id003Frame): void {
    const { status } = this.#mechanism;
    if (!status) return;
    const data = status.detail === undefined ? [] : [status.detail];
    this.#reply(frame, statuses[status.name].code, data);
    if (status.name === 'vendValid' && this.#switches.strikes('powerCutAfterCredit')) {
      this.#transmitter.after(this.#replyMs + 1, () => this.#power(false));
    }
  }

  #refuse(frame: Id003Frame, why: string): void {
    const state = this.#mechanism.status?.name ?? 'off';
    this.#violations.add(`command ${hexCode(frame.code)} in state ${state}: ${why}`);
    this.#reply(frame, replies.invalidCommand);
  }

  // What hands do

  #fault(name: string, times: number, value: number | undefined): void {
    switch (this.#switches.set(name, times, value)) {
      case 'failure':
        if (this.#switches.strikes('failure')) this.#mechanism.fail(value ?? 0xa2);
        return;
      case 'pause':
        if (this.#switches.strikes('pause')) this.#mechanism.pause(value);
        else this.#mechanism.unpause();
        return;
      default:
    }
  }

  #power(on: boolean): void {
    this.#transmitter.forget();
    this.#framer.reset();
    this.#mechanism.power(on);
  }

  // Bytes out

  #reply(to: Id003Frame, code: number, data: Uint8Array | readonly number[] = []): void {
    const isThis = (value: number | undefined) => value === undefined || value === to.code;
    this.#transmitter.expect(this.#replyMs);
    if (this.#switches.strikes('loseReply', isThis)) return;
    const frame = encodeFrame(code, data);
    if (this.#switches.strikes('badChecksum')) frame[frame.length - 1] = (frame.at(-1) ?? 0) ^ 0x55;
    const noise = this.#switches.strikes('noise') ? [Uint8Array.of(0xff, 0xfc, 0x00, 0xfc)] : [];
    const copies = this.#switches.strikes('duplicateReply') ? [frame, frame] : [frame];
    const late = this.#switches.strike('late');
    this.#transmitter.transmit(
      [...noise, ...copies],
      this.#replyMs + (late ? (late.value ?? 400) : 0),
    );
  }

  /** In the interrupt modes the device says that it has news. */
  #enquire(): void {
    if (this.#mechanism.settings.setCommunicationMode[0] === 0) return;
    this.#transmitter.transmit([encodeFrame(replies.enquiry)], 0);
  }

  #currencyTable(): Uint8Array {
    const lines = this.#notes.map((note) => [
      note.escrowCode,
      note.country,
      note.value,
      note.exponent,
    ]);
    return Uint8Array.from(lines.flat());
  }
}

function isGetter(command: string): command is keyof typeof SETTING_OF_GETTER {
  return command in SETTING_OF_GETTER;
}
