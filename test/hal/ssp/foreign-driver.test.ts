/**
 * Another's driver on the simulated device, over a real pty: the npm package
 * `encrypted-smiley-secure-protocol`. What it completes is evidence that does not come from us.
 */
import nodeCrypto from 'node:crypto';
import Module, { createRequire } from 'node:module';
import { SerialPort } from 'serialport';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { openPty } from '#hal/simulator/pty.ts';
import { SspDevice } from '#hal/simulator/ssp/device.ts';
import { isPrime } from '#hal/ssp/encryption.ts';
import { systemClock, systemRandom } from '#protocol/base/clock.ts';

const PACKAGE = 'encrypted-smiley-secure-protocol';
const FAST = {
  startMs: 50,
  initialiseMs: 50,
  readMs: 150,
  creditMs: 150,
  stackMs: 150,
  rejectMs: 150,
};
const STEP_LIMIT_MS = 10_000;

interface Answer {
  readonly success: boolean;
  readonly status: string;
  readonly info: Readonly<Record<string, unknown>>;
}

/** What the package's class has, as its README says. */
interface ForeignDriver {
  on(event: string, listener: (info: { readonly channel?: number }) => void): void;
  open(path: string): Promise<void>;
  close(): void;
  initEncryption(): Promise<void>;
  command(name: string, args?: object): Promise<Answer>;
  enable(): Promise<Answer>;
  disable(): Promise<Answer>;
}

type ForeignClass = new (options: object) => ForeignDriver;

/** It was written for an older serialport, with the path first and other names. */
class OldSerialPort extends SerialPort {
  constructor(path: string, options: Readonly<Record<string, unknown>>) {
    super({ path, baudRate: Number(options.baudRate), dataBits: 8, stopBits: 2, parity: 'none' });
  }
}

/** OpenSSL 3 makes no Diffie-Hellman group of 16 bits, of which it only takes the prime. */
const smallPrimes = {
  ...nodeCrypto,
  createDiffieHellman: () => ({
    getPrime: () => {
      for (;;) {
        const bytes = Buffer.from(systemRandom.bytes(2));
        const number = BigInt(bytes.readUInt16BE());
        if (number > 0x8000n && isPrime(number)) return bytes;
      }
    },
  }),
};

const replaced: Readonly<Record<string, unknown>> = {
  serialport: OldSerialPort,
  crypto: smallPrimes,
};

function isClass(value: unknown): value is ForeignClass {
  return typeof value === 'function';
}

let Foreign: ForeignClass;
const load: unknown = Reflect.get(Module, '_load');

beforeAll(() => {
  if (typeof load !== 'function') throw new Error('Node loads modules in another way now');
  Reflect.set(
    Module,
    '_load',
    (request: string, parent: { readonly id?: string } | undefined, isMain: boolean) => {
      const isTheirs = parent?.id?.includes(`${PACKAGE}/src`) === true;
      if (isTheirs && Object.hasOwn(replaced, request)) return replaced[request];
      return Reflect.apply(load, Module, [request, parent, isMain]);
    },
  );
  const loaded: unknown = createRequire(import.meta.url)(PACKAGE);
  if (!isClass(loaded)) throw new Error(`${PACKAGE} is no class`);
  Foreign = loaded;
});

afterAll(() => {
  Reflect.set(Module, '_load', load);
});

/** Their driver on our device; both are ended with the test. */
async function connect(encryption: 'optional' | 'required') {
  const device = new SspDevice({ clock: systemClock, options: { encryption, timings: FAST } });
  const pty = await openPty();
  pty.onData((bytes) => device.receive(bytes));
  device.connect((bytes) => pty.write(bytes));
  const driver = new Foreign({ id: 0, timeout: 1000 });
  const heard: string[] = [];
  const waits: { readonly words: string; readonly resolve: () => void }[] = [];
  const hear = (words: string) => {
    heard.push(words);
    for (const wait of waits) if (wait.words === words) wait.resolve();
  };
  for (const name of ['SLAVE_RESET', 'NOTE_STACKED', 'NOTE_REJECTED']) {
    driver.on(name, () => hear(name));
  }
  driver.on('READ_NOTE', ({ channel }) => hear(`READ_NOTE ${channel}`));
  driver.on('CREDIT_NOTE', ({ channel }) => hear(`CREDIT_NOTE ${channel}`));
  await driver.open(pty.path);
  onTestFinished(() => {
    driver.close();
    device.stop();
    pty.close();
  });
  /** Resolves when these words are heard, from now on. */
  const next = (words: string) =>
    new Promise<void>((resolve, reject) => {
      systemClock.after(STEP_LIMIT_MS, () => reject(new Error(`${words} was not heard`)));
      waits.push({ words, resolve });
    });
  const insert = (denomination: number) => device.control({ do: 'insert', denomination });
  return { device, driver, heard, next, insert };
}

type Connection = Awaited<ReturnType<typeof connect>>;

async function setUp({ driver }: Connection): Promise<void> {
  const serial = await driver.command('GET_SERIAL_NUMBER');
  expect(serial.info.serial_number).toBe(1_873_452);
  expect(await driver.command('HOST_PROTOCOL_VERSION', { version: 6 })).toMatchObject({
    status: 'OK',
  });
  const setup = await driver.command('SETUP_REQUEST');
  expect(setup.info).toMatchObject({
    unit_type: 'Banknote validator',
    country_code: 'USD',
    expanded_channel_value: [1, 2, 5, 10, 20, 50, 100],
    protocol_version: 6,
  });
  const channels = [1, 1, 1, 1, 1, 1, 1];
  expect(await driver.command('SET_CHANNEL_INHIBITS', { channels })).toMatchObject({
    status: 'OK',
  });
}

/** One note stacked, one given back by REJECT. */
async function fullCycle(connection: Connection): Promise<void> {
  const { device, driver, heard, next, insert } = connection;
  expect(await driver.enable()).toMatchObject({ status: 'OK' });
  const stacked = next('NOTE_STACKED');
  insert(20);
  await stacked;
  expect(heard.filter((words) => words.startsWith('CREDIT_NOTE'))).toEqual(['CREDIT_NOTE 5']);
  expect(device.truth()).toMatchObject({ path: {}, cashbox: { 20: 1 }, customer: {} });
  const rejected = next('NOTE_REJECTED');
  let answer: Promise<Answer> | undefined;
  driver.on('READ_NOTE', ({ channel }) => {
    if (channel === 3) answer ??= driver.command('REJECT_BANKNOTE');
  });
  insert(5);
  await rejected;
  expect(await answer).toMatchObject({ status: 'OK' });
  expect(device.truth()).toMatchObject({ path: {}, cashbox: { 20: 1 }, customer: { 5: 1 } });
  expect((await driver.command('LAST_REJECT_CODE')).info.name).toBe('REJECT_BY_HOST');
  expect((await driver.command('GET_COUNTERS')).info).toMatchObject({ stacked: 1, rejected: 1 });
  expect(await driver.disable()).toMatchObject({ status: 'OK' });
  expect(() => insert(20)).toThrow('disabled');
  expect(device.violations()).toEqual([]);
}

test('plain SSP: a full cycle', { timeout: 60_000 }, async () => {
  const connection = await connect('optional');
  expect(await connection.driver.command('SYNC')).toMatchObject({ status: 'OK' });
  await setUp(connection);
  await fullCycle(connection);
});

test('eSSP: keys, then a full cycle, all of it encrypted', { timeout: 60_000 }, async () => {
  const connection = await connect('required');
  const { driver } = connection;
  expect(await driver.command('SYNC')).toMatchObject({ status: 'OK' });
  expect(await driver.command('SETUP_REQUEST')).toMatchObject({ status: 'KEY_NOT_SET' });
  await driver.initEncryption();
  await setUp(connection);
  await fullCycle(connection);
});
