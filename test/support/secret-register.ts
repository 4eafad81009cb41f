/**
 * Every key and every bearer value that a test of this run has made, over all its workers; and the
 * search for them, at the end of the run, in all databases and logs that it has left behind.
 */
import { appendFileSync, existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Something that must never be written in clear, in every spelling that a program gives it. */
export interface Hidden {
  readonly what: string;
  readonly spellings: readonly string[];
}

/** Names the file of a run; unset where nobody searches, as in a simulation. */
const PLACE = 'SPIRE_TEST_SECRETS';
/** What a machine writes for others to keep. Its inputs, as a seed, are the tests' own. */
const WRITTEN = /\.(sqlite|sqlite-wal|log|jsonl)$/;
/** A spelling is found by its first bytes: shorter ones would be found by chance. */
const PREFIX_BYTES = 10;
const SPELLING_BYTES_MIN = 12;

const registered = new Set<string>();

/** Begins the register of a run. */
export function beginRegister(file: string): void {
  process.env[PLACE] = file;
}

/** Whether this run searches for its secrets: a simulation of a million transactions does not. */
export const isSearched = (): boolean => process.env[PLACE] !== undefined;

/** Takes a secret into the register of the run. */
export function register(hidden: Hidden): Hidden {
  const file = process.env[PLACE];
  if (file === undefined) return hidden;
  const line = `${JSON.stringify(hidden)}\n`;
  if (!registered.has(line)) appendFileSync(file, line);
  registered.add(line);
  return hidden;
}

/** Where the secrets of the register stand in what was written under a folder, in words. */
export function searchRun(folder: string, register: string): readonly string[] {
  if (!existsSync(register)) return [];
  const lines = readFileSync(register, 'utf8').split('\n').filter(Boolean);
  const find = finderOf(lines.map((line): Hidden => JSON.parse(line)));
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && WRITTEN.test(entry.name))
    .map(({ name, parentPath }) => join(parentPath, name))
    .filter((path) => path !== register)
    .flatMap((path) => find(readFileSync(path)).map((what) => `${what} in ${path}`));
}

/** One pass over the bytes for all spellings together: there are thousands. */
function finderOf(hidden: readonly Hidden[]): (bytes: Buffer) => readonly string[] {
  const byPrefix = new Map<string, { readonly what: string; readonly spelling: Buffer }[]>();
  // Most places are ruled out by one look at two bytes.
  const begins = new Uint8Array(0x1_0000);
  const begin = (bytes: Buffer, at: number) => (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8);
  for (const { what, spellings } of hidden) {
    for (const spelling of spellings.map((text) => Buffer.from(text, 'latin1'))) {
      if (spelling.length < SPELLING_BYTES_MIN) continue;
      const prefix = spelling.toString('latin1', 0, PREFIX_BYTES);
      byPrefix.set(prefix, [...(byPrefix.get(prefix) ?? []), { what, spelling }]);
      begins[begin(spelling, 0)] = 1;
    }
  }
  return (bytes) => {
    const found = new Set<string>();
    for (let at = 0; at + SPELLING_BYTES_MIN <= bytes.length; at++) {
      if (begins[begin(bytes, at)] === 0) continue;
      const candidates = byPrefix.get(bytes.toString('latin1', at, at + PREFIX_BYTES)) ?? [];
      for (const { what, spelling } of candidates) {
        if (bytes.subarray(at, at + spelling.length).equals(spelling)) found.add(what);
      }
    }
    return [...found];
  };
}
