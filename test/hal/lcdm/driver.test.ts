import { describe, expect, test } from 'vitest';
import type { CashDispenserEvent } from '#hal/cash-dispenser.ts';
import { id30Dialect } from '#hal/lcdm/id30/commands.ts';
import { id50Dialect } from '#hal/lcdm/id50/commands.ts';
import { lcdmLine } from '#hal/lcdm/models.ts';
import type { SimulatedDevice } from '#hal/simulator/device.ts';
import { LcdmDevice } from '#hal/simulator/lcdm/device.ts';
import { asked, CASSETTES, dispense, makeRig, type Rig, readyRig, sentCommands } from './rig.ts';

function movingCommands(rig: Rig): string[] {
  return [id30Dialect, id50Dialect].flatMap(({ id, commands }) =>
    Object.values(commands)
      .filter(({ moves }) => moves)
      .flatMap(({ code }) => sentCommands(rig, code, id)),
  );
}

/** A unit that is no LCDM-4000: it says the same to whatever it hears. */
function parrot(answer: Uint8Array): SimulatedDevice {
  let send: (bytes: Uint8Array) => void = () => undefined;
  const truth = { units: {}, reject: {}, cashbox: {}, path: {}, customer: {} };
  return {
    kind: 'dispenser',
    protocol: 'other',
    line: lcdmLine('none'),
    faults: {},
    receive: () => send(answer),
    connect: (next) => {
      send = next;
    },
    control: () => truth,
    truth: () => truth,
    violations: () => [],
    stop: () => undefined,
  };
}

/** Two units behind one plug; the first hears until `swap`. */
function pair(first: SimulatedDevice, second: SimulatedDevice) {
  let current = first;
  const device: SimulatedDevice = {
    ...parrot(new Uint8Array()),
    receive: (bytes) => current.receive(bytes),
    connect: (send) => {
      first.connect(send);
      second.connect(send);
    },
  };
  return {
    device,
    swap: () => {
      current = second;
    },
  };
}

describe('identification', () => {
  test.each(['lcdm-4000', 'lcdm-4000-lamassu'] as const)('%s says who it is', async (model) => {
    const rig = makeRig({ device: { model } });
    const identity = await rig.clock.resolve(rig.dispenser.open());
    expect(identity).toEqual({
      protocol: 'lcdm',
      model,
      firmware: 'not reported',
      serialNumber: undefined,
    });
    expect(movingCommands(rig)).toEqual([]);
    expect(rig.device.violations()).toEqual([]);
  });

  test.each([
    ['lcdm-2000', 'T20T 5624'],
    ['lcdm-1000', 'O16T AD2C'],
  ] as const)('%s says who it is, with its program', async (model, firmware) => {
    const rig = makeRig({ device: { model, cassettes: { 1: CASSETTES[1] } } });
    const identity = await rig.clock.resolve(rig.dispenser.open());
    expect(identity).toEqual({ protocol: 'lcdm', model, firmware, serialNumber: undefined });
    expect(movingCommands(rig)).toEqual([]);
    expect(rig.device.violations()).toEqual([]);
  });

  test('nobody there', async () => {
    const rig = makeRig();
    rig.device.control({ do: 'power', on: false });
    await expect(rig.clock.resolve(rig.dispenser.open())).rejects.toMatchObject({
      code: 'timeOut',
    });
    expect(movingCommands(rig)).toEqual([]);
  });

  test('wrong parity is silence', async () => {
    const rig = makeRig({ driver: { parity: 'even' } });
    await expect(rig.clock.resolve(rig.dispenser.open())).rejects.toMatchObject({
      code: 'timeOut',
    });
    const fits = makeRig({ driver: { parity: 'even' }, device: { parity: 'even' } });
    await expect(fits.clock.resolve(fits.dispenser.open())).resolves.toBeDefined();
  });

  test.each([
    ['lcdm-4000', 'lcdm-4000-lamassu', 'lcdm-4000-lamassu'],
    ['lcdm-4000-lamassu', 'lcdm-4000', 'sequence number'],
    ['lcdm-2000', 'lcdm-1000', 'lcdm-1000'],
    ['lcdm-1000', 'lcdm-2000', 'lcdm-2000'],
    ['lcdm-4000', 'lcdm-2000', 'LCDM-2000 (ID 50)'],
    ['lcdm-4000-lamassu', 'lcdm-1000', 'LCDM-2000 (ID 50)'],
    ['lcdm-2000', 'lcdm-4000', 'LCDM-4000 (ID 30)'],
    ['lcdm-1000', 'lcdm-4000-lamassu', 'LCDM-4000 (ID 30)'],
  ] as const)('an %s is not an %s', async (wanted, there, word) => {
    const rig = makeRig({
      device: { model: there, parity: 'none', cassettes: { 1: CASSETTES[1] } },
      driver: { model: wanted, parity: 'none' },
    });
    await expect(rig.clock.resolve(rig.dispenser.open())).rejects.toMatchObject({
      code: 'unsupportedCommand',
      message: expect.stringContaining(word),
    });
    expect(movingCommands(rig)).toEqual([]);
  });

  test('an LCDM-1000 or -2000 is refused by name, after nothing but questions', async () => {
    // STATUS of the older family. Source: cash-hardware.md 7.2.
    const answer = Uint8Array.of(0x06, 0x01, 0x50, 0x02, 0x46, 0x30, 0x30, 0x30, 0x30, 0x03, 0x16);
    const rig = makeRig({ other: () => parrot(answer) });
    await expect(rig.clock.resolve(rig.dispenser.open())).rejects.toMatchObject({
      code: 'unsupportedCommand',
      message: expect.stringContaining('LCDM-2000'),
    });
    expect(movingCommands(rig)).toEqual([]);
    expect(sentCommands(rig, 0x50)).toHaveLength(1);
  });

  test('another device that only says NAK is refused', async () => {
    const rig = makeRig({ other: () => parrot(Uint8Array.of(0x15)) });
    await expect(rig.clock.resolve(rig.dispenser.open())).rejects.toMatchObject({
      code: 'timeOut',
    });
    expect(sentCommands(rig, 0x50)).toHaveLength(3);
  });

  test('an open port that nobody else may have', async () => {
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
    expect(() => makeRig({ driver: { batchMax: 41 } })).toThrow(RangeError);
    expect(() => makeRig({ driver: { lengthMmByPosition: { 1: 400 } } })).toThrow(RangeError);
    expect(() => makeRig({ driver: { lengthMmByPosition: { 7: 150 } } })).toThrow(RangeError);
    const model = 'lcdm-2000';
    expect(() => makeRig({ driver: { model, batchMax: 11 } })).toThrow(RangeError);
    expect(() => makeRig({ driver: { model, positions: [3] } })).toThrow(RangeError);
    expect(() => makeRig({ driver: { model, lengthMmByPosition: { 1: 156 } } })).toThrow(
      RangeError,
    );
  });
});

describe('initialise', () => {
  test('a clear path is reset and not purged', async () => {
    const rig = makeRig();
    await rig.clock.resolve(rig.dispenser.open());
    expect((await rig.clock.resolve(rig.dispenser.status())).device).toBe('attention');
    const outcome = await rig.clock.resolve(rig.dispenser.initialise());
    expect(outcome).toMatchObject({ kind: 'answered', error: undefined });
    expect((await rig.clock.resolve(rig.dispenser.status())).device).toBe('ready');
    expect(sentCommands(rig, 0x51)).toEqual([]);
    expect(sentCommands(rig, 0x44)).toHaveLength(1);
    expect(rig.device.violations()).toEqual([]);
  });

  test.each([0, 1, 2])('a unit that answers RESET %d times, of either model', async (times) => {
    for (const model of ['lcdm-4000', 'lcdm-4000-lamassu'] as const) {
      const rig = makeRig({ device: { model } });
      await rig.clock.resolve(rig.dispenser.open());
      rig.device.control({ do: 'fault', name: 'resetResponses', value: times });
      rig.device.control({ do: 'fault', name: 'acknowledgeReset' });
      const outcome = await rig.clock.resolve(rig.dispenser.initialise());
      expect(outcome.kind).toBe('answered');
      expect((await dispense(rig, { 1: 1 })).kind).toBe('answered');
      expect(sentCommands(rig, 0x44)).toHaveLength(1);
    }
  });

  test('notes left inside are purged, and told where they went', async () => {
    const rig = await readyRig();
    rig.device.control({ do: 'fault', name: 'noteInExit', value: 1 });
    await dispense(rig, { 1: 2 });
    const before = await rig.clock.resolve(rig.dispenser.status());
    expect(before).toMatchObject({ device: 'attention', exit: 'notes', path: 'clear' });
    const outcome = await rig.clock.resolve(rig.dispenser.initialise());
    expect(outcome).toMatchObject({
      kind: 'answered',
      error: undefined,
      units: [{ presented: 1, rejected: 0 }, {}, {}, {}],
    });
    expect(rig.device.truth().customer).toEqual({ 20: 2 });
    expect((await dispense(rig, { 1: 1 })).kind).toBe('answered');
    expect(sentCommands(rig, 0x51)).toHaveLength(1);
  });

  test('after a power cut the note on the path goes to the reject tray', async () => {
    const rig = await readyRig();
    const moving = rig.dispenser.dispense(asked({ 1: 3 }));
    await rig.clock.until(() => sentCommands(rig, 0x52).length === 1);
    await rig.clock.advance(600);
    rig.device.control({ do: 'power', on: false });
    expect((await rig.clock.resolve(moving)).kind).toBe('unknown');
    expect(rig.device.truth().path).toEqual({ 20: 1 });
    rig.device.control({ do: 'power', on: true });
    await rig.clock.advance(10_000);
    expect(await rig.clock.resolve(rig.dispenser.status())).toMatchObject({ path: 'notes' });
    const outcome = await rig.clock.resolve(rig.dispenser.initialise());
    expect(outcome).toMatchObject({ kind: 'answered', units: [{ rejected: 1 }, {}, {}, {}] });
    expect(rig.device.truth()).toMatchObject({ path: {}, reject: { 20: 1 } });
  });

  test('a jam stays a jam until a person has cleared it', async () => {
    const rig = await readyRig();
    rig.device.control({ do: 'fault', name: 'jamBeforeEject' });
    await dispense(rig, { 1: 1 });
    const outcome = await rig.clock.resolve(rig.dispenser.initialise());
    expect(outcome).toMatchObject({ kind: 'answered', error: undefined });
    const status = await rig.clock.resolve(rig.dispenser.status());
    expect(status).toMatchObject({ device: 'attention', path: 'notes' });
    rig.device.control({ do: 'take' });
    await rig.clock.resolve(rig.dispenser.initialise());
    expect((await rig.clock.resolve(rig.dispenser.status())).device).toBe('ready');
  });

  test('a lost answer to PURGE is unknown, and PURGE is not repeated', async () => {
    const rig = await readyRig();
    rig.device.control({ do: 'fault', name: 'noteInExit' });
    await dispense(rig, { 1: 1 });
    rig.device.control({ do: 'fault', name: 'loseResponse', value: 0x51 });
    const outcome = await rig.clock.resolve(rig.dispenser.initialise());
    expect(outcome.kind).toBe('unknown');
    expect(sentCommands(rig, 0x51)).toHaveLength(1);
    expect(sentCommands(rig, 0x44)).toHaveLength(1);
  });

  test('silence and NAK leave nothing done', async () => {
    const rig = makeRig();
    expect((await rig.dispenser.initialise()).kind).toBe('notExecuted');
    await rig.clock.resolve(rig.dispenser.open());
    rig.device.control({ do: 'fault', name: 'nak', value: 0x44 });
    expect((await rig.clock.resolve(rig.dispenser.initialise())).kind).toBe('notExecuted');
    rig.device.control({ do: 'fault', name: 'silence', times: 9 });
    expect((await rig.clock.resolve(rig.dispenser.initialise())).kind).toBe('notExecuted');
    expect(sentCommands(rig, 0x44)).toHaveLength(1);
  });

  test('note lengths are written when they differ, and only then', async () => {
    const rig = makeRig({ driver: { lengthMmByPosition: { 1: 156, 2: 140 } } });
    await rig.clock.resolve(rig.dispenser.open());
    await rig.clock.resolve(rig.dispenser.initialise());
    // 140 mm are 178 slits, B2; the first bay has its 156 mm already, and the others are kept.
    expect(sentCommands(rig, 0x5e)).toEqual(['0430025e3c363b32303030300368']);
    await rig.clock.resolve(rig.dispenser.initialise());
    expect(sentCommands(rig, 0x5e)).toHaveLength(1);
    expect((await rig.clock.resolve(rig.dispenser.status())).device).toBe('ready');
  });

  test('note lengths that are not taken keep the unit out of service', async () => {
    const rig = makeRig({ driver: { lengthMmByPosition: { 1: 120 } } });
    await rig.clock.resolve(rig.dispenser.open());
    rig.device.control({ do: 'fault', name: 'nak', value: 0x5e, times: 3 });
    const outcome = await rig.clock.resolve(rig.dispenser.initialise());
    expect(outcome).toMatchObject({ kind: 'answered', error: { code: 'setLengths' } });
    expect((await rig.clock.resolve(rig.dispenser.status())).device).toBe('attention');
  });
});

describe('status and last result', () => {
  test('bays, tray and faults are told', async () => {
    const rig = await readyRig({ device: { cassettes: { ...CASSETTES, 3: CASSETTES[1] } } });
    rig.device.control({ do: 'fault', name: 'nearEnd', value: 1 });
    rig.device.control({ do: 'cassette', position: 2, present: false });
    rig.device.control({ do: 'fault', name: 'rejectTrayMissing' });
    const status = await rig.clock.resolve(rig.dispenser.status());
    expect(status).toMatchObject({
      device: 'fault',
      path: 'clear',
      exit: 'clear',
      rejectTray: 'missing',
      fault: { code: '26' },
    });
    expect(status.units.map((unit) => unit.status)).toEqual(['low', 'missing', 'ok', 'missing']);
    expect(status.units.map((unit) => unit.cassette)).toEqual(['1', undefined, '3', undefined]);
    rig.device.control({ do: 'cassette', position: 3, code: 1 });
    expect((await rig.clock.resolve(rig.dispenser.status())).units[2]).toMatchObject({
      ...{ status: 'unknown', cassette: '1' },
    });
    rig.device.control({ do: 'fault', name: 'rejectTrayMissing', times: 0 });
    expect((await rig.clock.resolve(rig.dispenser.status())).device).toBe('ready');
  });

  test('the last result is that of the last dispense, and of nothing else', async () => {
    const rig = await readyRig();
    const first = await rig.clock.resolve(rig.dispenser.lastResult());
    expect(first?.dispense).toBeUndefined();
    rig.device.control({ do: 'fault', name: 'pickUpFailure', value: 1 });
    await dispense(rig, { 1: 2 });
    const { lastResultHex } = await rig.clock.resolve(rig.dispenser.baseline());
    const last = await rig.clock.resolve(rig.dispenser.lastResult());
    expect(last?.hex).toBe(lastResultHex);
    expect(last?.dispense).toMatchObject({
      units: [{ presented: 1 }, {}, {}, {}],
      error: { code: '01' },
    });
    await rig.clock.resolve(rig.dispenser.testDispense(asked({ 2: 1 })));
    const tested = await rig.clock.resolve(rig.dispenser.lastResult());
    expect(tested?.dispense).toMatchObject({ units: [{}, { presented: 0, rejected: 1 }, {}, {}] });
  });

  test('a cassette that is put in again does not change the last result', async () => {
    const rig = await readyRig();
    await dispense(rig, { 1: 2 });
    rig.device.control({ do: 'cassette', position: 1, present: false });
    const { lastResultHex } = await rig.clock.resolve(rig.dispenser.baseline());
    rig.device.control({ do: 'cassette', position: 1, present: true });
    const last = await rig.clock.resolve(rig.dispenser.lastResult());
    expect(last?.hex).toBe(lastResultHex);
    expect(last?.dispense).toMatchObject({ units: [{ presented: 2 }, {}, {}, {}] });
  });

  test('after a PURGE there is no last dispense', async () => {
    const rig = await readyRig();
    rig.device.control({ do: 'fault', name: 'noteInExit' });
    await dispense(rig, { 1: 1 });
    await rig.clock.resolve(rig.dispenser.initialise());
    const last = await rig.clock.resolve(rig.dispenser.lastResult());
    expect(last).toMatchObject({ hex: expect.stringMatching(/^51/), dispense: undefined });
  });

  test('questions are asked three times, then time out', async () => {
    const rig = await readyRig();
    rig.device.control({ do: 'fault', name: 'silence', times: 2, value: 0x55 });
    await expect(rig.clock.resolve(rig.dispenser.lastResult())).resolves.toBeDefined();
    rig.device.control({ do: 'fault', name: 'silence', times: 3, value: 0x55 });
    await expect(rig.clock.resolve(rig.dispenser.baseline())).rejects.toMatchObject({
      code: 'timeOut',
    });
    expect(sentCommands(rig, 0x55)).toHaveLength(6);
  });

  test('taking is not sensed', async () => {
    const rig = await readyRig();
    expect(rig.dispenser.capabilities.sensesExit).toBe(false);
    await expect(rig.dispenser.waitTaken(1000)).resolves.toBe('notSensed');
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

  test('a unit without power is missed within seconds, and found again', async () => {
    const rig = await readyRig();
    const devices: string[] = [];
    rig.dispenser.subscribe((event) => {
      if (event.kind === 'status.changed') devices.push(event.device);
    });
    rig.device.control({ do: 'power', on: false });
    await rig.clock.advance(5000);
    expect(devices).toEqual(['offline']);
    rig.device.control({ do: 'power', on: true });
    await rig.clock.advance(10_000);
    expect(devices).toEqual(['offline', 'attention']);
    expect(movingCommands(rig)).toHaveLength(1);
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
    await rig.clock.until(() => sentCommands(rig, 0x52).length === 1);
    await rig.clock.advance(600);
    rig.cable.unplug();
    const started = rig.clock.monotonic();
    expect((await rig.clock.resolve(moving)).kind).toBe('unknown');
    expect(rig.clock.monotonic() - started).toBe(0);
    rig.cable.plug();
    await rig.clock.advance(10_000);
    const last = await rig.clock.resolve(rig.dispenser.lastResult());
    expect(last?.dispense).toMatchObject({ units: [{ presented: 4 }, {}, {}, {}] });
    expect(sentCommands(rig, 0x52)).toHaveLength(1);
  });

  test.each(['lcdm-4000-lamassu', 'lcdm-2000'] as const)(
    'an %s in its place is told once, and given no command',
    async (model) => {
      let swap: () => void = () => undefined;
      const rig = await readyRig({
        other: (clock) => {
          const first = new LcdmDevice({ clock, options: { cassettes: CASSETTES } });
          const second = new LcdmDevice({ clock, options: { model, cassettes: CASSETTES } });
          const both = pair(first, second);
          swap = both.swap;
          return both.device;
        },
      });
      const errors: string[] = [];
      rig.dispenser.subscribe((event) => {
        if (event.kind === 'device.failed') errors.push(event.error.code);
      });
      const before = movingCommands(rig).length;
      rig.cable.unplug();
      swap();
      rig.cable.plug();
      await rig.clock.advance(10_000);
      expect(errors).toEqual(['deviceNotReady', 'unsupportedCommand']);
      expect((await rig.dispenser.status()).device).toBe('offline');
      expect(movingCommands(rig)).toHaveLength(before);
    },
  );

  test('an idle machine is asked every two seconds, and not more', async () => {
    const rig = await readyRig();
    const before = rig.port.sent.length;
    await rig.clock.advance(60_000);
    const polls = rig.port.sent.slice(before).filter((hex) => hex.startsWith('04'));
    expect(polls.length).toBeGreaterThan(25);
    expect(polls.length).toBeLessThanOrEqual(30);
    expect(rig.device.violations()).toEqual([]);
  });

  test('closing ends everything', async () => {
    const rig = await readyRig();
    const asking = rig.dispenser.lastResult();
    await rig.dispenser.close();
    await expect(asking).rejects.toMatchObject({ code: 'timeOut' });
    rig.device.stop();
    await rig.clock.advance(5000);
    expect(rig.clock.pending).toBe(0);
    await expect(rig.dispenser.baseline()).rejects.toMatchObject({ code: 'canceled' });
  });
});
