/**
 * A simulated SIO validator that speaks bytes. It follows the protocol and no driver: with escrow
 * mode or without, at 300 or 9600 baud. What is out of turn is answered with 255 and written down
 * in `violations`. Source: cash-hardware.md 5.8 and 13.
 */
import type { Clock } from '#protocol/base/clock.ts';
import type { LineSettings } from '../../port.ts';
import {
  CHANNELS_MAX,
  commands,
  inhibitCode,
  isCommandCode,
  type ReportName,
  reports,
  uninhibitCode,
} from '../../sio/commands.ts';
import { type SioModel, type SioModelName, sioModels } from '../../sio/models.ts';
import { type SioBaudRate, sioLine } from '../../sio/wire.ts';
import {
  type ControlCommand,
  type DeviceTruth,
  type SimulatedDevice,
  SimulatorError,
} from '../device.ts';
import { FaultSwitches } from '../faults.ts';
import { handleValidator } from '../hands.ts';
import { Transmitter } from '../transmitter.ts';
import { Violations } from '../violations.ts';
import { type SioFaultName, sioFaults } from './faults.ts';
import { SIO_TIMINGS, SioMechanism, type SioTimings, type SioUndocumented } from './mechanism.ts';

/** What may differ between simulated validators. */
export interface SioDeviceOptions {
  readonly model?: SioModelName;
  /** Face values by channel, from 1; those of the US when left out. */
  readonly channels?: readonly number[];
  readonly baudRate?: SioBaudRate;
  readonly timings?: Partial<SioTimings>;
  readonly undocumented?: Partial<SioUndocumented>;
}

const US_CHANNELS: readonly number[] = [1, 2, 5, 10, 20, 50, 100];
const LATE_MS = 300;

/** A simulated SIO validator, switched on, empty and shut. */
export class SioDevice implements SimulatedDevice {
  readonly kind = 'acceptor';
  readonly protocol = 'sio';
  readonly line: LineSettings;
  readonly faults = sioFaults;
  readonly #model: SioModel;
  readonly #timings: SioTimings;
  readonly #isDeafWhileBusy: boolean;
  readonly #switches = new FaultSwitches<SioFaultName>(sioFaults);
  readonly #mechanism: SioMechanism;
  readonly #violations = new Violations();
  readonly #transmitter: Transmitter;
  #isOn: boolean = true;
  #isBooting: boolean = false;

  constructor(parts: { readonly clock: Clock; readonly options?: SioDeviceOptions }) {
    const { clock, options = {} } = parts;
    const undocumented = {
      enableAllOpensChannels: false,
      isDeafWhileBusy: false,
      isEnabledAtPowerUp: false,
      ...options.undocumented,
    };
    this.#transmitter = new Transmitter(clock);
    this.#model = sioModels[options.model ?? 'nv10'];
    this.#timings = { ...SIO_TIMINGS, ...options.timings };
    this.#isDeafWhileBusy = undocumented.isDeafWhileBusy;
    this.line = sioLine(options.baudRate ?? 300);
    this.#mechanism = new SioMechanism({
      clock,
      timings: this.#timings,
      channels: options.channels ?? US_CHANNELS,
      undocumented,
      switches: this.#switches,
      say: (word) => this.#say(typeof word === 'number' ? word : codeOf(word)),
      onPowerCut: () => this.#power(false),
    });
  }

  receive(bytes: Uint8Array): void {
    for (const byte of bytes) if (this.#isOn && !this.#isBooting) this.#onByte(byte);
  }

  connect(send: (bytes: Uint8Array) => void): void {
    this.#transmitter.connect(send);
  }

  control(command: ControlCommand): unknown {
    if (command.do === 'insert' && (!this.#isOn || this.#isBooting)) {
      throw new SimulatorError('sequenceError', 'the validator is off');
    }
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

  #onByte(heard: number): void {
    const isThis = (value: number | undefined) => value === undefined || value === heard;
    if (this.#switches.strikes('deaf', isThis)) return;
    const code = this.#switches.strikes('mishear', isThis) ? heard ^ 1 : heard;
    const isMove = code === commands.accept.code || code === commands.reject.code;
    if (this.#isDeafWhileBusy && this.#mechanism.isBusy && !isMove) return;
    if (!isCommandCode(code)) this.#refuse(code, 'which is no command');
    else if (this.#switches.strikes('commandError', isThis)) this.#say(reports.commandError.code);
    else if (isMove && !this.#mechanism.isInEscrow) this.#refuse(code, 'without a note in escrow');
    else if (code === commands.escrowOn.code && !this.#model.hasEscrow) {
      this.#say(reports.commandError.code);
    } else this.#carryOut(code);
  }

  #carryOut(code: number): void {
    if (code === commands.accept.code && this.#switches.strikes('powerCutAtAccept')) {
      this.#power(false);
      return;
    }
    this.#echo(code);
    switch (code) {
      case commands.escrowOn.code:
      case commands.escrowOff.code:
        this.#mechanism.setEscrow(code === commands.escrowOn.code);
        return;
      case commands.accept.code:
        this.#mechanism.accept();
        return;
      case commands.reject.code:
        this.#mechanism.giveBack();
        return;
      case commands.enableAll.code:
      case commands.disableAll.code:
        this.#mechanism.enable(code === commands.enableAll.code);
        return;
      case commands.escrowTimeoutOn.code:
      case commands.escrowTimeoutOff.code:
        this.#mechanism.setEscrowTimeout(code === commands.escrowTimeoutOn.code);
        return;
      default:
        this.#onChannel(code);
    }
  }

  #onChannel(code: number): void {
    for (let channel = 1; channel <= CHANNELS_MAX; channel++) {
      if (code === inhibitCode(channel)) this.#mechanism.shut(channel, true);
      if (code === uninhibitCode(channel)) this.#mechanism.shut(channel, false);
    }
  }

  #refuse(code: number, why: string): void {
    this.#violations.add(`${code}, ${why}`);
    this.#transmitter.after(this.#timings.echoMs, () => this.#say(reports.commandError.code));
  }

  // What hands do

  #fault(name: string, times: number, value: number | undefined): void {
    switch (this.#switches.set(name, times, value)) {
      case 'glitch':
        if (this.#switches.strikes('glitch')) this.#say((value ?? 1) & 0xff);
        return;
      case 'forgetMode':
        if (this.#switches.strikes('forgetMode')) this.#mechanism.setEscrow(false);
        return;
      default:
    }
  }

  #power(on: boolean): void {
    if (on === this.#isOn) return;
    this.#isOn = on;
    this.#transmitter.forget();
    this.#isBooting = on;
    if (!on) {
      this.#mechanism.powerOff();
      return;
    }
    this.#transmitter.after(this.#timings.bootMs, () => {
      this.#isBooting = false;
      this.#mechanism.boot();
    });
  }

  // Bytes out

  #echo(code: number): void {
    const isThis = (value: number | undefined) => value === undefined || value === code;
    if (this.#switches.strikes('loseEcho', isThis)) return;
    const late = this.#switches.strike('late');
    const byte = this.#switches.strikes('flipEcho', isThis) ? code ^ 1 : code;
    const copies = this.#switches.strikes('duplicateEcho') ? 2 : 1;
    this.#transmitter.after(this.#timings.echoMs + (late ? (late.value ?? LATE_MS) : 0), () => {
      for (let copy = 0; copy < copies; copy++) this.#say(byte);
    });
  }

  #say(byte: number): void {
    if (this.#isOn) this.#transmitter.say(Uint8Array.of(byte));
  }
}

function codeOf(report: ReportName): number {
  return reports[report].code;
}
