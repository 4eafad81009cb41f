/**
 * ID-003 on the wire: `FC LNG CMD [DATA...] CRCL CRCH`, LNG = bytes of the whole frame, CRC over
 * everything before it. No address, no sequence number, no negative acknowledgement.
 * Source: JCM ID-003 protocol; cash-hardware.md 2.1.
 */
import { crc16Kermit } from '../crc16-kermit.ts';
import { type Discarded, type Found, Framer } from '../framer.ts';
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
export type Id003WireEvent = { readonly kind: 'frame'; readonly frame: Id003Frame } | Discarded;

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

/** Finds frames; a length that cannot be, or a checksum that is wrong, costs one byte. */
export class Id003Framer extends Framer<Id003WireEvent> {
  constructor() {
    super(frameAt);
  }
}

function frameAt(bytes: Uint8Array, at: number): Found<Id003WireEvent> {
  if (bytes[at] !== START) return 'none';
  const length = bytes[at + 1];
  if (length === undefined) return 'incomplete';
  if (length < FRAME_BYTES_MIN) return 'none';
  const end = at + length;
  if (end > bytes.length) return 'incomplete';
  const crc = (bytes[end - 2] ?? 0) | ((bytes[end - 1] ?? 0) << 8);
  if (crc !== crc16Kermit(bytes, at, end - 2)) return 'none';
  const frame = { code: bytes[at + 2] ?? 0, data: bytes.slice(at + 3, end - 2) };
  return { event: { kind: 'frame', frame }, end };
}
