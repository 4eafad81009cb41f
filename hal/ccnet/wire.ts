/**
 * CCNET on the wire: `02 ADR LNG BODY... CRCL CRCH`, LNG = bytes of the whole frame, CRC over
 * everything before it. The body of a command begins with its code; the body of an answer is ACK,
 * NAK, ILLEGAL COMMAND, a state, or bare data. Frames of more than 250 bytes have another form (LNG
 * is 0) that no bill validator's word needs; they are thrown away.
 * Source: CashCode NET, MAN_CCNET rev. 2.3; cash-hardware.md 3.1.
 */
import { crc16Kermit } from '../crc16-kermit.ts';
import { type Discarded, type Found, Framer } from '../framer.ts';
import type { LineSettings } from '../port.ts';

/** 9600 8N1. Source: CashCode NET, data format; every implementation read agrees. */
export const CCNET_LINE: LineSettings = {
  baudRate: 9600,
  dataBits: 8,
  parity: 'none',
  stopBits: 1,
};

/** A bill validator's address; answers carry it too. Source: CashCode NET, peripheral addresses. */
export const VALIDATOR_ADDRESS = 0x03;

const START = 0x02;
/** Start, address, length, one byte of body and two of checksum. */
const FRAME_BYTES_MIN = 6;
const FRAME_BYTES_MAX = 250;
const BODY_BYTES_MAX = FRAME_BYTES_MAX - FRAME_BYTES_MIN + 1;

/** One frame, without its frame: who speaks or is spoken to, and what is said. */
export interface CcnetFrame {
  readonly address: number;
  /** At least one byte. */
  readonly body: Uint8Array;
}

/** What came out of bytes: a frame, or bytes that are none. */
export type CcnetWireEvent = { readonly kind: 'frame'; readonly frame: CcnetFrame } | Discarded;

/** A frame as bytes. @throws RangeError for a body that is empty or has more than 245 bytes. */
export function encodeFrame(
  body: Uint8Array | readonly number[],
  address = VALIDATOR_ADDRESS,
): Uint8Array {
  if (body.length < 1 || body.length > BODY_BYTES_MAX) {
    throw new RangeError(`a body of ${body.length} bytes does not fit a frame`);
  }
  const length = body.length + FRAME_BYTES_MIN - 1;
  const bytes = new Uint8Array(length);
  bytes.set([START, address, length]);
  bytes.set(body, 3);
  const crc = crc16Kermit(bytes, 0, length - 2);
  bytes.set([crc & 0xff, crc >> 8], length - 2);
  return bytes;
}

/** Finds frames; a length that cannot be, or a checksum that is wrong, costs one byte. */
export class CcnetFramer extends Framer<CcnetWireEvent> {
  constructor() {
    super(frameAt);
  }
}

function frameAt(bytes: Uint8Array, at: number): Found<CcnetWireEvent> {
  if (bytes[at] !== START) return 'none';
  const length = bytes[at + 2];
  if (length === undefined) return 'incomplete';
  if (length < FRAME_BYTES_MIN || length > FRAME_BYTES_MAX) return 'none';
  const end = at + length;
  if (end > bytes.length) return 'incomplete';
  const crc = (bytes[end - 2] ?? 0) | ((bytes[end - 1] ?? 0) << 8);
  if (crc !== crc16Kermit(bytes, at, end - 2)) return 'none';
  const frame = { address: bytes[at + 1] ?? 0, body: bytes.slice(at + 3, end - 2) };
  return { event: { kind: 'frame', frame }, end };
}
