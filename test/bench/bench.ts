/** `npm run bench`: see README.md. */
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { z } from 'zod';
import { type Days, liveDays } from './days.ts';
import { type DepositTimes, depositTimes } from './deposits.ts';
import { daysTable, figuresOf, table } from './figures.ts';
import { measureService, type ServiceNumbers, unitOfNode } from './service.ts';

const EXIT_FOUND = 1;
const EXIT_USAGE = 2;
/** The validator that the whole machine is measured with; `bench:hal` has all of them. */
const VALIDATOR = { protocol: 'id003', model: undefined };
/** A ratio is the best of so many runs: whatever else runs on the computer only makes it worse. */
const RUNS = 3;
const PARTS = ['days', 'service', 'deposits'] as const;
type Part = (typeof PARTS)[number];

/** What a run measures. */
export interface Numbers {
  readonly days: Days;
  readonly service: ServiceNumbers;
  readonly deposits: DepositTimes;
}

interface Options {
  readonly days: number;
  readonly history: number;
  readonly notes: number;
  readonly folder: string;
  readonly part?: Part;
  readonly check?: true;
  readonly json?: true;
}

const budgetSchema = z.record(z.string(), z.number());

/** Highest that each ratio may be. */
function readBudget(): Readonly<Record<string, number>> {
  const file = join(import.meta.dirname, 'budget.json');
  return budgetSchema.parse(JSON.parse(readFileSync(file, 'utf8')));
}

function measure(part: Part, { days, history, notes, folder }: Options): Promise<object> {
  switch (part) {
    case 'days':
      return liveDays(days, folder);
    case 'service':
      return measureService(folder, history);
    case 'deposits':
      return depositTimes({ validator: VALIDATOR, notes, base: folder });
  }
}

/** A process for each part, so that none counts the memory and the warmth of another. */
async function inProcess<Result>(part: Part, options: Options): Promise<Result> {
  process.stderr.write(`${part} ...\n`);
  const { days, history, notes, folder } = options;
  const words = ['--days', days, '--history', history, '--notes', notes, '--folder', folder];
  const { flags, env } = unitOfNode();
  const child = spawn(
    process.execPath,
    [...flags, import.meta.filename, '--part', part, ...words.map((word) => `${word}`)],
    { stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, ...env } },
  );
  const result = await text(child.stdout);
  if (result === '') throw new Error(`${part} was not measured`);
  return JSON.parse(result) as Result;
}

async function measureAll(options: Options): Promise<Numbers> {
  return {
    days: await inProcess<Days>('days', options),
    service: await inProcess<ServiceNumbers>('service', options),
    deposits: await inProcess<DepositTimes>('deposits', options),
  };
}

/** Ratios above their budget, in words; measured again, up to three times, before they count. */
async function check(options: Options): Promise<readonly string[]> {
  const budget = readBudget();
  const best = new Map<string, number>();
  let wrong: readonly string[] = [];
  for (let run = 0; run < RUNS; run += 1) {
    for (const { ratio, value } of figuresOf(await measureAll(options))) {
      if (ratio !== undefined) best.set(ratio, Math.min(value, best.get(ratio) ?? value));
    }
    for (const name of Object.keys(budget)) {
      if (!best.has(name)) throw new Error(`nothing is measured for the budget ${name}`);
    }
    wrong = [...best]
      .filter(([name, value]) => value > (budget[name] ?? Number.POSITIVE_INFINITY))
      .map(([name, value]) => `${name} is ${value.toFixed(3)}, at most ${budget[name]}`);
    if (wrong.length === 0) break;
  }
  for (const [name, value] of best) {
    process.stdout.write(`${name.padEnd(28)}${value.toFixed(3).padStart(10)}\n`);
  }
  return wrong;
}

async function run(options: Options): Promise<number> {
  mkdirSync(options.folder, { recursive: true });
  if (options.part) {
    process.stdout.write(JSON.stringify(await measure(options.part, options)));
    return 0;
  }
  if (options.check) {
    const wrong = await check(options);
    for (const line of wrong) process.stdout.write(`OVER BUDGET: ${line}\n`);
    return wrong.length > 0 ? EXIT_FOUND : 0;
  }
  const numbers = await measureAll(options);
  if (options.json) process.stdout.write(`${JSON.stringify(numbers)}\n`);
  else process.stdout.write(`${daysTable(numbers.days)}\n${table(numbers, readBudget())}`);
  return 0;
}

const counting = (most: number) => (words: string) => {
  const count = Number(words);
  if (Number.isSafeInteger(count) && count > 0 && count <= most) return count;
  throw new InvalidArgumentError(`Must be 1 to ${most}.`);
};

const command = new Command('npm run bench --')
  .description('Every figure of design 14 that is a measurement, in one table. See README.md.')
  .option('--days <n>', 'simulated days', counting(365), 30)
  .option('--history <n>', 'old transactions of the second start', counting(10_000_000), 1_000_000)
  .option('--notes <n>', 'notes put in, to see how soon each is decided', counting(10_000), 100)
  .option('--folder <folder>', 'on the disk to be measured', '.bench')
  .option('--check', 'only whether the ratios are within budget.json; exit code 1 when not')
  .option('--json', 'one line of JSON in place of the tables')
  .addOption(new Option('--part <name>', 'one part').choices(PARTS).hideHelp())
  .exitOverride();

try {
  command.parse();
  const code = await run(command.opts<Options>());
  process.exit(code);
} catch (error) {
  if (!(error instanceof CommanderError)) throw error;
  process.exitCode = error.exitCode === 0 ? 0 : EXIT_USAGE;
}
