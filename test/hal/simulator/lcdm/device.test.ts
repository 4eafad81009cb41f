/** The simulated unit alone, spoken to in plain bytes: other people's drivers meet nothing else. */
import { describe, expect, test } from 'vitest';
import { encodeFrame } from '#hal/lcdm/wire.ts';
import { SimulatorError } from '#hal/simulator/device.ts';
import { LcdmDevice, type LcdmDeviceOptions } from '#hal/simulator/lcdm/device.ts';
import { lcdmFaults } from '#hal/simulator/lcdm/faults.ts';
import { VirtualClock } from '../../../support/virtual-clock.ts';

const CASSETTES = { 1: { denomination: 20, count: 9 }, 2: { denomination: 50, count: 9 } };
const ACK = '06';
const NAK = '15';

/** A host that says hex and hears hex, with the times. */
function makeBench(options: LcdmDeviceOptions = {}) {
  const clock = new VirtualClock();
  const device = new LcdmDevice({ clock, options: { cassettes: CASSETTES, ...options } });
  let heard: { hex: string; atMs: number }[] = [];
  device.connect((bytes) => {
    heard.push({ hex: Buffer.from(bytes).toString('hex'), atMs: clock.monotonic() });
  });
  return {
    clock,
    device,
    say: (hex: string) =>
      device.receive(Uint8Array.from(Buffer.from(hex.replaceAll(' ', ''), 'hex'))),
    /** What has been heard within a time, and when each came. */
    hear: async (forMs: number) => {
      const startMs = clock.monotonic();
      await clock.advance(forMs);
      const all = heard.map(({ hex, atMs }) => ({ hex, afterMs: atMs - startMs }));
      heard = [];
      return all;
    },
  };
}

type Bench = ReturnType<typeof makeBench>;

/** One whole exchange; gives the response without its frame. */
async function exchange({ say, hear }: Bench, command: string, withinMs = 20_000): Promise<string> {
  say(command);
  const [acknowledge, response] = await hear(withinMs > 1000 ? 1900 : withinMs);
  expect(acknowledge?.hex).toBe(ACK);
  const late = response ?? (await hear(withinMs))[0];
  say(ACK);
  expect((await hear(20)).map(({ hex }) => hex)).toEqual(['04']);
  return late?.hex.slice(6, -4) ?? '';
}

const host = (code: number, body: readonly number[] = []) =>
  Buffer.from(encodeFrame(0x30, 'host', code, body)).toString('hex');

describe('the line', () => {
  test('ACK after 50 ms, the response, EOT after the ACK of the host', async () => {
    const bench = makeBench();
    bench.say('04 30 02 50 03 65');
    const heard = await bench.hear(1000);
    expect(heard.map(({ afterMs }) => afterMs)).toEqual([50, 80]);
    expect(heard.map(({ hex }) => hex)).toEqual([
      ACK,
      // ERR 0, no sensor covered, two cassettes present (and near their end), two removed.
      '013002502040' + '2c3170e6' + '2c3270e6' + '203070e6' + '203070e6' + '0303',
    ]);
    bench.say(ACK);
    expect(await bench.hear(100)).toEqual([{ hex: '04', afterMs: 5 }]);
    expect(bench.device.violations()).toEqual([]);
  });

  test('a response nobody acknowledges is said three times, and then no more', async () => {
    const bench = makeBench();
    bench.say('04 30 02 50 03 65');
    expect(await bench.hear(60_000)).toHaveLength(1 + 3);
    bench.say('04 30 02 50 03 65');
    expect(await bench.hear(1000)).toHaveLength(2);
    expect(bench.device.violations()).toEqual([]);
  });

  test('NAK of the host brings the response again, and moves nothing', async () => {
    const bench = makeBench();
    bench.say(host(0x52, [0x21, 0x20, 0x20, 0x20, 0x20, 0x20, ...Array(9).fill(0x20)]));
    const [, first] = await bench.hear(1900);
    bench.say(NAK);
    const [second] = await bench.hear(1000);
    expect(second?.hex).toBe(first?.hex);
    bench.say(ACK);
    expect((await bench.hear(100)).map(({ hex }) => hex)).toEqual(['04']);
    expect(bench.device.truth().customer).toEqual({ 20: 1 });
    expect(bench.device.violations()).toEqual([]);
  });

  test('a wrong BCC, a cut frame and noise are answered with NAK', async () => {
    for (const noise of ['04 30 02 50 03 66', '04 30 02', '41 42 43']) {
      const bench = makeBench();
      bench.say(noise);
      expect((await bench.hear(1000)).map(({ hex }) => hex)).toEqual([NAK]);
      expect(bench.device.violations()).toHaveLength(1);
    }
  });

  test('a command byte by byte is a command, another ID is none of ours', async () => {
    const bench = makeBench();
    for (const byte of ['04', '30', '02', '50', '03', '65']) {
      bench.say(byte);
      await bench.hear(2);
    }
    expect((await bench.hear(1000))[0]?.hex).toBe(ACK);
    const other = makeBench();
    other.say('04 50 02 46 03 13');
    expect((await other.hear(1000)).map(({ hex }) => hex)).toEqual([NAK]);
  });

  test('a command while another runs is not heard, and one too early is noted', async () => {
    const bench = makeBench();
    bench.say(host(0x51));
    await bench.hear(500);
    bench.say(host(0x50));
    expect(await bench.hear(2000)).toEqual([]);
    await bench.hear(600);
    bench.say(host(0x50));
    expect((await bench.hear(1000))[0]?.hex).toBe(ACK);
    bench.say(ACK);
    await bench.hear(100);
    bench.say(ACK);
    expect(bench.device.violations()).toEqual([
      'status while another command is carried out',
      'status before the last response was acknowledged',
      'ACK or NAK when nothing was said',
    ]);
  });
});

describe('commands of the documented form', () => {
  test('RESET has no answer, and takes two seconds', async () => {
    const bench = makeBench();
    bench.say('04 30 02 44 03 71');
    expect(await bench.hear(1000)).toEqual([]);
    bench.say('04 30 02 50 03 65');
    expect(await bench.hear(1500)).toEqual([]);
    bench.say('04 30 02 50 03 65');
    expect((await bench.hear(1000))[0]?.hex).toBe(ACK);
  });

  test('DISPENSE with a time-out, and LAST STATUS of it', async () => {
    const bench = makeBench();
    const command = host(0x52, [0x22, 0x21, 0x20, 0x20, 0x1c, 0x35, ...Array(9).fill(0x20)]);
    const counts = '20' + '30' + '222031' + '212032' + '202030' + '202030';
    expect(await exchange(bench, command)).toBe(`52${counts}${'20'.repeat(9)}`);
    expect(await exchange(bench, host(0x55))).toBe(`5552${counts}`);
    expect(bench.device.violations()).toEqual([]);
  });

  test('LAST STATUS before any command knows of none', async () => {
    expect(await exchange(makeBench(), host(0x55))).toMatch(/^552050/);
  });

  test('settings are kept, a zero keeps what is there, and nonsense is refused', async () => {
    const bench = makeBench();
    const set = [0x33, 0x30, 0x30, 0x30, 0x3f, 0x3f, 0x30, 0x31];
    expect(await exchange(bench, host(0x5e, set))).toBe('5e20');
    expect(await exchange(bench, host(0x5f))).toBe('5f20' + '3330' + '3c36' + '3f3f' + '3031');
    expect(await exchange(bench, host(0x5a, set))).toBe('5a20');
    expect(await exchange(bench, host(0x5b))).toBe('5b20' + '3330' + '3530' + '3f3f' + '3031');
    expect(await exchange(bench, host(0x5c, [0x32, 0x31, 0x33, 0x34]))).toBe('5c20');
    expect(await exchange(bench, host(0x5d))).toBe('5d20' + '32313334');
    expect(await exchange(bench, host(0x5c, [0x32, 0x32, 0x33, 0x34]))).toBe('5c51');
    expect(await exchange(bench, host(0x5d))).toBe('5d20' + '32313334');
  });

  test('the order of the bays is followed', async () => {
    const bench = makeBench();
    await exchange(bench, host(0x5c, [0x32, 0x31, 0x33, 0x34]));
    bench.device.control({ do: 'fault', name: 'pickUpFailure', value: 1 });
    const command = host(0x52, [0x21, 0x21, ...Array(13).fill(0x20)]);
    expect(await exchange(bench, command)).toMatch(/^5221302020312120/);
  });

  test('SENSOR DIAGNOSTICS takes five notes to the reject tray', async () => {
    const bench = makeBench();
    expect(await exchange(bench, host(0x58, [0x32]))).toBe('5820' + '70' + 'e6' + '40' + '25');
    expect(bench.device.truth().reject).toEqual({ 50: 5 });
    expect(await exchange(bench, host(0x58, [0x35]))).toMatch(/^5851/);
  });

  test('what does not exist is error 30, what has the wrong form is error 31', async () => {
    const bench = makeBench();
    expect(await exchange(bench, host(0x67))).toBe('6750');
    expect(await exchange(bench, host(0x71, [0x30, 0x20, 0x20, 0x20]))).toBe('7150');
    // DISPENSE as Lamassu's unit has it; too many; a bay below zero; nothing at all.
    for (const body of [
      [0x21, 0x20, 0x20, 0x20, 0x20, 0x20, 0x21],
      [0x85, ...Array(14).fill(0x20)],
      [0x1f, 0x22, ...Array(13).fill(0x20)],
      Array(15).fill(0x20),
    ]) {
      expect(await exchange(bench, host(0x52, body))).toMatch(/^5251/);
    }
    expect(bench.device.truth().customer).toEqual({});
    expect(bench.device.violations()).toHaveLength(6);
  });
});

describe("commands of Lamassu's unit", () => {
  const model = 'lcdm-4000-lamassu';
  const ask = (sequence: number) =>
    host(0x52, [0x21, 0x20, 0x20, 0x20, 0x20, 0x20, 0x20 + sequence]);

  test('RESET is answered twice, each with ACK and EOT', async () => {
    const bench = makeBench({ model });
    bench.say('04 30 02 44 03 71');
    expect((await bench.hear(100)).map(({ hex }) => hex)).toEqual([ACK, '01300244200354']);
    bench.say(ACK);
    expect((await bench.hear(1600)).map(({ hex }) => hex)).toEqual(['04', '01300244200354']);
    bench.say(ACK);
    expect((await bench.hear(3000)).map(({ hex }) => hex)).toEqual(['04']);
    expect(bench.device.violations()).toEqual([]);
  });

  test('the sequence number rises, survives, and the same one is not executed twice', async () => {
    const bench = makeBench({ model, sequenceNumber: 5 });
    expect(await exchange(bench, host(0x67))).toBe('672025');
    expect(await exchange(bench, ask(6))).toMatch(/^5220302120/);
    expect(await exchange(bench, ask(6))).toMatch(/^5251302020/);
    bench.device.control({ do: 'power', on: false });
    bench.device.control({ do: 'power', on: true });
    await bench.hear(3000);
    expect(await exchange(bench, host(0x67))).toBe('672026');
    expect(bench.device.truth().customer).toEqual({ 20: 1 });
    await exchange(bench, ask(9));
    expect(bench.device.violations()).toContain('sequence number 9 after 6');
  });

  test('STATUS has one byte more', async () => {
    expect(await exchange(makeBench({ model }), host(0x50))).toHaveLength(2 * (1 + 19));
  });
});

describe('hands', () => {
  test('cassettes are taken out, put in and filled', () => {
    const { device } = makeBench();
    device.control({ do: 'cassette', position: 1, present: false });
    expect(device.truth().units).toEqual({ 2: { denomination: 50, count: 9 } });
    device.control({ do: 'cassette', position: 1, present: true });
    device.control({ do: 'cassette', position: 3, denomination: 10, count: 4 });
    expect(device.control({ do: 'state' })).toEqual({
      units: {
        1: { denomination: 20, count: 9 },
        2: { denomination: 50, count: 9 },
        3: { denomination: 10, count: 4 },
      },
      reject: {},
      cashbox: {},
      path: {},
      customer: {},
    });
  });

  test.each([
    [{ do: 'insert', denomination: 20 }, 'usage'],
    [{ do: 'cashbox', present: false }, 'usage'],
    [{ do: 'fault', name: 'nonsense' }, 'notFound'],
    [{ do: 'fault', name: 'nak', times: -1 }, 'usage'],
    [{ do: 'cassette', position: 7, count: 1 }, 'notFound'],
    [{ do: 'cassette', position: 3, count: 1 }, 'usage'],
  ] as const)('%o makes no sense', (command, code) => {
    const { device } = makeBench();
    expect(() => device.control(command)).toThrow(SimulatorError);
    expect(() => device.control(command)).toThrow(expect.objectContaining({ code }));
  });

  test('every fault can be given and lifted, and has words', () => {
    const { device } = makeBench();
    for (const [name, words] of Object.entries(lcdmFaults)) {
      expect(words.length).toBeGreaterThan(5);
      device.control({ do: 'fault', name });
      device.control({ do: 'fault', name, times: 0 });
    }
  });

  test('without power it is deaf and dumb, and needs a moment to wake', async () => {
    const bench = makeBench();
    bench.device.control({ do: 'power', on: false });
    bench.say(host(0x50));
    expect(await bench.hear(3000)).toEqual([]);
    bench.device.control({ do: 'power', on: true });
    bench.say(host(0x50));
    expect(await bench.hear(2100)).toEqual([]);
    bench.say(host(0x50));
    expect((await bench.hear(100))[0]?.hex).toBe(ACK);
  });
});
