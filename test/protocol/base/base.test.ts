import { inspect } from 'node:util';
import { afterEach, expect, test, vi } from 'vitest';
import {
  randomBelow,
  sleep,
  systemClock,
  systemRandom,
  timedOut,
  withDeadline,
} from '#protocol/base/clock.ts';
import { AtmError, DeviceError, messageOf, systemCode } from '#protocol/base/errors.ts';
import { newReference, newTransactionId, position } from '#protocol/base/ids.ts';
import { createLog } from '#protocol/base/log.ts';
import { requireNode } from '#protocol/base/node-version.ts';
import { seal, unseal } from '#protocol/base/sealing.ts';
import { Secret } from '#protocol/base/secret.ts';
import { seededRandom } from '#test/support/seeded-random.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';

afterEach(() => {
  vi.restoreAllMocks();
});

test('a sleep ends in time, at once when aborted before, and with the reason when aborted', async () => {
  const clock = new VirtualClock();
  await clock.resolve(sleep(clock, 1_000));
  expect(clock.monotonic()).toBe(1_000);
  const ends = new AbortController();
  const slept = sleep(clock, 1_000, ends.signal);
  ends.abort(new Error('enough'));
  await expect(slept).rejects.toThrow('enough');
  await expect(sleep(clock, 1_000, ends.signal)).rejects.toThrow('enough');
  const whole = new AbortController();
  await clock.resolve(sleep(clock, 1_000, whole.signal));
  expect(clock.pending).toBe(0);
});

test('a deadline gives the answer or says that there was none, and leaves no timer', async () => {
  const clock = new VirtualClock();
  expect(await withDeadline(clock, 1_000, Promise.resolve('answer'))).toBe('answer');
  const never = new Promise<string>(() => undefined);
  expect(await clock.resolve(withDeadline(clock, 1_000, never))).toBe(timedOut);
  expect(clock.pending).toBe(0);
});

test('the computer’s own clock and randomness work', async () => {
  const before = systemClock.monotonic();
  await sleep(systemClock, 1);
  expect(systemClock.monotonic()).toBeGreaterThan(before);
  expect(systemClock.now()).toBeGreaterThan(Date.UTC(2026, 0, 1));
  systemClock.after(0, () => expect.unreachable('cancelled'))();
  expect(systemRandom.bytes(7)).toHaveLength(7);
});

test('no two ids of the system are alike, however many are made at once', () => {
  const ids = Array.from({ length: 300 }, () => systemRandom.bytes(16));
  const nothing = Buffer.alloc(16).toString('hex');
  const words = ids.map((id) => Buffer.from(id).toString('hex'));
  expect(new Set(words).size).toBe(ids.length);
  expect(words).not.toContain(nothing);
  // An id that is handed out shares its memory with no other one.
  ids[0]?.fill(0);
  expect(ids.slice(1).map((id) => Buffer.from(id).toString('hex'))).toEqual(words.slice(1));
});

test('random numbers stay below their bound, and biased draws are drawn again', () => {
  const bytes = [
    [255, 255, 255, 255],
    [0, 0, 0, 9],
  ];
  const random = { bytes: () => new Uint8Array(bytes.shift() ?? []) };
  expect(randomBelow(random, 7)).toBe(2);
  expect(bytes).toEqual([]);
});

test('references can be read out: no letter that looks like a digit', () => {
  const random = seededRandom('references');
  for (let round = 0; round < 100; round++) {
    expect(newReference(random)).toMatch(/^[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}$/);
  }
  expect(newTransactionId(random)).toMatch(/^[0-9a-f]{32}$/);
});

test('positions are 1 to 16', () => {
  expect([1, 16].map(position)).toEqual([1, 16]);
  for (const wrong of [0, 17, 1.5]) expect(() => position(wrong)).toThrow('position');
});

test('an old Node is told what to install, before anything native is loaded', () => {
  const exit = vi.spyOn(process, 'exit').mockImplementation((code) => {
    throw new Error(`exit ${code}`);
  });
  const said = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  for (const old of ['20.20.2', '22.17.9']) {
    expect(() => requireNode(old)).toThrow('exit 78');
  }
  expect(String(said.mock.calls[0]?.[0])).toMatch(/22\.18.*20\.20\.2.*npm/s);
  for (const fitting of ['22.18.0', '24.21.0']) requireNode(fitting);
  requireNode();
  expect(exit).toHaveBeenCalledTimes(2);
  expect(() => requireNode('')).toThrow('exit 78');
});

test('a secret shows itself to nobody who did not ask for it', () => {
  const secret = new Secret('nsec1deep');
  const shown = [
    `${secret}`,
    JSON.stringify({ a: { b: secret } }),
    inspect(secret),
    inspect([secret]),
  ];
  for (const text of shown) expect(text).not.toContain('deep');
  expect(secret.reveal()).toBe('nsec1deep');
});

test('the log keeps known secrets out as a second net', () => {
  const lines: string[] = [];
  const log = createLog('info', { write: (line) => lines.push(line) });
  log.info({ lnurl: 'LNURL1CASH', deep: { token: 'spent' }, amount: 5 }, 'said');
  expect(lines.join()).not.toMatch(/LNURL1CASH|spent/);
  expect(JSON.parse(lines[0] ?? '')).toMatchObject({ amount: 5, msg: 'said' });
  expect(createLog('silent').level).toBe('silent');
});

test('what is sealed opens with its key and place only', () => {
  const random = seededRandom('sealing');
  const key = new Secret(random.bytes(32));
  const sealed = seal(key, random, 'here', 'the text');
  expect(Buffer.from(sealed).includes('the text')).toBe(false);
  expect(unseal(key, 'here', sealed)).toBe('the text');
  expect(() => unseal(key, 'there', sealed)).toThrow('there');
  expect(() => unseal(new Secret(random.bytes(32)), 'here', sealed)).toThrow('corrupt');
});

test('faults carry their code, and a device’s fault its last bytes', () => {
  expect(new AtmError('timeOut', 'no answer').message).toBe('no answer (timeOut)');
  expect(new DeviceError('hardwareError', 'jam').recording).toEqual([]);
  const recording = [{ direction: 'in', monotonicMs: 1, hex: 'fc' }] as const;
  expect(new DeviceError('hardwareError', 'jam', { recording }).recording).toEqual(recording);
  expect(messageOf(new Error('why'))).toBe('why');
  expect(messageOf('thrown as text')).toBe('thrown as text');
  const absent = Object.assign(new Error('no such file'), { code: 'ENOENT' });
  expect([absent, new Error('why'), 'ENOENT'].map(systemCode)).toEqual([
    'ENOENT',
    ...[undefined, undefined],
  ]);
});
