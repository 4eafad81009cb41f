/**
 * `npm run sim -- [--transactions n | --seconds n] --seed <seed> [--workers n] [--json]`: whole
 * machines on virtual time, run after run. See README.md.
 */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { Command, CommanderError, InvalidArgumentError } from 'commander';
import { systemClock } from '#protocol/base/clock.ts';
import { createNostrCrypto } from '#protocol/signer/nostr-crypto.ts';
import { cheapCrypto } from '#test/support/cheap-crypto.ts';
import { type EpisodeOptions, runPlan } from './episode.ts';
import { pastHistories, planNamed } from './past.ts';
import { type Plan, planOf } from './plan.ts';
import { emptyReport, neverOccurred, type Report, together, withEpisode } from './report.ts';
import { shrink } from './shrink.ts';

const EXIT_FOUND = 1;
const EXIT_USAGE = 2;
const WORKERS_MAX = 64;
/** Without a bound the command runs so long. */
const TRANSACTIONS_DEFAULT = 1_000;

interface Options {
  readonly seed: string;
  readonly transactions?: number;
  readonly seconds?: number;
  readonly workers: number;
  /** Which part of the work this process does; set for the workers by their parent. */
  readonly part: number;
  readonly realCrypto?: boolean;
  /** False: only what broke is told, not how it comes back; that takes many runs. */
  readonly history: boolean;
  readonly json?: boolean;
  readonly replay?: string;
  readonly past?: boolean;
  readonly only?: readonly string[];
}

function wholeNumber(text: string): number {
  const number = Number(text);
  if (Number.isSafeInteger(number) && number >= 0) return number;
  throw new InvalidArgumentError('Must be a whole number.');
}

const say = (line: string): void => void process.stdout.write(`${line}\n`);

/** The n-th run of a seed; a past one is replayed by this name. */
const nameOfRun = (seed: string, number: number): string => `${seed}:${number}`;

function episodeOptions({ realCrypto }: Pick<Options, 'realCrypto'>): EpisodeOptions {
  return { makeCrypto: realCrypto ? createNostrCrypto : () => cheapCrypto() };
}

/** Runs every n-th run until there is enough, or a promise breaks. */
async function runPart(options: Options): Promise<Report> {
  const { seed, workers, part, seconds } = options;
  const share = Math.ceil((options.transactions ?? TRANSACTIONS_DEFAULT) / workers);
  const start = systemClock.monotonic();
  const elapsed = () => (systemClock.monotonic() - start) / 1_000;
  const isEnough = ({ transactions }: Report) =>
    seconds === undefined ? transactions >= share : elapsed() >= seconds;
  let report = emptyReport(seed);
  for (let number = part; !isEnough(report); number += workers) {
    const plan = planOf(nameOfRun(seed, number));
    const result = await runPlan(plan, episodeOptions(options));
    report = withEpisode(report, result);
    if (!result.violation) continue;
    say(`violation in run ${plan.seed}: ${result.violation.message}`);
    if (options.history) await tellHistory(plan, result.violation.promise, options);
    break;
  }
  return { ...report, seconds: elapsed() };
}

/** Prints the shortest history that breaks the promise, and the plan by which it comes back. */
async function tellHistory(plan: Plan, promise: string, options: Options): Promise<void> {
  const found = await shrink(plan, promise, (candidate) =>
    runPlan(candidate, episodeOptions(options)),
  );
  const lines: string[] = [];
  await runPlan(found.plan, { ...episodeOptions(options), tell: (line) => lines.push(line) });
  say(`shortest history (${found.runs} runs to find it):`);
  for (const line of lines) say(`  ${line}`);
  say(`plan: ${JSON.stringify(found.plan)}`);
}

/** One process for each part; their histories are passed on, their reports joined. */
async function runWorkers(options: Options): Promise<Report> {
  const parts = Array.from({ length: options.workers }, (_, part) => runWorker(options, part));
  const reports = await Promise.all(parts);
  return reports.reduce(together, emptyReport(options.seed));
}

function runWorker(options: Options, part: number): Promise<Report> {
  const { seed, transactions, seconds, workers, realCrypto, history } = options;
  const wanted = [
    ...(transactions === undefined ? [] : ['--transactions', String(transactions)]),
    ...(seconds === undefined ? [] : ['--seconds', String(seconds)]),
    ...(realCrypto ? ['--real-crypto'] : []),
    ...(history ? [] : ['--no-history']),
  ];
  const places = ['--workers', String(workers), '--part', String(part)];
  const script = [import.meta.filename, '--seed', seed, ...wanted, ...places, '--json'];
  const worker = spawn(process.execPath, script, { stdio: ['ignore', 'pipe', 'inherit'] });
  let last = '';
  createInterface({ input: worker.stdout }).on('line', (line) => {
    if (last !== '') say(last);
    last = line;
  });
  return new Promise((resolve, reject) => {
    worker.on('error', reject);
    worker.on('close', (code) => {
      if (last.startsWith('{')) resolve(JSON.parse(last) as Report);
      else reject(new Error(`worker ${part} ended with ${code}: ${last}`));
    });
  });
}

function tell(report: Report, { json, part, workers }: Options): number {
  // A part alone is too small for everything to occur; its parent looks at the whole.
  const missing = part >= 0 && workers > 1 ? [] : neverOccurred(report);
  for (const name of missing) say(`never occurred: ${name}`);
  const factor = Math.round(report.simulatedSeconds / Math.max(report.seconds, 0.001));
  const perMinute = Math.round((report.transactions / Math.max(report.seconds, 0.001)) * 60);
  if (!json) say(`${factor} times real time, ${perMinute} transactions a minute`);
  const { simulatedSeconds, seconds, ...counts } = report;
  const rounded = {
    simulatedSeconds: Math.round(simulatedSeconds),
    seconds: Number(seconds.toFixed(1)),
  };
  say(JSON.stringify({ ...counts, ...rounded }));
  return report.violations + report.unsettled + missing.length > 0 ? EXIT_FOUND : 0;
}

/** Runs some runs by their names. */
async function runOnly(names: readonly string[], options: Options): Promise<Report> {
  const start = systemClock.monotonic();
  let report = emptyReport(names.join(' '));
  for (const plan of names.map(planNamed)) {
    const result = await runPlan(plan, episodeOptions(options));
    report = withEpisode(report, result);
    if (result.violation) say(`violation in run ${plan.seed}: ${result.violation.message}`);
  }
  return { ...report, seconds: (systemClock.monotonic() - start) / 1_000 };
}

/** Runs one run of a seed again and tells all of it. */
async function replay(name: string, options: Options): Promise<Report> {
  const start = systemClock.monotonic();
  const result = await runPlan(planNamed(name), { ...episodeOptions(options), tell: say });
  if (result.violation) say(`violation: ${result.violation.message}`);
  const report = withEpisode(emptyReport(name), result);
  return { ...report, seconds: (systemClock.monotonic() - start) / 1_000 };
}

/** Runs every history that once broke a promise. */
async function runPast(options: Options): Promise<Report> {
  const start = systemClock.monotonic();
  let report = emptyReport('past');
  for (const { plan, promise, found } of pastHistories) {
    const result = await runPlan(plan, episodeOptions(options));
    report = withEpisode(report, result);
    if (!options.json) say(`${plan.seed}: ${promise}: ${found}`);
    if (result.violation) say(`violation in run ${plan.seed}: ${result.violation.message}`);
  }
  return { ...report, seconds: (systemClock.monotonic() - start) / 1_000 };
}

async function run(options: Options): Promise<number> {
  if (options.past) return tell(await runPast(options), options);
  if (options.replay !== undefined) return tell(await replay(options.replay, options), options);
  if (options.only) return tell(await runOnly(options.only, options), options);
  const isParent = options.workers > 1 && options.part < 0;
  if (isParent) return tell(await runWorkers(options), options);
  return tell(await runPart({ ...options, part: Math.max(0, options.part) }), options);
}

const command = new Command('npm run sim --')
  .description('Whole machines on virtual time. Exit code 1 when a promise breaks.')
  .option('--seed <seed>', 'any text; the same seed gives the same runs', '1')
  .option('--transactions <n>', `run so many, ${TRANSACTIONS_DEFAULT} by itself`, wholeNumber)
  .option('--seconds <n>', 'run so long instead', wholeNumber)
  .option('--workers <n>', `processes, 1 to ${WORKERS_MAX}`, wholeNumber, 1)
  .option('--part <n>', 'which part of the work; for the workers themselves', wholeNumber, -1)
  .option('--real-crypto', 'real signatures and encryption, fifty times as slow')
  .option('--no-history', 'tell a violation without the shortest history of it')
  .option('--replay <run>', 'one run again, as `<seed>:<number>`, with all that happens in it')
  .option('--only <runs...>', 'some runs again, as `<seed>:<number>` or by the names of past ones')
  .option('--past', 'every history that once broke a promise, again')
  .option('--json', 'nothing but violations before the last line')
  .exitOverride();

try {
  command.parse();
  const options = command.opts<Options>();
  const isWrong = options.workers < 1 || options.workers > WORKERS_MAX;
  process.exitCode = isWrong ? EXIT_USAGE : await run(options);
} catch (error) {
  if (!(error instanceof CommanderError)) throw error;
  process.exitCode = error.exitCode === 0 ? 0 : EXIT_USAGE;
}
