/**
 * The power goes, or the program dies, or one byte is lost, at every single byte of the way of one
 * note. Afterwards the note is in one place, what was said of it is true, and it was credited once.
 */
import { expect, test } from 'vitest';
import type { CableDamage, CableDirection } from '#hal/simulator/cable.ts';
import type { EbdsDeviceOptions } from '#hal/simulator/ebds/device.ts';
import { ebdsOptions } from '#hal/simulator/ebds/protocol.ts';
import type { MinorUnits } from '#protocol/base/money.ts';
import { Bench, type BenchOptions, commandOf, count, dollars } from './bench.ts';

/** What an agent keeps on disk about the one note. */
type Journal = 'nothing' | 'intended' | 'deposited' | 'returned' | 'unknown';

const FAST: EbdsDeviceOptions = {
  // A short table, so that each of the many starts is quick.
  notes: [5, 20].map((denomination, at) => ({ index: at + 1, currency: 'USD', denomination })),
  timings: { initialiseMs: 400, acceptMs: 200, leverMs: 150, stackMs: 200, returnMs: 200 },
};

/** A small agent: it journals before it acts, and after a break it asks the device. */
class Agent {
  readonly bench: Bench;
  journal: Journal = 'nothing';
  credits = 0;
  /** The life in which the deposit was intended; another knows of it from the disk alone. */
  #intendedIn = 0;
  #life = 0;

  constructor(bench: Bench) {
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
    for (let attempt = 0; attempt < 10; attempt++) {
      await bench.clock.advance(2500);
      if (bench.acceptor.status().device === 'ready') return;
      if (bench.acceptor.status().device === 'offline') continue;
      const { note } = await bench.run(bench.acceptor.initialise());
      if (note === 'deposited') await this.credit();
      const isLeft = this.journal === 'intended' && this.#intendedIn !== this.#life;
      if (note === 'returned' && (isLeft || this.journal === 'unknown')) this.journal = 'returned';
      // Nothing inside and nothing said proves nothing of a note that was to be stacked.
      else if (isLeft && note !== 'deposited') this.journal = 'unknown';
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
    this.#intendedIn = life;
    const outcome = await this.bench.acceptor.deposit().catch(() => undefined);
    if (life !== this.#life) return;
    if (outcome?.kind === 'deposited') await this.credit();
    else if (outcome && !this.#isDeposited()) this.journal = outcome.kind;
  }
}

async function startedBench(options: BenchOptions): Promise<Agent> {
  const bench = await new Bench(options).start();
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
  options: BenchOptions,
): Promise<Record<CableDirection, [from: number, to: number]>> {
  const agent = await startedBench(options);
  const { cable } = agent.bench;
  const from = { toDevice: cable.passed('toDevice').bytes, toHost: cable.passed('toHost').bytes };
  await passOneNote(agent);
  expect(agent.journal).toBe('deposited');
  return {
    toDevice: [from.toDevice, cable.passed('toDevice').bytes],
    toHost: [from.toHost, cable.passed('toHost').bytes],
  };
}

function expectTruth(agent: Agent, cut: string): void {
  const { path, cashbox, customer } = agent.bench.device.truth();
  expect({ cut, inside: count(path) }).toEqual({ cut, inside: 0 });
  expect({ cut, places: count(cashbox) + count(customer) }).toEqual({ cut, places: 1 });
  expect(agent.credits).toBeLessThanOrEqual(count(cashbox));
  if (agent.journal === 'deposited') expect({ cut, cashbox }).toEqual({ cut, cashbox: { 20: 1 } });
  if (agent.journal === 'returned') expect({ cut, customer }).toEqual({ cut, customer: { 20: 1 } });
  expect({ cut, open: agent.journal === 'intended' }).toEqual({ cut, open: false });
  expect({ cut, stacks: agent.bench.sent('stack') <= 1 }).toEqual({ cut, stacks: true });
}

async function expectWorks(agent: Agent): Promise<void> {
  const { bench } = agent;
  await bench.run(bench.acceptor.accept([dollars(5)]));
  bench.insert(20);
  await bench.heard('note.refused');
}

type Damage = (agent: Agent) => CableDamage;

const DIRECTIONS: readonly CableDirection[] = ['toDevice', 'toHost'];

/** One run for every byte; gives what was journaled in the end, and how often. */
async function atEveryByte(options: BenchOptions, damage: Damage): Promise<Map<Journal, number>> {
  const ranges = await bytesOfOneNote(options);
  const ends = new Map<Journal, number>();
  for (const direction of DIRECTIONS) {
    const [from, to] = ranges[direction];
    for (let nth = from; nth < to; nth++) {
      const agent = await startedBench(options);
      agent.bench.cable.addFault({ direction, unit: 'byte', nth, ...damage(agent) });
      await passOneNote(agent);
      await agent.recover();
      // The bound of a deposit, where nothing else ends it.
      await agent.bench.clock.advance(agent.journal === 'intended' ? 20_000 : 2000);
      expectTruth(agent, `${direction} ${nth - from}`);
      await expectWorks(agent);
      await agent.bench.run(agent.bench.acceptor.close());
      ends.set(agent.journal, (ends.get(agent.journal) ?? 0) + 1);
    }
  }
  return ends;
}

const powerCut: Damage = ({ bench }) => ({
  do: 'cut',
  task: () => {
    bench.device.control({ do: 'power', on: false });
    bench.clock.after(3000, () => bench.device.control({ do: 'power', on: true }));
  },
});

const programDies: Damage = (agent) => ({
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

const USUAL: BenchOptions = { device: FAST, driver: { pollMs: 200 } };
const NUMBERED: BenchOptions = {
  ...USUAL,
  device: { ...FAST, ...ebdsOptions('apex-7000', { currency: 'USD' }) },
};

test.each([
  ['b', true],
  ['b', false],
  ['a', true],
  ['c', true],
] as const)(
  'a power cut at every byte; the unit keeps to policy %s, and tells the credit then: %s',
  async (policy, reportsCreditAfterPowerUp) => {
    const fixed = policy === 'b' ? {} : { fixedPolicy: policy };
    const device = { ...FAST, ...fixed, reportsCreditAfterPowerUp };
    const ends = await atEveryByte({ ...USUAL, device }, powerCut);
    expect(ends.get('deposited')).toBeGreaterThan(20);
    expect(ends.get('returned')).toBeGreaterThan(10);
    // Past escrow without a credit: only a unit that tells its value can prove where the note went.
    const isToldAll = policy === 'b' && reportsCreditAfterPowerUp;
    if (isToldAll) expect(ends.get('unknown')).toBeUndefined();
    else expect(ends.get('unknown')).toBeGreaterThan(10);
  },
);

test.each([
  ['described notes', USUAL],
  ['numbered notes', NUMBERED],
])('the program dies at every byte: %s', async (_notes, options) => {
  const ends = await atEveryByte(options, programDies);
  expect(ends.get('deposited')).toBeGreaterThan(20);
});

test.each([
  ['drop', USUAL],
  ['flip', NUMBERED],
  ['double', USUAL],
] as const)('one byte is spoilt: %s', async (kind, options) => {
  const ends = await atEveryByte(options, () => ({ do: kind }));
  expect(ends.get('unknown')).toBeUndefined();
});

test('one byte is late by half a second', async () => {
  const ends = await atEveryByte(USUAL, () => ({ do: 'delay', ms: 500 }));
  expect(ends.get('unknown')).toBeUndefined();
});

test('every command says power-up policy B, from the first poll on', async () => {
  const bench = await new Bench().start();
  await bench.escrow(20);
  await bench.deposit();
  const policies = bench.port.sent.flatMap((hex) => {
    const command = commandOf(hex);
    if (command.startsWith('auxiliary')) return [];
    // The third of the settings; in an extended command they begin one byte further on.
    const at = command.startsWith('extended') ? 12 : 10;
    return [Number.parseInt(hex.slice(at, at + 2), 16) & 0x0c];
  });
  expect(policies.length).toBeGreaterThan(20);
  expect(new Set(policies)).toEqual(new Set([0x04]));
});

/** What is known after a power cut at this moment, on a unit with these habits. */
test.each([
  ['powerCutAtStack', {}, 'noteInAcceptor', 'returned', 1],
  ['powerCutAtStack', { showsHeldNote: true }, 'noteInAcceptor', 'returned', 0],
  ['powerCutAtStack', { fixedPolicy: 'a' }, 'noteInAcceptor', 'returned', 0],
  ['powerCutBeforeCredit', {}, 'creditPending', 'deposited', 0],
  ['powerCutBeforeCredit', { reportsCreditAfterPowerUp: false }, 'unknown', 'unknown', 0],
  ['powerCutBeforeCredit', { fixedPolicy: 'c' }, 'unknown', 'unknown', 0],
] as const)('what is known after %s (%j)', async (fault, device, powerUp, note, resets) => {
  const bench = await new Bench({ device }).start();
  await bench.escrow(20);
  bench.fault(fault);
  expect(await bench.deposit()).toMatchObject({ kind: 'unknown' });
  bench.device.control({ do: 'power', on: true });
  await bench.clock.until(() => bench.acceptor.status().device !== 'offline');
  await bench.clock.advance(500);
  expect(bench.acceptor.status().powerUp).toBe(powerUp);
  expect(await bench.initialise()).toMatchObject({ note });
  if (note === 'deposited') await bench.run(bench.acceptor.confirmDeposit());
  if (note === 'deposited') expect(await bench.initialise()).toMatchObject({ note: 'none' });
  expect(bench.acceptor.status()).toMatchObject({ device: 'ready', powerUp: 'none' });
  expect(bench.sent('reset')).toBe(resets);
  expect(bench.device.violations()).toEqual([]);
  bench.expectConserved();
});

test('a note that no reset brings out stays a fault, until hands have taken it', async () => {
  const bench = await new Bench({ device: { resetGivesBack: false } }).start();
  await bench.escrow(20);
  bench.fault('powerCutAtStack');
  await bench.deposit();
  bench.device.control({ do: 'power', on: true });
  await bench.clock.until(() => bench.acceptor.status().device !== 'offline');
  expect(await bench.initialise()).toMatchObject({ device: 'fault', note: 'unknown' });
  expect(bench.acceptor.status().fault?.text).toContain('a note may be held inside');
  bench.device.control({ do: 'take' });
  // Hands may have put it anywhere: the device has not said that it gave it back.
  expect(await bench.initialise()).toMatchObject({ device: 'ready', note: 'unknown' });
  bench.expectConserved();
});

test.each([false, true])(
  'the power goes between credit and confirmation, told again: %s: one credit',
  async (reportsCreditAfterPowerUp) => {
    const bench = await new Bench({ device: { reportsCreditAfterPowerUp } }).start();
    await bench.escrow(20);
    bench.fault('powerCutAfterCredit');
    expect(await bench.deposit()).toMatchObject({ kind: 'deposited' });
    await bench.clock.advance(4000);
    bench.device.control({ do: 'power', on: true });
    await bench.clock.until(() => bench.acceptor.status().device === 'attention');
    expect(await bench.initialise()).toMatchObject({ device: 'attention', note: 'none' });
    await bench.run(bench.acceptor.confirmDeposit());
    expect((await bench.initialise()).device).toBe('ready');
    expect(bench.credits).toEqual(['deposit']);
    expect(bench.told('credit.unexpected')).toEqual([]);
    bench.expectConserved();
  },
);

test('a credit told to a program that died: told again or not, never twice, never lost unsaid', async () => {
  const notes = new Map<string, number>();
  for (let waitMs = 0; waitMs < 10; waitMs++) {
    const bench = await new Bench().start();
    // The ACK bit of the reply that tells of the credit is a matter of when.
    await bench.clock.advance(waitMs * 100);
    await bench.escrow(20);
    await bench.run(bench.acceptor.deposit());
    await bench.run(bench.acceptor.close());
    bench.boot();
    await bench.run(bench.acceptor.open());
    const { powerUp } = bench.acceptor.status();
    const { note } = await bench.initialise();
    expect(powerUp).toBe(note === 'deposited' ? 'creditPending' : 'none');
    notes.set(note, (notes.get(note) ?? 0) + 1);
    await bench.run(bench.acceptor.confirmDeposit());
    await bench.clock.advance(1000);
    expect(await bench.initialise()).toMatchObject({ device: 'ready', note: 'none' });
    expect(bench.told('credit.unexpected')).toEqual([]);
    bench.expectConserved();
  }
  expect([...notes.keys()].sort()).toEqual(['deposited', 'none']);
});

test('left alone it takes a further note; that does not pass for the first one', async () => {
  const bench = await new Bench({ device: { timings: { hostTimeoutMs: 5000 } } }).start();
  await bench.escrow(20);
  void bench.acceptor.deposit();
  await bench.clock.advance(50);
  await bench.run(bench.acceptor.close());
  await bench.clock.advance(1000);
  bench.insert(20);
  await bench.clock.advance(8000);
  bench.boot();
  await bench.run(bench.acceptor.open(), 30_000);
  const { note } = await bench.initialise();
  expect(bench.device.truth()).toMatchObject({ cashbox: { '20': 1 }, customer: { '20': 1 } });
  expect(note).toBe('unknown');
});
