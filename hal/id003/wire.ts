/**
 * ID-003 on the wire: `FC LNG CMD [DATA...] CRCL CRCH`, LNG = bytes of the whole frame, CRC over
 * everything before it. No address, no sequence number, no negative acknowledgement.
 * Source: JCM ID-003 protocol; cash-hardware.md 2.1.
 */
import { crc16Kermit } from '../crc16-kermit.ts';
import type { LineSettings } from '../port.ts';

/** 9600 8E1. Source: JCM ID-003; every implementation read agrees. */
export const ID003_LINE: LineSettings = {
  baudRate: 9600,
  dataBits: 8,
  parity: 'even',
  stopBits: 1,
};

const START = 0xfc;
/** Start, length, command and two bytes of checksum. */
const FRAME_BYTES_MIN = 5;
const DATA_BYTES_MAX = 0xff - FRAME_BYTES_MIN;

/** One frame, without its frame: what it says. Direction decides what a code means. */
export interface Id003Frame {
  readonly code: number;
  readonly data: Uint8Array;
}

/** What came out of bytes: a frame, or bytes that are none. */
export type Id003WireEvent =
  | { readonly kind: 'frame'; readonly frame: Id003Frame }
  | { readonly kind: 'discarded'; readonly bytes: Uint8Array };

/** A frame as bytes. @throws RangeError for more than 250 bytes of data. */
export function encodeFrame(code: number, data: Uint8Array | readonly number[] = []): Uint8Array {
  if (data.length > DATA_BYTES_MAX) throw new RangeError(`${data.length} bytes do not fit a frame`);
  const length = data.length + FRAME_BYTES_MIN;
  const bytes = new Uint8Array(length);
  bytes.set([START, length, code]);
  bytes.set(data, 3);
  const crc = crc16Kermit(bytes, 0, length - 2);
  bytes.set([crc & 0xff, crc >> 8], length - 2);
  return bytes;
}

/**
 * Finds frames in bytes, in whatever chunks they come. It never throws and never stalls: a length
 * that cannot be, or a checksum that is wrong, costs one byte, and the search goes on behind it.
 * A length that is wrong but possible waits for the rest; `flush` on silence ends that wait.
 */
export class Id003Framer {
  #pending = new Uint8Array(0);

  /** The frames that are complete now, and what was thrown away on the way. */
  push(chunk: Uint8Array): Id003WireEvent[] {
    const bytes = new Uint8Array(this.#pending.length + chunk.length);
    bytes.set(this.#pending);
    bytes.set(chunk, this.#pending.length);
    const events: Id003WireEvent[] = [];
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
      const frame = { code: bytes[at + 2] ?? 0, data: bytes.slice(at + 3, at + length - 2) };
      events.push({ kind: 'frame', frame });
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
  flush(): Id003WireEvent[] {
    const events: Id003WireEvent[] = [];
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

/** Bytes of the good frame that starts here; `incomplete` while that cannot be told. */
function frameLength(bytes: Uint8Array, at: number): number | 'none' | 'incomplete' {
  if (bytes[at] !== START) return 'none';
  const length = bytes[at + 1];
  if (length === undefined) return 'incomplete';
  if (length < FRAME_BYTES_MIN) return 'none';
  const end = at + length;
  if (end > bytes.length) return 'incomplete';
  const crc = (bytes[end - 2] ?? 0) | ((bytes[end - 1] ?? 0) << 8);
  return crc === crc16Kermit(bytes, at, end - 2) ? length : 'none';
}
