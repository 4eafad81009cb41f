/** F53/F56 under fuzz: money is a response to BILL COUNT, with its error and its counts. */
import { answeredCommand, decodeBillCount, errorCodeOf } from '#hal/f56/commands.ts';
import { F56Framer, type F56WireEvent } from '#hal/f56/wire.ts';
import { framesOf } from './frames.ts';
import type { FuzzTarget } from './target.ts';

const zeros = (count: number) => Array.from({ length: count }, () => '00').join(' ');
/** 153 bytes of parameters: the error first, counts from 27, rejects from 2F. */
const counted = (start: string, counts: string, crc: string) =>
  `10 02 00 9D ${start} ${zeros(34)} ${counts} ${zeros(101)} 1C 10 03 ${crc}`;

/** Source: cash-hardware.md 6.1 to 6.4, with CRCs of a program of their own. */
const [probe, ...others] = framesOf(
  counted('E0 03 99 00 00', '30 33 30 B2 30 30 30 30 30 30 30 B1 30 30 30 30', '61 89'),
  counted('F0 03 99 26 00', '30 B1 30 30 30 30 30 30 30 30 30 30 30 30 30 30', '0A 18'),
  `10 02 00 38 80 01 34 ${zeros(11)} 10 ${zeros(40)} 1C 10 03 22 2A`,
  `10 02 00 38 E0 02 34 ${zeros(52)} 1C 10 03 7F F1`,
  '10 05',
  '10 06',
  '10 15',
);

function wordsOf(events: readonly F56WireEvent[]): string[] {
  return events.flatMap((event) => {
    if (event.kind !== 'frame' || answeredCommand(event.data) !== 'billCount') return [];
    const bays = decodeBillCount(event.data);
    if (!bays) return [];
    const numbers = bays.flatMap(({ presented, rejected }) => [presented, rejected]);
    return [wordOf(errorCodeOf(event.data), numbers)];
  });
}

function wordOf(error: number | undefined, numbers: readonly number[]): string {
  return `counted ${numbers.join(' ')}, error ${error ?? 'none'}`;
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
  for (let at = 0; at + 8 <= bytes.length; at++) {
    if (bytes[at] !== 0x10 || bytes[at + 1] !== 0x02) continue;
    const length = (bytes[at + 2] ?? 0) * 256 + (bytes[at + 3] ?? 0);
    const data = bytes.subarray(at + 4, at + 4 + length);
    const end = at + 4 + length;
    if (data[1] !== 0x03 || (data[0] !== 0xe0 && data[0] !== 0xf0)) continue;
    if (length > 256 || end + 4 > bytes.length) continue;
    if (bytes[end] !== 0x10 || bytes[end + 1] !== 0x03) continue;
    const crc = crcOf(bytes.subarray(at + 2, end + 2));
    if (bytes[end + 2] !== (crc & 0xff) || bytes[end + 3] !== crc >> 8) continue;
    const word = wordOfData(data);
    if (word !== undefined) words.push(word);
  }
  return words;
}

/** Two decimal digits each, bit 7 is parity: four counts, and as many rejects behind them. */
function wordOfData(data: Uint8Array): string | undefined {
  if (data[2] !== 0x99 || data.length < 0x37) return undefined;
  const numbers: number[] = [];
  for (let bay = 0; bay < 4; bay++) {
    for (const start of [0x27, 0x2f]) {
      const text = [0, 1].map((digit) =>
        String.fromCharCode((data[start + 2 * bay + digit] ?? 0) & 0x7f),
      );
      if (!text.every((digit) => digit >= '0' && digit <= '9')) return undefined;
      numbers.push(Number(text.join('')));
    }
  }
  const error = data[0] === 0xf0 ? (data[3] ?? 0) * 256 + (data[4] ?? 0) : undefined;
  return wordOf(error, numbers);
}

/** F53 and F56. */
export const f56Target: FuzzTarget = {
  protocol: 'f56',
  frames: [probe, ...others],
  probe: { frame: probe, word: wordOf(undefined, [3, 0, 2, 1, 0, 0, 0, 0]) },
  subject: () => {
    const framer = new F56Framer();
    return {
      push: (chunk) => wordsOf(framer.push(chunk)),
      flush: () => wordsOf(framer.flush()),
    };
  },
  oracle,
};
