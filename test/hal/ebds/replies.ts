/** Statuses as a device says them, made by hand. */
import assert from 'node:assert/strict';
import { decodeReply, type EbdsStatus, type FlagName, flags } from '#hal/ebds/commands.ts';

/** What a made status says. */
export interface MadeStatus {
  /** Bits that are set, beside that of the cash box. */
  readonly state: readonly FlagName[];
  readonly isBoxOut?: boolean;
  readonly channel?: number;
  /** Nine characters, as `USD020+00`, of an extended reply; an empty text describes none. */
  readonly note?: string;
  /** Its line in the note table; 0 is the note in the device. */
  readonly index?: number;
  readonly classification?: number;
}

/** A status that the driver's own decoder has read from bytes. */
export function statusOf(made: MadeStatus): EbdsStatus {
  const { state, isBoxOut = false, channel = 0, note, index = 0, classification = 0 } = made;
  const bytes = [0, 0, channel << 3, 0, 0x54, 0x23];
  const set: readonly FlagName[] = isBoxOut ? state : [...state, 'cassetteAttached'];
  for (const name of set) {
    const { byte, bit } = flags[name];
    bytes[byte] = (bytes[byte] ?? 0) | (1 << bit);
  }
  const looks = [0, 0x41, 0x41, 0x41, 0x41, classification, 0, 0];
  const text = [...Buffer.from((note ?? '').padEnd(9, '\0'), 'latin1')];
  const data = note === undefined ? bytes : [2, ...bytes, index, ...text, ...looks];
  const type = note === undefined ? 2 : 7;
  const reply = decodeReply({ type, deviceType: 0, ack: 0, data: Uint8Array.from(data) });
  assert(reply?.kind === 'status');
  return reply.status;
}
