/**
 * One note goes its way, and at every single byte of it the power goes, or the program dies, or the
 * byte is spoilt. Afterwards the note is in one place, what was said of it is true, and it was
 * credited once.
 */
import { expect } from 'vitest';
import type { AcceptorBaseline, CashAcceptor } from '#hal/cash-acceptor.ts';
import type { CableDamage, CableDirection } from '#hal/simulator/cable.ts';
import type { SimulatedDevice } from '#hal/simulator/device.ts';
import type { MinorUnits } from '#protocol/base/money.ts';
import { type AcceptorBench, count, dollars } from './acceptor-bench.ts';

type AnyBench = AcceptorBench<SimulatedDevice, CashAcceptor>;

/** What an agent keeps on disk about the one note. */
export type Journal = 'nothing' | 'intended' | 'deposited' | 'returned' | 'unknown';

/** The way of a note on one device. */
export interface Way {
  /** A bench that is made anew for every byte. */
  readonly make: () => AnyBench;
  /** How often the deposit command left, of all that was sent, in hex; where it can be seen. */
  readonly stacksSent?: (sent: readonly string[]) => number;
  /** One byte of so many is enough where they are all alike; every one when left out. */
  readonly step?: number;
}

/** A small agent: it journals before it acts, and after a break it asks the device. */
class Agent {
  readonly bench: AnyBench;
  journal: Journal = 'nothing';
  credits = 0;
  /** The counters of before the deposit, on disk with its intent. */
  #baseline: AcceptorBaseline | undefined;
  #life = 0;

  constructor(bench: AnyBench) {
    this.bench = bench;
  }

  /** A credit counts only for an intent that is not settled as deposited yet. */
  async credit(): Promise<void> {
    if (this.journal !== 'deposited') this.credits++;
    this.journal = 'deposited';
    await this.bench.acceptor.confirmDeposit();
  }

  /** What is under way in this life never comes back to it. */
  dies(): void {
    this.#life++;
  }

  listen(): void {
    const life = this.#life;
    this.bench.acceptor.subscribe((event) => {
      if (life !== this.#life) return;
      if (event.kind === 'note.escrowed') void this.#onEscrow(event.value);
      if (event.kind === 'credit.unexpected') void this.credit();
      if (event.kind === 'note.returned' && this.journal === 'unknown') this.journal = 'returned';
    });
  }

  /** Until the device can work: what it says of the note settles what is open. */
  async recover(): Promise<void> {
    const { bench } = this;
    for (let attempt = 0; attempt < 12; attempt++) {
      await bench.clock.advance(2500);
      if (bench.acceptor.status().device === 'ready') return;
      if (bench.acceptor.status().device === 'offline') continue;
      const since = this.journal === 'intended' ? this.#baseline : undefined;
      const { note } = await bench.run(bench.acceptor.initialise(since));
      if (note === 'deposited') await this.credit();
      const isOpen = this.journal === 'intended' || this.journal === 'unknown';
      if (note === 'returned' && isOpen) this.journal = 'returned';
      // Nothing inside and nothing said proves nothing of a note that was to be stacked.
      else if (note !== 'deposited' && this.journal === 'intended') this.journal = 'unknown';
    }
    expect(bench.acceptor.status().device).toBe('ready');
  }

  #isDeposited(): boolean {
    return this.journal === 'deposited';
  }

  async #onEscrow(value: MinorUnits): Promise<void> {
    expect(value).toBe(dollars(20));
    // A crash between the intent and the command leaves the intent alone on disk.
    const life = this.#life;
    this.journal = 'intended';
    this.#baseline = this.bench.acceptor.baseline?.();
    const outcome = await this.bench.acceptor.deposit().catch(() => undefined);
    if (life !== this.#life) return;
    if (outcome?.kind === 'deposited') await this.credit();
    else if (outcome && !this.#isDeposited()) this.journal = outcome.kind;
  }
}

async function startedAgent({ make }: Way): Promise<Agent> {
  const bench = await make().start();
  // Counters are read behind the start.
  await bench.clock.advance(500);
  const agent = new Agent(bench);
  agent.listen();
  return agent;
}

/** Inserts the note and lets everything come to rest. */
async function passOneNote(agent: Agent): Promise<void> {
  agent.bench.insert(20);
  await agent.bench.clock.advance(1500);
}

/** How many bytes go each way from the insertion on, and how many went before. */
async function bytesOfOneNote(
  way: Way,
): Promise<Record<CableDirection, [from: number, to: number]>> {
  const agent = await startedAgent(way);
  const { cable } = agent.bench;
  const from = { toDevice: cable.passed('toDevice').bytes, toHost: cable.passed('toHost').bytes };
  await passOneNote(agent);
  expect(agent.journal).toBe('deposited');
  return {
    toDevice: [from.toDevice, cable.passed('toDevice').bytes],
    toHost: [from.toHost, cable.passed('toHost').bytes],
  };
}

function expectTruth(agent: Agent, { stacksSent }: Way, cut: string): void {
  const { path, cashbox, customer } = agent.bench.device.truth();
  expect({ cut, inside: count(path) }).toEqual({ cut, inside: 0 });
  expect({ cut, places: count(cashbox) + count(customer) }).toEqual({ cut, places: 1 });
  expect(agent.credits).toBeLessThanOrEqual(count(cashbox));
  if (agent.journal === 'deposited') expect({ cut, cashbox }).toEqual({ cut, cashbox: { 20: 1 } });
  if (agent.journal === 'returned') expect({ cut, customer }).toEqual({ cut, customer: { 20: 1 } });
  expect({ cut, open: agent.journal === 'intended' }).toEqual({ cut, open: false });
  // No note is ever taken without an intent.
  if (agent.journal === 'nothing') expect({ cut, cashbox }).toEqual({ cut, cashbox: {} });
  const stacks = stacksSent?.(agent.bench.port.sent) ?? 0;
  expect({ cut, stacks: stacks <= 1 }).toEqual({ cut, stacks: true });
}

async function expectWorks(agent: Agent): Promise<void> {
  const { bench } = agent;
  await bench.run(bench.acceptor.accept([dollars(5)]));
  bench.insert(20);
  await bench.heard('note.refused');
}

/** What happens to the byte, and to whom. */
export type Damage = (agent: Agent) => CableDamage;

const DIRECTIONS: readonly CableDirection[] = ['toDevice', 'toHost'];

/** One run for every byte; gives what was journaled in the end, and how often. */
export async function atEveryByte(way: Way, damage: Damage): Promise<Map<Journal, number>> {
  const ranges = await bytesOfOneNote(way);
  const ends = new Map<Journal, number>();
  for (const direction of DIRECTIONS) {
    const [from, to] = ranges[direction];
    for (let nth = from; nth < to; nth += way.step ?? 1) {
      const agent = await startedAgent(way);
      agent.bench.cable.addFault({ direction, unit: 'byte', nth, ...damage(agent) });
      await passOneNote(agent);
      await agent.recover();
      // The bound of a deposit, where nothing else ends it.
      await agent.bench.clock.advance(agent.journal === 'intended' ? 20_000 : 2500);
      expectTruth(agent, way, `${direction} ${nth - from}`);
      await expectWorks(agent);
      await agent.bench.run(agent.bench.acceptor.close());
      ends.set(agent.journal, (ends.get(agent.journal) ?? 0) + 1);
    }
  }
  return ends;
}

/** The device loses its power for three seconds. */
export const powerCut: Damage = ({ bench }) => ({
  do: 'cut',
  task: () => {
    bench.device.control({ do: 'power', on: false });
    bench.clock.after(3000, () => bench.device.control({ do: 'power', on: true }));
  },
});

/** The program dies, and is there again after a second. */
export const programDies: Damage = (agent) => ({
  do: 'cut',
  task: () => {
    const { bench } = agent;
    const dead = bench.acceptor;
    // Nothing of the dead program is heard any more; what is on its disk stays.
    agent.dies();
    void dead.close();
    bench.clock.after(1000, () => {
      bench.boot();
      agent.listen();
      void bench.acceptor.open();
    });
  },
});

/** The cable is pulled for three seconds. */
export const cableIsPulled: Damage = ({ bench }) => ({
  do: 'cut',
  task: () => {
    bench.cable.unplug();
    bench.clock.after(3000, () => bench.cable.plug());
  },
});
