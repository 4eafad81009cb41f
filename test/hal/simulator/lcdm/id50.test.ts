/** The simulated LCDM-1000 and -2000 alone, spoken to in plain bytes. */
import { describe, expect, test } from 'vitest';
import { encodeFrame } from '#hal/lcdm/wire.ts';
import { LcdmDevice, type LcdmDeviceOptions } from '#hal/simulator/lcdm/device.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';

const CASSETTES = { 1: { denomination: 20, count: 19 }, 2: { denomination: 50, count: 19 } };
const ACK = '06';
const NAK = '15';

/** A host that says hex and hears hex, with the times. */
function makeBench(options: LcdmDeviceOptions = {}) {
  const clock = new VirtualClock();
  const device = new LcdmDevice({
    clock,
    options: { model: 'lcdm-2000', cassettes: CASSETTES, ...options },
  });
  let heard: { hex: string; atMs: number }[] = [];
  device.connect((bytes) => {
    heard.push({ hex: Buffer.from(bytes).toString('hex'), atMs: clock.monotonic() });
  });
  return {
    clock,
    device,
    say: (hex: string) =>
      device.receive(Uint8Array.from(Buffer.from(hex.replaceAll(' ', ''), 'hex'))),
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

/** One whole exchange; gives the response from CMD to the last byte before 03. */
async function exchange({ say, hear, clock }: Bench, command: string): Promise<string> {
  say(command);
  const [acknowledge] = await hear(60);
  expect(acknowledge?.hex).toBe(ACK);
  for (let waited = 0; waited < 40; waited++) {
    const [response] = await hear(500);
    if (!response) continue;
    say(ACK);
    // There is no EOT.
    expect(await hear(100)).toEqual([]);
    return response.hex.slice(6, -4);
  }
  throw new Error(`no response by ${clock.monotonic()} ms`);
}

const host = (code: number, digits = '') =>
  Buffer.from(encodeFrame(0x50, 'host', code, Buffer.from(digits))).toString('hex');
const ascii = (text: string) => Buffer.from(text).toString('hex');

describe('the line', () => {
  test('ACK, the response, and nothing after the ACK of the host', async () => {
    const bench = makeBench();
    bench.say('04 50 02 46 03 13');
    expect(await bench.hear(1000)).toEqual([
      { hex: ACK, afterMs: 50 },
      { hex: '015002463030800003' + '96', afterMs: 80 },
    ]);
    bench.say(ACK);
    expect(await bench.hear(5000)).toEqual([]);
    expect(bench.device.violations()).toEqual([]);
  });

  test('a response that nobody acknowledges is said three times', async () => {
    const bench = makeBench();
    bench.say('04 50 02 46 03 13');
    expect(await bench.hear(60_000)).toHaveLength(1 + 3);
  });

  test('NAK of the host brings the response again, and moves nothing', async () => {
    const bench = makeBench();
    bench.say('04 50 02 45 30 35 03 15');
    const [, first] = await bench.hear(1900);
    bench.say(NAK);
    const [second] = await bench.hear(1000);
    expect(second?.hex).toBe(first?.hex);
    expect(bench.device.truth().customer).toEqual({ 20: 5 });
  });

  test('a wrong BCC, noise and the other ID are answered with NAK', async () => {
    for (const noise of ['04 50 02 46 03 14', '41 42', '04 30 02 50 03 65']) {
      const bench = makeBench();
      bench.say(noise);
      expect((await bench.hear(1000)).map(({ hex }) => hex)).toEqual([NAK]);
      expect(bench.device.violations()).toHaveLength(1);
    }
  });

  test('8D and 9C for notes on their way', async () => {
    const bench = makeBench();
    bench.device.control({ do: 'fault', name: 'progress', times: 9 });
    bench.device.control({ do: 'fault', name: 'reject' });
    bench.say(host(0x45, '02'));
    const said = (await bench.hear(1900)).map(({ hex }) => hex);
    expect(said.slice(0, -1)).toEqual([ACK, '9c', '8d', '8d']);
  });
});

describe('commands', () => {
  test('UPPER and LOWER say what was picked, delivered and rejected', async () => {
    const bench = makeBench();
    // Source: cash-hardware.md 7.2.
    expect(await exchange(bench, '045002453035' + '0315')).toBe(`45${ascii('05050000')}`);
    bench.device.control({ do: 'fault', name: 'reject' });
    bench.device.control({ do: 'fault', name: 'nearEnd', value: 1 });
    expect(await exchange(bench, host(0x45, '05'))).toBe(`45${ascii('06050101')}`);
    expect(await exchange(bench, '0450025531320303')).toBe(`55${ascii('12120100')}`);
    expect(bench.device.truth().customer).toEqual({ 20: 10, 50: 12 });
    expect(bench.device.violations()).toEqual([]);
  });

  test('UPPER+LOWER says the counts by sensor, or by bay as other sources have it', async () => {
    for (const isByBay of [false, true]) {
      const bench = makeBench();
      if (isByBay) bench.device.control({ do: 'fault', name: 'countsByBay' });
      bench.device.control({ do: 'fault', name: 'pickUpFailure', value: 4 });
      const counts = isByBay ? '03030101' : '03010301';
      expect(await exchange(bench, '045002563033303203' + '02')).toBe(
        `56${ascii(counts)}32${ascii('000000')}`,
      );
      expect(bench.device.truth().customer).toEqual({ 20: 3, 50: 1 });
    }
  });

  test('test dispenses take one note to the reject tray', async () => {
    const bench = makeBench();
    expect(await exchange(bench, host(0x76))).toBe(`76${ascii('01000001')}`);
    expect(await exchange(bench, host(0x77))).toBe(`77${ascii('01000001')}`);
    expect(bench.device.truth()).toMatchObject({ reject: { 20: 1, 50: 1 }, customer: {} });
  });

  test('ROM VERSION tells the model, and an LCDM-1000 has no lower bay', async () => {
    expect(await exchange(makeBench(), '045002470312')).toBe(`47${ascii('T20T5624')}`);
    const one = makeBench({ model: 'lcdm-1000', cassettes: { 1: CASSETTES[1] } });
    expect(await exchange(one, host(0x47))).toBe(`47${ascii('O16TAD2C')}`);
    expect(await exchange(one, host(0x45, '01'))).toBe(`45${ascii('01010000')}`);
    for (const code of [0x55, 0x77]) expect(await exchange(one, host(code))).toMatch(/37$/);
    expect(one.device.violations()).toHaveLength(2);
  });

  test('PURGE clears the path and says no counts', async () => {
    const bench = makeBench();
    bench.device.control({ do: 'fault', name: 'noteInExit', value: 1 });
    expect(await exchange(bench, host(0x45, '02'))).toBe(`45${ascii('0201')}35${ascii('000')}`);
    expect(await exchange(bench, host(0x46))).toBe('463030a000');
    expect(await exchange(bench, host(0x45, '01'))).toBe(`45${ascii('0000')}36${ascii('000')}`);
    expect(await exchange(bench, '045002440311')).toBe('4430');
    expect(bench.device.truth()).toMatchObject({ customer: { 20: 2 }, path: {} });
    expect(await exchange(bench, host(0x46))).toBe('4630308000');
  });

  test('sensors, cassettes, tray and a kept error stand in STATUS', async () => {
    const bench = makeBench();
    const { device } = bench;
    device.control({ do: 'fault', name: 'jamBeforeEject' });
    device.control({ do: 'fault', name: 'keepError' });
    await exchange(bench, host(0x45, '01'));
    device.control({ do: 'cassette', position: 2, present: false });
    expect(await exchange(bench, host(0x46))).toBe('4630439004');
    device.control({ do: 'fault', name: 'rejectTrayMissing' });
    device.control({ do: 'fault', name: 'nearEnd' });
    expect(await exchange(bench, host(0x46))).toBe('46303fd044');
    device.control({ do: 'take' });
    expect(await exchange(bench, host(0x44))).toBe('4430');
  });

  test('what does not exist is error 37, a number that cannot be is error 3B', async () => {
    const bench = makeBench();
    expect(await exchange(bench, host(0x52))).toBe('5237');
    expect(await exchange(bench, host(0x45))).toBe('4537');
    for (const digits of ['00', '61', '1:']) {
      expect(await exchange(bench, host(0x45, digits))).toBe(`45${ascii('0000')}3b${ascii('000')}`);
    }
    expect(bench.device.truth().customer).toEqual({});
    expect(bench.device.violations()).toHaveLength(5);
  });

  test('an error before the first note may be answered alone', async () => {
    const bench = makeBench();
    bench.device.control({ do: 'fault', name: 'error', value: 0x3f });
    bench.device.control({ do: 'fault', name: 'errorAlone' });
    expect(await exchange(bench, host(0x45, '01'))).toBe('453f');
  });
});

test('a cassette where the model has no bay is refused', () => {
  expect(() => makeBench({ model: 'lcdm-1000' })).toThrow(
    expect.objectContaining({ code: 'notFound' }),
  );
});
