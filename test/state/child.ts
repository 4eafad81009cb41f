/** What the tests kill, starve and lock out: `node child.ts <what> <path>`. */
import { systemClock, systemRandom } from '#protocol/base/clock.ts';
import { AtmError } from '#protocol/base/errors.ts';
import { silentLog } from '#protocol/base/log.ts';
import { minorUnits } from '#protocol/base/money.ts';
import { Secret } from '#protocol/base/secret.ts';
import { openStore, type Store } from '#state/store.ts';

const [what, path = ''] = process.argv.slice(2);
const say = (word: string | number) => process.stdout.write(`${word}\n`);
const open = (): Store =>
  openStore({
    path,
    clock: systemClock,
    random: systemRandom,
    log: silentLog,
    sealingKey: new Secret(new Uint8Array(32)),
    bootId: 'child',
  });

function commitOnce(store: Store): number {
  return store.commit(() => {
    const entry = store.journal.append('deposited', { filler: 'x'.repeat(500) });
    const value = minorUnits(2000);
    const note = { currency: 'USD', value, count: 1, cause: 'deposited' };
    store.ledger.move({ from: 'customer', to: 'cashbox', ...note });
    return entry.seq;
  });
}

function codeOf(work: () => unknown): string {
  try {
    work();
    return 'nothing';
  } catch (error) {
    if (error instanceof AtmError) return error.code;
    throw error;
  }
}

/** Commits until it is killed; a number and its full stop are said when the commit has returned. */
function commitForEver(): void {
  const store = open();
  const next = () => {
    say(`${commitOnce(store)}.`);
    setImmediate(next);
  };
  next();
}

/** Holds the state until standard input ends. */
function hold(): void {
  const store = open();
  say('open');
  process.stdin.resume();
  process.stdin.on('end', () => store.close());
}

/** Commits until the disk fails, then once more. */
function commitUntilFailure(): void {
  const store = open();
  let seq = 0;
  const code = codeOf(() => {
    for (;;) seq = commitOnce(store);
  });
  say(`${seq} ${code} ${codeOf(() => commitOnce(store))}`);
}

/** Commits with a listener that throws. */
function throwInListener(): void {
  const store = open();
  store.journal.subscribe(() => {
    throw new Error('a bug in a listener');
  });
  say(commitOnce(store));
}

const acts = { commitForEver, hold, commitUntilFailure, throwInListener };
const act = Object.entries(acts).find(([name]) => name === what)?.[1];
if (!act) throw new Error(`no such act: ${what}`);
act();
