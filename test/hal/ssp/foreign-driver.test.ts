/**
 * Another's driver on the simulated device, over a real pty: the npm package
 * `encrypted-smiley-secure-protocol`. What it completes is evidence that does not come from us.
 */
import nodeCrypto from 'node:crypto';
import Module, { createRequire } from 'node:module';
import { SerialPort } from 'serialport';
import { afterAll, beforeAll, expect, type TestContext, test } from 'vitest';
import { openPty } from '#hal/simulator/pty.ts';
import { SspDevice } from '#hal/simulator/ssp/device.ts';
import { ENVELOPE_START, isPrime } from '#hal/ssp/encryption.ts';
import { SspFramer } from '#hal/ssp/wire.ts';
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
async function connect(encryption: 'optional' | 'required', { onTestFinished }: TestContext) {
  const device = new SspDevice({ clock: systemClock, options: { encryption, timings: FAST } });
  const pty = await openPty();
  const framer = new SspFramer();
  /** First byte of the data of every frame that they sent. */
  const said: number[] = [];
  pty.onData((bytes) => {
    for (const event of framer.push(bytes)) {
      if (event.kind === 'frame') said.push(event.frame.data[0] ?? 0);
    }
    device.receive(bytes);
  });
  device.connect((bytes) => pty.write(bytes));
  const driver = new Foreign({ id: 0, timeout: 5000 });
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
  /** Inserts a note and waits until these words are heard. */
  const insert = (denomination: number, words: string) =>
    new Promise<void>((resolve, reject) => {
      systemClock.after(STEP_LIMIT_MS, () => reject(new Error(`${words} was not heard`)));
      waits.push({ words, resolve });
      device.control({ do: 'insert', denomination });
    });
  return { device, driver, heard, said, insert };
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
  // All but the second, of 2 dollars.
  const channels = [1, 0, 1, 1, 1, 1, 1];
  expect(await driver.command('SET_CHANNEL_INHIBITS', { channels })).toMatchObject({
    status: 'OK',
  });
}

/** Notes stacked, one given back by REJECT, one that the device refuses. */
async function fullCycle(connection: Connection): Promise<void> {
  const { device, driver, heard, insert } = connection;
  expect(await driver.enable()).toMatchObject({ status: 'OK' });
  for (const denomination of [20, 100]) await insert(denomination, 'NOTE_STACKED');
  let answer: Promise<Answer> | undefined;
  driver.on('READ_NOTE', ({ channel }) => {
    if (channel === 3) answer ??= driver.command('REJECT_BANKNOTE');
  });
  await insert(5, 'NOTE_REJECTED');
  expect(await answer).toMatchObject({ status: 'OK' });
  expect((await driver.command('LAST_REJECT_CODE')).info.name).toBe('REJECT_BY_HOST');
  await insert(2, 'NOTE_REJECTED');
  await insert(1, 'NOTE_STACKED');
  const credits = heard.filter((words) => words.startsWith('CREDIT_NOTE'));
  expect(credits).toEqual(['CREDIT_NOTE 5', 'CREDIT_NOTE 7', 'CREDIT_NOTE 1']);
  expect(device.truth()).toMatchObject({
    path: {},
    cashbox: { 1: 1, 20: 1, 100: 1 },
    customer: { 2: 1, 5: 1 },
  });
  expect((await driver.command('GET_COUNTERS')).info).toMatchObject({ stacked: 3, rejected: 2 });
  expect(await driver.disable()).toMatchObject({ status: 'OK' });
  expect(() => device.control({ do: 'insert', denomination: 20 })).toThrow('disabled');
  expect(device.violations()).toEqual([]);
}

test.concurrent('plain SSP: a full cycle', { timeout: 60_000 }, async (context) => {
  const connection = await connect('optional', context);
  expect(await connection.driver.command('SYNC')).toMatchObject({ status: 'OK' });
  await setUp(connection);
  await fullCycle(connection);
  expect(connection.said).not.toContain(ENVELOPE_START);
});

test.concurrent('eSSP: a full cycle, all of it encrypted', { timeout: 60_000 }, async (context) => {
  const connection = await connect('required', context);
  const { driver, said } = connection;
  expect(await driver.command('SYNC')).toMatchObject({ status: 'OK' });
  expect(await driver.command('SETUP_REQUEST')).toMatchObject({ status: 'KEY_NOT_SET' });
  await driver.initEncryption();
  const from = said.length;
  await setUp(connection);
  await fullCycle(connection);
  expect(new Set(said.slice(from))).toEqual(new Set([ENVELOPE_START]));
});
