/** The scenarios of every dispenser, in the words of the service interface. */
import { describe, expect, onTestFinished, test } from 'vitest';
import { type DispenserCase, DispenserStand, dispenserCases } from './dispenser-stand.ts';
import type { LineKind } from './line.ts';

/** Milliseconds from the command on at which something happens to it. */
const MOMENTS_MS = [0, 200, 500, 1500] as const;
/** Cuts of power, spread evenly over the bytes of one command; all are tried in each driver's. */
const CUTS = 10;
const [FIRST, SECOND] = [3, 2];
const WANTED = FIRST + SECOND;

/** A chunk that has left. */
const SENT: unknown = expect.objectContaining({ direction: 'out' });

/** Plays all of them on one kind of line. */
export function playDispenserScenarios(kind: LineKind): void {
  const benches = dispenserCases.map((what) => ({ kind, what }));
  describe.each(benches)('$what.name, $kind', ({ what }) => {
    playOutcomes(kind, what);
    playTrouble(kind, what);
  });
}

function playOutcomes(kind: LineKind, what: DispenserCase): void {
  test('notes are presented, and a test dispense goes where it says', async () => {
    const stand = await standFor(kind, what);
    const before = stand.places();
    const outcome = await stand.run(stand.dispense(FIRST, SECOND));
    expect(outcome).toMatchObject({ kind: 'answered', error: undefined });
    stand.expectTrue(outcome, before, WANTED);
    expect(stand.places().customer).toBe(WANTED);
    expect(await stand.run(stand.dispenser.waitTaken(1000))).not.toBe('unknown');
    await expectBack(stand);
    const full = stand.places();
    const { rejectTrayTest } = stand.dispenser.capabilities;
    const [unit] = stand.dispenser.capabilities.positions;
    if (unit === undefined) throw new Error('a dispenser has bays');
    await stand.run(stand.dispenser.testDispense([{ position: unit, count: 1 }]));
    expect(stand.places().reject - full.reject).toBe(rejectTrayTest ? 1 : 0);
    expect(stand.line.device.violations()).toEqual([]);
  });

  test('every error of the table is told, and the counts with it are so', async () => {
    const stand = await standFor(kind, what);
    const told = new Set<string>();
    for (const code of what.errors) {
      stand.fault('error', code);
      const before = stand.places();
      const outcome = await stand.run(stand.dispense(FIRST, SECOND));
      stand.expectTrue(outcome, before, WANTED);
      told.add(outcome.kind === 'answered' ? (outcome.error?.code ?? 'none') : outcome.evidence);
      await stand.help();
    }
    expect(told.has('none')).toBe(false);
    expect(told.size).toBe(what.errors.length);
  });

  test.each(what.mishaps)('%s: told, and counted as far as counts are trusted', async (fault) => {
    const stand = await standFor(kind, what);
    stand.fault(fault, fault === 'wrongCassette' ? 2 : 1);
    await expectTrueAfter(stand);
  });

  test.each(what.jams)('%s: a note is inside until hands take it', async (jam) => {
    const stand = await standFor(kind, what);
    stand.fault(jam, 1);
    const outcome = await expectTrueAfter(stand);
    expect(outcome).toMatchObject({ kind: 'answered', error: expect.anything() });
  });

  test('a lost response is unknown, or known from what the unit remembers', async () => {
    const stand = await standFor(kind, what);
    stand.fault('loseResponse');
    await expectTrueAfter(stand);
  });
}

function playTrouble(kind: LineKind, what: DispenserCase): void {
  test('closed while it is opened: that is said, with the last bytes on its port', async () => {
    const stand = await DispenserStand.made(kind, what);
    onTestFinished(() => stand.line.close());
    const opened = stand.dispenser.open();
    await stand.line.clock.until(() => stand.line.passed('toDevice') > 0, 1000);
    const refused = expect(opened).rejects.toMatchObject({
      code: 'canceled',
      recording: expect.arrayContaining([SENT]),
    });
    await stand.run(stand.dispenser.close());
    await refused;
  });

  test.each(MOMENTS_MS)('the power goes and comes again after %i ms', async (afterMs) => {
    const stand = await standFor(kind, what);
    const { clock, device } = stand.line;
    clock.after(afterMs, () => device.control({ do: 'power', on: false }));
    clock.after(afterMs + 3000, () => device.control({ do: 'power', on: true }));
    await expectTrueAfter(stand);
  });

  test.each(MOMENTS_MS)('unplugged after %i ms, and found again', async (afterMs) => {
    const stand = await standFor(kind, what);
    const { clock } = stand.line;
    clock.after(afterMs, () => void stand.line.unplug());
    await expectTrueAfter(stand);
  });

  test('unplugged while idle: noticed within 2 s', async () => {
    const stand = await standFor(kind, what);
    const news: string[] = [];
    stand.dispenser.subscribe((event) => {
      if (event.kind === 'status.changed') news.push(event.device);
    });
    await stand.line.unplug();
    await stand.line.clock.advance(2000);
    expect(news).toContain('offline');
    await expectBack(stand);
  });

  test.each(MOMENTS_MS)('a cassette out after %i ms, and in again', async (afterMs) => {
    const stand = await standFor(kind, what);
    const { clock, device } = stand.line;
    clock.after(afterMs, () => device.control({ do: 'cassette', position: 2, present: false }));
    await expectTrueAfter(stand);
  });

  test('the power goes at bytes all over one command, either way', async () => {
    const whole = await standFor(kind, what);
    for (const direction of ['toDevice', 'toHost'] as const) {
      const from = whole.line.passed(direction);
      await whole.run(whole.dispense(FIRST, SECOND));
      const bytes = whole.line.passed(direction) - from;
      await whole.help();
      for (let cut = 0; cut < CUTS; cut++) {
        const stand = await DispenserStand.ready(kind, what);
        const at = Math.floor((cut * bytes) / CUTS);
        stand.line.cutAt(direction, stand.line.passed(direction) + at);
        await expectTrueAfter(stand);
        await stand.close();
      }
    }
  });
}

async function standFor(kind: LineKind, what: DispenserCase): Promise<DispenserStand> {
  const stand = await DispenserStand.ready(kind, what);
  onTestFinished(() => stand.close());
  return stand;
}

/** One command under trouble: what is said of it is so, and afterwards it is in service again. */
async function expectTrueAfter(stand: DispenserStand) {
  const before = stand.places();
  const outcome = await stand.run(stand.dispense(FIRST, SECOND));
  stand.putCassettesIn();
  if (outcome.kind === 'answered') stand.expectTrue(outcome, before, WANTED);
  // What went on without us has come to its end by then.
  await stand.line.clock.advance(10_000);
  if (outcome.kind !== 'answered') stand.expectTrue(outcome, before, WANTED);
  await expectBack(stand);
  return outcome;
}

async function expectBack(stand: DispenserStand): Promise<void> {
  await stand.help();
  const before = stand.places();
  const outcome = await stand.run(stand.dispense(1, 1));
  expect(outcome).toMatchObject({ kind: 'answered', error: undefined });
  stand.expectTrue(outcome, before, 2);
  await stand.help();
}
