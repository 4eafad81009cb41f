/** SSP under fuzz, plain and in packets: a credit is NOTE CREDIT or CLEARED TO CASH BOX. */
import { createDecipheriv } from 'node:crypto';
import { decodePoll } from '#hal/ssp/commands.ts';
import { SspEnvelope } from '#hal/ssp/encryption.ts';
import { SspFramer, type SspWireEvent } from '#hal/ssp/wire.ts';
import { framesOf } from './frames.ts';
import type { FuzzTarget } from './target.ts';

/** The key of the reference packets. Source: cash-hardware.md 5.6. */
const KEY = Uint8Array.from(Buffer.from('67452301674523015368000000000000', 'hex'));
const PROTOCOL_VERSION = 6;

/** Sources: cash-hardware.md 5.7; ITL GA138. The last, computed, is NOTE CREDIT 3 in a packet. */
const frames = framesOf(
  '7F 80 01 F0 23 80',
  '7F 00 01 F0 20 0A',
  '7F 80 03 F0 F1 E8 BF 8C',
  '7F 80 03 F0 EF 00 CF CA',
  '7F 80 03 F0 EF 03 C5 CA',
  '7F 00 04 F0 EE 03 CC E3 44',
  '7F 80 04 F0 EE 01 EB B9 48',
  '7F 80 04 F0 CC EE 01 62 AA',
  '7F 80 03 F0 E2 02 C3 E4',
  '7F 80 03 F0 E1 00 CC 6E',
  '7F 80 02 F0 ED 51 A2',
  '7F 00 02 F0 EC 6B A2',
  '7F 80 01 FA 1F 80',
  '7F 80 05 F0 00 1C 96 2C D4 97',
  '7F 80 17 F0 00 30 31 30 30 47 42 50 00 00 01 03 05 0A 14 02 02 02 40 00 00 05 61 81',
  '7F 80 11 7E A2 23 A1 80 CA 0F E7 FA 4B 56 04 1A 27 A8 DD EA 4E 1F',
);
const [credit] = framesOf('7F 80 04 F0 EE 01 EB B9 48');

function wordsOf(envelope: SspEnvelope, events: readonly SspWireEvent[]): string[] {
  return events.flatMap((event) => {
    if (event.kind !== 'frame') return [];
    const { data } = event.frame;
    const answer = data[0] === 0x7e ? envelope.open(data)?.data : data;
    if (answer?.[0] !== 0xf0) return [];
    const said = decodePoll(answer, PROTOCOL_VERSION).events;
    return said.flatMap(({ name, channel }) =>
      name === 'credit' || name === 'clearedToCashbox' ? [`${name} ${channel}`] : [],
    );
  });
}

/** CRC-16, polynomial 8005, from FFFF, bit by bit. */
function crcOf(bytes: readonly number[]): number {
  let crc = 0xffff;
  for (const byte of bytes) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit++) {
      crc = crc & 0x8000 ? ((crc << 1) ^ 0x8005) & 0xffff : (crc << 1) & 0xffff;
    }
  }
  return crc;
}

/** What stands between a start byte here and the end of its frame, every 7F once. */
function contentAt(bytes: Uint8Array, start: number): readonly number[] | undefined {
  const content: number[] = [];
  for (let at = start + 1; at < bytes.length; at++) {
    const byte = bytes[at] ?? 0;
    if (byte === 0x7f && bytes[++at] !== 0x7f) return undefined;
    content.push(byte);
    if (content.length >= 2 && content.length === (content[1] ?? 0) + 4) return content;
  }
  return undefined;
}

function packetOf(data: readonly number[]): readonly number[] {
  if (data.length < 17 || data.length % 16 !== 1) return [];
  const cipher = createDecipheriv('aes-128-ecb', KEY, null).setAutoPadding(false);
  const plain = [...cipher.update(Uint8Array.from(data.slice(1)))];
  const length = plain[0] ?? 0;
  const crc = crcOf(plain.slice(0, -2));
  const isGood = plain.at(-2) === (crc & 0xff) && plain.at(-1) === crc >> 8;
  return isGood && length + 7 <= plain.length ? plain.slice(5, 5 + length) : [];
}

/** Bytes behind the code of each event, at protocol 6. Source: cash-hardware.md 5.4. */
function sizeOf(code: number, next: number | undefined): number | undefined {
  const count = next ?? Number.NaN;
  if ([0xef, 0xee, 0xe6, 0xe2, 0xe1].includes(code)) return 1;
  if (code === 0xce) return 7;
  if (code === 0xdc || code === 0xdd) return 1 + 11 * count;
  if (code === 0xb1) return 2 + 7 * count;
  const amounts = [0xda, 0xd2, 0xd5, 0xd6, 0xd7, 0xd8, 0xd9, 0xde, 0xdf, 0xc9];
  if ([...amounts, 0xca, 0xcb, 0xcd, 0xb3, 0xb4].includes(code)) return 1 + 7 * count;
  const bare = [0xf1, 0xed, 0xec, 0xeb, 0xea, 0xe9, 0xe8, 0xe7, 0xe5, 0xe4, 0xe3, 0xe0, 0xcc];
  const known = [...bare, 0xdb, 0xd1, 0xcf, 0xc6, 0xc3, 0xc2, 0xb6, 0xb5, 0xb0].includes(code);
  return known ? 0 : undefined;
}

function creditsIn(answer: readonly number[]): string[] {
  const words: string[] = [];
  for (let at = 1; answer[0] === 0xf0 && at < answer.length; ) {
    const code = answer[at] ?? 0;
    const size = sizeOf(code, answer[at + 1]);
    if (size === undefined || !(at + 1 + size <= answer.length)) break;
    if (code === 0xee) words.push(`credit ${answer[at + 1]}`);
    if (code === 0xe2) words.push(`clearedToCashbox ${answer[at + 1]}`);
    at += 1 + size;
  }
  return words;
}

function oracle(bytes: Uint8Array): readonly string[] {
  const words: string[] = [];
  for (let at = 0; at < bytes.length; at++) {
    if (bytes[at] !== 0x7f) continue;
    const content = contentAt(bytes, at);
    if (!content) continue;
    const crc = crcOf(content.slice(0, -2));
    if (content.at(-2) !== (crc & 0xff) || content.at(-1) !== crc >> 8) continue;
    const data = content.slice(2, -2);
    words.push(...creditsIn(data[0] === 0x7e ? packetOf(data) : data));
  }
  return words;
}

/** SSP and eSSP. */
export const sspTarget: FuzzTarget = {
  protocol: 'ssp',
  frames,
  probe: { frame: credit, word: 'credit 1' },
  subject: () => {
    const framer = new SspFramer();
    const envelope = new SspEnvelope(KEY, { bytes: (count) => new Uint8Array(count) });
    return {
      push: (chunk) => wordsOf(envelope, framer.push(chunk)),
      flush: () => wordsOf(envelope, framer.flush()),
    };
  },
  oracle,
};
