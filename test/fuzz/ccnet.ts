/** CCNET under fuzz: a credit is BILL STACKED with its type, of a frame from a bill validator. */
import { decodeStatus } from '#hal/ccnet/commands.ts';
import { CcnetFramer, type CcnetWireEvent, VALIDATOR_ADDRESS } from '#hal/ccnet/wire.ts';
import { framesOf } from './frames.ts';
import type { FuzzTarget } from './target.ts';

/** Source: cash-hardware.md 3.6. */
const frames = framesOf(
  '02 03 06 00 C2 82',
  '02 03 06 FF BA 8D',
  '02 03 06 30 41 B3',
  '02 03 06 10 43 92',
  '02 03 06 13 D8 A0',
  '02 03 06 14 67 D4',
  '02 03 06 15 EE C5',
  '02 03 06 17 FC E6',
  '02 03 06 18 0B 1E',
  '02 03 06 19 82 0F',
  '02 03 06 42 D4 E3',
  '02 03 07 80 04 A8 75',
  '02 03 07 81 04 70 6C',
  '02 03 07 82 04 18 46',
  '02 03 07 1C 68 3F 6C',
  '02 03 07 47 50 AB E6',
  '02 03 07 1B 05 D4 99',
  '02 03 27 53 4D 2D 55 53 31 32 33 34 20 20 20 20 20 20 31 32 33 34 35 36 37 38 39 30 31 32 01 02 03 04 05 06 07 86 BD',
);
const [stacked] = framesOf('02 03 07 81 04 70 6C');

function wordsOf(events: readonly CcnetWireEvent[]): string[] {
  return events.flatMap((event) => {
    if (event.kind !== 'frame' || event.frame.address !== VALIDATOR_ADDRESS) return [];
    const status = decodeStatus(event.frame.body);
    if (status?.name === 'billStacked') return [`stacked ${status.detail}`];
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
  for (let at = 0; at + 7 <= bytes.length; at++) {
    const [start, address, length, code, type, low, high] = bytes.subarray(at, at + 7);
    if (start !== 0x02 || address !== 0x03 || length !== 0x07) continue;
    if (code !== 0x80 && code !== 0x81) continue;
    const crc = crcOf(bytes.subarray(at, at + 5));
    if (low !== (crc & 0xff) || high !== crc >> 8) continue;
    words.push(code === 0x81 ? `stacked ${type}` : `escrow ${type}`);
  }
  return words;
}

/** CCNET. */
export const ccnetTarget: FuzzTarget = {
  protocol: 'ccnet',
  frames,
  probe: { frame: stacked, word: 'stacked 4' },
  subject: () => {
    const framer = new CcnetFramer();
    return {
      push: (chunk) => wordsOf(framer.push(chunk)),
      flush: () => wordsOf(framer.flush()),
    };
  },
  oracle,
};
