/**
 * `npm run sim:mutants [-- --json]`: makes careless changes in copies of the tree, one at a time,
 * and has the simulation find each. One that is not found, or no longer applies, is a failure.
 */
import { spawn } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command, CommanderError } from 'commander';
import { systemClock } from '#protocol/base/clock.ts';
import { type Mutation, mutations } from './mutations.ts';

/** Transactions after which a change counts as not found; most are found within a few dozen. */
const TRANSACTIONS_MAX = 800;
/** Copies of the tree that are tried side by side. */
const COPIES = 2;
const SEED = 'mutants';
const ROOT = join(import.meta.dirname, '../..');
const ROOMS = ['agent', 'hal', 'state', 'protocol', 'test', 'package.json', 'tsconfig.json'];
const EXIT_MISSED = 1;
const EXIT_USAGE = 2;

/** What became of one change. */
interface Verdict {
  readonly name: string;
  readonly state: 'found' | 'notFound' | 'doesNotApply' | 'falseAlarm' | 'quiet';
  /** The promise that broke, and in which run. */
  readonly promise?: string;
  readonly run?: string;
  readonly transactions?: number;
  readonly seconds: number;
}

/** The runs of one change. */
type Runs = Pick<Mutation, 'edits' | 'name'> & { readonly runs: readonly string[] };

const changes: readonly Runs[] = mutations.map(({ run, ...rest }) => ({ ...rest, runs: [run] }));
/** The tree as it is must break no promise in any of them: else a find would prove nothing. */
const UNCHANGED: Runs = {
  name: 'no change at all',
  edits: [],
  runs: [...new Set(mutations.map(({ run }) => run))],
};

async function copyTree(): Promise<string> {
  const copy = await mkdtemp(join(tmpdir(), 'spire-mutants-'));
  for (const room of ROOMS) await cp(join(ROOT, room), join(copy, room), { recursive: true });
  await symlink(join(ROOT, 'node_modules'), join(copy, 'node_modules'));
  return copy;
}

/** Makes the change; gives the files as they were, or which of its texts is not there once. */
async function apply(copy: string, { edits }: Runs): Promise<Map<string, string> | string> {
  const before = new Map<string, string>();
  const after = new Map<string, string>();
  for (const { file, from, to } of edits) {
    const text = after.get(file) ?? (await readFile(join(copy, file), 'utf8'));
    if (text.split(from).length !== 2) return `${file} has not once: ${from.trim()}`;
    if (!before.has(file)) before.set(file, text);
    after.set(
      file,
      text.replace(from, () => to),
    );
  }
  for (const [file, text] of after) await writeFile(join(copy, file), text);
  return before;
}

/** What one call of the simulation came to. */
interface Found {
  readonly violation?: string;
  readonly run?: string;
  readonly transactions: number;
}

/** Runs the simulation in a copy. */
async function simulate(copy: string, wanted: readonly string[]): Promise<Found> {
  const script = [join(copy, 'test/simulation/sim.ts'), ...wanted, '--json'];
  const child = spawn(process.execPath, script, { cwd: copy, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  await new Promise((resolve) => child.on('close', resolve));
  const [, run, violation] = /^violation in run ([^:]+(?::\d+)?): (.*)$/m.exec(output) ?? [];
  const last = output.trimEnd().split('\n').at(-1) ?? '';
  if (!last.startsWith('{')) throw new Error(`the simulation ended without a result: ${output}`);
  const { transactions }: { transactions: number } = JSON.parse(last);
  return violation === undefined || run === undefined
    ? { transactions }
    : { violation, run, transactions };
}

/** The run that is known to find it, and where that does not, or there is none, a fresh search. */
async function search(copy: string, { edits, runs }: Runs): Promise<Found> {
  const known = await simulate(copy, ['--only', ...runs]);
  if (known.violation !== undefined || edits.length === 0) return known;
  const fresh = ['--seed', SEED, '--transactions', String(TRANSACTIONS_MAX), '--no-history'];
  return simulate(copy, fresh);
}

async function judge(copy: string, mutation: Runs): Promise<Verdict> {
  const startMs = systemClock.monotonic();
  const elapsed = () => (systemClock.monotonic() - startMs) / 1_000;
  const { name } = mutation;
  const before = await apply(copy, mutation);
  if (typeof before === 'string') {
    return { name, state: 'doesNotApply', promise: before, seconds: elapsed() };
  }
  const { violation, run, transactions } = await search(copy, mutation);
  for (const [file, text] of before) await writeFile(join(copy, file), text);
  const common = { name, transactions, seconds: elapsed() };
  const isChanged = mutation.edits.length > 0;
  if (violation === undefined) return { ...common, state: isChanged ? 'notFound' : 'quiet' };
  const promise = violation.slice(0, 160);
  const where = run === undefined ? {} : { run };
  return { ...common, ...where, state: isChanged ? 'found' : 'falseAlarm', promise };
}

function words({ name, state, promise, run, transactions, seconds }: Verdict): string {
  const time = `${seconds.toFixed(1)} s`;
  switch (state) {
    case 'found':
      return `${name}: found in ${run}: ${promise} (${transactions} transactions, ${time})`;
    case 'quiet':
      return `${name}: no promise broke in ${transactions} transactions (${time})`;
    case 'notFound':
      return `${name}: NOT FOUND in ${transactions} transactions (${time})`;
    case 'falseAlarm':
      return `${name}: BROKEN BEFORE in ${run}: ${promise} (${time})`;
    case 'doesNotApply':
      return `${name}: DOES NOT APPLY: ${promise}`;
  }
}

async function run({ json, only }: { json?: boolean; only?: string }): Promise<number> {
  const chosen = [UNCHANGED, ...changes].filter(({ name }) => !only || name.includes(only));
  const waiting = [...chosen];
  const verdicts: Verdict[] = [];
  const work = async () => {
    const copy = await copyTree();
    try {
      for (let next = waiting.shift(); next; next = waiting.shift()) {
        const verdict = await judge(copy, next);
        verdicts.push(verdict);
        if (!json) process.stdout.write(`${words(verdict)}\n`);
      }
    } finally {
      await rm(copy, { recursive: true, force: true });
    }
  };
  await Promise.all(Array.from({ length: COPIES }, work));
  const isGood = ({ state }: Verdict) => state === 'found' || state === 'quiet';
  const found = verdicts.filter(({ state }) => state === 'found').length;
  const failed = verdicts.filter((verdict) => !isGood(verdict)).length;
  process.stdout.write(`${JSON.stringify({ found, failed, ...(json ? { verdicts } : {}) })}\n`);
  return failed > 0 || chosen.length === 0 ? EXIT_MISSED : 0;
}

const command = new Command('npm run sim:mutants --')
  .description('Careless changes that the simulation must find. Exit code 1 when one is missed.')
  .option('--only <words>', 'changes whose name has these words')
  .option('--json', 'one line with all of it')
  .exitOverride();

try {
  command.parse();
  process.exitCode = await run(command.opts());
} catch (error) {
  if (!(error instanceof CommanderError)) throw error;
  process.exitCode = error.exitCode === 0 ? 0 : EXIT_USAGE;
}
