/**
 * SIO under fuzz, with escrow and without: money is a note that became a deposit. There are no
 * frames
 * and no checksum, so what is put on trial is the order of bytes that the dialogue insists on.
 */
import { advance, emptyDialogue, type SioDialogue, type SioInput } from '#hal/sio/dialogue.ts';
import { readWords } from '#hal/sio/wire.ts';
import { type MinorUnits, minorUnits } from '#protocol/base/money.ts';
import type { FuzzTarget } from './target.ts';

/** Sequences of cash-hardware.md 5.8, with what may stand around them. */
const frames = [
  [120, 121, 5],
  [120, 20, 121],
  [120, 6, 172, 121],
  [120, 7, 173, 121],
  [120, 3, 70, 121],
  [120, 50, 121],
  [170, 191, 185],
  [60],
  [80],
  [255],
].map((bytes) => Uint8Array.from(bytes));
const probe = Uint8Array.of(120, 121, 5);
/** Every channel has the value of its number. */
const VALUES: readonly MinorUnits[] = Array.from({ length: 17 }, (_, at) => minorUnits(at));

/** A dialogue whose agent deposits whatever it is told of, and lets every note in. */
class Eager {
  readonly #name: string;
  #state: SioDialogue;
  #atMs = 0;
  #words: string[] = [];

  constructor(name: string, hasEscrow: boolean) {
    this.#name = name;
    this.#state = emptyDialogue(hasEscrow);
  }

  push(chunk: Uint8Array): readonly string[] {
    this.#words = [];
    for (const event of readWords(chunk)) {
      if (event.kind !== 'word') continue;
      const { word } = event;
      const value = word.kind === 'note' ? VALUES[word.channel] : undefined;
      if (this.#state.armed.length === 0) this.#step({ kind: 'armed', values: VALUES });
      this.#step({ kind: 'word', word, atMs: this.#atMs, inService: true, value });
    }
    return this.#words;
  }

  flush(): void {
    this.#atMs += 60_000;
    this.#step({ kind: 'gaveUp', reason: 'silence' });
  }

  #step(input: SioInput): void {
    const { state, effects } = advance(this.#state, input);
    this.#state = state;
    for (const effect of effects) {
      if (effect.kind === 'tell' && effect.event.kind === 'note.escrowed') {
        this.#step({ kind: 'deposit' });
      } else if (effect.kind === 'send') {
        this.#step({ kind: effect.command === 'accept' ? 'acceptSent' : 'rejectSent' });
      } else if (effect.kind === 'ended' && effect.outcome.kind === 'deposited') {
        this.#words.push(`${this.#name} ${effect.outcome.value}`);
      }
    }
  }
}

/** Words after which nothing is owed for what was drawn in before. */
const ENDED = [20, 40, 50, 70, 80];

/**
 * Without escrow: BUSY, a channel, and NOT BUSY before or behind it. With escrow: BUSY, a channel
 * while it is busy, the echo of ACCEPT, NOT BUSY.
 */
function oracle(bytes: Uint8Array): readonly string[] {
  const words: string[] = [];
  for (const [at, channel] of bytes.entries()) {
    const busy = bytes.lastIndexOf(120, at);
    if (channel < 1 || channel > 16 || busy < 0) continue;
    const between = bytes.subarray(busy + 1, at);
    if (between.some((byte) => ENDED.includes(byte))) continue;
    const wasDone = between.includes(121);
    if (wasDone || bytes.includes(121, at)) words.push(`direct ${channel}`);
    const echo = bytes.indexOf(172, at);
    if (!wasDone && echo > 0 && bytes.includes(121, echo)) words.push(`escrow ${channel}`);
  }
  return words;
}

/** SIO, both modes. */
export const sioTarget: FuzzTarget = {
  protocol: 'sio',
  frames,
  probe: { frame: probe, word: 'direct 5' },
  subject: () => {
    const direct = new Eager('direct', false);
    const escrow = new Eager('escrow', true);
    return {
      push: (chunk) => [...direct.push(chunk), ...escrow.push(chunk)],
      flush: () => {
        direct.flush();
        escrow.flush();
        return [];
      },
    };
  },
  oracle,
};
