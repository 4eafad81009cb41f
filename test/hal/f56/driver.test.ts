import { describe, expect, test } from 'vitest';
import type { CashDispenserEvent } from '#hal/cash-dispenser.ts';
import { F56_LINE } from '#hal/f56/models.ts';
import { encodeFrame } from '#hal/f56/wire.ts';
import type { SimulatedDevice } from '#hal/simulator/device.ts';
import {
  asked,
  bids,
  dispense,
  held,
  makeRig,
  type Rig,
  readyRig,
  sentCommands,
  take,
} from './rig.ts';

function movingCommands(rig: Rig): string[] {
  return [...sentCommands(rig, 'initialise'), ...sentCommands(rig, 'billCount')];
}

/** A unit that is none: it says the next answer to whatever it hears. */
function parrot(answer: (heard: string) => Uint8Array): SimulatedDevice {
  let send: (bytes: Uint8Array) => void = () => undefined;
  const truth = { units: {}, reject: {}, cashbox: {}, path: {}, customer: {} };
  return {
    kind: 'dispenser',
    protocol: 'other',
    line: F56_LINE,
    faults: {},
    receive: (bytes) => send(answer(Buffer.from(bytes).toString('hex'))),
    connect: (next) => {
      send = next;
    },
    control: () => truth,
    truth: () => truth,
    violations: () => [],
    stop: () => undefined,
  };
}

describe('identification', () => {
  test.each(['f56', 'f53'] as const)('%s says no more than it can', async (model) => {
    const rig = makeRig({ device: { model } });
    const identity = await rig.clock.resolve(rig.dispenser.open());
    expect(identity).toEqual({
      protocol: 'f56',
      model,
      firmware: 'not reported',
      serialNumber: undefined,
    });
    expect(rig.dispenser.capabilities.positions).toHaveLength(model === 'f56' ? 4 : 2);
    expect(movingCommands(rig)).toEqual([]);
    expect(rig.device.violations()).toEqual([]);
  });

  test('nobody there', async () => {
    const rig = makeRig();
    rig.device.control({ do: 'power', on: false });
    await expect(rig.clock.resolve(rig.dispenser.open())).rejects.toMatchObject({
      code: 'timeOut',
    });
    expect(sentCommands(rig, 'status')).toEqual([]);
    expect(bids(rig)).toBe(4);
  });

  test('another line is silence', async () => {
    const other = parrot(() => Uint8Array.of(0x10, 0x06));
    const rig = makeRig({ other: () => ({ ...other, line: { ...F56_LINE, parity: 'none' } }) });
    await expect(rig.clock.resolve(rig.dispenser.open())).rejects.toMatchObject({
      code: 'timeOut',
    });
  });

  test('a unit of the same link without the sensors is refused', async () => {
    const says = [Uint8Array.of(0x10, 0x06), Uint8Array.of(0x10, 0x06, 0x10, 0x05)];
    const rig = makeRig({
      other: () => parrot(() => says.shift() ?? encodeFrame([0x80, 0x01, 0x00, 0x1c])),
    });
    await expect(rig.clock.resolve(rig.dispenser.open())).rejects.toMatchObject({
      code: 'unsupportedCommand',
      message: expect.stringContaining('not an f56'),
    });
    expect(movingCommands(rig)).toEqual([]);
  });

  test('a device that only says NAK, or noise, is refused', async () => {
    for (const answer of [[0x15], [0x10, 0x15], [0x06], [0xff, 0xff]]) {
      const rig = makeRig({ other: () => parrot(() => Uint8Array.from(answer)) });
      await expect(rig.clock.resolve(rig.dispenser.open())).rejects.toMatchObject({
        code: 'timeOut',
      });
      expect(sentCommands(rig, 'status')).toEqual([]);
    }
  });

  test('a port that nobody else may have', async () => {
    const rig = makeRig();
    rig.cable.lock();
    await expect(rig.dispenser.open()).rejects.toMatchObject({ code: 'locked' });
    rig.cable.unplug();
    await expect(rig.dispenser.open()).rejects.toMatchObject({ code: 'notFound' });
    rig.cable.plug();
    await expect(rig.clock.resolve(rig.dispenser.open())).resolves.toBeDefined();
    await expect(rig.dispenser.open()).rejects.toMatchObject({ code: 'sequenceError' });
  });

  test('configuration that the model cannot have', () => {
    expect(() => makeRig({ driver: { positions: [1, 5] } })).toThrow(RangeError);
    expect(() => makeRig({ driver: { model: 'f53', positions: [3] } })).toThrow(RangeError);
    expect(() => makeRig({ driver: { batchMax: 21 } })).toThrow(RangeError);
    expect(makeRig({ driver: { batchMax: 5 } }).dispenser.capabilities.batchMax).toBe(5);
  });
});

describe('initialise', () => {
  test('tells the unit what its bays hold', async () => {
    const rig = await readyRig();
    // Source: cash-hardware.md 6.6, captured from lamassu-machine 8.6.
    const golden = '10020011' + '60020d00a692a692000000000d0d0d0d1c' + '1003dcb0';
    expect(sentCommands(rig, 'initialise')).toEqual([golden]);
    expect((await rig.clock.resolve(rig.dispenser.status())).device).toBe('ready');
    expect(rig.device.violations()).toEqual([]);
  });

  test('polymer notes are said to be such', async () => {
    const rig = makeRig({ device: { currency: 'CAD' } });
    rig.dispenser.setNotes(held({ 1: 20, 2: 50 }, 'CAD'));
    await rig.clock.resolve(rig.dispenser.open());
    await rig.clock.resolve(rig.dispenser.initialise());
    expect(sentCommands(rig, 'initialise')[0]).toContain('60020d40a28ea28e');
  });

  test('is not sent before anybody has said what the bays hold', async () => {
    const rig = makeRig();
    await rig.clock.resolve(rig.dispenser.open());
    expect(await rig.clock.resolve(rig.dispenser.status())).toMatchObject({
      device: 'fault',
      fault: { code: 'notes' },
    });
    const outcome = await rig.clock.resolve(rig.dispenser.initialise());
    expect(outcome.kind).toBe('notExecuted');
    rig.dispenser.setNotes([]);
    expect((await rig.clock.resolve(rig.dispenser.initialise())).kind).toBe('notExecuted');
    expect(movingCommands(rig)).toEqual([]);
  });

  test('is not sent for notes of an unknown length, which are named', async () => {
    const rig = makeRig();
    rig.dispenser.setNotes(held({ 1: 20, 2: 3 }));
    await rig.clock.resolve(rig.dispenser.open());
    const status = await rig.clock.resolve(rig.dispenser.status());
    expect(status.device).toBe('fault');
    expect(status.fault?.text).toContain('USD 3 notes of bay 2');
    expect((await rig.clock.resolve(rig.dispenser.initialise())).kind).toBe('notExecuted');
    expect(movingCommands(rig)).toEqual([]);
  });

  test('is due again when a bay holds other notes, and only when they measure otherwise', async () => {
    const cassettes = { 1: { denomination: 20, count: 9 }, 2: { denomination: 50, count: 9 } };
    const rig = makeRig({ device: { currency: 'EUR', cassettes } });
    const news: string[] = [];
    rig.dispenser.subscribe((event) => {
      if (event.kind === 'status.changed') news.push(event.device);
    });
    rig.dispenser.setNotes(held({ 1: 20, 2: 50 }, 'EUR'));
    await rig.clock.resolve(rig.dispenser.open());
    await rig.clock.resolve(rig.dispenser.initialise());
    rig.dispenser.setNotes(held({ 1: 20, 2: 50 }, 'EUR'));
    expect(news).toEqual(['attention', 'ready']);
    rig.device.control({ do: 'cassette', position: 2, denomination: 10 });
    // Nobody has told the driver: the unit finds the notes too short.
    expect(await dispense(rig, { 2: 1 })).toMatchObject({
      units: [{}, { presented: 0, rejected: 5 }, {}, {}],
      error: { code: '8200', countsTrusted: false },
    });
    await rig.clock.resolve(rig.dispenser.initialise());
    rig.dispenser.setNotes(held({ 1: 20, 2: 10 }, 'EUR'));
    expect(news.at(-1)).toBe('attention');
    expect((await dispense(rig, { 2: 1 })).kind).toBe('notExecuted');
    await rig.clock.resolve(rig.dispenser.initialise());
    expect(await dispense(rig, { 2: 1 })).toMatchObject({ error: undefined });
    expect(sentCommands(rig, 'initialise').at(-1)).toContain('60020d008f7b8975');
  });

  test('is not sent over notes at the exit, nor asked for until they are taken', async () => {
    const rig = await readyRig();
    const moving = rig.dispenser.dispense(asked({ 1: 3 }));
    await rig.clock.until(() => sentCommands(rig, 'billCount').length === 1);
    await rig.clock.advance(600);
    rig.device.control({ do: 'power', on: false });
    expect((await rig.clock.resolve(moving)).kind).toBe('unknown');
    expect(rig.device.truth()).toMatchObject({ customer: { 20: 1 }, path: { 20: 1 } });
    rig.device.control({ do: 'power', on: true });
    await rig.clock.advance(60_000);
    expect(await rig.clock.resolve(rig.dispenser.status())).toMatchObject({
      device: 'fault',
      exit: 'notes',
      path: 'unknown',
      fault: { code: 'exit' },
    });
    expect((await rig.clock.resolve(rig.dispenser.initialise())).kind).toBe('notExecuted');
    expect(sentCommands(rig, 'initialise')).toHaveLength(1);
    take(rig);
    expect((await rig.clock.resolve(rig.dispenser.status())).device).toBe('attention');
    expect((await rig.clock.resolve(rig.dispenser.initialise())).kind).toBe('answered');
    expect((await rig.clock.resolve(rig.dispenser.status())).device).toBe('ready');
  });

  test('that brings notes to the exit is unknown', async () => {
    const rig = await readyRig();
    rig.device.control({ do: 'fault', name: 'pickUpFailure', value: 1 });
    rig.device.control({ do: 'fault', name: 'keepsNotes' });
    rig.device.control({ do: 'fault', name: 'initialiseEjects' });
    await dispense(rig, { 1: 2 });
    const outcome = await rig.clock.resolve(rig.dispenser.initialise());
    expect(outcome).toMatchObject({ kind: 'unknown', evidence: expect.stringContaining('exit') });
    expect(rig.device.truth().customer).toEqual({ 20: 1 });
  });

  test('a jam stays a jam until a person has cleared it', async () => {
    const rig = await readyRig();
    rig.device.control({ do: 'fault', name: 'jamOnPath' });
    await dispense(rig, { 1: 1 });
    const outcome = await rig.clock.resolve(rig.dispenser.initialise());
    expect(outcome).toMatchObject({ kind: 'answered', error: { code: '7801' } });
    const status = await rig.clock.resolve(rig.dispenser.status());
    expect(status).toMatchObject({ device: 'attention', path: 'notes', fault: { code: '7801' } });
    take(rig);
    await rig.clock.resolve(rig.dispenser.initialise());
    expect(await rig.clock.resolve(rig.dispenser.status())).toMatchObject({
      device: 'ready',
      path: 'clear',
      fault: undefined,
    });
  });

  test('a lost answer is unknown, and it is not sent again', async () => {
    const rig = makeRig();
    rig.dispenser.setNotes(held({ 1: 20 }));
    await rig.clock.resolve(rig.dispenser.open());
    rig.device.control({ do: 'fault', name: 'loseResponse' });
    expect((await rig.clock.resolve(rig.dispenser.initialise())).kind).toBe('unknown');
    expect(sentCommands(rig, 'initialise')).toHaveLength(1);
  });

  test('silence, NAK and a refusal leave nothing done', async () => {
    const rig = makeRig();
    rig.dispenser.setNotes(held({ 1: 20 }));
    expect((await rig.dispenser.initialise()).kind).toBe('notExecuted');
    await rig.clock.resolve(rig.dispenser.open());
    rig.device.control({ do: 'fault', name: 'nak' });
    expect((await rig.clock.resolve(rig.dispenser.initialise())).kind).toBe('notExecuted');
    rig.device.control({ do: 'fault', name: 'initialiseError', value: 0xe800 });
    expect((await rig.clock.resolve(rig.dispenser.initialise())).kind).toBe('notExecuted');
    expect((await rig.clock.resolve(rig.dispenser.status())).device).toBe('attention');
    rig.device.control({ do: 'fault', name: 'silence', times: 9 });
    expect((await rig.clock.resolve(rig.dispenser.initialise())).kind).toBe('notExecuted');
    expect(sentCommands(rig, 'initialise')).toHaveLength(2);
  });
});

describe('status', () => {
  test('cassettes and reject box are told as far as errors tell them', async () => {
    const rig = await readyRig();
    rig.device.control({ do: 'cassette', position: 2, present: false });
    await dispense(rig, { 2: 1 });
    expect(await rig.clock.resolve(rig.dispenser.status())).toMatchObject({
      device: 'attention',
      rejectTray: 'unknown',
      units: [{ status: 'unknown' }, { status: 'missing' }, {}, {}],
      fault: { code: '2000' },
    });
    rig.device.control({ do: 'fault', name: 'rejectBoxFull' });
    expect(await rig.clock.resolve(rig.dispenser.status())).toMatchObject({
      device: 'fault',
      rejectTray: 'full',
      fault: { code: 'B500' },
    });
    rig.device.control({ do: 'fault', name: 'rejectBoxFull', times: 0 });
    await rig.clock.resolve(rig.dispenser.initialise());
    const status = await rig.clock.resolve(rig.dispenser.status());
    expect(status).toMatchObject({ device: 'ready', fault: undefined });
    expect(status.units.map((unit) => unit.status)).toEqual(Array(4).fill('unknown'));
  });

  test('a fault is told once', async () => {
    const rig = await readyRig();
    const errors: string[] = [];
    rig.dispenser.subscribe((event) => {
      if (event.kind === 'device.failed') errors.push(event.error.message);
    });
    rig.device.control({ do: 'fault', name: 'rejectBoxMissing' });
    await rig.clock.advance(10_000);
    expect(errors).toEqual([expect.stringContaining('B000')]);
  });

  test('it has no memory', async () => {
    const rig = await readyRig();
    await dispense(rig, { 1: 1 });
    expect(await rig.dispenser.baseline()).toEqual({
      lastResultHex: undefined,
      sequenceNumber: undefined,
    });
    expect(await rig.dispenser.lastResult()).toBeUndefined();
    expect(rig.dispenser.capabilities).toMatchObject({
      lastResult: false,
      sequenceNumber: false,
      rejectTrayTest: false,
      sensesExit: true,
    });
  });

  test('a test dispense goes to the slot', async () => {
    const rig = await readyRig();
    await rig.clock.resolve(rig.dispenser.testDispense(asked({ 1: 1 })));
    expect(rig.device.truth().customer).toEqual({ 20: 1 });
  });
});

describe('taking', () => {
  test('is waited for', async () => {
    const rig = await readyRig();
    await dispense(rig, { 1: 1 });
    const waiting = rig.dispenser.waitTaken(60_000);
    await rig.clock.advance(20_000);
    take(rig);
    const before = rig.clock.monotonic();
    expect(await rig.clock.resolve(waiting)).toBe('taken');
    expect(rig.clock.monotonic() - before).toBeLessThan(1500);
  });

  test('is not waited for longer than it may be', async () => {
    const rig = await readyRig();
    await dispense(rig, { 1: 1 });
    const before = rig.clock.monotonic();
    expect(await rig.clock.resolve(rig.dispenser.waitTaken(10_000))).toBe('notTaken');
    expect(rig.clock.monotonic() - before).toBeGreaterThanOrEqual(10_000);
    expect(rig.clock.monotonic() - before).toBeLessThan(11_000);
    expect(await rig.clock.resolve(rig.dispenser.waitTaken(0))).toBe('notTaken');
  });

  test('a short silence is borne, a long one is unknown', async () => {
    const rig = await readyRig();
    await dispense(rig, { 1: 1 });
    const waiting = rig.dispenser.waitTaken(60_000);
    await rig.clock.advance(3000);
    rig.cable.unplug();
    await rig.clock.advance(2000);
    rig.cable.plug();
    await rig.clock.advance(3000);
    take(rig);
    expect(await rig.clock.resolve(waiting)).toBe('taken');
    rig.cable.unplug();
    expect(await rig.clock.resolve(rig.dispenser.waitTaken(60_000))).toBe('unknown');
  });

  test('closing ends the wait', async () => {
    const rig = await readyRig();
    await dispense(rig, { 1: 1 });
    const waiting = rig.dispenser.waitTaken(600_000);
    await rig.clock.advance(1000);
    await rig.dispenser.close();
    expect(await rig.clock.resolve(waiting, 2000)).toBe('unknown');
  });
});

describe('keeping in touch', () => {
  test('unplugging is heard at once, and plugging in again makes it work again', async () => {
    const rig = await readyRig();
    const events: CashDispenserEvent[] = [];
    rig.dispenser.subscribe((event) => events.push(event));
    rig.cable.unplug();
    await rig.clock.advance(0);
    expect(events).toMatchObject([
      { kind: 'status.changed', device: 'offline' },
      { kind: 'device.failed', error: { code: 'deviceNotReady' } },
    ]);
    expect((await rig.dispenser.status()).device).toBe('offline');
    expect((await dispense(rig, { 1: 1 })).kind).toBe('notExecuted');
    await rig.clock.advance(20_000);
    rig.cable.plug();
    await rig.clock.advance(3000);
    expect(events.at(-1)).toEqual({ kind: 'status.changed', device: 'attention' });
    await rig.clock.resolve(rig.dispenser.initialise());
    expect((await dispense(rig, { 1: 1 })).kind).toBe('answered');
  });

  test('an idle unit that loses its power is missed within two seconds, and found again', async () => {
    const rig = await readyRig();
    const devices: string[] = [];
    rig.dispenser.subscribe((event) => {
      if (event.kind === 'status.changed') devices.push(event.device);
    });
    await rig.clock.advance(100);
    rig.device.control({ do: 'power', on: false });
    await rig.clock.advance(2000);
    expect(devices).toEqual(['offline']);
    rig.device.control({ do: 'power', on: true });
    await rig.clock.advance(10_000);
    expect(devices).toEqual(['offline', 'attention']);
    expect(movingCommands(rig)).toHaveLength(1);
  });

  test('one that loses it amid a question is missed within eight seconds', async () => {
    for (let afterMs = 0; afterMs < 700; afterMs += 10) {
      const rig = await readyRig();
      let missedAtMs = Number.POSITIVE_INFINITY;
      rig.dispenser.subscribe(() => {
        missedAtMs = Math.min(missedAtMs, rig.clock.monotonic());
      });
      await rig.clock.advance(afterMs);
      rig.device.control({ do: 'power', on: false });
      const startMs = rig.clock.monotonic();
      await rig.clock.advance(20_000);
      expect(missedAtMs - startMs).toBeLessThan(8000);
    }
  });

  test('a unit that stays silent has its port opened anew, in case the adapter hangs', async () => {
    const rig = await readyRig();
    const { opened } = rig.port;
    rig.device.control({ do: 'power', on: false });
    await rig.clock.advance(20_000);
    expect(rig.port.opened).toBeGreaterThan(opened);
    rig.device.control({ do: 'power', on: true });
    await rig.clock.advance(10_000);
    expect((await rig.clock.resolve(rig.dispenser.status())).device).toBe('attention');
    expect(movingCommands(rig)).toHaveLength(1);
  });

  test('the plug is pulled while notes move', async () => {
    const rig = await readyRig();
    const moving = rig.dispenser.dispense(asked({ 1: 4 }));
    await rig.clock.until(() => sentCommands(rig, 'billCount').length === 1);
    await rig.clock.advance(600);
    rig.cable.unplug();
    const started = rig.clock.monotonic();
    expect((await rig.clock.resolve(moving)).kind).toBe('unknown');
    expect(rig.clock.monotonic() - started).toBe(0);
    rig.cable.plug();
    await rig.clock.advance(30_000);
    expect(await rig.clock.resolve(rig.dispenser.status())).toMatchObject({ exit: 'notes' });
    expect(sentCommands(rig, 'billCount')).toHaveLength(1);
  });

  test('an idle machine is asked twice a second, and not more', async () => {
    const rig = await readyRig();
    const before = bids(rig);
    await rig.clock.advance(60_000);
    expect(bids(rig) - before).toBeGreaterThan(90);
    expect(bids(rig) - before).toBeLessThanOrEqual(120);
    expect(rig.device.violations()).toEqual([]);
  });

  test('a line that babbles for ever stops nothing for ever', async () => {
    const rig = await readyRig();
    let isBabbling: boolean = true;
    const babble = () => {
      if (!isBabbling) return;
      rig.cable.addFault({
        direction: 'toHost',
        unit: 'chunk',
        nth: rig.cable.passed('toHost').chunks,
        do: 'insert',
        bytes: [0x10, 0x02, 0x00, 0x40, 0x10, 0x06, 0x10],
      });
      rig.clock.after(40, babble);
    };
    babble();
    const status = await rig.clock.resolve(rig.dispenser.status(), 120_000);
    expect(['ready', 'offline']).toContain(status.device);
    isBabbling = false;
    await rig.clock.advance(30_000);
    expect((await rig.clock.resolve(rig.dispenser.status())).device).not.toBe('offline');
  });

  test('closing ends everything', async () => {
    const rig = await readyRig();
    const asking = rig.dispenser.status();
    await rig.dispenser.close();
    expect((await asking).device).toBe('offline');
    rig.device.stop();
    await rig.clock.advance(5000);
    expect(rig.clock.pending).toBe(0);
    expect((await rig.dispenser.status()).device).toBe('offline');
  });
});
