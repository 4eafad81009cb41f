/** The scenarios of every validator, in the words of the service interface. */
import { describe, expect, onTestFinished, test } from 'vitest';
import {
  type AcceptorCase,
  AcceptorStand,
  acceptorCases,
  count,
  moments,
} from './acceptor-stand.ts';
import type { LineKind } from './line.ts';

/** Cuts of power, spread evenly over the bytes of one note; every byte is tried in each driver's. */
const CUTS = 10;

/** A chunk that has left. */
const SENT: unknown = expect.objectContaining({ direction: 'out' });

/** Plays all of them on one kind of line. */
export function playAcceptorScenarios(kind: LineKind): void {
  const benches = acceptorCases.map((what) => ({ kind, what }));
  describe.each(benches)('$what.name, $kind', ({ what }) => {
    playOutcomes(kind, what);
    playFaults(kind, what);
    playTrouble(kind, what);
  });
}

function playOutcomes(kind: LineKind, what: AcceptorCase): void {
  test('a note is deposited, and one given back', async () => {
    const stand = await standFor(kind, what);
    await stand.escrow(20);
    expect(stand.told('note.escrowed')).toEqual([{ kind: 'note.escrowed', value: 2000 }]);
    expect(await stand.run(stand.decide('deposit'))).toMatchObject({
      kind: 'deposited',
      value: 2000,
    });
    await stand.open();
    await stand.escrow(5);
    expect(await stand.run(stand.decide('returnNote'))).toMatchObject({ kind: 'returned' });
    await stand.line.clock.advance(2000);
    const truth = { path: {}, cashbox: { 20: 1 }, customer: { 5: 1 } };
    expect(stand.line.device.truth()).toMatchObject(truth);
    expect(stand.line.device.violations()).toEqual([]);
    stand.expectTrue();
  });

  test('every reason of a refusal is told, and the slot stays open', async () => {
    const stand = await standFor(kind, what);
    for (const reason of what.reasons) {
      stand.fault('reject', reason);
      stand.insert(20);
      await stand.heard('note.refused');
      await stand.line.clock.advance(2500);
    }
    const told = stand.told('note.refused').map((event) => ('code' in event ? event.code : ''));
    expect(new Set(told).size).toBe(what.reasons.length);
    expect(stand.line.device.truth().customer).toEqual({ 20: what.reasons.length });
    await expectBack(stand);
  });

  test('a value that is not open goes back', async () => {
    const stand = await standFor(kind, what);
    await stand.run(stand.acceptor.accept(stand.acceptor.values().filter((one) => one < 2000)));
    stand.insert(20);
    await stand.heard('note.refused');
    expect(stand.told('note.escrowed')).toEqual([]);
    await expectBack(stand);
  });
}

function playFaults(kind: LineKind, what: AcceptorCase): void {
  test.each(what.jams)('%s: a person is called, nothing is told that is not so', async (jam) => {
    const stand = await standFor(kind, what);
    stand.fault(jam);
    stand.insert(20);
    const { clock } = stand.line;
    const isStuck = () => stand.acceptor.status().device === 'fault';
    await clock.until(() => isStuck() || stand.told('note.escrowed').length > 0, 60_000);
    if (!isStuck()) {
      expect(await stand.run(stand.decide('deposit'))).toMatchObject({ kind: 'unknown' });
      await clock.until(isStuck, 60_000);
    }
    expect(stand.acceptor.status().fault).toBeDefined();
    expect(count(stand.line.device.truth().path)).toBe(1);
    await expectBack(stand);
  });

  test('a note pulled back is no deposit, and a fraud', async () => {
    const stand = await standFor(kind, what);
    stand.fault(what.cheat);
    await stand.escrow(20);
    expect(await stand.run(stand.decide('deposit'))).not.toMatchObject({ kind: 'deposited' });
    expect(stand.told('fraud.attempted')).toHaveLength(1);
    await expectBack(stand);
  });

  test('a cash box that is full with a note: the note counts, and it must be emptied', async () => {
    const stand = await standFor(kind, what);
    stand.fault(what.full);
    await stand.escrow(20);
    const outcome = await stand.run(stand.decide('deposit'));
    // One word for "full" and "jammed" leaves it open whether the note came through.
    expect(outcome?.kind).toBe(what.protocol === 'sio' ? 'unknown' : 'deposited');
    const { clock } = stand.line;
    await clock.until(() => stand.acceptor.status().cashBox === 'full', 60_000);
    await expectBack(stand);
  });
}

function playTrouble(kind: LineKind, what: AcceptorCase): void {
  test('closed while it is opened: that is said, with the last bytes on its port', async () => {
    const stand = await AcceptorStand.made(kind, what);
    onTestFinished(() => stand.line.close());
    const opened = stand.acceptor.open();
    await stand.line.clock.until(() => stand.line.passed('toDevice') > 0, 1000);
    const refused = expect(opened).rejects.toMatchObject({
      code: 'canceled',
      recording: expect.arrayContaining([SENT]),
    });
    await stand.run(stand.acceptor.close());
    await refused;
  });

  test.each(moments)('the cash box out and in: %s', async (moment) => {
    const stand = await standFor(kind, what);
    await stand.to(moment);
    stand.line.device.control({ do: 'cashbox', present: false });
    await stand.line.clock.advance(3000);
    // SIO has no word for it; SSP is not polled while a note is held, as that would deposit it.
    const isHeard = what.protocol !== 'sio' && !(what.protocol === 'ssp' && moment === 'escrowed');
    if (isHeard) expect(stand.acceptor.status().cashBox).toBe('missing');
    stand.line.device.control({ do: 'cashbox', present: true });
    await expectBack(stand);
  });

  test.each(moments)('the power goes and comes again: %s', async (moment) => {
    const stand = await standFor(kind, what);
    await stand.to(moment);
    stand.line.device.control({ do: 'power', on: false });
    await stand.line.clock.advance(3000);
    stand.line.device.control({ do: 'power', on: true });
    await expectBack(stand);
  });

  test.each(what.powerCuts)('%s', async (fault) => {
    const stand = await standFor(kind, what);
    stand.fault(fault);
    await stand.to('depositing');
    await stand.line.clock.advance(5000);
    await expectBack(stand);
  });

  test.each(moments)('unplugged, and found again: %s', async (moment) => {
    const stand = await standFor(kind, what);
    await stand.to(moment);
    await stand.line.unplug();
    await stand.line.clock.advance(2000);
    expect(stand.acceptor.status().device).toBe('offline');
    await stand.line.plug();
    await expectBack(stand);
  });

  test('the power goes at bytes all over one note, either way', async () => {
    const whole = await standFor(kind, what);
    for (const direction of ['toDevice', 'toHost'] as const) {
      const from = whole.line.passed(direction);
      await whole.to('depositing');
      await whole.line.clock.advance(3000);
      const bytes = whole.line.passed(direction) - from;
      for (let cut = 0; cut < CUTS; cut++) {
        const stand = await AcceptorStand.ready(kind, what);
        const at = Math.floor((cut * bytes) / CUTS);
        stand.line.cutAt(direction, stand.line.passed(direction) + at);
        stand.acceptor.subscribe((event) => {
          if (event.kind === 'note.escrowed') void stand.decide('deposit');
        });
        stand.insert(20);
        await stand.line.clock.advance(4000);
        await stand.help();
        stand.expectTrue();
        await stand.close();
      }
      await whole.open();
    }
  });
}

async function standFor(kind: LineKind, what: AcceptorCase): Promise<AcceptorStand> {
  const stand = await AcceptorStand.ready(kind, what);
  onTestFinished(() => stand.close());
  return stand;
}

/** After any trouble: what was told is so, and the next note is deposited as if nothing had been. */
async function expectBack(stand: AcceptorStand): Promise<void> {
  await stand.help();
  stand.expectTrue();
  await stand.escrow(5);
  expect(await stand.run(stand.decide('deposit'))).toMatchObject({ kind: 'deposited', value: 500 });
  await stand.line.clock.advance(1000);
  stand.expectTrue();
}
