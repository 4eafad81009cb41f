import { describe, expect, test } from 'vitest';
import { rejectCodes } from '#hal/ssp/commands.ts';
import type { SspModelName } from '#hal/ssp/models.ts';
import { playPromises } from '../escrow-promises.ts';
import { ALL_VALUES, dollars, MODELS, Rig } from './rig.ts';

/** The first bytes of what left the driver since `from`; plain models only. */
const codesSince = (rig: Rig, from: number) =>
  rig.port.sent.slice(from).map((hex) => hex.slice(6, 8));

describe.each(MODELS)('%s', (model: SspModelName) => {
  const start = (options: ConstructorParameters<typeof Rig>[0] = {}) =>
    new Rig({ model, ...options }).start();

  test('opens without moving anything, then initialises and can tell the values', async () => {
    const rig = new Rig({ model });
    const identity = await rig.run(rig.acceptor.open());
    expect(identity).toEqual({
      protocol: 'ssp',
      model: 'NV200',
      firmware: 'NV02004141498000',
      serialNumber: '1873452',
    });
    expect(rig.acceptor.values()).toEqual(ALL_VALUES);
    expect(rig.acceptor.status()).toMatchObject({ device: 'attention', powerUp: 'none' });
    expect(await rig.initialise()).toMatchObject({ device: 'ready', note: 'none' });
    expect(rig.acceptor.status()).toEqual({
      device: 'ready',
      cashBox: 'ok',
      powerUp: 'none',
      fault: undefined,
    });
    expect(() => rig.insert(20)).toThrow('disabled');
    await rig.run(rig.acceptor.close());
    rig.device.stop();
    expect(rig.clock.pending).toBe(0);
    expect(rig.device.violations()).toEqual([]);
  });

  test('deposits: a poll is the deposit, and the credit counts once', async () => {
    const rig = await start();
    await rig.escrow(20);
    expect(rig.events).toEqual([
      { kind: 'note.inserted' },
      { kind: 'note.escrowed', value: dollars(20) },
    ]);
    const outcome = await rig.deposit();
    expect(outcome).toMatchObject({ kind: 'deposited', value: dollars(20) });
    expect(outcome.evidence).toContain('POLL sent, CC stacking, EE:05 note credit');
    await rig.clock.advance(5000);
    expect(rig.device.truth().cashbox).toEqual({ '20': 1 });
    await rig.settled();
    await rig.escrow(5);
    expect(await rig.deposit()).toMatchObject({ kind: 'deposited', value: dollars(5) });
    await rig.settled();
    expect(rig.credits).toEqual(['deposit', 'deposit']);
    expect(rig.told('credit.unexpected')).toEqual([]);
    rig.expectConserved();
    expect(rig.device.violations()).toEqual([]);
  });

  test('a note stays in escrow for as long as nobody decides, and no poll leaves', async () => {
    const rig = await start();
    await rig.escrow(50);
    const from = rig.port.sent.length;
    await rig.clock.advance(60_000);
    expect(rig.device.truth().path).toEqual({ '50': 1 });
    if (model === 'ssp') expect(new Set(codesSince(rig, from))).toEqual(new Set(['18']));
    expect(await rig.deposit()).toMatchObject({ kind: 'deposited' });
    expect(rig.device.violations()).toEqual([]);
  });

  test('a note that is forgotten goes back after three minutes', async () => {
    const rig = await start();
    await rig.escrow(50);
    await rig.heard('note.returned', 200_000);
    expect(rig.device.truth()).toMatchObject({ path: {}, customer: { '50': 1 } });
    await expect(rig.acceptor.deposit()).rejects.toMatchObject({ code: 'sequenceError' });
  });

  test('the deposit leaves in the same instant as the decision', async () => {
    const rig = await start();
    const waits: number[] = [];
    rig.acceptor.subscribe((event) => {
      if (event.kind !== 'note.escrowed') return;
      const atMs = rig.clock.monotonic();
      const sent = rig.port.sent.length;
      void rig.acceptor.deposit();
      void rig.clock
        .until(() => rig.port.sent.length > sent)
        .then(() => {
          waits.push(rig.clock.monotonic() - atMs);
        });
    });
    await rig.escrow(20);
    await rig.clock.until(() => waits.length > 0);
    expect(waits).toEqual([0]);
  });

  test('a decision that crosses the return of the note ends as what happened', async () => {
    const kinds = new Set<string>();
    for (let decideMs = 2900; decideMs <= 3100; decideMs += 5) {
      const rig = await start();
      rig.fault('escrowLost', 3000);
      rig.insert(20);
      await rig.clock.advance(800 + decideMs);
      const outcome = await rig.deposit().catch(() => undefined);
      await rig.clock.advance(3000);
      rig.expectConserved();
      if (outcome) kinds.add(outcome.kind);
      const { cashbox, customer } = rig.device.truth();
      if (outcome?.kind === 'deposited') expect(cashbox).toEqual({ '20': 1 });
      if (outcome?.kind === 'returned') expect(customer).toEqual({ '20': 1 });
    }
    expect(kinds).toEqual(new Set(['deposited', 'returned']));
  });

  test.each(['idle', 'escrow', 'depositing'])(
    'the cash box goes out and in: %s',
    async (moment) => {
      const rig = await start();
      if (moment !== 'idle') await rig.escrow(20);
      const deposit = moment === 'depositing' ? rig.deposit() : undefined;
      await rig.clock.advance(100);
      rig.device.control({ do: 'cashbox', present: false });
      await rig.clock.advance(1500);
      if (moment === 'escrow') expect(await rig.returnNote()).toMatchObject({ kind: 'returned' });
      await rig.clock.advance(500);
      expect(rig.acceptor.status()).toMatchObject({ device: 'fault', cashBox: 'missing' });
      if (deposit) expect(await deposit).toMatchObject({ kind: 'returned' });
      rig.device.control({ do: 'cashbox', present: true });
      await rig.clock.advance(1000);
      expect(rig.acceptor.status()).toMatchObject({ device: 'attention', cashBox: 'ok' });
      expect(await rig.initialise()).toMatchObject({ device: 'ready', note: 'none' });
      rig.expectConserved();
    },
  );

  test('a full cash box shows after the credit, which is not lost', async () => {
    const rig = await start();
    rig.fault('stackerFull');
    await rig.escrow(20);
    expect(await rig.deposit()).toMatchObject({ kind: 'deposited' });
    await rig.settled();
    expect(rig.acceptor.status()).toMatchObject({
      device: 'fault',
      cashBox: 'full',
      fault: { code: 'E7' },
    });
    expect((await rig.initialise()).device).toBe('fault');
    rig.device.control({ do: 'cashbox', present: false, empty: true });
    await rig.clock.advance(500);
    rig.device.control({ do: 'cashbox', present: true });
    await rig.clock.advance(500);
    expect(await rig.initialise()).toMatchObject({ device: 'ready', note: 'none' });
    rig.expectConserved(1);
  });

  test('a note pulled back while it is stacked is no deposit', async () => {
    const rig = await start();
    rig.fault('fraud');
    await rig.escrow(100);
    expect(await rig.deposit()).toMatchObject({ kind: 'unknown' });
    await rig.clock.advance(1000);
    expect(rig.told('fraud.attempted')).toEqual([{ kind: 'fraud.attempted', code: 'E6' }]);
    expect(rig.acceptor.status()).toMatchObject({ device: 'ready' });
    rig.expectConserved();
    await rig.escrow(5);
    expect(await rig.deposit()).toMatchObject({ kind: 'deposited' });
  });

  test('an open path is a fault until it is closed', async () => {
    const rig = await start();
    rig.fault('pathOpen', undefined, 1);
    await rig.heard('device.failed');
    await rig.clock.advance(300);
    expect(rig.acceptor.status()).toMatchObject({ device: 'fault', fault: { code: 'E0' } });
    rig.fault('pathOpen', undefined, 0);
    await rig.clock.advance(500);
    expect(rig.acceptor.status()).toMatchObject({ device: 'attention' });
    expect(await rig.initialise()).toMatchObject({ device: 'ready', note: 'none' });
  });

  test('a device that shuts itself is initialised again', async () => {
    const rig = await start();
    await rig.clock.advance(1000);
    rig.fault('deaf', undefined, 1_000_000);
    await rig.clock.advance(15_000);
    expect(rig.acceptor.status().device).toBe('offline');
    rig.fault('deaf', undefined, 0);
    await rig.clock.until(() => rig.acceptor.status().device === 'attention', 5000);
    expect(await rig.initialise()).toMatchObject({ device: 'ready', note: 'none' });
  });

  test('a note in escrow goes back by itself when the device hears nothing', async () => {
    const rig = await start();
    await rig.escrow(20);
    rig.fault('deaf', undefined, 1_000_000);
    await rig.clock.advance(15_000);
    expect(rig.device.truth().customer).toEqual({ '20': 1 });
    rig.fault('deaf', undefined, 0);
    await rig.clock.advance(6000);
    expect(rig.acceptor.status().device).toBe('attention');
    expect(await rig.initialise()).toMatchObject({ device: 'ready', note: 'returned' });
  });

  test.each(['late', 'badChecksum', 'noise', 'duplicateReply', 'loseReply', 'deaf'])(
    'a line with trouble (%s) throughout: conserved and credited once',
    async (fault) => {
      const rig = await start();
      for (let round = 0; round < 3; round++) {
        await rig.escrow(20);
        const times = fault === 'noise' || fault === 'duplicateReply' ? 500 : 2;
        rig.fault(fault, undefined, times);
        expect(await rig.deposit()).toMatchObject({ kind: 'deposited' });
        rig.fault(fault, undefined, times);
        await rig.settled();
        await rig.clock.advance(3000);
        rig.expectConserved();
      }
      expect(rig.credits).toHaveLength(3);
      expect(rig.device.violations()).toEqual([]);
    },
  );

  test('a repeated frame is not carried out twice', async () => {
    const rig = await start();
    await rig.escrow(20);
    rig.fault('loseReply', undefined, 2);
    expect(await rig.deposit()).toMatchObject({ kind: 'deposited' });
    await rig.settled();
    const same = rig.port.sent.filter((hex, at, all) => at > 0 && all[at - 1] === hex);
    expect(same).toHaveLength(2);
    expect(rig.device.violations()).toEqual([]);
  });

  test('a REJECT that is refused is sent again; the note goes back', async () => {
    const rig = await start();
    await rig.escrow(20);
    rig.fault('refuse', 0x08, 2);
    const outcome = await rig.returnNote();
    expect(outcome).toMatchObject({ kind: 'returned' });
    expect(outcome.evidence).toContain('REJECT refused, REJECT sent, REJECT acknowledged');
    expect(rig.device.truth().customer).toEqual({ '20': 1 });
  });

  test('a REJECT that was lost with the cable is sent again, for the note still waits', async () => {
    const rig = await start();
    await rig.escrow(20);
    rig.fault('deaf', 0x08, 3);
    const returned = rig.acceptor.returnNote();
    await rig.clock.advance(100);
    rig.cable.unplug();
    expect(await returned).toMatchObject({ kind: 'unknown' });
    await rig.clock.advance(1000);
    rig.fault('deaf', undefined, 0);
    rig.cable.plug();
    await rig.heard('note.returned', 10_000);
    expect(rig.device.truth()).toMatchObject({ path: {}, customer: { '20': 1 } });
  });

  test('HOLD that is refused for a moment lets no poll leave', async () => {
    const rig = await start();
    await rig.escrow(20);
    rig.fault('refuse', 0x18, 2);
    await rig.clock.advance(3000);
    expect(rig.device.truth().path).toEqual({ '20': 1 });
    expect(await rig.returnNote()).toMatchObject({ kind: 'returned' });
  });

  test('a device that refuses to be enabled is reset, and says what is wrong', async () => {
    const rig = await start({ device: { habits: { repeatsDisabled: false } } });
    rig.fault('stackerFull');
    await rig.escrow(20);
    await rig.deposit();
    rig.cable.unplug();
    await rig.clock.advance(3000);
    rig.cable.plug();
    // Plain, its word that the box is full has gone to the old cable.
    await rig.clock.until(() => rig.acceptor.status().device !== 'offline', 8000);
    await rig.settled();
    await rig.run(rig.acceptor.accept(ALL_VALUES)).catch(() => undefined);
    await rig.clock.advance(1000);
    if (rig.acceptor.status().device === 'attention') await rig.initialise();
    expect(rig.acceptor.status()).toMatchObject({ device: 'fault', cashBox: 'full' });
    rig.expectConserved();
  });

  test('a POLL that is always refused: the note goes back, in time', async () => {
    const rig = await start();
    await rig.escrow(20);
    rig.fault('refuse', model === 'ssp' ? 0x07 : 0x56, 1_000_000);
    const startedMs = rig.clock.monotonic();
    const outcome = await rig.deposit();
    expect(['returned', 'unknown']).toContain(outcome.kind);
    expect(rig.clock.monotonic() - startedMs).toBeLessThan(46_000);
    rig.fault('refuse', undefined, 0);
    await rig.clock.advance(20_000);
    rig.expectConserved();
    expect(rig.device.truth().cashbox).toEqual({});
  });

  test('a note that came to escrow unheard is never polled, and goes back', async () => {
    const rig = await start();
    rig.insert(20);
    await rig.clock.advance(750);
    rig.fault('loseReply', undefined, 3);
    await rig.clock.advance(8000);
    expect(rig.device.truth()).toMatchObject({ cashbox: {}, path: {}, customer: { '20': 1 } });
    expect(rig.acceptor.status().device).toBe('ready');
    expect(rig.told('note.escrowed')).toEqual([]);
  });

  test('an event that is not known keeps the poll back until HOLD was asked', async () => {
    for (let afterMs = 0; afterMs < 1000; afterMs += 50) {
      const rig = await start();
      rig.insert(20);
      await rig.clock.advance(afterMs);
      rig.fault('unknownEvent', 0xa0, 3);
      await rig.clock.advance(6000);
      // It goes back where its value was not heard, and is never taken.
      expect(rig.device.truth().cashbox).toEqual({});
      if (rig.told('note.escrowed').length > 0) {
        expect(await rig.deposit()).toMatchObject({ kind: 'deposited' });
      }
      rig.expectConserved();
      expect(rig.device.violations()).toEqual([]);
    }
  });

  test('close settles everything that waits, in any moment', async () => {
    const rig = await start();
    await rig.escrow(20);
    const deposit = rig.deposit();
    const accept = expect(rig.acceptor.accept([])).rejects.toMatchObject({ code: 'canceled' });
    await rig.clock.advance(50);
    await rig.run(rig.acceptor.close());
    expect(await deposit).toMatchObject({ kind: 'unknown' });
    await accept;
    await rig.run(rig.acceptor.open());
    const initialise = rig.acceptor.initialise();
    await rig.run(rig.acceptor.close());
    expect(await rig.run(initialise)).toMatchObject({ device: 'offline' });
    await expect(rig.acceptor.initialise()).rejects.toMatchObject({ code: 'sequenceError' });
    rig.device.stop();
    await rig.clock.advance(100_000);
    expect(rig.clock.pending).toBe(0);
  });

  test('DISABLED that is said once, as by the manual, changes nothing', async () => {
    const rig = await start({ device: { habits: { repeatsDisabled: false } } });
    for (const value of [5, 20]) {
      await rig.run(rig.acceptor.accept([dollars(value)]));
      await rig.escrow(value);
      expect(await rig.deposit()).toMatchObject({ kind: 'deposited' });
      await rig.settled();
      await rig.run(rig.acceptor.accept([]));
    }
    expect(rig.acceptor.status().device).toBe('ready');
  });
});

test.each(Object.entries(rejectCodes))('tells reject code %s', async (code, { reason }) => {
  const rig = await new Rig().start();
  rig.fault('reject', Number(code));
  rig.insert(20);
  await rig.heard('note.refused');
  const hex = Number(code).toString(16).toUpperCase().padStart(2, '0');
  expect(rig.events.at(-1)).toEqual({ kind: 'note.refused', reason, code: `EC:${hex}` });
  await rig.clock.advance(2000);
  expect(rig.told('note.refused')).toHaveLength(1);
  expect(rig.device.truth().customer).toEqual({ '20': 1 });
});

for (const model of MODELS) {
  playPromises(model, {
    make: (cable) => new Rig({ model, cable }),
    inhibited: { reason: 'inhibited', code: 'EC:0C' },
    givesBack: 'escrowLost',
    jam: { fault: 'jamAcceptor', code: 'E9' },
    jamStacking: { fault: 'jamStacker', code: 'EA', words: 'EA safe jam' },
    keepsNote: true,
  });
}
