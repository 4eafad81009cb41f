/**
 * What every validator with escrow promises, in its own words for codes and faults. What is told of
 * each of many troubles over a whole cycle is tried in `scenarios/`.
 */
import { describe, expect, test } from 'vitest';
import type { CashAcceptor } from '#hal/cash-acceptor.ts';
import type { SimulatedDevice } from '#hal/simulator/device.ts';
import { type AcceptorBench, type BenchCable, dollars } from './acceptor-bench.ts';

type AnyBench = AcceptorBench<SimulatedDevice, CashAcceptor>;

/** A fault, and the code that the driver then tells. */
interface Told {
  readonly fault: string;
  readonly code: string;
}

/** One kind of device. */
export interface Promised {
  readonly make: (cable?: BenchCable) => AnyBench;
  /** What a note of a value that is not open is refused with. */
  readonly inhibited: { readonly reason: string; readonly code: string };
  /** The device gives the note in escrow back after so many milliseconds. */
  readonly givesBack: string;
  /** A jam before escrow. */
  readonly jam: Told;
  /** A jam behind it, and the words of it. */
  readonly jamStacking: Told & { readonly words: string };
  /** The cash box is full with the next note. */
  readonly full?: string;
  /** The code while a second note is in the way. */
  readonly paused?: string;
  /** A note in escrow is still there after the cable was unplugged for a second. */
  readonly keepsNote?: boolean;
}

/** The same for those that say one state at a time, and that RETURN was heard. */
export interface StatePromised {
  readonly make: (device: {
    readonly timings?: { readonly escrowTimeoutMs: number };
    /** After a power cut past escrow the device says the credit again. */
    readonly creditAfterPowerUpInStacker?: boolean;
  }) => AnyBench;
  readonly stack: { readonly code: number; readonly hex: string };
  readonly returnCode: number;
  /** The confirmation of a credit. */
  readonly ack: number;
  /** The state in which a note goes back. */
  readonly returning: string;
  /** Ways in which STACK is not carried out, each with its value. */
  readonly notCarriedOut: readonly (readonly [fault: string, value: number])[];
  /** The device does not understand. */
  readonly notUnderstood: string;
  readonly decisionLimitMs: number;
  readonly rejecting: string;
  readonly reasons: Readonly<Record<string, { readonly reason: string }>>;
  readonly cheat: string;
}

/** Plays what is promised on one kind of device. */
export function playPromises(name: string, what: Promised): void {
  describe(`promised by every validator: ${name}`, () => {
    playDecisions(what);
    playFaults(what);
    playLine(what);
  });
}

function playDecisions({ make, inhibited, givesBack }: Promised): void {
  test('gives a note back when asked', async () => {
    const bench = await make().start();
    await bench.escrow(50);
    expect(await bench.returnNote()).toMatchObject({ kind: 'returned' });
    expect(bench.device.truth().customer).toEqual({ '50': 1 });
    expect(bench.told('note.returned')).toEqual([]);
    await expect(bench.acceptor.returnNote()).rejects.toMatchObject({ code: 'sequenceError' });
    await expect(bench.acceptor.deposit()).rejects.toMatchObject({ code: 'sequenceError' });
    expect(bench.device.violations()).toEqual([]);
  });

  test('a value that is not accepted never comes to escrow', async () => {
    const bench = await make().start([dollars(5), dollars(20)]);
    for (const value of [1, 10, 50, 100]) {
      bench.insert(value);
      await bench.heard('note.refused');
      expect(bench.told('note.refused').at(-1)).toMatchObject(inhibited);
      await bench.clock.advance(2000);
    }
    expect(bench.told('note.escrowed')).toEqual([]);
    for (const value of [5, 20]) {
      await bench.escrow(value);
      await bench.returnNote();
      await bench.clock.advance(500);
    }
    await bench.run(bench.acceptor.accept([]));
    expect(() => bench.insert(20)).toThrow('disabled');
    expect(bench.device.violations()).toEqual([]);
  });

  test('closing waits for the note inside, and a later wish replaces an earlier one', async () => {
    const bench = await make().start();
    await bench.escrow(20);
    const first = bench.acceptor.accept([dollars(5)]);
    const replaced = expect(first).rejects.toMatchObject({ code: 'canceled' });
    const second = bench.acceptor.accept([]);
    await bench.clock.advance(1000);
    await bench.deposit();
    await bench.run(bench.acceptor.confirmDeposit());
    await bench.run(second);
    await replaced;
    expect(() => bench.insert(20)).toThrow('disabled');
    expect(bench.device.violations()).toEqual([]);
  });

  test('a note that the device itself gives back is told, once', async () => {
    const bench = await make().start();
    bench.fault(givesBack, 3000);
    await bench.escrow(20);
    await bench.heard('note.returned', 10_000);
    await bench.clock.advance(3000);
    expect(bench.told('note.returned')).toHaveLength(1);
    await expect(bench.acceptor.deposit()).rejects.toMatchObject({ code: 'sequenceError' });
  });
}

function playFaults({ make, jam, jamStacking, full, paused }: Promised): void {
  test('a jam before escrow is a fault until cleared and reset', async () => {
    const bench = await make().start();
    bench.fault(jam.fault);
    bench.insert(20);
    await bench.heard('device.failed');
    await bench.clock.advance(500);
    const fault = { code: jam.code };
    expect(bench.acceptor.status()).toMatchObject({ device: 'fault', fault });
    expect((await bench.initialise()).device).toBe('fault');
    bench.device.control({ do: 'take' });
    expect(await bench.initialise()).toMatchObject({ device: 'ready', note: 'unknown' });
    bench.expectConserved();
  });

  test('a jam while stacking leaves the outcome open', async () => {
    const bench = await make().start();
    bench.fault(jamStacking.fault);
    await bench.escrow(20);
    const outcome = await bench.deposit();
    expect(outcome).toMatchObject({ kind: 'unknown' });
    expect(outcome.evidence).toContain(jamStacking.words);
    await bench.clock.advance(300);
    const fault = { code: jamStacking.code };
    expect(bench.acceptor.status()).toMatchObject({ device: 'fault', fault });
    bench.expectConserved();
  });

  if (full !== undefined) testFull(make, full);
  if (paused !== undefined) testPause(make, paused);
}

function playLine({ make, keepsNote }: Promised): void {
  test('unplugged in a deposit: unknown at once, and the credit comes afterwards', async () => {
    const bench = await make().start();
    await bench.escrow(20);
    const deposit = bench.deposit();
    await bench.clock.advance(100);
    bench.cable.unplug();
    expect(await deposit).toMatchObject({ kind: 'unknown' });
    expect(bench.acceptor.status().device).toBe('offline');
    await bench.clock.advance(5000);
    bench.cable.plug();
    await bench.heard('credit.unexpected', 5000);
    const credit = { kind: 'credit.unexpected', value: dollars(20) };
    expect(bench.told('credit.unexpected')).toEqual([credit]);
    await bench.run(bench.acceptor.confirmDeposit());
    await bench.clock.advance(2000);
    await bench.escrow(5);
    bench.expectConserved();
  });

  if (keepsNote) testKept(make);

  test('a port that is not there, or held by another, or silent, says so', async () => {
    const bench = make();
    bench.cable.unplug();
    await expect(bench.acceptor.open()).rejects.toMatchObject({ code: 'notFound' });
    bench.cable.lock();
    await expect(bench.acceptor.open()).rejects.toMatchObject({ code: 'locked' });
    bench.cable.plug();
    bench.device.control({ do: 'power', on: false });
    await expect(bench.run(bench.acceptor.open())).rejects.toMatchObject({ code: 'timeOut' });
    bench.device.control({ do: 'power', on: true });
    await bench.clock.advance(5000);
    await bench.run(bench.acceptor.open());
    expect(bench.acceptor.status().device).toBe('attention');
  });

  test('silence is noticed within 2 s, and the device is found again', async () => {
    const bench = await make().start();
    bench.fault('deaf', undefined, 1_000_000);
    const startedMs = bench.clock.monotonic();
    await bench.clock.until(() => bench.acceptor.status().device === 'offline');
    expect(bench.clock.monotonic() - startedMs).toBeLessThan(2000);
    expect(bench.told('device.failed')).toHaveLength(1);
    await expect(bench.acceptor.accept([])).rejects.toMatchObject({ code: 'deviceNotReady' });
    await bench.clock.advance(4000);
    bench.fault('deaf', undefined, 0);
    await bench.clock.until(() => bench.acceptor.status().device === 'ready', 5000);
    // To be asked who it is it may have been switched off.
    await bench.clock.advance(1000);
    await bench.escrow(20);
  });

  test('in case the adapter has hung itself up, the port is opened anew', async () => {
    const bench = await make().start();
    bench.fault('deaf', undefined, 1_000_000);
    await bench.clock.advance(40_000);
    expect(bench.port.opened).toBeGreaterThan(1);
    bench.fault('deaf', undefined, 0);
    await bench.clock.until(() => bench.acceptor.status().device !== 'offline', 5000);
  });

  test('paced at line speed and split into single bytes it works the same', async () => {
    const split = (length: number) => Array.from({ length }, () => 1);
    const bench = await make({ paced: true, split }).start();
    await bench.escrow(20);
    expect(await bench.deposit()).toMatchObject({ kind: 'deposited', value: dollars(20) });
    await bench.run(bench.acceptor.confirmDeposit());
    await bench.clock.advance(2000);
    await bench.escrow(5);
    expect(bench.device.violations()).toEqual([]);
  });
}

function testFull(make: Promised['make'], full: string): void {
  test('a full cash box shows after the credit', async () => {
    const bench = await make().start();
    bench.fault(full);
    await bench.escrow(20);
    expect(await bench.deposit()).toMatchObject({ kind: 'deposited' });
    await bench.run(bench.acceptor.confirmDeposit());
    await bench.clock.advance(1000);
    expect(bench.acceptor.status()).toMatchObject({ device: 'fault', cashBox: 'full' });
    expect((await bench.initialise()).device).toBe('fault');
    bench.device.control({ do: 'cashbox', present: true, empty: true });
    expect((await bench.initialise()).device).toBe('ready');
    bench.expectConserved(1);
  });
}

function testPause(make: Promised['make'], code: string): void {
  test('a second note pauses a deposit and does not end it', async () => {
    const bench = await make().start();
    await bench.escrow(20);
    bench.fault('pause', 4000);
    await bench.clock.advance(500);
    const fault = { code };
    expect(bench.acceptor.status()).toMatchObject({ device: 'fault', fault });
    expect(await bench.deposit()).toMatchObject({ kind: 'deposited' });
    expect(bench.device.violations()).toEqual([]);
  });
}

function testKept(make: Promised['make']): void {
  test('unplugged with a note in escrow: it is still the same', async () => {
    const bench = await make().start();
    await bench.escrow(20);
    bench.cable.unplug();
    await expect(bench.acceptor.deposit()).rejects.toMatchObject({ code: 'sequenceError' });
    await bench.clock.advance(1000);
    bench.cable.plug();
    await bench.clock.until(() => bench.acceptor.status().device === 'ready');
    expect(bench.told('note.escrowed')).toHaveLength(1);
    expect(await bench.deposit()).toMatchObject({ kind: 'deposited' });
    expect(bench.device.violations()).toEqual([]);
  });
}

/** Plays what those promise that say one state at a time. */
export function playStatePromises(what: StatePromised): void {
  playStack(what);
  playPowerCuts(what);
  const { make, rejecting, reasons, cheat, ack } = what;

  test.each(Object.entries(reasons))('tells reject reason %s', async (code, { reason }) => {
    const bench = await make({}).start();
    bench.fault('reject', Number(code));
    bench.insert(20);
    await bench.heard('note.refused');
    const hex = Number(code).toString(16).toUpperCase();
    const refused = { kind: 'note.refused', reason, code: `${rejecting}:${hex}` };
    expect(bench.events.at(-1)).toEqual(refused);
    await bench.clock.advance(2000);
    expect(bench.told('note.refused')).toHaveLength(1);
    expect(bench.device.truth().customer).toEqual({ '20': 1 });
  });

  test('a note pulled back while it is stacked is no deposit', async () => {
    const bench = await make({}).start();
    bench.fault('cheat');
    await bench.escrow(100);
    expect(await bench.deposit()).toMatchObject({ kind: 'unknown' });
    expect(bench.told('fraud.attempted')).toEqual([{ kind: 'fraud.attempted', code: cheat }]);
    const fault = { code: cheat };
    expect(bench.acceptor.status()).toMatchObject({ device: 'attention', fault });
    expect((await bench.initialise()).device).toBe('ready');
    bench.expectConserved();
  });

  test('a lost ACK of the credit is said again and credits nothing', async () => {
    const bench = await make({}).start();
    await bench.escrow(20);
    await bench.deposit();
    bench.fault('deaf', ack);
    await bench.run(bench.acceptor.confirmDeposit());
    await bench.clock.advance(1000);
    expect(bench.told('credit.unexpected')).toEqual([]);
    expect(bench.device.violations()).toEqual([]);
    await bench.escrow(20);
  });
}

function playStack(what: StatePromised): void {
  const { make, stack, returning } = what;

  test('STACK never leaves once the device has said that the note goes back', async () => {
    let returned = 0;
    for (let decideMs = 2900; decideMs <= 3150; decideMs += 2) {
      const bench = await make({}).start();
      bench.fault('escrowTimeout', 3000);
      await bench.escrow(20);
      await bench.clock.advance(decideMs);
      const outcome = await bench.deposit().catch(() => undefined);
      bench.expectConserved();
      const chunks = bench.port.recording().map(({ hex }) => hex);
      const stackAt = chunks.indexOf(stack.hex);
      const returningAt = chunks.indexOf(returning);
      if (stackAt >= 0 && returningAt >= 0) expect(stackAt).toBeLessThan(returningAt);
      if (outcome?.kind === 'returned') returned++;
      else if (outcome) expect(outcome.kind).toBe('deposited');
    }
    expect(returned).toBeGreaterThan(10);
  });

  test('a lost ACK of STACK changes nothing', async () => {
    const bench = await make({}).start();
    await bench.escrow(20);
    bench.fault('loseReply', stack.code);
    expect(await bench.deposit()).toMatchObject({ kind: 'deposited' });
    expect(bench.device.violations()).toEqual([]);
  });

  test.each(what.notCarriedOut)(
    'a STACK that was not carried out (%s) is not sent again: the note goes back',
    async (fault, value) => {
      const bench = await make({ timings: { escrowTimeoutMs: 90_000 } }).start();
      await bench.escrow(20);
      bench.fault(fault, value);
      const outcome = await bench.deposit();
      expect(outcome).toMatchObject({ kind: 'returned' });
      expect(outcome.evidence).toContain('return sent; acknowledged');
      expect(bench.device.truth().customer).toEqual({ '20': 1 });
      expect(bench.port.sent.filter((hex) => hex === stack.hex)).toHaveLength(1);
    },
  );

  test('a device that stays in escrow whatever is said: open, and in time', async () => {
    const bench = await make({ timings: { escrowTimeoutMs: 900_000 } }).start();
    await bench.escrow(20);
    bench.fault('deaf', stack.code);
    bench.fault(what.notUnderstood, what.returnCode, 1000);
    const startedMs = bench.clock.monotonic();
    expect(await bench.deposit()).toMatchObject({ kind: 'unknown' });
    expect(bench.clock.monotonic() - startedMs).toBeLessThan(what.decisionLimitMs);
    await expect(bench.acceptor.deposit()).rejects.toMatchObject({ code: 'sequenceError' });
  });
}

function playPowerCuts({ make }: StatePromised): void {
  test.each([false, true])(
    'the power goes between credit and confirmation, remembered: %s: one credit',
    async (remembers) => {
      const bench = await make({ creditAfterPowerUpInStacker: remembers }).start();
      await bench.escrow(20);
      bench.fault('powerCutAfterCredit');
      expect(await bench.deposit()).toMatchObject({ kind: 'deposited' });
      await bench.clock.advance(4000);
      bench.device.control({ do: 'power', on: true });
      await bench.clock.until(() => bench.acceptor.status().device === 'attention');
      // RESET before the credit is on disk would lose the device's memory of it.
      expect(await bench.initialise()).toMatchObject({ device: 'attention', note: 'none' });
      await bench.run(bench.acceptor.confirmDeposit());
      expect(await bench.initialise()).toMatchObject({ device: 'ready', note: 'none' });
      expect(bench.credits).toEqual(['deposit']);
      expect(bench.told('credit.unexpected')).toEqual([]);
      expect(bench.device.violations()).toEqual([]);
      bench.expectConserved();
    },
  );

  test('a credit that waits at the start is told once, and not lost by a reset', async () => {
    const bench = await make({}).start();
    await bench.escrow(20);
    await bench.run(bench.acceptor.deposit());
    await bench.run(bench.acceptor.close());
    bench.boot();
    await bench.run(bench.acceptor.open());
    const waiting = { device: 'attention', powerUp: 'creditPending' };
    expect(bench.acceptor.status()).toMatchObject(waiting);
    expect(await bench.initialise()).toMatchObject({ device: 'attention', note: 'deposited' });
    await bench.run(bench.acceptor.confirmDeposit());
    await bench.clock.advance(1000);
    expect(await bench.initialise()).toMatchObject({ device: 'ready', note: 'none' });
    expect(bench.credits).toEqual(['initialise']);
    expect(bench.told('credit.unexpected')).toEqual([]);
    expect(bench.device.violations()).toEqual([]);
  });

  test.each([
    ['powerCutAtStack', 'noteInAcceptor', 'returned'],
    ['powerCutBeforeCredit', 'noteInStacker', 'unknown'],
  ] as const)('what is known after %s', async (fault, powerUp, note) => {
    const bench = await make({ creditAfterPowerUpInStacker: false }).start();
    await bench.escrow(20);
    bench.fault(fault);
    expect(await bench.deposit()).toMatchObject({ kind: 'unknown' });
    bench.device.control({ do: 'power', on: true });
    await bench.clock.until(() => bench.acceptor.status().device === 'attention');
    expect(bench.acceptor.status().powerUp).toBe(powerUp);
    expect(await bench.initialise()).toMatchObject({ device: 'ready', note });
    expect(bench.acceptor.status().powerUp).toBe('none');
    bench.expectConserved();
  });
}
