/** Making a device ready: what it moved is booked once, also when the disk is full just then. */
import { expect, test } from 'vitest';
import { tellOpenAct, writeKeptEnd } from '#agent/recovery/open-act.ts';
import { sleep } from '#protocol/base/clock.ts';
import { position } from '#protocol/base/ids.ts';
import { CashInRig, dollars } from '#test/support/cash-in-rig.ts';
import { failingDisk } from '#test/support/failing-disk.ts';
import { diskError } from '#test/support/life.ts';
import { withMethods } from '#test/support/with-methods.ts';
import { watched } from './watched.ts';

const FAST = { timings: { initialiseMs: 400, acceptMs: 200 } };

test.each([
  ['at once', 0],
  ['after a full disk', 1],
] as const)('notes that an initialisation moved are booked %s, and once', async (_, refused) => {
  const disk = { left: 0 };
  const beforeCommit = () => {
    if (disk.left-- > 0) throw diskError('SQLITE_FULL');
  };
  const rig = new CashInRig({ device: FAST, openDatabase: failingDisk({ beforeCommit }) });
  const { store, dispenser } = rig.parts;
  const one = position(1);
  store.commit(() => {
    const unit = { position: one, currency: 'USD', value: dollars(20), parked: false };
    store.cashUnits.put({ ...unit, accuracy: 'accurate' });
    const filled = { from: 'technician', to: 'bay:1', currency: 'USD', value: dollars(20) };
    store.ledger.move({ ...filled, count: 10, cause: 'filled' } as never);
  });
  const units = [
    { position: one, requested: 0, presented: 1, rejected: 2 },
    { position: position(2), requested: 0, presented: 0, rejected: 0 },
  ];
  let asked = 0;
  const change = {
    dispenser: withMethods(dispenser, {
      subscribe: () => () => undefined,
      initialise: async () => {
        asked += 1;
        await dispenser.initialise();
        disk.left = refused;
        return { kind: 'answered', units, error: undefined, evidence: 'purged' };
      },
    }),
  };
  const { watch, why } = watched(rig, change, async (device) => {
    for (const intent of store.intents.listOpen()) await writeKeptEnd(rig.parts, intent);
    tellOpenAct(rig.parts, device === 'acceptor' ? 'cashIn' : 'cashOut');
  });
  await rig.run(watch.start());
  expect(why('cashOut').map((line) => line.split(':')[0])).toEqual(
    refused ? ['openIntent', 'dispenser'] : [],
  );
  await rig.clock.advance(11_000);
  expect(asked).toBe(1);
  expect(store.ledger.count('bay:1', dollars(20))).toBe(7);
  expect(store.ledger.count('reject', dollars(20))).toBe(2);
  expect(store.cashUnits.get(one)?.accuracy).toBe('inaccurate');
  expect(store.intents.listOpen()).toEqual([]);
  expect(why('cashOut')).toEqual([]);
  watch.close();
});

test('an initialise that is under way is never settled by the recovery of another', async () => {
  const disk = { left: 0 };
  const beforeCommit = () => {
    if (disk.left-- > 0) throw diskError('SQLITE_FULL');
  };
  const rig = new CashInRig({ device: FAST, openDatabase: failingDisk({ beforeCommit }) });
  const { store, dispenser } = rig.parts;
  let asked = 0;
  let isUnderWay = false;
  let wrong = 0;
  const change = {
    dispenser: withMethods(dispenser, {
      status: async () => ({ ...(await dispenser.status()), device: 'attention' }),
      subscribe: () => () => undefined,
      initialise: async () => {
        asked += 1;
        if (isUnderWay) wrong += 1;
        isUnderWay = true;
        await sleep(rig.clock, 20_000);
        const outcome = await dispenser.initialise();
        // Only the first end is refused: it is what the recovery has to do with.
        disk.left = asked === 1 ? 1 : 0;
        isUnderWay = false;
        return outcome;
      },
    }),
  };
  const { watch } = watched(rig, change, async () => {
    // What is settled frees the machine, which has the dispenser checked.
    if (asked > 0) void watch.checkDispenser();
    await sleep(rig.clock, 8_000);
    for (const intent of store.intents.listOpen()) {
      if (intent.device === 'dispenser' && isUnderWay) wrong += 1;
      await writeKeptEnd(rig.parts, intent);
    }
  });
  void watch.start();
  await rig.clock.advance(200_000);
  expect([asked > 2, wrong]).toEqual([true, 0]);
  watch.close();
});
