/**
 * Another's driver on the simulated device, over a real pty: the npm package `cashcode-bv`. What it
 * completes is evidence that does not come from us.
 */
import Module, { createRequire } from 'node:module';
import { SerialPort } from 'serialport';
import { afterAll, beforeAll, type TestContext, test } from 'vitest';
import { CcnetDevice, type CcnetDeviceOptions } from '#hal/simulator/ccnet/device.ts';
import { openPty } from '#hal/simulator/pty.ts';
import { systemClock } from '#protocol/base/clock.ts';

const PACKAGE = 'cashcode-bv';
/** It wants to see INITIALIZE within a second of RESET, and polls at its own pace. */
const FAST = {
  initialiseMs: 1000,
  acceptMs: 250,
  leverMs: 100,
  stackMs: 150,
  returnMs: 250,
  rejectMs: 1000,
};
const STEP_LIMIT_MS = 10_000;

interface Bill {
  readonly amount: number;
  readonly code: string;
}

/** What the package's class has, as its example uses it. */
interface ForeignDriver {
  readonly info: { readonly model: string; readonly serial: string };
  readonly billTable: readonly Bill[];
  on(event: 'status', listener: (primary: string, secondary: string) => void): void;
  on(event: 'escrow' | 'stacked' | 'returned', listener: (bill: Bill) => void): void;
  on(event: string, listener: () => void): void;
  connect(): Promise<boolean>;
  begin(): Promise<void>;
  end(): Promise<void>;
  stack(): Promise<void>;
  retrieve(): Promise<void>;
  statusTimerStop(): void;
  close(): Promise<boolean>;
}

type ForeignClass = new (path: string) => ForeignDriver;

/** It was written for an older serialport, with the path first; it opens the port itself. */
class OldSerialPort extends SerialPort {
  constructor(path: string, options: Readonly<Record<string, unknown>>) {
    const baudRate = Number(options.baudRate);
    super({ path, baudRate, dataBits: 8, stopBits: 1, parity: 'none', autoOpen: false });
  }

  /** Its listener for `close` calls this on the port where it means itself. */
  onSerialPortClose(): void {
    this.removeAllListeners();
  }
}

function isPackage(value: unknown): value is { CCNet: { BillValidator: ForeignClass } } {
  if (typeof value !== 'object' || value === null || !('CCNet' in value)) return false;
  const { CCNet } = value;
  return typeof CCNet === 'object' && CCNet !== null && 'BillValidator' in CCNet;
}

let Foreign: ForeignClass;
const load: unknown = Reflect.get(Module, '_load');

beforeAll(() => {
  if (typeof load !== 'function') throw new Error('Node loads modules in another way now');
  Reflect.set(
    Module,
    '_load',
    (request: string, parent: { readonly id?: string } | undefined, isMain: boolean) => {
      const isTheirs = parent?.id?.includes(`${PACKAGE}/Source`) === true;
      if (isTheirs && request === 'serialport') return OldSerialPort;
      return Reflect.apply(load, Module, [request, parent, isMain]);
    },
  );
  const loaded: unknown = createRequire(import.meta.url)(PACKAGE);
  if (!isPackage(loaded)) throw new Error(`${PACKAGE} has no class BillValidator`);
  Foreign = loaded.CCNet.BillValidator;
});

afterAll(() => {
  Reflect.set(Module, '_load', load);
});

/** Their driver on our device; both are ended with the test. */
async function connect(
  options: CcnetDeviceOptions,
  { onTestFinished }: Pick<TestContext, 'onTestFinished'>,
) {
  const device = new CcnetDevice({ clock: systemClock, options: { timings: FAST, ...options } });
  const pty = await openPty();
  pty.onData((bytes) => device.receive(bytes));
  device.connect((bytes) => pty.write(bytes));
  const driver = new Foreign(pty.path);
  const heard: string[] = [];
  const waits: { readonly words: string; readonly resolve: () => void }[] = [];
  const hear = (words: string) => {
    heard.push(words);
    for (const wait of waits) if (wait.words === words) wait.resolve();
  };
  driver.on('status', (primary, secondary) => hear(`status ${primary} ${secondary}`.trim()));
  for (const name of ['escrow', 'stacked', 'returned'] as const) {
    driver.on(name, ({ amount }) => hear(`${name} ${amount}`));
  }
  onTestFinished(async () => {
    driver.statusTimerStop();
    await driver.close();
    device.stop();
    pty.close();
  });
  /** Resolves when these words are heard, from now on. */
  const next = (words: string) =>
    new Promise<void>((resolve, reject) => {
      const wait = () => reject(new Error(`${words} was not heard; heard ${heard.join(', ')}`));
      const cancel = systemClock.after(STEP_LIMIT_MS, wait);
      waits.push({
        words,
        resolve: () => {
          cancel();
          resolve();
        },
      });
    });
  /** Does something and waits for what comes of it. */
  const until = async (words: string, act: () => unknown): Promise<void> => {
    const heardIt = next(words);
    await act();
    await heardIt;
  };
  const insert = (denomination: number) => device.control({ do: 'insert', denomination });
  return { device, driver, heard, until, insert };
}

const UNITS: readonly (readonly [string, CcnetDeviceOptions])[] = [
  ['told each event once', {}],
  ['told each event until its ACK', { strictAck: true }],
];

// It polls at its own pace, in real time: both cycles pass side by side. It gives a device one
// second to answer, which a busy machine may take from it: hence the further attempts.
test.concurrent.for(UNITS)('a full cycle, %s', { retry: 2 }, async ([_unit, options], context) => {
  const { expect } = context;
  const { device, driver, heard, until, insert } = await connect(options, context);
  await driver.connect();
  expect(driver.info).toMatchObject({ model: 'SM-US1234', serial: '123456789012' });
  const amounts = driver.billTable.slice(0, 7).map(({ amount, code }) => [amount, code]);
  expect(amounts).toEqual([1, 2, 5, 10, 20, 50, 100].map((value) => [value, 'USA']));
  await until('status 19', () => undefined);
  await until('status 14', () => driver.begin());

  for (const value of [20, 1, 100]) {
    await until(`escrow ${value}`, () => insert(value));
    await until(`stacked ${value}`, () => driver.stack());
    await until('status 14', () => undefined);
  }
  expect(device.truth()).toMatchObject({ path: {}, cashbox: { 1: 1, 20: 1, 100: 1 } });

  await until('escrow 5', () => insert(5));
  await until('returned 5', () => driver.retrieve());
  await until('status 14', () => undefined);
  device.control({ do: 'fault', name: 'reject', value: 0x65 });
  await until('status 1c 65', () => insert(10));
  await until('status 14', () => undefined);
  expect(device.truth()).toMatchObject({ path: {}, customer: { 5: 1, 10: 1 } });

  await until('status 19', () => driver.end());
  expect(() => insert(20)).toThrow('disabled');
  expect(heard.filter((words) => words.startsWith('stacked'))).toHaveLength(3);
  expect(device.truth().cashbox).toEqual({ 1: 1, 20: 1, 100: 1 });
  // Nothing was out of turn; how quickly a busy machine lets them answer is no part of it.
  expect(device.violations().filter((words) => words.includes('in state'))).toEqual([]);
});
