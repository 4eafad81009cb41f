/** LCDM under fuzz, both IDs at once: money is the counts of notes handed out and rejected. */
import { responseSizes } from '#hal/lcdm/dialect.ts';
import {
  commandOfCode,
  decodeResult as decodeId30,
  decodeLastStatus,
  id30Dialect,
} from '#hal/lcdm/id30/commands.ts';
import { decodeResult as decodeId50, id50Dialect } from '#hal/lcdm/id50/commands.ts';
import { type LcdmFrame, LcdmFramer, type LcdmWireEvent } from '#hal/lcdm/wire.ts';
import { framesOf } from './frames.ts';
import type { FuzzTarget } from './target.ts';

/**
 * Source: cash-hardware.md 7.1 and 7.2; the answers of ID 50 to STATUS and ROM VERSION
 * computed.
 */
const frames = framesOf(
  '01 30 02 52 20 30 23 20 31 22 21 32 20 20 30 20 20 30 20 20 20 20 20 20 20 20 20 03 51',
  '01 30 02 52 21 30 22 20 31 20 20 32 20 20 30 20 20 30 20 20 20 20 20 20 20 20 20 03 52',
  '01 30 02 55 52 20 30 23 20 31 22 21 32 20 20 30 20 20 30 03 24',
  '01 50 02 45 30 35 30 35 30 30 30 30 03 15',
  '01 50 02 45 30 36 30 35 30 31 30 31 03 16',
  '01 50 02 46 30 30 80 00 03 96',
  '06',
  '15',
  '8D',
);
const [probe] = framesOf('01 50 02 45 30 35 30 35 30 30 30 30 03 15');
const ID50_DISPENSES = [0x45, 0x55, 0x76, 0x77];

const heard = (
  events: readonly LcdmWireEvent[],
  wordOf: (frame: LcdmFrame) => string | undefined,
) => events.flatMap((event) => (event.kind === 'frame' ? (wordOf(event.frame) ?? []) : []));

function word30({ command, body }: LcdmFrame): string | undefined {
  const name = commandOfCode(command);
  const isMove = name === 'dispense' || name === 'testDispense' || name === 'purge';
  const result = name === 'lastStatus' ? decodeLastStatus(body)?.result : undefined;
  const found = isMove ? decodeId30(body) : result;
  const counts = found?.bays.map(({ presented, rejected }) => `${presented}/${rejected}`);
  return found && `30 ${command} ${counts?.join(' ')} ${found.error}`;
}

function word50({ command, body }: LcdmFrame): string | undefined {
  const result = ID50_DISPENSES.includes(command) ? decodeId50(body) : undefined;
  if (!result?.counts) return undefined;
  return `50 ${command} ${result.counts.presented}/${result.counts.rejected} ${result.error}`;
}

/** The text of a good frame that starts here, of so many bytes behind CMD; undefined for none. */
function bodyAt(bytes: Uint8Array, at: number, size: number): Uint8Array | undefined {
  const end = at + 4 + size;
  if (end + 2 > bytes.length || bytes[end] !== 0x03) return undefined;
  let check = 0;
  for (let i = at; i <= end; i++) check ^= bytes[i] ?? 0;
  return check === bytes[end + 1] ? bytes.subarray(at + 4, end) : undefined;
}

/** ERR, a reserved byte, and for each of four bays EXIT, REJECT, TYPE; each number and 20 hex. */
function say30(command: number, result: Uint8Array): string | undefined {
  const numbers = [...result].map((byte) => byte - 0x20);
  const counts = [2, 5, 8, 11].map((at) => [numbers[at] ?? -1, numbers[at + 1] ?? -1]);
  const isCount = (count: number) => count >= 0 && count <= 100;
  if ((numbers[0] ?? -1) < 0 || !counts.flat().every(isCount)) return undefined;
  return `30 ${command} ${counts.map((pair) => pair.join('/')).join(' ')} ${numbers[0]}`;
}

/** CHK, EXIT, error, status, REJECT; counts as two digits. */
function say50(command: number, body: Uint8Array): string | undefined {
  const text = String.fromCharCode(...body);
  const found = /^\d\d(\d\d)..(\d\d)$/s.exec(text);
  return found ? `50 ${command} ${Number(found[1])}/${Number(found[2])} ${body[4]}` : undefined;
}

function oracle(bytes: Uint8Array): readonly string[] {
  const words: (string | undefined)[] = [];
  for (let at = 0; at + 7 <= bytes.length; at++) {
    const [start, id, text, command = 0] = bytes.subarray(at, at + 4);
    if (start !== 0x01 || text !== 0x02) continue;
    if (id === 0x30 && (command === 0x52 || command === 0x53 || command === 0x51)) {
      const body = bodyAt(bytes, at, command === 0x51 ? 14 : 23);
      if (body) words.push(say30(command, body));
    }
    if (id === 0x30 && command === 0x55) {
      const body = bodyAt(bytes, at, 15);
      if (body) words.push(say30(command, body.subarray(1)));
    }
    if (id === 0x50 && [0x45, 0x55, 0x76, 0x77].includes(command)) {
      const body = bodyAt(bytes, at, 8);
      if (body) words.push(say50(command, body));
    }
  }
  return words.filter((word) => word !== undefined);
}

/** LCDM, ID 30 and ID 50. */
export const lcdmTarget: FuzzTarget = {
  protocol: 'lcdm',
  frames,
  probe: { frame: probe, word: '50 69 5/0 48' },
  subject: () => {
    const framers = [id30Dialect, id50Dialect].map((dialect) => {
      const bodySizes = responseSizes(dialect);
      return new LcdmFramer({ id: dialect.id, sender: 'device', bodySizes });
    });
    const [framer30, framer50] = framers;
    return {
      push: (chunk) => [
        ...heard(framer30?.push(chunk) ?? [], word30),
        ...heard(framer50?.push(chunk) ?? [], word50),
      ],
      flush: () => {
        for (const framer of framers) framer.reset();
        return [];
      },
    };
  },
  oracle,
};
