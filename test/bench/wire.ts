/** `npm run bench:wire`: see README.md. */
import { Command, CommanderError, InvalidArgumentError } from 'commander';
import { cryptoRates, type Rate } from './crypto-rates.ts';
import { type EventMemory, eventMemory } from './event-memory.ts';
import { type WithdrawTimes, withdrawTimes } from './withdraw-times.ts';

const EXIT_USAGE = 2;

interface Options {
  readonly events: number;
  readonly withdraws: number;
  readonly forMs: number;
  readonly json?: boolean;
}

interface Report {
  readonly memory: EventMemory;
  readonly rates: readonly Rate[];
  readonly withdraw: WithdrawTimes;
}

/** Memory first, while this process holds nothing else. */
async function measure({ events, withdraws, forMs }: Options): Promise<Report> {
  process.stderr.write(`${events} events ...\n`);
  const memory = await eventMemory(events);
  process.stderr.write('keys ...\n');
  const rates = cryptoRates(forMs);
  process.stderr.write(`${withdraws} withdraws ...\n`);
  return { memory, rates, withdraw: await withdrawTimes(withdraws) };
}

const row = (name: string, ...cells: readonly string[]): string =>
  `${name.padEnd(28)}${cells.map((cell) => cell.padStart(12)).join('')}\n`;

const megabytes = (bytes: number): string => `${(bytes / 1_000_000).toFixed(1)} MB`;
const times = ({ p50Ms, p99Ms }: WithdrawTimes['whole']): string[] => [
  p50Ms.toFixed(1),
  p99Ms.toFixed(1),
];

function table({ memory, rates, withdraw }: Report): string {
  const { whole, steps, unavoidableMs } = withdraw;
  const { heapBefore, heapAfter, residentBefore, residentAfter } = memory;
  return [
    row('work', 'per second'),
    ...rates.map(({ what, perSecond }) => row(what, perSecond.toFixed(0))),
    '\n',
    row('create_withdraw', 'p50 ms', 'p99 ms'),
    ...Object.entries(steps).map(([name, step]) => row(`  ${name}, alone`, ...times(step))),
    row('  these added up', unavoidableMs.toFixed(1)),
    row('  the whole call', ...times(whole)),
    row('  above', (whole.p50Ms - unavoidableMs).toFixed(1)),
    '\n',
    row(`${memory.events} events received`, 'before', 'after', 'growth'),
    row('  heap', megabytes(heapBefore), megabytes(heapAfter), megabytes(heapAfter - heapBefore)),
    row(
      '  resident',
      ...[residentBefore, residentAfter, residentAfter - residentBefore].map(megabytes),
    ),
    row('  events a second', memory.eventsPerSecond.toFixed(0)),
  ].join('');
}

function parseCount(text: string): number {
  const count = Number(text);
  if (Number.isSafeInteger(count) && count > 0 && count <= 10_000_000) return count;
  throw new InvalidArgumentError('Must be 1 to 10000000.');
}

const command = new Command('npm run bench:wire --')
  .description(
    'What keys cost; a create_withdraw beside the round trips that cannot be spared, with relay, ' +
      'bunker and wallet in the same process; what a link keeps of the events it was told.',
  )
  .option('--events <n>', 'events to receive', parseCount, 100_000)
  .option('--withdraws <n>', 'withdraws to make', parseCount, 50)
  .option('--for-ms <n>', 'how long each work with keys is measured, ms', parseCount, 1_000)
  .option('--json', 'one line of JSON in place of the table')
  .exitOverride();

try {
  command.parse();
  const options = command.opts<Options>();
  const report = await measure(options);
  process.stdout.write(options.json ? `${JSON.stringify(report)}\n` : table(report));
  process.exit(0);
} catch (error) {
  if (!(error instanceof CommanderError)) throw error;
  process.exitCode = error.exitCode === 0 ? 0 : EXIT_USAGE;
}
