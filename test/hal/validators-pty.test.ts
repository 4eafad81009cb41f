/** The happy path of every validator over a real pty, by the port that the machine uses. */
import { test } from 'vitest';
import type { CashAcceptor } from '#hal/cash-acceptor.ts';
import { CcnetAcceptor } from '#hal/ccnet/driver.ts';
import { EbdsAcceptor } from '#hal/ebds/driver.ts';
import { Id003Acceptor } from '#hal/id003/driver.ts';
import type { Port } from '#hal/port.ts';
import { SystemPort } from '#hal/serial-port.ts';
import { CcnetDevice } from '#hal/simulator/ccnet/device.ts';
import type { SimulatedDevice } from '#hal/simulator/device.ts';
import { EbdsDevice } from '#hal/simulator/ebds/device.ts';
import { Id003Device } from '#hal/simulator/id003/device.ts';
import { openPty } from '#hal/simulator/pty.ts';
import { SioDevice } from '#hal/simulator/sio/device.ts';
import { SspDevice } from '#hal/simulator/ssp/device.ts';
import { SioAcceptor } from '#hal/sio/driver.ts';
import { SspAcceptor } from '#hal/ssp/driver.ts';
import { systemClock as clock, systemRandom as random } from '#protocol/base/clock.ts';
import { silentLog as log } from '#protocol/base/log.ts';

/** A fast mechanism: what is tried here is the port, and the times are tried elsewhere. */
const timings = { initialiseMs: 100, acceptMs: 50, leverMs: 20, stackMs: 50, returnMs: 50 };
const sspTimings = { readMs: 100, creditMs: 100, stackMs: 100, rejectMs: 100 };
const channels = [1, 2, 5, 10, 20, 50, 100];
const currency = 'USD';
/** A machine that is busy with other things must not look like a device that is silent. */
const replyTimeoutMs = 5000;

interface Case {
  readonly name: string;
  readonly device: () => SimulatedDevice;
  readonly acceptor: (port: Port) => CashAcceptor;
  /** Of the identity. */
  readonly model: string;
}

const ebds = { pollMs: 30, replyTimeoutMs, model: 'cashflow-sc', currency } as const;
const cases: readonly Case[] = [
  {
    name: 'id003',
    device: () => new Id003Device({ clock, options: { timings } }),
    acceptor: (port) => {
      const options = { currency, pollMs: 20, replyTimeoutMs };
      return new Id003Acceptor({ port, clock, log, options });
    },
    model: 'UBA',
  },
  {
    name: 'ccnet',
    device: () => new CcnetDevice({ clock, options: { strictAck: true, timings } }),
    acceptor: (port) => {
      const options = { model: 'sm', currency, pollMs: 30, replyTimeoutMs } as const;
      return new CcnetAcceptor({ port, clock, log, options });
    },
    model: 'CashCode SM',
  },
  ...['seven bits', 'parity in the eighth'].map((bits) => ({
    name: `ebds, ${bits}`,
    device: () => {
      const device = new EbdsDevice({ clock, options: { timings } });
      if (bits !== 'seven bits') device.control({ do: 'fault', name: 'parity', times: 1_000_000 });
      return device;
    },
    acceptor: (port: Port) => new EbdsAcceptor({ port, clock, log, options: ebds }),
    model: 'Cashflow SC',
  })),
  ...(['ssp', 'essp'] as const).map((model) => ({
    name: model,
    device: () => {
      const encryption = model === 'essp' ? 'required' : 'optional';
      return new SspDevice({ clock, options: { encryption, timings: sspTimings } });
    },
    acceptor: (port: Port) => {
      const options = { model, currency, pollMs: 50, replyTimeoutMs };
      return new SspAcceptor({ port, clock, log, random, options });
    },
    model: 'NV200',
  })),
  {
    name: 'sio',
    device: () => {
      const options = { channels, timings: { readMs: 20, stackMs: 20 } };
      return new SioDevice({ clock, options });
    },
    acceptor: (port) => {
      const options = { model: 'nv10', currency, channels, echoMs: replyTimeoutMs } as const;
      return new SioAcceptor({ port, clock, log, options });
    },
    model: 'nv10',
  },
];

const title = 'one note is deposited and one given back: $name';
test.concurrent.for(cases)(title, async (one, { expect, onTestFinished }) => {
  const device = one.device();
  const pty = await openPty();
  pty.onData((bytes) => device.receive(bytes));
  device.connect((bytes) => pty.write(bytes));
  const acceptor = one.acceptor(new SystemPort({ path: pty.path, clock }));
  onTestFinished(async () => {
    await acceptor.close();
    device.stop();
    pty.close();
  });
  expect(await acceptor.open()).toMatchObject({ model: one.model });
  expect(await acceptor.initialise()).toMatchObject({ device: 'ready', note: 'none' });
  for (const denomination of [20, 5]) {
    // The second time it waits until the device has heard its ACK, or has rest.
    await acceptor.accept(acceptor.values());
    const escrowed = Promise.withResolvers<number>();
    const off = acceptor.subscribe((event) => {
      if (event.kind === 'note.escrowed') escrowed.resolve(event.value);
    });
    device.control({ do: 'insert', denomination });
    expect(await escrowed.promise).toBe(denomination * 100);
    off();
    const isDeposit = denomination === 20;
    const outcome = isDeposit ? await acceptor.deposit() : await acceptor.returnNote();
    expect(outcome.kind).toBe(isDeposit ? 'deposited' : 'returned');
    await acceptor.confirmDeposit();
  }
  await acceptor.accept([]);
  expect(device.truth()).toMatchObject({ path: {}, cashbox: { 20: 1 }, customer: { 5: 1 } });
  expect(device.violations()).toEqual([]);
});
