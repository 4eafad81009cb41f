/**
 * The power goes, or the program dies, or one byte is lost, at every single byte of the way of one
 * note. Afterwards the note is in one place, what was said of it is true, and it was credited once.
 */
import { describe, expect, test } from 'vitest';
import type { AcceptorBaseline } from '#hal/cash-acceptor.ts';
import type { CableDamage, CableDirection } from '#hal/simulator/cable.ts';
import type { SspDeviceOptions } from '#hal/simulator/ssp/device.ts';
import type { SspHabits } from '#hal/simulator/ssp/mechanism.ts';
import type { MinorUnits } from '#protocol/base/money.ts';
import { count, dollars, MODELS, Rig } from './rig.ts';

/** What an agent keeps on disk about the one note. */
type Journal = 'nothing' | 'intended' | 'deposited' | 'returned' | 'unknown';

const FAST: SspDeviceOptions = {
  timings: { startMs: 400, initialiseMs: 300, readMs: 250, creditMs: 150, stackMs: 250 },
};

/** A small agent: it journals before it acts, and after a break it asks the device. */
class Agent {
  readonly rig: Rig;
  journal: Journal = 'nothing';
  credits = 0;
  #baseline: AcceptorBaseline | undefined;
  #life = 0;

  constructor(rig: Rig) {
    this.rig = rig;
  }

  /** A credit counts only for an intent that is not settled as deposited yet. */
  async credit(): Promise<void> {
    if (this.journal !== 'deposited') this.credits++;
    this.journal = 'deposited';
    await this.rig.acceptor.confirmDeposit();
  }

  /** What is under way in this life never comes back to it. */
  dies(): void {
    this.#life++;
  }

  listen(): void {
    const life = this.#life;
    this.rig.acceptor.subscribe((event) => {
      if (life !== this.#life) return;
      if (event.kind === 'note.escrowed') void this.#onEscrow(event.value);
      if (event.kind === 'credit.unexpected') void this.credit();
      if (event.kind === 'note.returned' && this.journal === 'unknown') this.journal = 'returned';
    });
  }

  /** Until the device can work: what it says of the note settles what is open. */
  async recover(): Promise<void> {
    const { rig } = this;
    for (let attempt = 0; attempt < 12; attempt++) {
      await rig.clock.advance(2500);
      if (rig.acceptor.status().device === 'ready') return;
      if (rig.acceptor.status().device === 'offline') continue;
      const since = this.journal === 'intended' ? this.#baseline : undefined;
      const { note } = await rig.run(rig.acceptor.initialise(since));
      if (note === 'deposited') await this.credit();
      const isOpen = this.journal === 'intended' || this.journal === 'unknown';
      if (note === 'returned' && isOpen) this.journal = 'returned';
      else if (note !== 'deposited' && this.journal === 'intended') this.journal = 'unknown';
    }
    expect(rig.acceptor.status().device).toBe('ready');
  }

  #isDeposited(): boolean {
    return this.journal === 'deposited';
  }

  async #onEscrow(value: MinorUnits): Promise<void> {
    expect(value).toBe(dollars(20));
    // A crash between the intent and the command leaves the intent alone on disk.
    const life = this.#life;
    this.journal = 'intended';
    this.#baseline = this.rig.acceptor.baseline();
    const outcome = await this.rig.acceptor.deposit().catch(() => undefined);
    if (life !== this.#life) return;
    if (outcome?.kind === 'deposited') await this.credit();
    else if (outcome && !this.#isDeposited()) this.journal = outcome.kind;
  }
}

type Model = (typeof MODELS)[number];

async function startedAgent(model: Model, device: SspDeviceOptions): Promise<Agent> {
  const rig = await new Rig({ model, device }).start();
  await rig.clock.advance(500);
  const agent = new Agent(rig);
  agent.listen();
  return agent;
}

/** Inserts the note and lets everything come to rest. */
async function passOneNote(agent: Agent): Promise<void> {
  agent.rig.insert(20);
  await agent.rig.clock.advance(1300);
}

/** How many bytes go each way from the insertion on, and how many went before. */
async function bytesOfOneNote(
  model: Model,
): Promise<Record<CableDirection, [from: number, to: number]>> {
  const agent = await startedAgent(model, FAST);
  const { cable } = agent.rig;
  const from = { toDevice: cable.passed('toDevice').bytes, toHost: cable.passed('toHost').bytes };
  await passOneNote(agent);
  expect(agent.journal).toBe('deposited');
  return {
    toDevice: [from.toDevice, cable.passed('toDevice').bytes],
    toHost: [from.toHost, cable.passed('toHost').bytes],
  };
}

function expectTruth(agent: Agent, cut: string): void {
  const { path, cashbox, customer } = agent.rig.device.truth();
  expect({ cut, inside: count(path) }).toEqual({ cut, inside: 0 });
  expect({ cut, places: count(cashbox) + count(customer) }).toEqual({ cut, places: 1 });
  expect(agent.credits).toBeLessThanOrEqual(count(cashbox));
  if (agent.journal === 'deposited') expect({ cut, cashbox }).toEqual({ cut, cashbox: { 20: 1 } });
  if (agent.journal === 'returned') expect({ cut, customer }).toEqual({ cut, customer: { 20: 1 } });
  expect({ cut, open: agent.journal === 'intended' }).toEqual({ cut, open: false });
  // No note is ever taken without an intent.
  if (agent.journal === 'nothing') expect({ cut, cashbox }).toEqual({ cut, cashbox: {} });
}

async function expectWorks(agent: Agent): Promise<void> {
  const { rig } = agent;
  await rig.run(rig.acceptor.accept([dollars(5)]));
  rig.insert(20);
  await rig.heard('note.refused');
}

type Damage = (agent: Agent) => CableDamage;

const DIRECTIONS: readonly CableDirection[] = ['toDevice', 'toHost'];

/** One run for every byte; gives what was journaled in the end, and how often. */
async function atEveryByte(
  model: Model,
  damage: Damage,
  habits: Partial<SspHabits> = {},
): Promise<Map<Journal, number>> {
  const ranges = await bytesOfOneNote(model);
  const ends = new Map<Journal, number>();
  for (const direction of DIRECTIONS) {
    const [from, to] = ranges[direction];
    // A packet's bytes are all alike; one or two of its 22 show as much.
    for (let nth = from; nth < to; nth += model === 'essp' ? 17 : 1) {
      const agent = await startedAgent(model, { ...FAST, habits });
      agent.rig.cable.addFault({ direction, unit: 'byte', nth, ...damage(agent) });
      await passOneNote(agent);
      await agent.recover();
      // The bound of a deposit, where nothing else ends it.
      await agent.rig.clock.advance(agent.journal === 'intended' ? 20_000 : 2500);
      expectTruth(agent, `${direction} ${nth - from}`);
      await expectWorks(agent);
      await agent.rig.run(agent.rig.acceptor.close());
      ends.set(agent.journal, (ends.get(agent.journal) ?? 0) + 1);
    }
  }
  return ends;
}

const powerCut: Damage = ({ rig }) => ({
  do: 'cut',
  task: () => {
    rig.device.control({ do: 'power', on: false });
    rig.clock.after(3000, () => rig.device.control({ do: 'power', on: true }));
  },
});

const programDies: Damage = (agent) => ({
  do: 'cut',
  task: () => {
    const { rig } = agent;
    const dead = rig.acceptor;
    // Nothing of the dead program is heard any more; what is on its disk stays.
    agent.dies();
    void dead.close();
    rig.clock.after(1000, () => {
      rig.boot();
      agent.listen();
      void rig.acceptor.open();
    });
  },
});

const cableIsPulled: Damage = ({ rig }) => ({
  do: 'cut',
  task: () => {
    rig.cable.unplug();
    rig.clock.after(3000, () => rig.cable.plug());
  },
});

describe.each(MODELS)('%s', (model) => {
  test.each([
    { knowsChannelAtPowerUp: true, clearsCreditedNotes: true },
    { knowsChannelAtPowerUp: false, remembersCredit: true },
    { clearsCreditedNotes: false },
  ])('a power cut at every byte, with %o', async (habits) => {
    const ends = await atEveryByte(model, powerCut, habits);
    expect(ends.get('deposited')).toBeGreaterThan(10);
    expect(ends.get('returned')).toBeGreaterThan(2);
    // E1 and E2 say where the note went; and what was stacked before the cut is in the counters.
    expect(ends.get('unknown') ?? 0).toBeLessThan(habits.clearsCreditedNotes === false ? 30 : 1);
  });

  test('the program dies at every byte', async () => {
    const ends = await atEveryByte(model, programDies);
    expect(ends.get('deposited')).toBeGreaterThan(10);
  });

  test('the cable is pulled at every byte', async () => {
    const ends = await atEveryByte(model, cableIsPulled);
    expect(ends.get('deposited')).toBeGreaterThan(10);
    expect(ends.get('unknown')).toBeUndefined();
  });

  test.each(['drop', 'flip', 'double'] as const)('one byte is spoilt: %s', async (kind) => {
    const ends = await atEveryByte(model, () => ({ do: kind }));
    expect([...ends.keys()]).toEqual(['deposited']);
  });

  test('one byte is late by more than the time-out', async () => {
    const ends = await atEveryByte(model, () => ({ do: 'delay', ms: 700 }));
    expect([...ends.keys()]).toEqual(['deposited']);
  });
});
