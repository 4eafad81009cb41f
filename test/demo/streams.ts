/** A terminal of streams: keys are pushed in, lines are waited for. */
import { PassThrough, Writable } from 'node:stream';
import { systemClock, timedOut, withDeadline } from '#protocol/base/clock.ts';

/** No single step of the demo takes this long, ms. */
const LINE_LIMIT_MS = 60_000;

/** Collects what is written. */
export class Lines {
  text = '';
  readonly #watchers = new Set<() => void>();
  readonly stream = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      this.text += chunk.toString();
      for (const watch of [...this.#watchers]) watch();
      done();
    },
  });

  /** The last line that is not empty. */
  get last(): string {
    return this.text.trimEnd().split('\n').at(-1) ?? '';
  }

  /** Waits for words that come after `from`; gives the place behind them. */
  async until(words: RegExp, from = 0): Promise<number> {
    const { promise, resolve } = Promise.withResolvers<number>();
    const look = () => {
      const found = words.exec(this.text.slice(from));
      if (found) resolve(from + found.index + found[0].length);
    };
    this.#watchers.add(look);
    look();
    const end = await withDeadline(systemClock, LINE_LIMIT_MS, promise);
    this.#watchers.delete(look);
    if (end === timedOut) throw new Error(`${words} did not come after:\n${this.text.slice(from)}`);
    return end;
  }
}

/** Keys; a person's terminal remembers how it was set. */
class Keys extends PassThrough {
  isTTY = false;
  readonly raw: boolean[] = [];

  setRawMode(isRaw: boolean): void {
    this.raw.push(isRaw);
  }
}

/** Keys in, lines out. */
export class FakeTerminal {
  readonly stdin = new Keys();
  readonly out = new Lines();
  readonly error = new Lines();
  readonly stdout = this.out.stream;
  readonly stderr = this.error.stream;
  #seen = 0;

  /** Presses a key and waits for what it does, after all that was waited for before. */
  async press(key: string, shows: RegExp): Promise<void> {
    this.stdin.write(key);
    await this.see(shows);
  }

  /** Waits for the next such words. */
  async see(words: RegExp): Promise<void> {
    this.#seen = await this.out.until(words, this.#seen);
  }
}
