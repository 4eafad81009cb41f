/** What was measured as rows: a value, what design 14 wants of it, and which ratio CI holds. */
import type { Numbers } from './bench.ts';
import type { Days } from './days.ts';

/** One row. */
export interface Figure {
  readonly what: string;
  readonly value: number;
  readonly unit: string;
  /** Design 14's own figure, in words. */
  readonly wanted: string;
  /** Its name in budget.json, when CI holds it: a ratio or a count, never a time. */
  readonly ratio?: string;
}

const MEGABYTE = 1_000_000;
const PAGE_BYTES = 4_096;

/** All rows, in the order of the table. */
export function figuresOf({ days, service, deposits }: Numbers): readonly Figure[] {
  return [
    ...memoryFigures(days, service),
    ...serviceFigures(service),
    ...writeFigures(days, deposits),
  ];
}

function memoryFigures(
  { days, worldGrowth }: Days,
  service: Numbers['service'],
): readonly Figure[] {
  const [first, last] = [days[0], days.at(-1)];
  if (!first || !last) throw new RangeError('not a day was lived');
  return [
    {
      ...{ what: 'resident memory in service', value: service.residentBytes / MEGABYTE },
      ...{ unit: 'MB', wanted: 'at most 120' },
    },
    {
      ...{ what: '  by that of a bare Node', value: service.residentBytes / service.bareNodeBytes },
      ...{ unit: '', wanted: '', ratio: 'residentByBareNode' },
    },
    {
      what: `  its growth over ${last.day} days, of that`,
      value: ((last.resident - first.resident - worldGrowth) / service.residentBytes) * 100,
      ...{ unit: '%', wanted: 'under 5' },
    },
    {
      ...{ what: '  not counted: of the world around it', value: worldGrowth / MEGABYTE },
      ...{ unit: 'MB', wanted: '' },
    },
    {
      ...{ what: '  the heap, by that at first', value: last.heap / first.heap },
      ...{ unit: '', wanted: '', ratio: 'heapByHeapAtFirst' },
    },
    {
      what: `disk after ${last.day} days, with backups`,
      value: (last.database + last.backups) / MEGABYTE,
      ...{ unit: 'MB', wanted: '' },
    },
  ];
}

function serviceFigures(service: Numbers['service']): readonly Figure[] {
  const { start, quick, devicesMs, startWithHistory, history } = service;
  const { idlePercent, barePollsPercent } = service;
  const { openMs, identifiedMs, initialisedMs, inServiceMs, processorMs } = start;
  const ms = (what: string, value: number, wanted = '') => ({ what, value, unit: 'ms', wanted });
  return [
    ms('start to in service, devices done at once', quick.inServiceMs, 'at most 2000'),
    ms('  processor until then', quick.processorMs),
    ms('start to in service, with an LCDM', inServiceMs),
    ms('  Node, modules, opening the state', openMs),
    ms('  until both devices are identified', identifiedMs - openMs),
    ms('  until both are initialised', initialisedMs - identifiedMs),
    ms('  until both directions are open', inServiceMs - initialisedMs),
    ms('  the devices alone', devicesMs),
    ms('  above the devices', inServiceMs - devicesMs),
    ms('  processor until then', processorMs),
    ms(`  the same with ${history} old transactions`, startWithHistory.processorMs),
    {
      what: '  the whole start with them, times',
      value: startWithHistory.inServiceMs / inServiceMs,
      ...{ unit: '', wanted: 'at most 1.2', ratio: 'startWithHistoryByStart' },
    },
    {
      ...{ what: 'processor, idle in service', value: idlePercent },
      ...{ unit: '%', wanted: 'at most 2' },
    },
    {
      what: '  by that of polling the validator and nothing else',
      value: idlePercent / barePollsPercent,
      ...{ unit: '', wanted: '', ratio: 'idleByBarePolls' },
    },
  ];
}

function writeFigures(days: Days, { decision, fsync }: Numbers['deposits']): readonly Figure[] {
  const { cashIn, cashOut, idleBytesADay, timesRealTime, transactionsPerSecond } = days;
  const ms = { unit: 'ms' };
  return [
    { what: 'escrow to deposit command, p50', value: decision.p50Ms, ...ms, wanted: '' },
    {
      ...{ what: '  above a bare fsync, p50', value: decision.p50Ms - fsync.p50Ms },
      ...{ ...ms, wanted: 'at most 1' },
    },
    {
      ...{ what: '  above a bare fsync, p99', value: decision.p99Ms - fsync.p99Ms },
      ...{ ...ms, wanted: 'at most 5' },
    },
    {
      what: 'fsyncs of a cash-in',
      value: cashIn.commits,
      unit: '',
      wanted: '',
      ratio: 'fsyncsOfACashIn',
    },
    {
      what: 'fsyncs of a cash-out',
      value: cashOut.commits,
      unit: '',
      wanted: '',
      ratio: 'fsyncsOfACashOut',
    },
    {
      ...{ what: 'pages written of a cash-in', value: cashIn.bytes / PAGE_BYTES },
      ...{ unit: '', wanted: '', ratio: 'pagesOfACashIn' },
    },
    {
      ...{ what: 'pages written of a cash-out', value: cashOut.bytes / PAGE_BYTES },
      ...{ unit: '', wanted: '', ratio: 'pagesOfACashOut' },
    },
    { what: 'written on top in a day', value: idleBytesADay / MEGABYTE, unit: 'MB', wanted: '' },
    { what: 'simulated transactions', value: transactionsPerSecond, unit: '/s', wanted: '' },
    {
      what: 'simulated time by real time',
      value: timesRealTime,
      unit: '',
      wanted: 'at least 1000',
    },
  ];
}

const megabytes = (bytes: number): string => (bytes / MEGABYTE).toFixed(1);

/** Memory and disk, day by day. */
export function daysTable({ days }: Days): string {
  const row = (cells: readonly string[]) => `${cells.map((cell) => cell.padStart(13)).join('')}\n`;
  const head = ['day', 'transactions', 'resident MB', 'heap MB', 'database MB', 'backups MB'];
  const rows = days.map(({ day, transactions, resident, heap, database, backups }) => [
    ...[day, transactions].map(String),
    ...[resident, heap, database, backups].map(megabytes),
  ]);
  return [head, ...rows].map(row).join('');
}

/** The one table. */
export function table(numbers: Numbers, budget: Readonly<Record<string, number>>): string {
  const row = (cells: readonly string[]) =>
    cells.map((cell, at) => (at === 0 ? cell.padEnd(44) : cell.padStart(14))).join('');
  const head = row(['figure', 'measured', 'design 14', 'budget']);
  const rows = figuresOf(numbers).map(({ what, value, unit, wanted, ratio }) => {
    const held = ratio === undefined ? '' : `${budget[ratio] ?? ''}`;
    return row([what, `${value.toFixed(value < 100 ? 2 : 0)} ${unit}`.trim(), wanted, held]);
  });
  return `${[head, ...rows].join('\n')}\n`;
}
