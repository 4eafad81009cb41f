/** ID-003 under fuzz: a credit is VEND VALID, its value the code of ESCROW. */
import { decodeStatus } from '#hal/id003/commands.ts';
import { Id003Framer, type Id003WireEvent } from '#hal/id003/wire.ts';
import { framesOf } from './frames.ts';
import type { FuzzTarget } from './target.ts';

/** Source: cash-hardware.md 2.8. */
const frames = framesOf(
  'FC 05 11 27 56',
  'FC 05 12 BC 64',
  'FC 06 13 65 94 BD',
  'FC 05 14 8A 01',
  'FC 05 15 03 10',
  'FC 05 16 98 22',
  'FC 06 17 79 19 00',
  'FC 05 1A F4 E8',
  'FC 05 42 39 36',
  'FC 05 50 AA 05',
  'FC 06 49 A2 A0 21',
  'FC 25 8A 61 01 01 00 62 00 00 00 63 01 05 00 64 01 01 01 65 01 02 01 66 01 05 01 67 01 01 02 68 00 00 00 CE 5A',
);
const [vendValid] = framesOf('FC 05 15 03 10');

function wordsOf(events: readonly Id003WireEvent[]): string[] {
  return events.flatMap((event) => {
    const status = event.kind === 'frame' ? decodeStatus(event.frame) : undefined;
    if (status?.name === 'vendValid') return ['vend valid'];
    return status?.name === 'escrow' ? [`escrow ${status.detail}`] : [];
  });
}

/** CRC-16, polynomial 1021 reflected, from 0, bit by bit. */
function crcOf(bytes: Uint8Array): number {
  let crc = 0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >> 1) ^ 0x8408 : crc >> 1;
  }
  return crc;
}

function oracle(bytes: Uint8Array): readonly string[] {
  const words: string[] = [];
  for (let at = 0; at + 5 <= bytes.length; at++) {
    const length = bytes[at + 1] ?? 0;
    if (bytes[at] !== 0xfc || length < 5 || at + length > bytes.length) continue;
    const [code, detail] = [bytes[at + 2], bytes[at + 3]];
    const isCredit = code === 0x15 && length === 5;
    const isEscrow = code === 0x13 && length >= 6;
    if (!isCredit && !isEscrow) continue;
    const crc = crcOf(bytes.subarray(at, at + length - 2));
    if (bytes[at + length - 2] !== (crc & 0xff) || bytes[at + length - 1] !== crc >> 8) continue;
    words.push(isCredit ? 'vend valid' : `escrow ${detail}`);
  }
  return words;
}

/** ID-003. */
export const id003Target: FuzzTarget = {
  protocol: 'id003',
  frames,
  probe: { frame: vendValid, word: 'vend valid' },
  subject: () => {
    const framer = new Id003Framer();
    return {
      push: (chunk) => wordsOf(framer.push(chunk)),
      flush: () => wordsOf(framer.flush()),
    };
  },
  oracle,
};
