/** The simulated unit alone, spoken to in plain bytes: other people's drivers meet nothing else. */
import { describe, expect, test } from 'vitest';
import { SimulatorError } from '#hal/simulator/device.ts';
import { F56Device, type F56DeviceOptions } from '#hal/simulator/f56/device.ts';
import { f56Faults } from '#hal/simulator/f56/faults.ts';
import { VirtualClock } from '../../../support/virtual-clock.ts';

const CASSETTES = { 1: { denomination: 20, count: 9 }, 2: { denomination: 50, count: 9 } };
const ENQ = '1005';
const ACK = '1006';
const NAK = '1015';
/** Source: cash-hardware.md 6.6. */
const INIT = '1002001160020d00a692a692000000000d0d0d0d1c1003dcb0';
const STATUS = '1002000300011c1003fa97';
const COUNT = '10020019600315e4303330b23030303030b430b430b430b4030303031c10036648';

/** A host that says hex and hears hex, with the times. */
function makeBench(options: F56DeviceOptions = {}) {
  const clock = new VirtualClock();
  const device = new F56Device({ clock, options: { cassettes: CASSETTES, ...options } });
  let heard: { hex: string; atMs: number }[] = [];
  device.connect((bytes) => {
    heard.push({ hex: Buffer.from(bytes).toString('hex'), atMs: clock.monotonic() });
  });
  return {
    clock,
    device,
    say: (hex: string) => device.receive(Uint8Array.from(Buffer.from(hex, 'hex'))),
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

/** CRC-16, polynomial 1021 reflected, from 0, bit by bit: nothing of the driver's. */
function frame(data: string): string {
  const bytes = Buffer.from(data, 'hex');
  const length = bytes.length.toString(16).padStart(4, '0');
  let crc = 0;
  for (const byte of Buffer.from(`${length}${data}1003`, 'hex')) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >> 1) ^ 0x8408 : crc >> 1;
  }
  const check = [crc & 0xff, crc >> 8].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  return `1002${length}${data}1003${check}`;
}

const hexes = (heard: readonly { readonly hex: string }[]) => heard.map(({ hex }) => hex);

/** One whole exchange; gives the data of the response, as bytes. */
async function exchange({ say, hear }: Bench, command: string): Promise<Buffer> {
  say(ENQ);
  expect(hexes(await hear(20))).toEqual([ACK]);
  say(command);
  expect(hexes(await hear(20))).toEqual([ACK]);
  let heard = hexes(await hear(4000));
  if (heard.length === 0) heard = hexes(await hear(4000));
  expect(heard[0]).toBe(ENQ);
  say(ACK);
  const [response = ''] = hexes(await hear(20));
  say(ACK);
  const data = response.slice(8, -8);
  expect(frame(data)).toBe(response);
  return Buffer.from(data, 'hex');
}

const digits = (data: Buffer, at: number) =>
  [0, 2, 4, 6].map((bay) =>
    Number(String.fromCharCode(...data.subarray(at + bay, at + bay + 2).map((one) => one & 0x7f))),
  );

describe('the line', () => {
  test('ENQ, ACK, command, ACK; ENQ, ACK, response, ACK; and nothing more', async () => {
    const bench = makeBench();
    bench.say(ENQ);
    expect(await bench.hear(100)).toEqual([{ hex: ACK, afterMs: 10 }]);
    bench.say(STATUS);
    expect(await bench.hear(100)).toEqual([
      { hex: ACK, afterMs: 10 },
      { hex: ENQ, afterMs: 40 },
    ]);
    bench.say(ACK);
    expect(hexes(await bench.hear(100))).toEqual([frame(`800134${'00'.repeat(52)}1c`)]);
    bench.say(ACK);
    expect(await bench.hear(60_000)).toEqual([]);
    expect(bench.device.violations()).toEqual([]);
  });

  test('ENQ nobody answers is said three times, and then no more', async () => {
    const bench = makeBench();
    bench.say(ENQ);
    await bench.hear(20);
    bench.say(STATUS);
    await bench.hear(20);
    const heard = await bench.hear(60_000);
    expect(hexes(heard)).toEqual([ENQ, ENQ, ENQ]);
    expect((heard[1]?.afterMs ?? 0) - (heard[0]?.afterMs ?? 0)).toBe(5000);
    expect((await exchange(bench, STATUS))[1]).toBe(1);
    expect(bench.device.violations()).toEqual([]);
  });

  test('a response nobody acknowledges is said three times, one refused is said again', async () => {
    for (const refusal of ['', NAK]) {
      const bench = makeBench();
      bench.say(ENQ);
      await bench.hear(20);
      bench.say(STATUS);
      await bench.hear(60);
      bench.say(ACK);
      const [first] = hexes(await bench.hear(20));
      if (refusal) bench.say(refusal);
      const again = hexes(await bench.hear(refusal ? 20 : 60_000));
      expect(again).toEqual(refusal ? [first] : [first, first]);
      if (refusal) bench.say(ACK);
      expect(await bench.hear(60_000)).toEqual([]);
    }
  });

  test('a wrong CRC and noise are answered with NAK, and the command may be said again', async () => {
    const bench = makeBench();
    bench.say(ENQ);
    await bench.hear(20);
    bench.say(`${STATUS.slice(0, -2)}00`);
    expect(hexes(await bench.hear(1000))).toEqual([NAK]);
    bench.say(STATUS);
    expect(hexes(await bench.hear(20))).toEqual([ACK]);
    expect(bench.device.violations()).toHaveLength(1);
  });

  test('a command cut short is waited for, and answered with NAK after five seconds', async () => {
    const bench = makeBench();
    bench.say(ENQ);
    await bench.hear(20);
    bench.say(STATUS.slice(0, -4));
    expect(await bench.hear(4900)).toEqual([]);
    expect(hexes(await bench.hear(300))).toEqual([NAK]);
  });

  test('a command byte by byte is a command', async () => {
    const bench = makeBench();
    for (const byte of ENQ.match(/../g) ?? []) {
      bench.say(byte);
      await bench.hear(2);
    }
    expect(hexes(await bench.hear(20))).toEqual([ACK]);
    for (const byte of STATUS.match(/../g) ?? []) {
      bench.say(byte);
      await bench.hear(2);
    }
    expect(hexes(await bench.hear(100))).toEqual([ACK, ENQ]);
    expect(bench.device.violations()).toEqual([]);
  });

  test('what is out of turn is not heard, and is noted', async () => {
    const bench = makeBench();
    bench.say(STATUS);
    expect(await bench.hear(1000)).toEqual([]);
    await exchange(bench, INIT);
    bench.say(ACK);
    bench.say(ENQ);
    await bench.hear(20);
    bench.say(COUNT);
    await bench.hear(100);
    bench.say(ENQ);
    bench.say(COUNT);
    expect(await bench.hear(500)).toEqual([]);
    expect(hexes(await bench.hear(1000))).toEqual([ENQ]);
    bench.say(ACK);
    await bench.hear(20);
    bench.say(ENQ);
    expect(await bench.hear(1000)).toEqual([]);
    expect(bench.device.violations()).toEqual([
      'status without a bid',
      'ACK or NAK when nothing was said',
      'ENQ while a command is carried out',
      'billCount while another runs',
      'ENQ before the last response was acknowledged',
    ]);
    expect(bench.device.truth().customer).toEqual({ 20: 3, 50: 2 });
  });

  test('a host that bids again during a collision gets the line, if the unit gives way', async () => {
    const bench = makeBench();
    await exchange(bench, STATUS);
    bench.device.control({ do: 'fault', name: 'collision' });
    bench.say(ENQ);
    expect(hexes(await bench.hear(20))).toEqual([ENQ]);
    bench.say(ENQ);
    expect(hexes(await bench.hear(20))).toEqual([ACK]);
    bench.say(STATUS);
    expect(hexes(await bench.hear(20))).toEqual([ACK]);
    expect(bench.device.violations()).toEqual([]);
  });

  test('and has to hear the unit out, if it insists', async () => {
    const bench = makeBench();
    const last = await exchange(bench, STATUS);
    bench.device.control({ do: 'fault', name: 'collision', value: 1 });
    bench.say(ENQ);
    await bench.hear(20);
    bench.say(ENQ);
    expect(await bench.hear(1000)).toEqual([]);
    bench.say(ACK);
    expect(hexes(await bench.hear(20))).toEqual([frame(last.toString('hex'))]);
    bench.say(ACK);
    expect((await exchange(bench, STATUS))[1]).toBe(1);
    expect(bench.device.violations()).toEqual([]);
  });

  test('the power ends everything, and after it the unit needs a moment', async () => {
    const bench = makeBench();
    await exchange(bench, INIT);
    bench.device.control({ do: 'power', on: false });
    bench.say(ENQ);
    expect(await bench.hear(5000)).toEqual([]);
    bench.device.control({ do: 'power', on: true });
    bench.say(ENQ);
    expect(await bench.hear(2600)).toEqual([]);
    const refused = await exchange(bench, COUNT);
    expect([refused[0], refused[3]]).toEqual([0xf0, 0xe1]);
  });
});

describe('commands', () => {
  test('INITIALISE, BILL COUNT and STATUS until the notes are taken', async () => {
    const bench = makeBench();
    const ready = await exchange(bench, INIT);
    expect(ready.subarray(0, 5)).toEqual(Buffer.from('e002340000', 'hex'));
    expect(ready).toHaveLength(56);
    const counted = await exchange(bench, COUNT);
    expect(counted.subarray(0, 5)).toEqual(Buffer.from('e003990000', 'hex'));
    expect(counted).toHaveLength(157);
    expect(digits(counted, 0x27)).toEqual([3, 2, 0, 0]);
    expect(digits(counted, 0x2f)).toEqual([0, 0, 0, 0]);
    expect((await exchange(bench, STATUS))[0x0e]).toBe(0x10);
    expect(bench.device.truth().customer).toEqual({ 20: 3, 50: 2 });
    bench.device.control({ do: 'take' });
    expect((await exchange(bench, STATUS))[0x0e]).toBe(0);
    expect(bench.device.truth().customer).toEqual({ 20: 3, 50: 2 });
    expect(bench.device.violations()).toEqual([]);
  });

  test('nothing is counted out before INITIALISE, nor after an error', async () => {
    const bench = makeBench();
    expect((await exchange(bench, COUNT)).subarray(0, 5).toString('hex')).toBe('f00399e100');
    await exchange(bench, INIT);
    bench.device.control({ do: 'fault', name: 'pickUpFailure', value: 1 });
    const short = await exchange(bench, COUNT);
    expect(short.subarray(0, 5).toString('hex')).toBe('f003991600');
    expect(digits(short, 0x27)).toEqual([1, 0, 0, 0]);
    expect((await exchange(bench, COUNT)).subarray(0, 5).toString('hex')).toBe('f00399e100');
    expect(bench.device.truth().customer).toEqual({ 20: 1 });
  });

  test('notes that are not as long as was said are rejected, up to the limit', async () => {
    const cassettes = { 1: { denomination: 50, count: 9 }, 2: { denomination: 20, count: 9 } };
    const bench = makeBench({ cassettes, currency: 'EUR' });
    // As 20s and 50s: the other way round. Source: cash-hardware.md 6.6.
    await exchange(bench, '1002001160020d008f7b9682000000000c0c0c0c1c10037363');
    const short = await exchange(bench, COUNT);
    // A 50 is 140 mm long, and a 20 of up to 143 would be taken for it.
    expect(digits(short, 0x27)).toEqual([3, 2, 0, 0]);
    bench.device.control({ do: 'take' });
    bench.device.control({ do: 'cassette', position: 1, denomination: 200 });
    const long = await exchange(bench, COUNT);
    expect(long.subarray(0, 5).toString('hex')).toBe('f003998000');
    expect(digits(long, 0x2f)).toEqual([5, 0, 0, 0]);
    expect(bench.device.truth().reject).toEqual({ 200: 5 });
  });

  test('a bay without lengths, without a cassette, without notes', async () => {
    const bench = makeBench({ cassettes: { ...CASSETTES, 3: { denomination: 10, count: 1 } } });
    const only3 = frame('600315e43030303030b1303030b430b430b430b4030303031c');
    await exchange(bench, INIT);
    expect((await exchange(bench, only3)).subarray(3, 5).toString('hex')).toBe('e403');
    const three = frame('60020d00a692a692a69200000d0d0d0d1c');
    await exchange(bench, three);
    expect(digits(await exchange(bench, only3), 0x27)).toEqual([0, 0, 1, 0]);
    expect((await exchange(bench, only3)).subarray(3, 5).toString('hex')).toBe('3100');
    bench.device.control({ do: 'cassette', position: 3, present: false });
    await exchange(bench, three);
    expect((await exchange(bench, only3)).subarray(3, 5).toString('hex')).toBe('3000');
  });

  test.each([
    ['a command nobody knows', '60081c', 'ee00'],
    ['STATUS with too much', '0001001c', 'ee00'],
    ['INITIALISE with a wrong number of parameters', '60020c00a692a692000000000d0d0d0d1c', 'ee00'],
    ['INITIALISE without an end', '60020d00a692a692000000000d0d0d0d1d', 'ec00'],
    ['INITIALISE upside down', '60020d0092a6a692000000000d0d0d0d1c', 'e800'],
    ['INITIALISE with another ODR', '60020d01a692a692000000000d0d0d0d1c', 'ea00'],
    ['a digit without parity', '600315e4303130303030303030b430b430b430b4030303031c', 'ea00'],
    ['no notes at all', '600315e4303030303030303030b430b430b430b4030303031c', 'ea00'],
  ])('%s is refused and noted', async (_, data, error) => {
    const bench = makeBench();
    await exchange(bench, INIT);
    const response = await exchange(bench, frame(data));
    expect(response[0]).toBe(0xf0);
    expect(response.subarray(3, 5).toString('hex')).toBe(error);
    expect(bench.device.violations()).toHaveLength(1);
    expect(bench.device.truth().customer).toEqual({});
  });

  test('standing errors are said by STATUS', async () => {
    const bench = makeBench();
    for (const [name, error] of [
      ['rejectBoxMissing', 'b000'],
      ['rejectBoxFull', 'b500'],
      ['statusError', '0100'],
    ] as const) {
      bench.device.control({ do: 'fault', name });
      const status = await exchange(bench, STATUS);
      expect(status.subarray(0, 5).toString('hex')).toBe(`f00134${error}`);
      bench.device.control({ do: 'fault', name, times: 0 });
    }
    expect((await exchange(bench, STATUS))[0]).toBe(0x80);
  });

  test('an F53 has two bays', () => {
    const cassettes = { 3: { denomination: 20, count: 9 } };
    expect(() => makeBench({ model: 'f53', cassettes })).toThrow(SimulatorError);
    expect(() => makeBench({ model: 'f56', cassettes })).not.toThrow();
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
    expect(() => device.control(command)).toThrow(expect.objectContaining({ code }));
  });

  test('every fault can be given and lifted, and has words', () => {
    const { device } = makeBench();
    for (const [name, words] of Object.entries(f56Faults)) {
      expect(words.length).toBeGreaterThan(7);
      device.control({ do: 'fault', name });
      device.control({ do: 'fault', name, times: 0 });
    }
  });

  test('a note that is stuck stays until it is taken', async () => {
    const bench = makeBench();
    await exchange(bench, INIT);
    bench.device.control({ do: 'fault', name: 'jamOnPath', value: 1 });
    const jammed = await exchange(bench, COUNT);
    expect(jammed.subarray(3, 5).toString('hex')).toBe('7801');
    expect((await exchange(bench, INIT)).subarray(3, 5).toString('hex')).toBe('7801');
    expect(bench.device.truth()).toMatchObject({ path: { 20: 1 }, customer: { 20: 1 } });
    bench.device.control({ do: 'take' });
    expect(bench.device.truth()).toMatchObject({ path: {}, reject: { 20: 1 } });
    expect((await exchange(bench, INIT))[0]).toBe(0xe0);
  });
});
