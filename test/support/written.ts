/** All that a machine wrote and said, searched for what must never stand there in clear. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { nsecEncode } from 'nostr-tools/nip19';
import { decodeLnurl, linkIdOf } from '#protocol/simulator/keeper/lnurl.ts';
import { type Hidden, register } from './secret-register.ts';

export type { Hidden } from './secret-register.ts';

/** A key: as digits, in base64, as an nsec, as JSON of either kind, and as the bytes themselves. */
export function hiddenKey(what: string, key: Uint8Array): Hidden {
  const bytes = Buffer.from(key);
  const spellings = [
    bytes.toString('hex'),
    bytes.toString('base64').replace(/=+$/, ''),
    bytes.toString('base64url'),
    nsecEncode(bytes),
    [...bytes].join(),
    JSON.stringify(new Uint8Array(bytes)).slice(1, -1),
    bytes.toString('latin1'),
  ];
  return register({ what, spellings });
}

/** Words or digits that are as good as the money or the key itself. */
export function hiddenText(what: string, text: string): Hidden {
  const bytes = Buffer.from(text);
  const base64 = [bytes.toString('base64').replace(/=+$/, ''), bytes.toString('base64url')];
  const spellings = [text, encodeURIComponent(text), bytes.toString('hex'), ...base64];
  return register({ what, spellings });
}

/** A withdraw link: as it is shown, the address in it, and the id that whoever knows claims by. */
export function hiddenLink(what: string, lnurl: string): Hidden {
  const texts = [lnurl, decodeLnurl(lnurl), linkIdOf(lnurl)];
  return { what, spellings: texts.flatMap((text) => hiddenText(what, text).spellings) };
}

/**
 * Where in a folder, and in lines, something hidden stands; empty when all is well. `isLawful` are
 * files that may hold it, as a pairing that nobody has given a key to seal it with.
 */
export function spilled(
  folder: string,
  lines: readonly string[],
  hidden: readonly Hidden[],
  isLawful: (path: string) => boolean = () => false,
): readonly string[] {
  const places = [
    { name: 'the log', text: latin(Buffer.from(lines.join(''))) },
    ...readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map(({ name, parentPath }) => join(parentPath, name))
      .filter((path) => !isLawful(path))
      .flatMap(textsOf),
  ];
  return hidden.flatMap(({ what, spellings }) =>
    places
      .filter(({ text }) => spellings.some((spelling) => text.includes(latin(spelling))))
      .map(({ name }) => `${what} in ${name}`),
  );
}

/** Without case, and byte by byte, so that files of any kind can be searched. */
const latin = (text: string | Buffer): string =>
  (typeof text === 'string' ? text : text.toString('latin1')).toLowerCase();

/** A file as it is, and the values of a database too: in the file a long one lies on two pages. */
function textsOf(path: string): { readonly name: string; readonly text: string }[] {
  const file = { name: path, text: latin(readFileSync(path)) };
  // One in use belongs to whoever has it open.
  if (!path.endsWith('.sqlite') || existsSync(`${path}-wal`)) return [file];
  const values = rowsOf(path)
    .flat()
    .map((value) => (Buffer.isBuffer(value) ? value : Buffer.from(`${value}`)));
  return [file, { name: `the rows of ${path}`, text: values.map(latin).join('\n') }];
}

/** All rows of a database; none of one that a test has damaged. */
function rowsOf(path: string): readonly unknown[] {
  const database = new Sqlite(path, { readonly: true });
  try {
    const tables = database.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").pluck();
    return tables
      .all()
      .flatMap((table) => database.prepare(`SELECT * FROM "${table}"`).raw().all());
  } catch (error) {
    if (error instanceof Sqlite.SqliteError) return [];
    throw error;
  } finally {
    database.close();
  }
}
