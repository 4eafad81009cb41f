/** A technician at a terminal of 80x24: a pseudo-terminal with the real command, or this process. */
import { PassThrough } from 'node:stream';
import { spawn } from '@lydell/node-pty';
import { run } from '#agent/cli/program.ts';
import type { Clock } from '#protocol/base/clock.ts';
import { newFolder } from '#test/agent/api/harness.ts';
import { Screen } from './screen.ts';

const SPIRE = new URL('../../../../agent/cli/spire.ts', import.meta.url).pathname;
/** A start of Node and a PIN take a second; two cores may be shared by many. */
const SEEN_LIMIT_MS = 60_000;

/** What is between a keyboard and the command. */
export interface Wire {
  write(keys: string): void;
  onData(take: (chunk: string) => void): void;
  onExit(take: (code: number) => void): void;
  hangUp(): void;
}

/** The real command as a process in a pseudo-terminal. */
export function ptyWire(words: readonly string[]): Wire {
  const { CI: _, NO_COLOR: __, ...env } = process.env;
  const pty = spawn(process.execPath, [SPIRE, ...words], {
    ...{ name: 'xterm-256color', cols: 80, rows: 24, cwd: newFolder() },
    env: { ...env, TERM: 'xterm-256color' },
  });
  return {
    write: (keys) => pty.write(keys),
    onData: (take) => void pty.onData(take),
    onExit: (take) => void pty.onExit(({ exitCode }) => take(exitCode)),
    hangUp: () => pty.kill('SIGHUP'),
  };
}

/** The command in this process, by a clock of the test's own. */
export function wireHere(words: readonly string[], clock?: Clock): Wire {
  const [input, out] = [new PassThrough(), new PassThrough()];
  const ended = run(words, { input, out, err: out, clock, onStop: () => undefined });
  return {
    write: (keys) => void input.write(keys),
    // A terminal goes back to the first column by itself.
    onData: (take) => {
      out.setEncoding('utf8').on('data', (chunk: string) => take(chunk.replaceAll('\n', '\r\n')));
    },
    // What was written last is read first.
    onExit: (take) => void ended.then((code) => setImmediate(() => take(code))),
    hangUp: () => void input.destroy(),
  };
}

/** One run of `spire` and the hands on its keyboard. */
export class Person {
  readonly #wire: Wire;
  readonly #screen = new Screen();
  readonly #watchers = new Set<() => void>();
  #exit: number | undefined;
  /** Questions before this line were answered. */
  #answered = 0;

  constructor(wire: Wire) {
    this.#wire = wire;
    wire.onData((chunk) => {
      this.#screen.write(chunk);
      for (const watcher of this.#watchers) watcher();
    });
    wire.onExit((code) => {
      this.#exit = code;
      for (const watcher of this.#watchers) watcher();
    });
  }

  /** What is and was on the screen. */
  get text(): string {
    return this.#screen.lines().join('\n');
  }

  async #until<Value>(what: string, look: () => Value | undefined): Promise<Value> {
    const { promise, resolve, reject } = Promise.withResolvers<Value>();
    const watch = () => {
      const found = look();
      if (found !== undefined) resolve(found);
      else if (this.#exit !== undefined) reject(new Error(`it ended with ${this.#exit}`));
    };
    const timer = setTimeout(() => reject(new Error('it took too long')), SEEN_LIMIT_MS);
    this.#watchers.add(watch);
    watch();
    try {
      return await promise;
    } catch (cause) {
      throw new Error(`never: ${what}\n${this.text}`, { cause });
    } finally {
      clearTimeout(timer);
      this.#watchers.delete(watch);
    }
  }

  /** Waits for words anywhere. */
  async see(words: RegExp): Promise<void> {
    await this.#until(String(words), () => (words.test(this.text) ? true : undefined));
  }

  /** Waits for a question that was not answered yet; gives its lines. */
  async asked(question: RegExp): Promise<string[]> {
    return this.#until(`the question ${question}`, () => {
      const lines = this.#screen.lines();
      const at = lines.findLastIndex((line) => /^◆/u.test(line));
      if (at < this.#answered) return undefined;
      const rest = lines.slice(at);
      // A long question goes on over several lines.
      const words = rest.map((line) => line.replace(/^[◆▲│└]\s*/u, '')).join(' ');
      return question.test(words) && rest.some((line) => line.startsWith('└')) ? rest : undefined;
    });
  }

  /** Answers with a line of text. */
  async type(question: RegExp, text: string): Promise<void> {
    await this.asked(question);
    await this.#enter(text);
  }

  /** Puts right what was refused: keys that clear the line, and then another text. */
  async retype(clear: string, text: string): Promise<void> {
    this.#wire.write(clear);
    await this.#enter(text);
  }

  /** Columns of the longest line. */
  get widest(): number {
    return Math.max(...this.#screen.lines().map((line) => line.length));
  }

  /** Chooses the first line with these words. */
  async choose(question: RegExp, label: RegExp): Promise<void> {
    const lines = await this.asked(question);
    const options = lines.filter((line) => /^│\s+[●○]/u.test(line));
    const to = options.findIndex((line) => label.test(line));
    const from = options.findIndex((line) => line.includes('●'));
    if (to < 0) throw new Error(`there is no ${label} in\n${lines.join('\n')}`);
    const key = to > from ? '\u001b[B' : '\u001b[A';
    for (let step = 0; step < Math.abs(to - from); step++) this.#wire.write(key);
    await this.#until(`${label} under the cursor`, () => {
      const [line] = this.#screen
        .lines()
        .filter((one) => one.includes('●'))
        .slice(-1);
      return line !== undefined && label.test(line) ? true : undefined;
    });
    await this.#enter('');
  }

  /** Sends a line, and waits until it was taken or refused. */
  async #enter(text: string): Promise<void> {
    const before = this.#answered;
    this.#wire.write(`${text}\r`);
    await this.#until('the answer is taken', () => {
      const lines = this.#screen.lines();
      const at = lines.findLastIndex((line) => /^[◇■]/u.test(line));
      const isRefused = lines.slice(before).some((line) => /^▲/u.test(line));
      if (at < before && this.#exit === undefined && !isRefused) return undefined;
      this.#answered = Math.max(before, at + 1);
      return true;
    });
  }

  /** Presses a key without waiting for what comes of it, such as Ctrl-C. */
  press(keys: string): void {
    this.#wire.write(keys);
  }

  /** Pulls the line, as when the network goes away. */
  hangUp(): void {
    this.#wire.hangUp();
  }

  /** Waits for the end. */
  ended(): Promise<number> {
    return this.#until('its end', () => this.#exit);
  }
}
