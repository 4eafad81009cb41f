/** EBDS under fuzz: a credit is "stacked" with a note that it names, escrow is one that waits. */
import { decodeReply, type EbdsStatus, has } from '#hal/ebds/commands.ts';
import { isBlank } from '#hal/ebds/models.ts';
import { EbdsFramer, type EbdsWireEvent } from '#hal/ebds/wire.ts';
import { framesOf } from './frames.ts';
import type { FuzzTarget } from './target.ts';

/** Source: cash-hardware.md 4.7; the extended credit computed by its appendix C. */
const frames = framesOf(
  '02 0B 20 01 10 00 00 54 23 03 4D',
  '02 0B 21 02 10 00 00 54 23 03 4F',
  '02 0B 21 04 10 18 00 54 23 03 51',
  '02 0B 20 08 10 00 00 54 23 03 44',
  '02 0B 21 11 10 18 00 54 23 03 44',
  '02 0B 20 41 10 00 00 54 23 03 0D',
  '02 0B 20 01 12 00 00 54 23 03 4F',
  '02 0B 20 01 10 01 00 54 23 03 4C',
  '02 0B 20 00 00 00 00 54 23 03 5C',
  '02 1E 71 02 04 10 00 00 54 23 00 55 53 44 30 32 30 2B 30 30 00 41 41 41 41 00 00 00 03 55',
  '02 1E 70 02 11 10 00 00 54 23 00 55 53 44 30 32 30 2B 30 30 00 41 41 41 41 00 00 00 03 41',
  '02 0B 20 01 10 00 00 01 02 03 39',
  '02 0B 21 04 10 08 00 01 02 03 35',
);
const [stacked] = framesOf('02 0B 21 11 10 18 00 01 02 03 30');

function wordOf(status: EbdsStatus): string[] {
  if (isBlank(status)) return [];
  const { note, channel } = status;
  const named = note
    ? `${note.index} ${note.currency} ${note.base}E${note.exponent}`
    : `channel ${channel}`;
  const words = has(status, 'stacked') ? [`stacked ${named}`] : [];
  return has(status, 'escrowed') ? [...words, `escrow ${named}`] : words;
}

function wordsOf(events: readonly EbdsWireEvent[]): string[] {
  return events.flatMap((event) => {
    if (event.kind !== 'frame') return [];
    const reply = decodeReply(event.frame);
    return reply?.kind === 'status' ? wordOf(reply.status) : [];
  });
}

/** A note's name from eighteen bytes of seven bits; undefined when a field is not what it must be. */
function nameOf(note: readonly number[]): string | undefined {
  const text = String.fromCharCode(...note.slice(1, 10));
  for (let at = 0; at < 9; at++) {
    const letter = text.charAt(at);
    const wanted = at < 3 ? 'ABCDEFGHIJKLMNOPQRSTUVWXYZ' : at === 6 ? '+-' : '0123456789';
    if (!wanted.includes(letter)) return undefined;
  }
  const exponent =
    Number(text.slice(7, 9)) * (text.charAt(6) === '-' && text.slice(7, 9) !== '00' ? -1 : 1);
  return `${note[0]} ${text.slice(0, 3)} ${Number(text.slice(3, 6))}E${exponent}`;
}

function statusWords(data: readonly number[], named: string | undefined): string[] {
  const [state = 0] = data;
  if (named === undefined) return [];
  const words: string[] = [];
  if (state & 0x10) words.push(`stacked ${named}`);
  if (state & 0x04) words.push(`escrow ${named}`);
  return words;
}

function oracle(raw: Uint8Array): readonly string[] {
  const bytes = [...raw].map((byte) => byte & 0x7f);
  const words: string[] = [];
  for (let at = 0; at + 5 <= bytes.length; at++) {
    const [start, length = 0, control = 0] = bytes.slice(at, at + 3);
    if (start !== 0x02 || length < 5 || at + length > bytes.length) continue;
    const frame = bytes.slice(at, at + length);
    if (frame[length - 2] !== 0x03) continue;
    const check = frame.slice(1, length - 2).reduce((sum, byte) => sum ^ byte, 0);
    if (frame[length - 1] !== check) continue;
    const data = frame.slice(3, length - 2);
    const type = control >> 4;
    const isShort = type === 7 && data[0] !== 2 && data.length >= 7;
    const status = type === 2 ? data : data.slice(1, 7);
    const channel = ((status[2] ?? 0) >> 3) & 7;
    const named = channel > 0 ? `channel ${channel}` : undefined;
    if ((type === 2 && data.length === 6) || isShort) words.push(...statusWords(status, named));
    else if (type === 7 && data[0] === 2 && data.length === 25) {
      words.push(...statusWords(status, nameOf(data.slice(7))));
    }
  }
  return words;
}

/** EBDS. */
export const ebdsTarget: FuzzTarget = {
  protocol: 'ebds',
  frames,
  probe: { frame: stacked, word: 'stacked channel 3' },
  subject: () => {
    const framer = new EbdsFramer();
    return {
      push: (chunk) => wordsOf(framer.push(chunk)),
      flush: () => wordsOf(framer.flush()),
    };
  },
  oracle,
};
