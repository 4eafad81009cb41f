/**
 * Broken bytes against a protocol's parser: it must not throw, must not stall, must not keep bytes
 * without bound, and must not see money that a slow decoder of its own does not see.
 */
import type { FuzzSubject, FuzzTarget } from './target.ts';

/** What a run of one protocol did. */
export interface FuzzReport {
  readonly protocol: string;
  readonly seed: string;
  readonly inputs: number;
  readonly bytes: number;
  /** Words of money that parser and slow decoder both saw, beside the probes. */
  readonly moneyFrames: number;
  /** Times that a good frame was heard after rubbish. */
  readonly probes: number;
}

/** The parser did what it must not; `history` is all it was given since it was last proven well. */
export class FuzzFailure extends Error {
  override readonly name = 'FuzzFailure';
  readonly history: readonly string[];
  constructor(reason: string, history: readonly string[]) {
    super(`${reason}; given, in hex, | between chunks: ${history.join(' | ')}`);
    this.history = history;
  }
}

/** Inputs between two proofs that the parser is well. Longer rounds cost the slow decoder more. */
const ROUND_INPUTS = 16;
const MUTATIONS_MAX = 3;
const NOISE_BYTES_MAX = 24;
const CHUNKS_MAX = 3;
/** Part of the inputs after which the line falls silent. */
const SILENCE_ONE_IN = 8;

/** Fuzzes one protocol. @throws FuzzFailure with the bytes that show it */
export function fuzz(
  target: FuzzTarget,
  { inputs, seed }: { readonly inputs: number; readonly seed: string },
  onProgress: (done: number) => void = () => undefined,
): FuzzReport {
  const dice = new Dice(`${target.protocol}:${seed}`);
  const subject = target.subject();
  const report = { inputs: 0, bytes: 0, moneyFrames: 0, probes: 0 };
  while (report.inputs < inputs) {
    const round = new Round(subject);
    for (let input = 0; input < ROUND_INPUTS && report.inputs < inputs; input++) {
      const bytes = makeInput(target.frames, dice);
      for (const chunk of split(bytes, dice)) round.push(chunk);
      if (dice.below(SILENCE_ONE_IN) === 0) round.flush();
      report.inputs++;
      report.bytes += bytes.length;
    }
    report.moneyFrames += round.prove(target);
    report.probes++;
    if (report.probes % 10_000 === 0) onProgress(report.inputs);
  }
  return { protocol: target.protocol, seed, ...report };
}

/** Some inputs, and all that was heard of them. */
class Round {
  readonly #subject: FuzzSubject;
  readonly #given: Uint8Array[] = [];
  readonly #words: string[] = [];

  constructor(subject: FuzzSubject) {
    this.#subject = subject;
  }

  push(chunk: Uint8Array): void {
    this.#given.push(chunk);
    this.#hear(() => this.#subject.push(chunk));
  }

  flush(): void {
    this.#hear(() => this.#subject.flush());
  }

  /** After silence a good frame is heard, and no word was made up. Gives the number of words. */
  prove({ probe, oracle }: FuzzTarget): number {
    this.flush();
    const before = this.#words.length;
    this.push(probe.frame);
    this.flush();
    if (!this.#words.slice(before).includes(probe.word)) this.#fail('a good frame was not heard');
    const seen = new Map<string, number>();
    for (const word of oracle(Buffer.concat(this.#given))) {
      seen.set(word, (seen.get(word) ?? 0) + 1);
    }
    for (const word of this.#words) {
      const left = (seen.get(word) ?? 0) - 1;
      if (left < 0) this.#fail(`"${word}" was heard and never said`);
      seen.set(word, left);
    }
    return before;
  }

  #hear(listen: () => readonly string[]): void {
    try {
      this.#words.push(...listen());
    } catch (error) {
      this.#fail(`it threw ${String(error)}`);
    }
  }

  #fail(reason: string): never {
    const history = this.#given.map((chunk) => Buffer.from(chunk).toString('hex'));
    throw new FuzzFailure(reason, history);
  }
}

function makeInput(frames: FuzzTarget['frames'], dice: Dice): Uint8Array {
  let bytes = dice.pick(frames) ?? new Uint8Array(0);
  for (let left = dice.below(MUTATIONS_MAX + 1); left > 0; left--) bytes = mutate(bytes, dice);
  if (dice.below(4) === 0) bytes = Buffer.concat([bytes, dice.pick(frames) ?? bytes]);
  return bytes;
}

/** One thing that lines and programs do to bytes. */
function mutate(bytes: Uint8Array, dice: Dice): Uint8Array {
  const at = dice.below(bytes.length + 1);
  const [before, after] = [bytes.subarray(0, at), bytes.subarray(at)];
  switch (dice.below(8)) {
    case 0: {
      const flipped = Uint8Array.from(bytes);
      flipped[at] = (flipped[at] ?? 0) ^ (1 << dice.below(8));
      return flipped;
    }
    case 1: {
      const replaced = Uint8Array.from(bytes);
      replaced[at] = dice.below(256);
      return replaced;
    }
    case 2:
      return Buffer.concat([before, after.subarray(1)]);
    case 3:
      return Buffer.concat([before, after.subarray(0, 1), after]);
    case 4:
      return before;
    case 5:
      return after;
    case 6:
      return Buffer.concat([before, dice.bytes(dice.below(NOISE_BYTES_MAX)), after]);
    default:
      return dice.bytes(dice.below(NOISE_BYTES_MAX));
  }
}

function split(bytes: Uint8Array, dice: Dice): readonly Uint8Array[] {
  const chunks: Uint8Array[] = [];
  let rest = bytes;
  for (let left = dice.below(CHUNKS_MAX); left > 0; left--) {
    const at = dice.below(rest.length + 1);
    chunks.push(rest.subarray(0, at));
    rest = rest.subarray(at);
  }
  return [...chunks, rest];
}

/** Fast numbers from a seed: xorshift over 32 bits, for tests and nothing else. */
class Dice {
  #state: number;

  constructor(seed: string) {
    let state = 0x811c9dc5;
    for (const char of seed) state = Math.imul(state ^ (char.codePointAt(0) ?? 0), 0x01000193);
    this.#state = state === 0 ? 1 : state;
  }

  below(bound: number): number {
    this.#state ^= this.#state << 13;
    this.#state ^= this.#state >>> 17;
    this.#state ^= this.#state << 5;
    return (this.#state >>> 0) % bound;
  }

  pick<T>(items: readonly T[]): T | undefined {
    return items[this.below(items.length)];
  }

  bytes(count: number): Uint8Array {
    return Uint8Array.from({ length: count }, () => this.below(256));
  }
}
