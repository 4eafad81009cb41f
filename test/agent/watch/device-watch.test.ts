import { describe, expect, test } from 'vitest';
import { takeUnexpectedCredit, writeCredits } from '#agent/cash-in/note.ts';
import type { CashAcceptor } from '#hal/cash-acceptor.ts';
import type { CashDispenserStatus } from '#hal/cash-dispenser.ts';
import { DeviceError } from '#protocol/base/errors.ts';
import { storeError } from '#state/store-error.ts';
import { CashInRig, type CashInRigOptions, dollars } from '#test/support/cash-in-rig.ts';
import { failingDisk } from '#test/support/failing-disk.ts';
import { diskError } from '#test/support/life.ts';
import { withMethods } from '#test/support/with-methods.ts';
import { watched } from './watched.ts';

const FAST = { timings: { initialiseMs: 400, acceptMs: 200 } };

async function started(options: CashInRigOptions = { device: FAST }) {
  const rig = new CashInRig(options);
  const one = watched(rig);
  await rig.run(one.watch.start());
  return { rig, ...one };
}

describe('at the start', () => {
  test('both devices are opened, recovered, initialised, and journaled', async () => {
    const { rig, watch, recovered, why } = await started();
    expect(recovered.toSorted()).toEqual(['acceptor', 'dispenser']);
    expect([why('cashIn'), why('cashOut')]).toEqual([[], []]);
    expect(rig.acceptor.status().device).toBe('ready');
    expect(watch.dispenserStatus()?.device).toBe('ready');
    const kinds = rig.journal();
    for (const kind of ['acceptor.opened', 'dispenser.opened']) expect(kinds).toContain(kind);
    expect(kinds.filter((kind) => kind === 'initialise.intended')).toHaveLength(2);
    expect(kinds.filter((kind) => kind === 'initialise.settled')).toHaveLength(2);
    expect(rig.store.intents.listOpen()).toEqual([]);
    expect(rig.validator.violations()).toEqual([]);
    expect(rig.dispenserDevice.violations()).toEqual([]);
    watch.close();
  });

  test('a dispenser that tells that it has to be made ready is not asked for it first', async () => {
    const rig = new CashInRig({ device: FAST });
    const { dispenser } = rig.parts;
    const asked: string[] = [];
    const { watch } = watched(rig, {
      dispenser: withMethods(dispenser, {
        status: () => {
          asked.push('status');
          return dispenser.status();
        },
        initialise: () => {
          asked.push('initialise');
          return dispenser.initialise();
        },
      }),
    });
    await rig.run(watch.start());
    expect(asked.slice(0, 2)).toEqual(['initialise', 'status']);
    expect(watch.dispenserStatus()?.device).toBe('ready');
    watch.close();
  });

  test('devices that are not there are tried again until they are', async () => {
    const rig = new CashInRig({ device: FAST });
    rig.cable.unplug();
    rig.dispenserCable.unplug();
    const { watch, why } = watched(rig);
    await rig.run(watch.start());
    expect(why('cashIn')[0]).toContain('validator: The validator does not work');
    expect(why('cashOut')[0]).toContain('dispenser: The dispenser does not work');
    rig.cable.plug();
    rig.dispenserCable.plug();
    await rig.clock.advance(20_000);
    expect([why('cashIn'), why('cashOut')]).toEqual([[], []]);
    watch.close();
  });

  test('a recovery that a device broke off is tried again, on the device that is open', async () => {
    const rig = new CashInRig({ device: FAST });
    const { watch, failures, recovered, why } = watched(rig);
    failures.push(new DeviceError('timeOut', 'one'), new DeviceError('timeOut', 'two'));
    await rig.run(watch.start());
    expect(why('cashIn')).toHaveLength(1);
    expect(why('cashOut')).toHaveLength(1);
    await rig.clock.advance(20_000);
    expect([why('cashIn'), why('cashOut')]).toEqual([[], []]);
    expect(recovered).toHaveLength(4);
    watch.close();
  });

  test('a recovery that a full disk broke off is tried again', async () => {
    const rig = new CashInRig({ device: FAST });
    const { watch, failures, recovered, why } = watched(rig);
    const full = () => storeError(diskError('SQLITE_FULL')) as Error;
    failures.push(full(), full());
    await rig.run(watch.start());
    // It is not the device's fault, and is not said to be.
    expect(why('cashIn')).toEqual([
      expect.stringMatching(/^validator: The validator is not ready/),
    ]);
    expect(why('cashOut')).toEqual([expect.stringMatching(/: The dispenser is not ready/)]);
    await rig.clock.advance(20_000);
    expect(recovered).toHaveLength(4);
    // Only what was recovered is initialised, and that is what opens it.
    expect(rig.acceptor.status().device).toBe('ready');
    expect(watch.dispenserStatus()?.device).toBe('ready');
    expect([why('cashIn'), why('cashOut')]).toEqual([[], []]);
    watch.close();
  });

  test.each(['validator', 'dispenser'])('a bug ends the start (%s)', async (which) => {
    const rig = new CashInRig({ device: FAST });
    const { watch, failures } = watched(rig);
    // The other device is not there, so that it is not the one that meets the bug.
    (which === 'validator' ? rig.dispenserCable : rig.cable).unplug();
    failures.push(new Error('a bug'));
    await expect(rig.run(watch.start())).rejects.toThrow('a bug');
    watch.close();
  });

  test('a validator that needs help is not reset before it had it', async () => {
    const rig = new CashInRig({ device: FAST });
    rig.fault('failure', 0xa2);
    const { watch, why } = watched(rig);
    await rig.run(watch.start());
    expect(why('cashIn')).toEqual([
      'validator: The validator needs help: 49:A2 failure: stack motor.',
    ]);
    rig.power(false);
    await rig.clock.advance(3_000);
    rig.power(true);
    await rig.clock.advance(15_000);
    expect(why('cashIn')).toEqual([]);
    watch.close();
  });

  test('an initialisation that does not take is tried again', async () => {
    const rig = new CashInRig({ device: FAST });
    const { watch, why } = watched(rig);
    rig.fault('invalidCommand', 0xc3, 40);
    await rig.run(watch.start());
    expect(why('cashIn')).toEqual(['validator: The validator is being initialised.']);
    rig.fault('invalidCommand', 0xc3, 0);
    await rig.clock.advance(90_000);
    expect(why('cashIn')).toEqual([]);
    expect(rig.store.intents.listOpen()).toEqual([]);
    watch.close();
  });

  test('a validator that knows no note of the currency closes cash-in', async () => {
    const notes = [{ escrowCode: 0x61, country: 0xe0, value: 5, exponent: 0 }];
    const { watch, why } = await started({ device: { ...FAST, notes } });
    expect(why('cashIn')[0]).toContain('currencyMismatch');
    watch.close();
  });

  test('a credit that waits is taken first: owed, since nobody is known to have given it', async () => {
    const rig = new CashInRig({ device: { ...FAST, creditAfterPowerUpInStacker: true } });
    const acceptor = rig.acceptor;
    await rig.run(acceptor.open());
    await rig.run(acceptor.initialise());
    await rig.run(acceptor.accept(acceptor.values()));
    rig.insert(20);
    await rig.clock.advance(400);
    void acceptor.deposit();
    await rig.clock.until(() => rig.validator.truth().cashbox['20'] === 1);
    rig.restart();
    const { watch, why } = watched(rig);
    await rig.run(watch.start());
    await rig.clock.advance(20_000);
    expect(rig.obligations()).toEqual(['creditWithoutIntent']);
    expect(why('cashIn')).toEqual([]);
    expect(rig.validator.violations()).toEqual([]);
    watch.close();
  });
});

describe('trouble', () => {
  test('unplugged sets the reasons, plugged in again lifts them', async () => {
    const { rig, watch, why } = await started();
    rig.cable.unplug();
    rig.dispenserCable.unplug();
    await rig.clock.advance(12_000);
    expect(why('cashIn')).toEqual(['validator: The validator does not answer.']);
    expect(why('cashOut')).toEqual(['dispenser: The dispenser does not answer.']);
    rig.cable.plug();
    rig.dispenserCable.plug();
    await rig.clock.advance(30_000);
    expect([why('cashIn'), why('cashOut')]).toEqual([[], []]);
    watch.close();
  });

  test('a power cut makes the validator ready again, and a note inside comes back', async () => {
    const { rig, watch, why } = await started();
    rig.power(false);
    await rig.clock.advance(5_000);
    expect(why('cashIn')).toEqual(['validator: The validator does not answer.']);
    rig.power(true);
    await rig.clock.advance(15_000);
    expect(why('cashIn')).toEqual([]);
    expect(rig.acceptor.status().device).toBe('ready');
    watch.close();
  });

  test('a validator that lost power during a session is made ready when the session is over', async () => {
    const { rig, watch, session, why } = await started();
    session.takes = true;
    rig.power(false);
    await rig.clock.advance(5_000);
    rig.power(true);
    await rig.clock.advance(60_000);
    expect(rig.acceptor.status().device).toBe('attention');
    expect(why('cashIn')).toEqual(['validator: The validator is being initialised.']);
    await rig.run(watch.initialiseAcceptor());
    session.takes = false;
    await rig.clock.advance(10_000);
    expect(rig.acceptor.status().device).toBe('ready');
    expect(why('cashIn')).toEqual([]);
    expect(rig.journal().filter((kind) => kind === 'initialise.intended')).toHaveLength(3);
    watch.close();
  });

  test('a validator that a full disk kept from being made ready is made ready later', async () => {
    const disk: { isFull: boolean } = { isFull: false };
    const beforeCommit = () => {
      if (disk.isFull) throw diskError('SQLITE_FULL');
    };
    const openDatabase = failingDisk({ beforeCommit });
    const { rig, watch, why } = await started({ device: FAST, openDatabase });
    rig.power(false);
    await rig.clock.advance(5_000);
    disk.isFull = true;
    rig.power(true);
    await rig.clock.advance(15_000);
    expect(rig.acceptor.status().device).toBe('attention');
    disk.isFull = false;
    await rig.clock.advance(15_000);
    expect(rig.acceptor.status().device).toBe('ready');
    expect(why('cashIn')).toEqual([]);
    watch.close();
  });

  test('a fault that a person must mend is said, until it was mended', async () => {
    const { rig, watch, why } = await started();
    rig.fault('failure', 0xa2);
    await rig.clock.advance(1_000);
    expect(why('cashIn')[0]).toMatch(/^validator: The validator (needs help|is being)/);
    await rig.clock.advance(30_000);
    expect(why('cashIn')).toHaveLength(1);
    // Who mends it switches it off and on again.
    rig.power(false);
    await rig.clock.advance(3_000);
    rig.power(true);
    await rig.clock.advance(15_000);
    expect(why('cashIn')).toEqual([]);
    watch.close();
  });

  test('the cash box: out, and in again', async () => {
    const { rig, watch, why } = await started();
    rig.validator.control({ do: 'cashbox', present: false });
    await rig.clock.advance(2_000);
    expect(why('cashIn')).toContain('cashBox: The cash box is out.');
    rig.validator.control({ do: 'cashbox', present: true });
    await rig.clock.advance(15_000);
    expect(why('cashIn')).toEqual([]);
    watch.close();
  });

  test('fraud is journaled', async () => {
    const { rig, watch, session } = await started();
    session.takes = true;
    rig.fault('cheat');
    await rig.run(rig.acceptor.accept(rig.acceptor.values()));
    rig.insert(20);
    await rig.clock.advance(300);
    await rig.run(rig.acceptor.deposit());
    await rig.clock.advance(2_000);
    expect(rig.journal()).toContain('fraud.attempted');
    watch.close();
  });

  test('dispenser: notes left inside close cash-out until they are gone', async () => {
    const { rig, watch, why } = await started();
    const status = watch.dispenserStatus();
    if (!status) throw new Error('it was asked');
    const { dispenser } = rig.parts;
    const asked: (typeof status)[] = [
      { ...status, path: 'notes' },
      { ...status, device: 'fault', fault: { code: '1', text: 'a jam' } },
      { ...status, device: 'fault', fault: undefined },
      status,
    ];
    const words: string[][] = [];
    for (const next of asked) {
      const other = watched(rig, {
        dispenser: withMethods(dispenser, { status: async () => next }),
      });
      await rig.run(other.watch.checkDispenser());
      words.push(why('cashOut'));
    }
    expect(words).toEqual([
      ['dispenser: Notes are left inside the dispenser.'],
      ['dispenser: The dispenser needs help: a jam.'],
      ['dispenser: The dispenser needs help: unknown fault.'],
      [],
    ]);
    watch.close();
  });

  test('an initialisation of which nothing is known books nothing', async () => {
    const rig = new CashInRig({ device: FAST });
    const { store, dispenser } = rig.parts;
    const { watch } = watched(rig, {
      dispenser: withMethods(dispenser, {
        subscribe: () => () => undefined,
        initialise: async () => ({ kind: 'unknown', evidence: 'silence' }),
      }),
    });
    await rig.run(watch.start());
    expect(store.ledger.movements()).toEqual([]);
    expect(store.intents.listOpen()).toEqual([]);
    watch.close();
  });
});

describe('outside a session', () => {
  async function slotOpen() {
    const one = await started();
    await one.rig.run(one.rig.acceptor.accept(one.rig.acceptor.values()));
    return one;
  }

  test('a note in escrow is given back', async () => {
    const { rig, watch } = await slotOpen();
    rig.insert(20);
    await rig.clock.advance(3_000);
    expect(rig.validator.truth()).toMatchObject({ cashbox: {}, customer: { '20': 1 } });
    expect(rig.journal()).toContain('note.givenBack');
    watch.close();
  });

  test('inside one it is the session’s', async () => {
    const { rig, watch, session } = await slotOpen();
    session.takes = true;
    rig.insert(20);
    await rig.clock.advance(3_000);
    expect(rig.validator.truth().path).toEqual({ '20': 1 });
    expect(rig.journal()).not.toContain('note.givenBack');
    watch.close();
  });

  test('a credit is booked and owed; the same one again is only confirmed', async () => {
    const rig = new CashInRig({ device: FAST });
    const { acceptor, tell } = talking(rig);
    const { watch } = watched(rig, { acceptor });
    await rig.run(watch.start());
    tell({ kind: 'credit.unexpected', value: dollars(20) });
    tell({ kind: 'credit.unexpected', value: dollars(20) });
    await rig.clock.advance(100);
    expect(rig.obligations()).toEqual(['creditWithoutIntent']);
    expect(rig.booked()).toEqual({ '20': 1 });
    tell({ kind: 'note.inserted' });
    tell({ kind: 'credit.unexpected', value: dollars(20) });
    await rig.clock.advance(100);
    expect(rig.booked()).toEqual({ '20': 2 });
    tell({ kind: 'note.refused', reason: 'other', code: '71' });
    tell({ kind: 'device.failed', error: new DeviceError('hardwareError', 'broken') });
    expect(rig.lines.join('')).toContain('validator failed');
    watch.close();
  });

  test('a note that was drawn in while the disk was full is another one', async () => {
    const disk: { isFull: boolean } = { isFull: false };
    const beforeCommit = () => {
      if (disk.isFull) throw diskError('SQLITE_FULL');
    };
    const rig = new CashInRig({ device: FAST, openDatabase: failingDisk({ beforeCommit }) });
    const { acceptor, tell } = talking(rig);
    const { watch } = watched(rig, { acceptor });
    await rig.run(watch.start());
    tell({ kind: 'credit.unexpected', value: dollars(20) });
    await rig.clock.advance(100);
    disk.isFull = true;
    tell({ kind: 'note.inserted' });
    tell({ kind: 'credit.unexpected', value: dollars(20) });
    await rig.clock.advance(100);
    disk.isFull = false;
    expect(rig.booked()).toEqual({ '20': 1 });
    expect(writeCredits(rig.parts)).toBe(true);
    expect(rig.booked()).toEqual({ '20': 2 });
    watch.close();
  });

  test('a fault in the background is logged, and silence follows the end', async () => {
    const rig = new CashInRig({ device: FAST });
    const { acceptor, tell } = talking(rig);
    const { watch } = watched(rig, { acceptor });
    await rig.run(watch.start());
    tell({ kind: 'note.escrowed', value: dollars(20) });
    await rig.clock.advance(100);
    expect(rig.lines.filter((line) => line.includes('device watch failed'))).toHaveLength(1);
    tell({ kind: 'note.escrowed', value: dollars(20) });
    watch.close();
    await rig.clock.advance(60_000);
    tell({ kind: 'credit.unexpected', value: dollars(20) });
    expect(rig.lines.filter((line) => line.includes('device watch failed'))).toHaveLength(1);
    expect(rig.booked()).toEqual({});
  });

  test.each([
    ['fault', 'ok', undefined, 'validator: The validator needs help: unknown fault.'],
    ['fault', 'ok', { code: '45', text: 'a jam' }, 'validator: The validator needs help: a jam.'],
    ['ready', 'full', undefined, 'cashBox: The cash box is full.'],
    ['ready', 'unknown', undefined, undefined],
  ] as const)('%s, cash box %s is said', async (device, cashBox, fault, words) => {
    const rig = new CashInRig({ device: FAST });
    const { acceptor, tell } = talking(rig);
    const { watch, why } = watched(rig, { acceptor });
    await rig.run(watch.start());
    tell({ kind: 'status.changed', status: { device, cashBox, fault, powerUp: 'none' } });
    expect(why('cashIn')).toEqual(words === undefined ? [] : [words]);
    watch.close();
  });
});

/** The rig's acceptor, and a voice that says what a test wants. */
function talking(rig: CashInRig) {
  const listeners = new Set<Parameters<CashAcceptor['subscribe']>[0]>();
  const real = rig.acceptor;
  const acceptor: CashAcceptor = {
    capabilities: real.capabilities,
    values: () => real.values(),
    status: () => real.status(),
    open: () => real.open(),
    initialise: () => real.initialise(),
    accept: (values) => real.accept(values),
    deposit: () => real.deposit(),
    confirmDeposit: () => real.confirmDeposit(),
    returnNote: () => real.returnNote(),
    close: () => real.close(),
    subscribe: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
  const tell = (event: Parameters<Parameters<CashAcceptor['subscribe']>[0]>[0]) => {
    for (const listener of listeners) listener(event);
  };
  return { acceptor, tell };
}

test('an idle dispenser is asked again and again, one that a session uses is not', async () => {
  const { rig, watch, session } = await started();
  const before = rig.changes;
  await rig.clock.advance(30_500);
  expect(rig.changes).toBe(before + 3);
  session.dispenses = true;
  await rig.clock.advance(30_000);
  rig.dispenserCable.unplug();
  await rig.clock.advance(15_000);
  expect(rig.changes).toBe(before + 3);
  session.dispenses = false;
  await rig.clock.advance(10_000);
  expect(watch.dispenserStatus()?.device).toBe('offline');
  watch.close();
});

test('notes that lie in the slot close cash-out, and nothing else, until they are taken', async () => {
  const rig = new CashInRig({ device: FAST });
  const slot: { exit: CashDispenserStatus['exit'] } = { exit: 'notes' };
  const real = rig.parts.dispenser;
  const dispenser = new Proxy(real, {
    get(target, key) {
      if (key === 'status') return async () => ({ ...(await real.status()), ...slot });
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  const { watch, why } = watched(rig, { dispenser });
  await rig.run(watch.start());
  await rig.clock.advance(30_000);
  expect(why('cashOut')).toEqual(['dispenser: Notes were left in the slot.']);
  expect(why('cashIn')).toEqual([]);
  slot.exit = 'clear';
  await rig.clock.advance(10_000);
  expect(why('cashOut')).toEqual([]);
  watch.close();
});

test('a note in doubt closes the slot until the validator is seen to be ready', async () => {
  const { rig, watch, session, why } = await started();
  const doubt = () => rig.parts.board.set('cashIn', 'noteUnknown', 'Where is it?');
  session.takes = true;
  doubt();
  await rig.clock.advance(30_000);
  expect(why('cashIn')).toEqual(['noteUnknown: Where is it?']);
  session.takes = false;
  await rig.clock.advance(10_000);
  expect(why('cashIn')).toEqual([]);
  rig.cable.unplug();
  await rig.clock.advance(12_000);
  doubt();
  await rig.clock.advance(30_000);
  expect(why('cashIn')).toHaveLength(2);
  rig.cable.plug();
  await rig.clock.advance(30_000);
  expect(why('cashIn')).toEqual([]);
  watch.close();
});

test('a credit of unknown value is owed without an amount', async () => {
  const rig = await new CashInRig().ready();
  await rig.run(takeUnexpectedCredit(rig.parts, undefined));
  const [owed] = rig.store.obligations.list();
  expect(owed).toMatchObject({ kind: 'creditWithoutIntent' });
  expect(owed?.amountMinor).toBeUndefined();
  expect(rig.booked()).toEqual({});
});
