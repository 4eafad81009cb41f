/**
 * The simulated validator alone, spoken to in plain bytes: other people's drivers meet nothing
 * else.
 */
import { describe, expect, test } from 'vitest';
import { SimulatorError } from '#hal/simulator/device.ts';
import { SioDevice, type SioDeviceOptions } from '#hal/simulator/sio/device.ts';
import { sioFaults } from '#hal/simulator/sio/faults.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';

/** A host that says bytes and hears bytes. */
function makeBench(options: SioDeviceOptions = {}) {
  const clock = new VirtualClock();
  const device = new SioDevice({ clock, options });
  let heard: number[] = [];
  device.connect((bytes) => heard.push(...bytes));
  return {
    clock,
    device,
    say: (...bytes: readonly number[]) => device.receive(Uint8Array.from(bytes)),
    hear: async (forMs: number) => {
      await clock.advance(forMs);
      const all = heard;
      heard = [];
      return all;
    },
    insert: (denomination: number) => device.control({ do: 'insert', denomination }),
    fault: (name: string, value?: number, times = 1) =>
      device.control({ do: 'fault', name, times, ...(value === undefined ? {} : { value }) }),
  };
}

describe('commands', () => {
  test('each is echoed, and what is none is 255', async () => {
    const { say, hear, device } = makeBench();
    say(184, 170, 191, 131, 146, 151, 166, 182, 190, 192, 193, 185);
    expect(await hear(100)).toEqual([184, 170, 191, 131, 146, 151, 166, 182, 190, 192, 193, 185]);
    expect(device.violations()).toEqual([]);
    say(5, 130, 147, 199);
    expect(await hear(100)).toEqual([255, 255, 255, 255]);
    expect(device.violations()).toHaveLength(4);
  });

  test('ACCEPT and REJECT without a note in escrow are out of turn', async () => {
    const { say, hear, device } = makeBench();
    say(172, 173);
    expect(await hear(100)).toEqual([255, 255]);
    expect(device.violations()).toEqual([
      '172, without a note in escrow',
      '173, without a note in escrow',
    ]);
  });

  test('without escrow mode 170 is refused', async () => {
    const { say, hear } = makeBench({ model: 'nv10-no-escrow' });
    say(170, 171);
    expect(await hear(100)).toEqual([255, 171]);
  });
});

/** Source: cash-hardware.md 5.8. */
describe('sequences', () => {
  test('FOSSA: 184, and then a byte for each note that is taken', async () => {
    const { say, hear, insert, device } = makeBench();
    say(184);
    await hear(50);
    insert(20);
    expect(await hear(5000)).toEqual([120, 121, 5]);
    expect(device.truth().cashbox).toEqual({ 20: 1 });
    say(185);
    await hear(50);
    expect(() => insert(20)).toThrow(SimulatorError);
    expect(device.violations()).toEqual([]);
  });

  test('Bleskomat: 184, 170, 191, pings; ACCEPT is echoed and then stacked', async () => {
    const { say, hear, insert, device } = makeBench();
    say(184, 170, 191);
    expect(await hear(50)).toEqual([184, 170, 191]);
    say(170);
    expect(await hear(1000)).toEqual([170]);
    insert(20);
    expect(await hear(1000)).toEqual([120, 5]);
    expect(device.truth().path).toEqual({ 20: 1 });
    say(172);
    expect(await hear(3000)).toEqual([172, 121]);
    expect(device.truth()).toMatchObject({ cashbox: { 20: 1 }, path: {} });
  });

  test('REJECT gives the note back, and so does the escrow time-out', async () => {
    const { say, hear, insert, device } = makeBench();
    say(184, 170);
    await hear(50);
    insert(20);
    await hear(1000);
    say(173);
    expect(await hear(3000)).toEqual([173, 121]);
    insert(50);
    expect(await hear(20_000)).toEqual([120, 6, 70, 121]);
    expect(device.truth().customer).toEqual({ 20: 1, 50: 1 });
  });

  test('the escrow time-out can be switched off', async () => {
    const { say, hear, insert } = makeBench();
    say(184, 170, 190);
    await hear(50);
    insert(20);
    expect(await hear(600_000)).toEqual([120, 5]);
  });

  test('what is no note, or stands on a shut channel, is 20', async () => {
    const { say, hear, insert, device } = makeBench();
    say(184, 170, 135);
    await hear(50);
    insert(20);
    expect(await hear(3000)).toEqual([120, 20, 121]);
    insert(33);
    expect(await hear(3000)).toEqual([120, 20, 121]);
    say(155);
    await hear(50);
    insert(20);
    expect(await hear(1000)).toEqual([120, 5]);
    expect(device.truth().customer).toEqual({ 20: 1, 33: 1 });
  });

  test('a shut channel is opened by 184 where that is so', async () => {
    for (const enableAllOpensChannels of [false, true]) {
      const { say, hear, insert } = makeBench({ undocumented: { enableAllOpensChannels } });
      say(135, 184, 170);
      await hear(50);
      insert(20);
      expect((await hear(1000)).at(-1)).toBe(enableAllOpensChannels ? 5 : 20);
    }
  });
});

describe('power', () => {
  test('settings are forgotten, and a note goes where its place tells', async () => {
    for (const isPast of [false, true]) {
      const { say, hear, insert, fault, device } = makeBench();
      say(184, 170);
      await hear(50);
      insert(20);
      await hear(1000);
      if (isPast) fault('powerCutInStacker');
      say(172);
      await hear(isPast ? 3000 : 10);
      device.control({ do: 'power', on: false });
      expect(device.truth().path).toEqual({ 20: 1 });
      device.control({ do: 'power', on: true });
      say(170);
      expect(await hear(2000)).toEqual([]);
      expect(device.truth()[isPast ? 'cashbox' : 'customer']).toEqual({ 20: 1 });
      expect(() => insert(20)).toThrow(SimulatorError);
    }
  });

  test('it may be enabled when it is switched on', async () => {
    const { insert, hear } = makeBench({ undocumented: { isEnabledAtPowerUp: true } });
    insert(20);
    expect(await hear(5000)).toEqual([120, 121, 5]);
  });
});

describe('faults', () => {
  test.each([
    ['deaf', 172, []],
    ['loseEcho', 172, [121]],
    ['flipEcho', 172, [173, 121]],
    ['mishear', 172, [173, 121]],
    ['commandError', 172, [255]],
    ['duplicateEcho', undefined, [172, 172, 121]],
    ['strimming', undefined, [172, 40, 121]],
    ['jam', undefined, [172, 60]],
    ['stackerFull', undefined, [172, 60, 121]],
    ['loseNotBusy', undefined, [172]],
    ['powerCutAtAccept', undefined, []],
    ['powerCutInStacker', undefined, [172]],
  ] as const)('%s', async (name, value, said) => {
    const { say, hear, insert, fault } = makeBench();
    say(184, 170);
    await hear(50);
    insert(20);
    await hear(1000);
    fault(name, value);
    say(172);
    expect(await hear(4000)).toEqual(said);
  });

  test.each([
    ['reject', undefined, [120, 20, 121]],
    ['reject', 50, [120, 50, 121]],
    ['abort', 300, [120, 5, 70, 121]],
    ['takenToClearJam', undefined, [120, 80, 121]],
    ['slow', undefined, [30, 120, 5]],
    ['loseBusy', undefined, [5]],
    ['loseValue', undefined, [120]],
    ['forgetMode', undefined, [120, 121, 5]],
  ] as const)('%s %s, on the way in', async (name, value, said) => {
    const { say, hear, insert, fault } = makeBench();
    say(184, 170);
    await hear(50);
    fault(name, value);
    insert(20);
    expect(await hear(5000)).toEqual(said);
  });

  test('a glitch, and a late echo', async () => {
    const { say, hear, fault } = makeBench();
    fault('glitch', 7);
    fault('late', 500);
    say(170);
    expect(await hear(100)).toEqual([7]);
    expect(await hear(500)).toEqual([170]);
  });

  test('hands clear a jam and empty the box', async () => {
    const { say, hear, insert, fault, device } = makeBench();
    say(184);
    await hear(50);
    fault('jam');
    insert(20);
    await hear(5000);
    expect(device.truth().path).toEqual({ 20: 1 });
    device.control({ do: 'take' });
    expect(device.truth().customer).toEqual({ 20: 1 });
    fault('stackerFull');
    insert(50);
    await hear(5000);
    expect(() => insert(5)).toThrow(SimulatorError);
    expect(device.control({ do: 'cashbox', present: true, empty: true })).toMatchObject({
      removed: { 50: 1 },
      cashbox: {},
    });
    insert(5);
  });

  test('every one can be given and lifted, and has words', () => {
    const { device } = makeBench();
    for (const [name, words] of Object.entries(sioFaults)) {
      expect(words.length).toBeGreaterThan(5);
      device.control({ do: 'fault', name, times: 0 });
    }
    expect(() => device.control({ do: 'fault', name: 'nonsense' })).toThrow(SimulatorError);
    expect(() => device.control({ do: 'take' })).toThrow(SimulatorError);
    expect(() => device.control({ do: 'cassette', position: 1 })).toThrow(SimulatorError);
  });
});
