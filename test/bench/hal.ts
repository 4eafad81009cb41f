/** `npm run bench:hal`: see README.md. */
import { mkdirSync } from 'node:fs';
import { availableParallelism, loadavg } from 'node:os';
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { dispensers, validators } from '#agent/demo.ts';
import { makeSimulatedDevice } from '#hal/simulator/models.ts';
import { systemClock } from '#protocol/base/clock.ts';
import { type DepositTimes, depositTimes, deviceRules } from './deposits.ts';
import { type FrameRates, frameRates } from './frames.ts';
import { type IdleDevice, type PollCost, pollCost } from './polls.ts';

const EXIT_USAGE = 2;
/** It has no escrow and so no command to deposit. */
const WITHOUT_ESCROW = 'sio-no-escrow';
/** A dispenser has no escrow; what it costs to keep in touch is measured all the same. */
const DISPENSERS = ['f56', 'lcdm-4000', 'lcdm-2000'];

interface Row {
  readonly device: string;
  /** The best of all runs, because whatever else runs on the computer only makes it worse. */
  readonly deposits?: DepositTimes;
  readonly polls: PollCost;
  readonly frames: FrameRates;
  /** Processes that wanted a core while it was measured, the mean of a minute. */
  readonly load: number;
}

interface Options {
  readonly protocol: string;
  readonly notes: number;
  readonly runs: number;
  readonly folder: string;
  readonly json?: true;
}

const devices: ReadonlyMap<string, IdleDevice> = new Map([
  ...Object.entries(validators)
    .filter(([name]) => name !== WITHOUT_ESCROW)
    .map(([name, device]): [string, IdleDevice] => [name, { kind: 'validator', device }]),
  ...Object.entries(dispensers)
    .filter(([name]) => DISPENSERS.includes(name))
    .map(([name, device]): [string, IdleDevice] => [name, { kind: 'dispenser', device }]),
]);

async function measure(name: string, idle: IdleDevice, options: Options): Promise<Row> {
  const { protocol, model } = idle.device;
  const contents = { currency: 'USD', cassettes: {} };
  const simulated = makeSimulatedDevice(protocol, model, systemClock, contents);
  const frames = frameRates(protocol, simulated.line);
  simulated.stop();
  const polls = await pollCost(idle);
  const deposits = idle.kind === 'validator' ? await bestOf(name, idle.device, options) : undefined;
  const load = loadavg()[0] ?? 0;
  return { device: name, ...(deposits ? { deposits } : {}), polls, frames, load };
}

async function bestOf(
  name: string,
  validator: (typeof validators)[string],
  { notes, runs, folder }: Options,
): Promise<DepositTimes> {
  const found: DepositTimes[] = [];
  for (let run = 1; run <= runs; run += 1) {
    const onNote = (count: number) =>
      progress(`${name}: note ${count} of ${notes}${runs > 1 ? `, run ${run} of ${runs}` : ''}`);
    found.push(await depositTimes({ validator, notes, base: folder, onNote }));
  }
  const [best] = found.sort((one, other) => aboveFsync(one, 'p50Ms') - aboveFsync(other, 'p50Ms'));
  if (!best) throw new RangeError('nothing was measured');
  return best;
}

/** One line that is written over, where somebody watches. */
function progress(words: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\u001b[K${words}`);
}

/** What the driver and the agent take on top of what cannot be spared: fsync, device's rule. */
function aboveFsync({ decision, fsync, ruleMs }: DepositTimes, at: 'p50Ms' | 'p99Ms'): number {
  return decision[at] - Math.max(fsync[at], ruleMs);
}

const fixed = (value: number | undefined, digits: number): string =>
  value === undefined ? '-' : value.toFixed(digits);

const above = (deposits: DepositTimes | undefined, at: 'p50Ms' | 'p99Ms'): string =>
  fixed(deposits && aboveFsync(deposits, at), 2);

const COLUMNS: readonly (readonly [string, (row: Row) => string])[] = [
  ['device', ({ device }) => device],
  ['notes', ({ deposits }) => fixed(deposits?.decision.count, 0)],
  ['decide', ({ deposits }) => fixed(deposits?.decision.p50Ms, 2)],
  ['p99', ({ deposits }) => fixed(deposits?.decision.p99Ms, 2)],
  ['fsync', ({ deposits }) => fixed(deposits?.fsync.p50Ms, 2)],
  ['p99', ({ deposits }) => fixed(deposits?.fsync.p99Ms, 2)],
  ['rule', ({ deposits }) => fixed(deposits?.ruleMs, 0)],
  ['above', ({ deposits }) => above(deposits, 'p50Ms')],
  ['p99', ({ deposits }) => above(deposits, 'p99Ms')],
  ['own', ({ deposits }) => fixed(deposits?.own.p50Ms, 2)],
  ['p99', ({ deposits }) => fixed(deposits?.own.p99Ms, 2)],
  ['line', ({ deposits }) => fixed(deposits?.lineMs, 1)],
  ['polls/s', ({ polls }) => fixed(polls.pollsPerSecond, 1)],
  ['us/poll', ({ polls }) => fixed(polls.microsecondsPerPoll, 0)],
  ['core %', ({ polls }) => fixed(polls.percent, 3)],
  ['frames/s', ({ frames }) => fixed(frames.parsedPerSecond, 0)],
  ['by line', ({ frames }) => fixed(frames.linePerSecond, 0)],
  ['load', ({ load }) => fixed(load, 1)],
];

const NOTES = [
  'Milliseconds, the middle and the 99th percentile. decide: last byte of the escrow frame to first',
  'byte of the deposit command. fsync: a page brought to the same disk, once after every note. rule:',
  'how long the protocol itself keeps the command back. above: decide without the longer of these',
  'two (design 14: at most 1 and 5). own: the same note by note, with the commit of this very note in',
  'place of the fsync. line: both frames at the device’s speed. by line: frames a second on it.',
  ...Object.entries(deviceRules).map(
    ([name, { source }]) => `The device's rule, ${name}: ${source}.`,
  ),
];

function line(cells: readonly string[]): string {
  return cells.map((cell, at) => (at === 0 ? cell.padEnd(9) : cell.padStart(8))).join('');
}

async function run(options: Options): Promise<void> {
  mkdirSync(options.folder, { recursive: true });
  const rows: Row[] = [];
  const tell = (words: string) => {
    if (!options.json) process.stdout.write(`${words}\n`);
  };
  tell(line(COLUMNS.map(([title]) => title)));
  for (const [name, idle] of devices) {
    if (options.protocol !== 'all' && options.protocol !== name) continue;
    if (process.stderr.isTTY) progress(`${name} ...`);
    else process.stderr.write(`${name} ...\n`);
    const row = await measure(name, idle, options);
    rows.push(row);
    progress('');
    tell(line(COLUMNS.map(([, cell]) => cell(row))));
  }
  tell(`${NOTES.join('\n')}\n${availableParallelism()} cores.`);
  if (options.json) process.stdout.write(`${JSON.stringify({ rows, deviceRules })}\n`);
}

const counting = (most: number) => (words: string) => {
  const count = Number(words);
  if (Number.isSafeInteger(count) && count > 0 && count <= most) return count;
  throw new InvalidArgumentError(`Must be 1 to ${most}.`);
};

const command = new Command('npm run bench:hal --')
  .description(
    'Drivers: how soon a note is decided, what polls cost the processor (driver and simulated ' +
      'device together), frames a second. All of them take two to three minutes.',
  )
  .addOption(
    new Option('--protocol <name>', 'which one').choices([...devices.keys(), 'all']).default('all'),
  )
  .option('--notes <n>', 'notes for each validator', counting(10_000), 30)
  .option('--runs <n>', 'measures each so often and shows the best', counting(100), 1)
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
