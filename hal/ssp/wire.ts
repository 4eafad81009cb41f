/**
 * SSP on the wire: `7F SEQ|ADDRESS LEN DATA... CRCL CRCH`, LEN = bytes of data, CRC over everything
 * between the start byte and itself. Behind the start byte every 7F is sent twice, so that a lone
 * 7F always begins a frame.
 * Source: ITL SSP manual GA138, transport layer; cash-hardware.md 5.1.
 */
import { type Discarded, type Found, Framer } from '../framer.ts';
import type { LineSettings } from '../port.ts';

/** 9600 8N2. Source: GA138, hardware layer. */
export const SSP_LINE: LineSettings = {
  baudRate: 9600,
  dataBits: 8,
  parity: 'none',
  stopBits: 2,
};

const START = 0x7f;
/** Highest slave address; 7F could not be told from a start byte. Source: GA138. */
const ADDRESS_MAX = 0x7d;
/** Sequence and address, length and two bytes of checksum. */
const OVERHEAD_BYTES = 4;
const DATA_BYTES_MAX = 0xff;

/** The sequence flag: it changes with every new command, and an answer repeats it. */
export type SspSequence = 0 | 1;

/** One frame, without its frame. */
export interface SspFrame {
  readonly sequence: SspSequence;
  readonly address: number;
  /** At least one byte. */
  readonly data: Uint8Array;
}

/** What came out of bytes: a frame, or bytes that are none. */
export type SspWireEvent = { readonly kind: 'frame'; readonly frame: SspFrame } | Discarded;

/** A frame as bytes. @throws RangeError for no data, for more than 255 bytes, or for no address. */
export function encodeFrame(
  sequence: SspSequence,
  data: Uint8Array | readonly number[],
  address = 0,
): Uint8Array {
  if (data.length === 0 || data.length > DATA_BYTES_MAX) {
    throw new RangeError(`${data.length} bytes do not fit a frame`);
  }
  if (address < 0 || address > ADDRESS_MAX) throw new RangeError(`${address} is no address`);
  const plain = new Uint8Array(data.length + OVERHEAD_BYTES);
  plain.set([(sequence << 7) | address, data.length]);
  plain.set(data, 2);
  const crc = crc16Ssp(plain, 0, plain.length - 2);
  plain.set([crc & 0xff, crc >> 8], plain.length - 2);
  const stuffed: number[] = [START];
  for (const byte of plain) {
    stuffed.push(byte);
    if (byte === START) stuffed.push(START);
  }
  return Uint8Array.from(stuffed);
}

/**
 * Finds frames; a start that cannot be one, a frame that a lone start byte cuts off, or a wrong
 * checksum costs one byte.
 */
export class SspFramer extends Framer<SspWireEvent> {
  constructor() {
    const plain = new Uint8Array(DATA_BYTES_MAX + OVERHEAD_BYTES);
    super((bytes, at) => frameAt(bytes, at, plain));
  }
}

/** `plain` is room for the bytes of one frame, unstuffed. */
function frameAt(bytes: Uint8Array, start: number, plain: Uint8Array): Found<SspWireEvent> {
  if (bytes[start] !== START) return 'none';
  let count = 0;
  let wanted = OVERHEAD_BYTES;
  for (let at = start + 1; at < bytes.length; at++) {
    const byte = bytes[at] ?? 0;
    if (byte === START) {
      // No address has this value, so a doubled byte here is noise before a true start.
      if (count === 0) return 'none';
      if (at + 1 === bytes.length) return 'incomplete';
      if (bytes[at + 1] !== START) return 'none';
      at++;
    }
    plain[count++] = byte;
    if (count === 1 && (byte & 0x7f) > ADDRESS_MAX) return 'none';
    if (count === 2 && byte === 0) return 'none';
    if (count === 2) wanted = byte + OVERHEAD_BYTES;
    if (count !== wanted) continue;
    const crc = (plain[count - 2] ?? 0) | ((plain[count - 1] ?? 0) << 8);
    if (crc !== crc16Ssp(plain, 0, count - 2)) return 'none';
    return { event: { kind: 'frame', frame: frameOf(plain) }, end: at + 1 };
  }
  return 'incomplete';
}

function frameOf(plain: Uint8Array): SspFrame {
  const [head = 0, length = 0] = plain;
  return { sequence: head & 0x80 ? 1 : 0, address: head & 0x7f, data: plain.slice(2, 2 + length) };
}

const POLYNOMIAL = 0x8005;

const CRC_TABLE = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8;
  for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1) ^ POLYNOMIAL : crc << 1;
  return crc;
});

/**
 * CRC-16/CMS of `bytes[start, end)`: polynomial 8005, from FFFF, not reflected; sent low byte
 * first. Packets of eSSP end in it too.
 * Source: ITL SSP manual GA138, transport layer; check value AEE7, cash-hardware.md 1.2.
 */
export function crc16Ssp(bytes: Uint8Array, start = 0, end = bytes.length): number {
  let crc = 0xffff;
  for (let at = start; at < end; at++) {
    crc = ((crc << 8) ^ (CRC_TABLE[(crc >> 8) ^ (bytes[at] ?? 0)] ?? 0)) & 0xffff;
  }
  return crc;
}
