/**
 * What a machine's life costs: its memory after many days and the disk that it takes, and what each
 * transaction writes. Whole machines on virtual time, with their state on a real disk; one process,
 * so that the memory of the world around the machine counts as well.
 */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { heapUsed } from '#test/support/heap.ts';
import { type MachineOptions, WholeMachine } from '#test/support/whole-machine.ts';
import { nowMs } from './stopwatch.ts';

const HOUR_MS = 3_600_000;
/** Customers of an ordinary day: a busy machine has so many. */
const CASH_INS_A_DAY = 24;
const CASH_OUTS_A_DAY = 12;
/** Two of the bays' twenties. */
const SALE_MINOR = 4_000;
/** Customers of each kind before the first look; by then memories with a bound are full. */
const WARM_CUSTOMERS = 40;
const FUNDS_SATS = 2_000_000_000;
const BAYS = {
  '1': { denomination: 20, count: 60 },
  '2': { denomination: 20, count: 60 },
  '3': { denomination: 50, count: 10 },
  '4': { denomination: 100, count: 10 },
};

/** One day's end. */
export interface Day {
  readonly day: number;
  /** Of the machine and the world around it, when the garbage is gone, bytes. */
  readonly heap: number;
  readonly resident: number;
  /** Database and its log, bytes. */
  readonly database: number;
  readonly backups: number;
  readonly transactions: number;
}

/** What one transaction of a kind writes on average. */
export interface Writes {
  readonly transactions: number;
  /** Commits; each is one fsync of the write-ahead log. */
  readonly commits: number;
  /** What reached the disk's cache, by the kernel's own count. */
  readonly bytes: number;
}

/** What came of so many days. */
export interface Days {
  readonly days: readonly Day[];
  /** By how much the heap of the simulated world alone has grown meanwhile, bytes. */
  readonly worldGrowth: number;
  readonly cashIn: Writes;
  readonly cashOut: Writes;
  /** Everything else of a day: signs of life, polls, documents, backups. */
  readonly idleBytesADay: number;
  /** Virtual time by real time. */
  readonly timesRealTime: number;
  readonly transactionsPerSecond: number;
}

/** What this process gave the disk so far, bytes. Source: proc(5), `write_bytes`. */
function bytesWritten(): number {
  const found = /^write_bytes: (\d+)$/m.exec(readFileSync('/proc/self/io', 'utf8'))?.[1];
  if (found === undefined) throw new Error('the kernel does not count what is written');
  return Number(found);
}

/** Bytes of all files of a folder itself, by a part of their names. */
function sizeOf(folder: string, part = ''): number {
  if (!existsSync(folder)) return 0;
  const files = readdirSync(folder, { withFileTypes: true }).filter(
    (entry) => entry.isFile() && entry.name.includes(part),
  );
  return files.reduce((sum, { name }) => sum + statSync(join(folder, name)).size, 0);
}

/** What is written while something is done, summed up. */
class Meter {
  transactions = 0;
  commits = 0;
  bytes = 0;

  async measure(commits: () => number, work: () => Promise<void>): Promise<void> {
    const [commitsBefore, bytesBefore] = [commits(), bytesWritten()];
    await work();
    this.transactions += 1;
    this.commits += commits() - commitsBefore;
    this.bytes += bytesWritten() - bytesBefore;
  }

  get each(): Writes {
    const { transactions, commits, bytes } = this;
    return { transactions, commits: commits / transactions, bytes: bytes / transactions };
  }
}

/** Lets a machine live so many days. The folder is on the disk that is measured. */
export async function liveDays(count: number, base: string): Promise<Days> {
  let commits = 0;
  const options: MachineOptions = {
    base,
    fundSats: FUNDS_SATS,
    cassettes: BAYS,
    commitPlan: {
      after: () => {
        commits += 1;
      },
    },
  };
  const machine = await WholeMachine.inService(options);
  const [cashIn, cashOut] = [new Meter(), new Meter()];
  const days: Day[] = [];
  const [startMs, startVirtualMs] = [nowMs(), machine.clock.monotonic()];
  // Everything has been done once, so that what is loaded and compiled is not counted as growth.
  for (let once = 0; once < WARM_CUSTOMERS; once += 1) {
    await bringNotes(machine);
    await fetchNotes(machine);
  }
  const worldBefore = await worldAlone(machine);
  days.push(lookAt(machine, 0, 0));
  const bytesBefore = bytesWritten();
  for (let day = 1; day <= count; day += 1) {
    await liveDay(machine, day, () => commits, { cashIn, cashOut });
    days.push(lookAt(machine, day, cashIn.transactions + cashOut.transactions));
    const { heap, database } = days.at(-1) ?? { heap: 0, database: 0 };
    process.stderr.write(`day ${day}: heap ${heap}, database ${database}\n`);
  }
  const bytes = bytesWritten() - bytesBefore;
  const seconds = (nowMs() - startMs) / 1_000;
  const virtualSeconds = (machine.clock.monotonic() - startVirtualMs) / 1_000;
  const owed = machine.running.service.obligations();
  const { problems } = machine.running.store.verify();
  const worldGrowth = (await worldAlone(machine)) - worldBefore;
  await machine.stop();
  if (owed.length > 0) throw new Error(`something is owed: ${JSON.stringify(owed)}`);
  if (problems.length > 0) throw new Error(problems.join('; '));
  return {
    ...{ days, worldGrowth, cashIn: cashIn.each, cashOut: cashOut.each },
    idleBytesADay: (bytes - cashIn.bytes - cashOut.bytes) / count,
    timesRealTime: virtualSeconds / seconds,
    transactionsPerSecond: (cashIn.transactions + cashOut.transactions) / seconds,
  };
}

/** The heap while the machine is off for a moment: the wallet's books, relays, devices. */
async function worldAlone(machine: WholeMachine): Promise<number> {
  await machine.clock.resolve(machine.running.stop());
  machine.abandon();
  const heap = heapUsed();
  machine.start();
  await machine.until(({ cashIn, cashOut }) => cashIn.open && cashOut.open, 'in service again');
  return heap;
}

/** Customers every hour, somebody who fills the bays in the evening, and the nightly backup. */
async function liveDay(
  machine: WholeMachine,
  day: number,
  commits: () => number,
  meters: Readonly<Record<'cashIn' | 'cashOut', Meter>>,
): Promise<void> {
  const endMs = machine.clock.monotonic() + 24 * HOUR_MS;
  for (let hour = 0; hour < 24; hour += 1) {
    const hourMs = machine.clock.monotonic() + 0.9 * HOUR_MS;
    for (let one = 0; one < CASH_INS_A_DAY / 24; one += 1) {
      await meters.cashIn.measure(commits, () => bringNotes(machine));
    }
    if (hour % (24 / CASH_OUTS_A_DAY) === 0) {
      await meters.cashOut.measure(commits, () => fetchNotes(machine));
    }
    await machine.clock.advance(Math.max(0, hourMs - machine.clock.monotonic()));
  }
  await fillBays(machine, day);
  await machine.clock.resolve(machine.running.service.backup());
  await machine.clock.advance(Math.max(0, endMs - machine.clock.monotonic()));
}

async function bringNotes(machine: WholeMachine): Promise<void> {
  const lnurl = await machine.deposit(20, 20);
  machine.keeper.claim(lnurl);
  await leaveWith(machine, 'claimed');
}

async function fetchNotes(machine: WholeMachine): Promise<void> {
  machine.keeper.pay(await machine.sell(SALE_MINOR));
  await leaveWith(machine, 'dispensed');
}

async function leaveWith(machine: WholeMachine, wanted: string): Promise<void> {
  await machine.until(({ session }) => session?.outcome?.code === wanted, wanted);
  await machine.leave();
}

async function fillBays(machine: WholeMachine, day: number): Promise<void> {
  const contents: Record<string, { denomination: number; count: number }> = {};
  for (const [position, { denomination, count: least }] of Object.entries(BAYS)) {
    // Never the same counts twice: a document that says what the last one said moves nothing.
    const count = least + (day % 7);
    machine.dispenser.control({ do: 'cassette', position: Number(position), count });
    contents[position] = { denomination, count };
  }
  machine.validator.control({ do: 'cashbox', present: false, empty: true });
  await machine.clock.advance(60_000);
  machine.validator.control({ do: 'cashbox', present: true });
  await machine.clock.advance(60_000);
  await machine.clock.resolve(machine.keeper.publishCassettes(contents));
  await machine.clock.advance(60_000);
}

function lookAt({ config }: WholeMachine, day: number, transactions: number): Day {
  const { state } = config.paths;
  return {
    ...{ day, transactions, heap: heapUsed(), resident: process.memoryUsage.rss() },
    database: sizeOf(state, 'state.sqlite'),
    backups: sizeOf(join(state, 'backups')),
  };
}
