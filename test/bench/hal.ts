/** `npm run bench:hal`: see README.md. */
import { mkdirSync } from 'node:fs';
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { validators } from '#agent/demo.ts';
import { type DepositTimes, depositTimes } from './deposits.ts';
import { framesPerSecond } from './frames.ts';
import { type PollCost, pollCost } from './polls.ts';

const EXIT_USAGE = 2;
/** Dispensers have no escrow; their parsers are measured all the same. */
const DISPENSERS = ['f56', 'lcdm'];
/** It has no escrow and so no command to deposit. */
const WITHOUT_ESCROW = 'sio-no-escrow';

interface Row {
  readonly device: string;
  readonly deposits?: DepositTimes;
  readonly polls?: PollCost;
  readonly framesPerSecond?: number;
}

interface Options {
  readonly protocol: string;
  readonly notes: number;
  readonly folder: string;
  readonly json?: boolean;
}

const names = Object.keys(validators).filter((name) => name !== WITHOUT_ESCROW);

async function measure(device: string, { notes, folder }: Options): Promise<Row> {
  const validator = Object.hasOwn(validators, device) ? validators[device] : undefined;
  const frames = framesPerSecond(validator?.protocol ?? device);
  const parsed = frames === undefined ? {} : { framesPerSecond: frames };
  if (!validator) return { device, ...parsed };
  const polls = await pollCost(validator);
  return { device, deposits: await depositTimes(validator, notes, folder), polls, ...parsed };
}

const fixed = (value: number | undefined, digits: number): string =>
  value === undefined ? '-' : value.toFixed(digits);

const COLUMNS: readonly (readonly [string, (row: Row) => string])[] = [
  ['device', ({ device }) => device],
  ['notes', ({ deposits }) => String(deposits?.decision.count ?? '-')],
  ['decide p50', ({ deposits }) => fixed(deposits?.decision.p50Ms, 2)],
  ['p99 ms', ({ deposits }) => fixed(deposits?.decision.p99Ms, 2)],
  ['fsync p50', ({ deposits }) => fixed(deposits?.fsync.p50Ms, 2)],
  ['p99 ms', ({ deposits }) => fixed(deposits?.fsync.p99Ms, 2)],
  [
    'above p50',
    ({ deposits }) => (deposits ? fixed(deposits.decision.p50Ms - deposits.fsync.p50Ms, 2) : '-'),
  ],
  [
    'p99 ms',
    ({ deposits }) => (deposits ? fixed(deposits.decision.p99Ms - deposits.fsync.p99Ms, 2) : '-'),
  ],
  ['line ms', ({ deposits }) => fixed(deposits?.lineMs, 1)],
  ['polls/s', ({ polls }) => fixed(polls?.pollsPerSecond, 1)],
  ['us/poll', ({ polls }) => fixed(polls?.microsecondsPerPoll, 0)],
  ['core %', ({ polls }) => fixed(polls?.percent, 3)],
  ['frames/s', ({ framesPerSecond: frames }) => String(frames ?? '-')],
];

function line(cells: readonly string[]): string {
  return cells.map((cell, at) => (at === 0 ? cell.padEnd(8) : cell.padStart(10))).join(' ');
}

async function run(options: Options): Promise<void> {
  mkdirSync(options.folder, { recursive: true });
  const wanted = [...names, ...DISPENSERS].filter(
    (name) => options.protocol === 'all' || name === options.protocol,
  );
  const rows: Row[] = [];
  if (!options.json) process.stdout.write(`${line(COLUMNS.map(([title]) => title))}\n`);
  for (const name of wanted) {
    process.stderr.write(`${name} ...\n`);
    const row = await measure(name, options);
    rows.push(row);
    if (!options.json) process.stdout.write(`${line(COLUMNS.map(([, cell]) => cell(row)))}\n`);
  }
  if (options.json) process.stdout.write(`${JSON.stringify(rows)}\n`);
}

function parseNotes(text: string): number {
  const notes = Number(text);
  if (Number.isSafeInteger(notes) && notes > 0 && notes <= 10_000) return notes;
  throw new InvalidArgumentError('Must be 1 to 10000.');
}

const command = new Command('npm run bench:hal --')
  .description(
    'Decide: from the last byte of a note in escrow to the first byte of the deposit command, ' +
      'with its fsync. Polls: driver and simulated device together.',
  )
  .addOption(
    new Option('--protocol <name>', 'which one')
      .choices([...names, ...DISPENSERS, 'all'])
      .default('all'),
  )
  .option('--notes <n>', 'notes for each validator', parseNotes, 50)
  .option('--folder <folder>', 'on the disk to be measured', '.bench')
  .option('--json', 'one line of JSON in place of the table')
  .exitOverride();

try {
  command.parse();
  await run(command.opts<Options>());
  process.exit(0);
} catch (error) {
  if (!(error instanceof CommanderError)) throw error;
  process.exitCode = error.exitCode === 0 ? 0 : EXIT_USAGE;
}
