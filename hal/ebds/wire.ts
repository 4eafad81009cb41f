/**
 * EBDS on the wire: `02 LEN CTL DATA... 03 CHK`, LEN = bytes of the whole frame, CHK = XOR of LEN
 * to the last data byte. CTL has the ACK bit, the device type and the message type.
 * Source: EBDS as CPI's and Pyramid's implementations agree on it; cash-hardware.md 4.1.
 */
import { type Discarded, type Found, Framer } from '../framer.ts';
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
 * told so, or do not care, hand it over as data.
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
export type EbdsWireEvent = { readonly kind: 'frame'; readonly frame: EbdsFrame } | Discarded;

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

/** Finds frames; an impossible length, a missing end or a wrong check costs one byte. */
export class EbdsFramer extends Framer<EbdsWireEvent> {
  constructor() {
    super(frameAt);
  }

  override push(chunk: Uint8Array): EbdsWireEvent[] {
    return super.push(chunk.map((byte) => byte & SEVEN_BITS));
  }
}

function frameOf(bytes: Uint8Array, at: number, length: number): EbdsFrame {
  const control = bytes[at + 2] ?? 0;
  return {
    type: control >> 4,
    deviceType: (control >> 1) & 0x07,
    ack: (control & 1) === 0 ? 0 : 1,
    data: bytes.slice(at + 3, at + length - 2),
  };
}

function frameAt(bytes: Uint8Array, at: number): Found<EbdsWireEvent> {
  if (bytes[at] !== START) return 'none';
  const length = bytes[at + 1];
  if (length === undefined) return 'incomplete';
  if (length < FRAME_BYTES_MIN) return 'none';
  const end = at + length;
  if (end > bytes.length) return 'incomplete';
  if (bytes[end - 2] !== END) return 'none';
  if (bytes[end - 1] !== checkOf(bytes, at, length)) return 'none';
  return { event: { kind: 'frame', frame: frameOf(bytes, at, length) }, end };
}

/** XOR from the length to the last byte of data. */
function checkOf(bytes: Uint8Array, at: number, length: number): number {
  let check = 0;
  for (let next = at + 1; next < at + length - 2; next++) check ^= bytes[next] ?? 0;
  return check;
}
