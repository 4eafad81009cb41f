/**
 * EBDS on the wire: `02 LEN CTL DATA... 03 CHK`, LEN = bytes of the whole frame, CHK = XOR of LEN
 * to
 * the last data byte. CTL has the ACK bit, the device type and the message type.
 * Source: EBDS as CPI's and Pyramid's implementations agree on it; cash-hardware.md 4.1.
 */
import type { LineSettings } from '../port.ts';

/** 9600 7E1. Source: cash-hardware.md 4.1, five implementations. */
export const EBDS_LINE: LineSettings = {
  baudRate: 9600,
  dataBits: 7,
  parity: 'even',
  stopBits: 1,
};

const START = 0x02;
const END = 0x03;
/** Start, length, control, end and check. */
const FRAME_BYTES_MIN = 5;
/** The length is one byte of seven bits. */
const FRAME_BYTES_MAX = 0x7f;
/**
 * A line of seven bits carries parity in the eighth. Adapters and pseudo terminals that are not
 * told
 * so, or do not care, hand it over as data.
 */
const SEVEN_BITS = 0x7f;

/** The bit that tells a new command from one that is said again. */
export type AckBit = 0 | 1;

/** One frame, without its frame. */
export interface EbdsFrame {
  /** Message type, 0 to 7. */
  readonly type: number;
  /** 0 is an acceptor, 1 a recycler. */
  readonly deviceType: number;
  readonly ack: AckBit;
  /** Bytes of seven bits. */
  readonly data: Uint8Array;
}

/** What came out of bytes: a frame, or bytes that are none. */
export type EbdsWireEvent =
  | { readonly kind: 'frame'; readonly frame: EbdsFrame }
  | { readonly kind: 'discarded'; readonly bytes: Uint8Array };

/** A frame as bytes. @throws RangeError for more than 122 bytes of data or a byte over 7F. */
export function encodeFrame(
  type: number,
  ack: AckBit,
  data: Uint8Array | readonly number[],
  deviceType = 0,
): Uint8Array {
  const length = data.length + FRAME_BYTES_MIN;
  if (length > FRAME_BYTES_MAX) throw new RangeError(`${data.length} bytes do not fit a frame`);
  if (data.some((byte) => byte > SEVEN_BITS)) throw new RangeError('a byte has seven bits');
  const bytes = new Uint8Array(length);
  bytes.set([START, length, (type << 4) | (deviceType << 1) | ack]);
  bytes.set(data, 3);
  bytes.set([END, checkOf(bytes, 0, length)], length - 2);
  return bytes;
}

/** The other ACK bit: of the command that is new after this one. */
export function toggled(ack: AckBit): AckBit {
  return ack === 0 ? 1 : 0;
}

/**
 * Finds frames in bytes, in whatever chunks they come. It never throws and never stalls: a length
 * that cannot be, a missing end or a wrong check costs one byte, and the search goes on behind it.
 * A length that is wrong but possible waits for the rest; `flush` on silence ends that wait.
 */
export class EbdsFramer {
  #pending = new Uint8Array(0);

  /** The frames that are complete now, and what was thrown away on the way. */
  push(chunk: Uint8Array): EbdsWireEvent[] {
    const bytes = new Uint8Array(this.#pending.length + chunk.length);
    bytes.set(this.#pending);
    for (let at = 0; at < chunk.length; at++) {
      bytes[this.#pending.length + at] = (chunk[at] ?? 0) & SEVEN_BITS;
    }
    const events: EbdsWireEvent[] = [];
    let at = 0;
    let keptFrom = 0;
    const discardUpTo = (end: number) => {
      if (end > keptFrom) events.push({ kind: 'discarded', bytes: bytes.slice(keptFrom, end) });
    };
    while (at < bytes.length) {
      const length = frameLength(bytes, at);
      if (length === 'incomplete') break;
      if (length === 'none') {
        at++;
        continue;
      }
      discardUpTo(at);
      events.push({ kind: 'frame', frame: frameAt(bytes, at, length) });
      at += length;
      keptFrom = at;
    }
    discardUpTo(at);
    this.#pending = bytes.slice(at);
    return events;
  }

  /** Whether a frame has begun and is not complete. */
  get isWaiting(): boolean {
    return this.#pending.length > 0;
  }

  /** The line is silent, so the unfinished frame is none; what is behind its start may be one. */
  flush(): EbdsWireEvent[] {
    const events: EbdsWireEvent[] = [];
    while (this.isWaiting) {
      const pending = this.reset();
      events.push({ kind: 'discarded', bytes: pending.slice(0, 1) });
      events.push(...this.push(pending.slice(1)));
    }
    return events;
  }

  /** Forgets an unfinished frame; gives what it was. */
  reset(): Uint8Array {
    const pending = this.#pending;
    this.#pending = new Uint8Array(0);
    return pending;
  }
}

function frameAt(bytes: Uint8Array, at: number, length: number): EbdsFrame {
  const control = bytes[at + 2] ?? 0;
  return {
    type: control >> 4,
    deviceType: (control >> 1) & 0x07,
    ack: (control & 1) === 0 ? 0 : 1,
    data: bytes.slice(at + 3, at + length - 2),
  };
}

/** Bytes of the good frame that starts here; `incomplete` while that cannot be told. */
function frameLength(bytes: Uint8Array, at: number): number | 'none' | 'incomplete' {
  if (bytes[at] !== START) return 'none';
  const length = bytes[at + 1];
  if (length === undefined) return 'incomplete';
  if (length < FRAME_BYTES_MIN) return 'none';
  const end = at + length;
  if (end > bytes.length) return 'incomplete';
  if (bytes[end - 2] !== END) return 'none';
  return bytes[end - 1] === checkOf(bytes, at, length) ? length : 'none';
}

/** XOR from the length to the last byte of data. */
function checkOf(bytes: Uint8Array, at: number, length: number): number {
  let check = 0;
  for (let next = at + 1; next < at + length - 2; next++) check ^= bytes[next] ?? 0;
  return check;
}
