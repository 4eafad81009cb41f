/**
 * F53/F56 on the wire, both ways alike: `10 02 LENH LENL DATA... 10 03 CRCL CRCH`, and `10 05` ENQ,
 * `10 06` ACK, `10 15` NAK between frames. LEN counts the data; CRC-16/KERMIT covers LENH to 03. A
 * byte 10 in the data is sent once: reception goes by length.
 * Source: lamassu-machine 8.6 `lib/f56`; cash-hardware.md 6.1.
 */
import { crc16Kermit } from '../crc16-kermit.ts';

/** Second bytes of the words of two bytes, the first of which is `DLE`. */
export const controls = { enq: 0x05, ack: 0x06, nak: 0x15 } as const;
/** A word of two bytes. */
export type F56Control = keyof typeof controls;

/** First byte of everything. */
export const DLE = 0x10;
const STX = 0x02;
const ETX = 0x03;
/** DLE, STX and two bytes of length in front. */
const DATA_AT = 4;
/** Bytes of a frame around its data. */
export const FRAME_BYTES = 8;
/** Longest data, of which the longest known has 157: a wrong length must not swallow much. */
export const DATA_BYTES_MAX = 256;

/** What came out of bytes. */
export type F56WireEvent =
  | { readonly kind: 'frame'; readonly data: Uint8Array }
  | { readonly kind: 'control'; readonly control: F56Control }
  | { readonly kind: 'discarded'; readonly bytes: Uint8Array };

const controlOfByte = new Map<number, F56Control>([
  [controls.enq, 'enq'],
  [controls.ack, 'ack'],
  [controls.nak, 'nak'],
]);

/** A frame as bytes. @throws RangeError for data that no frame can hold. */
export function encodeFrame(data: Uint8Array | readonly number[]): Uint8Array {
  const { length } = data;
  if (length < 1 || length > DATA_BYTES_MAX) {
    throw new RangeError(`a frame holds 1 to ${DATA_BYTES_MAX} bytes, not ${length}`);
  }
  const bytes = new Uint8Array(length + FRAME_BYTES);
  bytes.set([DLE, STX, length >> 8, length & 0xff]);
  bytes.set(data, DATA_AT);
  const end = DATA_AT + length;
  bytes.set([DLE, ETX], end);
  const crc = crc16Kermit(bytes, 2, end + 2);
  bytes.set([crc & 0xff, crc >> 8], end + 2);
  return bytes;
}

/** ENQ, ACK or NAK as bytes. */
export function encodeControl(control: F56Control): Uint8Array {
  return Uint8Array.of(DLE, controls[control]);
}

/**
 * Finds frames and words in what comes, in whatever chunks. It never throws and never stalls: a
 * frame that does not end as it must costs one byte, and the search goes on behind it. A frame that
 * is cut short waits for the rest; `flush` on silence ends that wait.
 */
export class F56Framer {
  #pending = new Uint8Array(0);

  /** Bytes of a frame that is not complete yet. */
  get pendingBytes(): number {
    return this.#pending.length;
  }

  /** What is complete now, in order, and what was thrown away on the way. */
  push(chunk: Uint8Array): F56WireEvent[] {
    const bytes = new Uint8Array(this.#pending.length + chunk.length);
    bytes.set(this.#pending);
    bytes.set(chunk, this.#pending.length);
    const events: F56WireEvent[] = [];
    let at = 0;
    let keptFrom = 0;
    while (at < bytes.length) {
      const found = eventAt(bytes, at);
      if (found === 'incomplete') break;
      if (found === 'none') {
        at++;
        continue;
      }
      if (at > keptFrom) events.push({ kind: 'discarded', bytes: bytes.slice(keptFrom, at) });
      events.push(found);
      at += found.kind === 'frame' ? found.data.length + FRAME_BYTES : 2;
      keptFrom = at;
    }
    if (at > keptFrom) events.push({ kind: 'discarded', bytes: bytes.slice(keptFrom, at) });
    this.#pending = bytes.slice(at);
    return events;
  }

  /** The line is silent, so the unfinished frame is none; what is behind its start may be one. */
  flush(): F56WireEvent[] {
    const events: F56WireEvent[] = [];
    while (this.#pending.length > 0) {
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

/** What starts here; `incomplete` while that cannot be told. */
function eventAt(
  bytes: Uint8Array,
  at: number,
): Exclude<F56WireEvent, { readonly kind: 'discarded' }> | 'none' | 'incomplete' {
  if (bytes[at] !== DLE) return 'none';
  const second = bytes[at + 1];
  if (second === undefined) return 'incomplete';
  const control = controlOfByte.get(second);
  if (control) return { kind: 'control', control };
  if (second !== STX) return 'none';
  const high = bytes[at + 2];
  const low = bytes[at + 3];
  if (high === undefined || low === undefined) return 'incomplete';
  const length = (high << 8) | low;
  if (length < 1 || length > DATA_BYTES_MAX) return 'none';
  const end = at + DATA_AT + length;
  if (end + 4 > bytes.length) return 'incomplete';
  if (bytes[end] !== DLE || bytes[end + 1] !== ETX) return 'none';
  const crc = (bytes[end + 2] ?? 0) | ((bytes[end + 3] ?? 0) << 8);
  if (crc !== crc16Kermit(bytes, at + 2, end + 2)) return 'none';
  return { kind: 'frame', data: bytes.slice(at + DATA_AT, end) };
}
