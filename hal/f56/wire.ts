/**
 * F53/F56 on the wire, both ways alike: `10 02 LENH LENL DATA... 10 03 CRCL CRCH`, and `10 05` ENQ,
 * `10 06` ACK, `10 15` NAK between frames. LEN counts the data; CRC-16/KERMIT covers LENH to 03. A
 * byte 10 in the data is sent once: reception goes by length.
 * Source: lamassu-machine 8.6 `lib/f56`; cash-hardware.md 6.1.
 */
import { crc16Kermit } from '../crc16-kermit.ts';
import { type Discarded, type Found, Framer } from '../framer.ts';

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
  | Discarded;

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

/** Finds frames and words; a frame that does not end as it must costs one byte. */
export class F56Framer extends Framer<F56WireEvent> {
  constructor() {
    super(eventAt);
  }
}

function eventAt(bytes: Uint8Array, at: number): Found<F56WireEvent> {
  if (bytes[at] !== DLE) return 'none';
  const second = bytes[at + 1];
  if (second === undefined) return 'incomplete';
  const control = controlOfByte.get(second);
  if (control) return { event: { kind: 'control', control }, end: at + 2 };
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
  return { event: { kind: 'frame', data: bytes.slice(at + DATA_AT, end) }, end: end + 4 };
}
