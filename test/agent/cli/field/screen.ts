/** A terminal of 80x24 as a person sees it: what is on it, and what has gone off its top. */

const COLUMNS = 80;
const ROWS = 24;

/** Draws what a program writes; knows the few sequences that prompts use, and refuses others. */
export class Screen {
  /** Everything that was ever on it, the last `ROWS` lines still to be drawn over. */
  readonly #lines: string[][] = [[]];
  #row = 0;
  #column = 0;
  #pending = '';

  /** Takes a chunk of output; a sequence that is cut in two waits for its rest. */
  write(chunk: string): void {
    let text = this.#pending + chunk;
    this.#pending = '';
    while (text !== '') {
      const isEscape = text.startsWith('\u001b');
      const sequence = isEscape ? /^.\[(\??)([\d;]*)([A-Za-z])/.exec(text) : null;
      if (sequence) {
        const [whole, isPrivate, given = '', final = ''] = sequence;
        if (isPrivate === '') this.#move(final, given);
        text = text.slice(whole.length);
      } else if (isEscape) {
        if (text.length > 16)
          throw new Error(`an unknown sequence: ${JSON.stringify(text.slice(0, 16))}`);
        this.#pending = text;
        return;
      } else {
        const [character = ''] = text;
        this.#put(character);
        text = text.slice(character.length);
      }
    }
  }

  #put(character: string): void {
    if (character === '\n') this.#down();
    else if (character === '\r') this.#column = 0;
    else if (character === '\b') this.#column = Math.max(0, this.#column - 1);
    else if (character >= ' ') {
      if (this.#column === COLUMNS) {
        this.#down();
        this.#column = 0;
      }
      this.#line()[this.#column] = character;
      this.#column += 1;
    }
  }

  #line(): string[] {
    while (this.#lines.length <= this.#row) this.#lines.push([]);
    return this.#lines[this.#row] ?? [];
  }

  /** The first line that can still be reached. */
  get #top(): number {
    return Math.max(0, this.#lines.length - ROWS);
  }

  #down(): void {
    this.#row += 1;
    this.#line();
  }

  #move(final: string, given: string): void {
    const count = Number(given.split(';')[0] || '1');
    if (final === 'A') this.#row = Math.max(this.#top, this.#row - count);
    else if (final === 'B') this.#row = Math.min(this.#lines.length - 1, this.#row + count);
    else if (final === 'C') this.#column = Math.min(COLUMNS - 1, this.#column + count);
    else if (final === 'D') this.#column = Math.max(0, this.#column - count);
    else if (final === 'G') this.#column = count - 1;
    else if (final === 'J') this.#erase(given);
    else if (final === 'K') this.#line().length = given === '2' ? 0 : this.#column;
    else if (final !== 'm') throw new Error(`an unknown sequence: ${given}${final}`);
  }

  #erase(given: string): void {
    if (given !== '' && given !== '0') throw new Error(`an unknown erasure: ${given}`);
    this.#line().length = this.#column;
    this.#lines.length = this.#row + 1;
  }

  /** All that was ever shown, line by line, as it stood in the end. */
  lines(): string[] {
    return this.#lines.map((cells) =>
      Array.from(cells, (cell) => cell ?? ' ')
        .join('')
        .trimEnd(),
    );
  }
}
