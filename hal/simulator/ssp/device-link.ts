/**
 * The line layer of a simulated SSP device: frames, sequence flag, keys and encryption. It carries
 * a command out once, and repeats its last answer for the same frame.
 * Source: GA138, transport and encryption layer; cash-hardware.md 5.1 and 5.6.
 */
import type { CancelTimer, Clock, Random } from '#protocol/base/clock.ts';
import { commands, hexCode, replies } from '../../ssp/commands.ts';
import {
  DEFAULT_FIXED_KEY,
  ENVELOPE_START,
  intermediateOf,
  isPrime,
  KEY_NUMBER_BYTES,
  numberBytes,
  numberOf,
  SspEnvelope,
  sessionKey,
} from '../../ssp/encryption.ts';
import { encodeFrame, type SspFrame, SspFramer, type SspSequence } from '../../ssp/wire.ts';
import type { FaultSwitches } from '../faults.ts';
import type { SspFaultName } from './faults.ts';

/** Silence after which an unfinished frame from the host is forgotten. */
const INTER_BYTE_MS = 200;

/** An answer to a command. */
export interface SspDeviceAnswer {
  readonly data: readonly number[];
  /** It tells of money, so it is encrypted whenever there are keys. */
  readonly isCredit?: boolean;
  /** Done when the answer has left. */
  readonly after?: () => void;
}

/** What the line layer needs of the device. */
export interface SspDeviceLinkParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly replyMs: number;
  readonly switches: FaultSwitches<SspFaultName>;
  /** `required`: nothing but keys is understood before they are agreed. */
  readonly encryption: 'none' | 'optional' | 'required';
  readonly isAnswering: () => boolean;
  /** Carries a command out. */
  readonly onCommand: (data: Uint8Array, isEncrypted: boolean) => SspDeviceAnswer;
  /** Anything was heard. */
  readonly onHeard: () => void;
  readonly onViolation: (words: string) => void;
}

interface LastCommand {
  readonly code: number;
  readonly sequence: SspSequence;
  readonly data: Uint8Array;
  readonly answer: Uint8Array;
}

/** One device's end of the line. */
export class SspDeviceLink {
  readonly #parts: SspDeviceLinkParts;
  readonly #framer = new SspFramer();
  readonly #timers = new Set<CancelTimer>();
  #send: (bytes: Uint8Array) => void = () => undefined;
  #last: LastCommand | undefined;
  #envelope: SspEnvelope | undefined;
  #count = 0;
  #generator: bigint | undefined;
  #modulus: bigint | undefined;
  #fixedKey = DEFAULT_FIXED_KEY;
  #heardMs = 0;
  #answerDueMs = 0;
  #transmitterFreeMs = 0;

  constructor(parts: SspDeviceLinkParts) {
    this.#parts = parts;
  }

  /** Keys are agreed. */
  get hasKeys(): boolean {
    return this.#envelope !== undefined;
  }

  connect(send: (bytes: Uint8Array) => void): void {
    this.#send = send;
  }

  receive(bytes: Uint8Array): void {
    if (!this.#parts.isAnswering()) return;
    const nowMs = this.#parts.clock.monotonic();
    if (nowMs - this.#heardMs > INTER_BYTE_MS) this.#framer.reset();
    this.#heardMs = nowMs;
    for (const event of this.#framer.push(bytes)) {
      if (event.kind === 'discarded') {
        this.#parts.onViolation(`${event.bytes.length} bytes that are no frame`);
      } else if (event.frame.address === 0 && this.#parts.isAnswering()) this.#onFrame(event.frame);
    }
  }

  /** As after a power cut. */
  forget(): void {
    for (const cancel of this.#timers) cancel();
    this.#timers.clear();
    this.#framer.reset();
    this.#last = undefined;
    this.#answerDueMs = 0;
    this.#transmitterFreeMs = 0;
    this.loseKeys();
  }

  loseKeys(): void {
    this.#envelope = undefined;
    this.#generator = undefined;
    this.#modulus = undefined;
  }

  /** The next packet has another count than the host thinks. */
  skipCount(): void {
    this.#count++;
  }

  #onFrame({ sequence, data }: SspFrame): void {
    const { switches, clock } = this.#parts;
    const isSync = data.length === 1 && data[0] === commands.sync.code;
    const isRepetition = !isSync && this.#last?.sequence === sequence;
    const isSame = this.#last !== undefined && sameBytes(this.#last.data, data);
    if (isRepetition && this.#last) {
      this.#parts.onHeard();
      if (!isSame) this.#parts.onViolation('a new command with the sequence flag of the last one');
      this.#emit(this.#last);
      return;
    }
    const command = this.#open(data);
    if (!command) return;
    const code = command[0] ?? 0;
    const isThis = (value: number | undefined) => value === undefined || value === code;
    if (switches.strikes('deaf', isThis)) return;
    if (clock.monotonic() < this.#answerDueMs && !(isSync && isSame)) {
      this.#parts.onViolation(`command ${hexCode(code)} before the last one was answered`);
    }
    this.#parts.onHeard();
    const isEncrypted = data[0] === ENVELOPE_START && this.hasKeys;
    // F5 to HOLD has a meaning of its own, that no note waits, and so must be asked for.
    const isRefused = switches.strikes('refuse', (value) =>
      value === undefined ? code !== commands.hold.code : value === code,
    );
    const answer = isRefused
      ? { data: [replies.cannotBeProcessed] }
      : this.#answer(command, data, isEncrypted);
    this.#reply(code, { sequence, data }, answer, isEncrypted);
    // After SYNC the next command has its flag clear, whatever SYNC itself had.
    if (isSync && this.#last) this.#last = { ...this.#last, sequence: 1 };
  }

  /** The command in a frame's data; undefined when it is thrown away without an answer. */
  #open(data: Uint8Array): Uint8Array | undefined {
    if (data[0] !== ENVELOPE_START || !this.#envelope) return data;
    const opened = this.#envelope.open(data);
    if (!opened) {
      this.#parts.onViolation('a packet that does not open with the key');
      return undefined;
    }
    if (opened.count !== this.#count) {
      this.#parts.onViolation(`packet ${opened.count} where ${this.#count} is due`);
      return undefined;
    }
    return opened.data;
  }

  #answer(command: Uint8Array, data: Uint8Array, isEncrypted: boolean): SspDeviceAnswer {
    const { encryption, onCommand } = this.#parts;
    const code = command[0] ?? 0;
    // A packet before there are keys.
    if (data[0] === ENVELOPE_START && !isEncrypted) return { data: [replies.keyNotSet] };
    const keys = encryption === 'none' ? undefined : this.#keyAnswer(code, command.subarray(1));
    if (keys) return { data: keys };
    if (encryption === 'required' && !this.hasKeys && code !== commands.sync.code) {
      return { data: [replies.keyNotSet] };
    }
    const known = Object.values(commands).find((other) => other.code === code);
    if (known?.encrypted && !isEncrypted && encryption !== 'none') {
      return { data: [this.hasKeys ? replies.cannotBeProcessed : replies.keyNotSet] };
    }
    return onCommand(command, isEncrypted);
  }

  /** The commands about keys; undefined for any other. */
  #keyAnswer(code: number, body: Uint8Array): readonly number[] | undefined {
    switch (code) {
      case commands.setGenerator.code:
      case commands.setModulus.code: {
        if (body.length !== KEY_NUMBER_BYTES) return [replies.wrongParameterCount];
        const number = numberOf(body);
        if (!isPrime(number)) return [replies.parameterOutOfRange];
        if (code === commands.setGenerator.code) this.#generator = number;
        else this.#modulus = number;
        return [replies.ok];
      }
      case commands.requestKeyExchange.code: {
        if (body.length !== KEY_NUMBER_BYTES) return [replies.wrongParameterCount];
        if (this.#generator === undefined || this.#modulus === undefined) return [replies.fail];
        const { random } = this.#parts;
        const secret = numberOf(Uint8Array.from([...random.bytes(3), 1, 0, 0, 0, 0]));
        const offer = { generator: this.#generator, modulus: this.#modulus, secret };
        const key = sessionKey(offer, numberOf(body), this.#fixedKey);
        this.#envelope = new SspEnvelope(key, random);
        this.#count = 0;
        return [replies.ok, ...numberBytes(intermediateOf(offer))];
      }
      case commands.setFixedKey.code:
        if (body.length !== KEY_NUMBER_BYTES) return [replies.wrongParameterCount];
        if (!this.hasKeys) return undefined;
        this.#fixedKey = numberOf(body);
        return [replies.ok];
      case commands.resetFixedKey.code:
        this.#fixedKey = DEFAULT_FIXED_KEY;
        return [replies.ok];
      default:
        return undefined;
    }
  }

  #reply(
    code: number,
    { sequence, data }: Pick<SspFrame, 'sequence' | 'data'>,
    answer: SspDeviceAnswer,
    isEncrypted: boolean,
  ): void {
    const { replyMs, clock } = this.#parts;
    const bytes = encodeFrame(sequence, this.#sealed(answer, isEncrypted));
    this.#last = { code, sequence, data, answer: bytes };
    this.#answerDueMs = clock.monotonic() + replyMs;
    const { after } = answer;
    if (after) this.#after(replyMs + 1, after);
    this.#emit(this.#last);
  }

  /** Sends an answer, for the first time or again, with what happens to bytes on the way. */
  #emit({ code, answer }: LastCommand): void {
    const { switches, replyMs } = this.#parts;
    if (switches.strikes('loseReply', (value) => value === undefined || value === code)) return;
    const bytes = Uint8Array.from(answer);
    if (switches.strikes('badChecksum')) bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 0x55;
    const noise = switches.strikes('noise') ? [Uint8Array.of(0x00, 0x7f, 0x00, 0xff)] : [];
    const copies = switches.strikes('duplicateReply') ? [bytes, bytes] : [bytes];
    const late = switches.strike('late');
    this.#transmit([...noise, ...copies], replyMs + (late ? (late.value ?? 700) : 0));
  }

  #sealed({ data, isCredit }: SspDeviceAnswer, isEncrypted: boolean): Uint8Array {
    const plain = Uint8Array.from(data);
    // What tells of money is encrypted also when the question was not.
    if (!this.#envelope || !(isEncrypted || isCredit === true)) return plain;
    if (isEncrypted) this.#count = (this.#count + 1) >>> 0;
    return this.#envelope.seal(this.#count, plain);
  }

  #transmit(chunks: readonly Uint8Array[], delayMs: number): void {
    const nowMs = this.#parts.clock.monotonic();
    this.#transmitterFreeMs = Math.max(this.#transmitterFreeMs, nowMs + delayMs);
    this.#after(this.#transmitterFreeMs - nowMs, () => {
      this.#answerDueMs = 0;
      for (const chunk of chunks) this.#send(chunk);
    });
  }

  #after(delayMs: number, task: () => void): void {
    const cancel = this.#parts.clock.after(delayMs, () => {
      this.#timers.delete(cancel);
      task();
    });
    this.#timers.add(cancel);
  }
}

function sameBytes(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, at) => byte === other[at]);
}
