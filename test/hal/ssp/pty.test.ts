/** The happy path once over a real serial port, plain and encrypted. */
import { expect, onTestFinished, test } from 'vitest';
import type { CashAcceptorEvent } from '#hal/cash-acceptor.ts';
import { SystemPort } from '#hal/serial-port.ts';
import { openPty } from '#hal/simulator/pty.ts';
import { SspDevice } from '#hal/simulator/ssp/device.ts';
import { SspAcceptor } from '#hal/ssp/driver.ts';
import { systemClock, systemRandom } from '#protocol/base/clock.ts';
import { silentLog } from '#protocol/base/log.ts';
import { MODELS } from './rig.ts';

const FAST = { readMs: 100, creditMs: 100, stackMs: 100, rejectMs: 100 };

test.each(MODELS)('%s over a pty', async (model) => {
  const encryption = model === 'essp' ? 'required' : 'optional';
  const device = new SspDevice({ clock: systemClock, options: { encryption, timings: FAST } });
  const pty = await openPty();
  pty.onData((bytes) => device.receive(bytes));
  device.connect((bytes) => pty.write(bytes));
  const acceptor = new SspAcceptor({
    port: new SystemPort({ path: pty.path, clock: systemClock }),
    clock: systemClock,
    log: silentLog,
    random: systemRandom,
    options: { model, currency: 'USD', pollMs: 50 },
  });
  onTestFinished(async () => {
    await acceptor.close();
    device.stop();
    pty.close();
  });
  expect(await acceptor.open()).toMatchObject({ model: 'NV200', serialNumber: '1873452' });
  expect(await acceptor.initialise()).toMatchObject({ device: 'ready', note: 'none' });
  const heard = (kind: CashAcceptorEvent['kind']) =>
    new Promise<void>((resolve) => {
      const off = acceptor.subscribe((event) => {
        if (event.kind !== kind) return;
        off();
        resolve();
      });
    });
  await acceptor.accept(acceptor.values());
  for (const denomination of [20, 5]) {
    const escrowed = heard('note.escrowed');
    device.control({ do: 'insert', denomination });
    await escrowed;
    const isDeposit = denomination === 20;
    const outcome = isDeposit ? await acceptor.deposit() : await acceptor.returnNote();
    expect(outcome.kind).toBe(isDeposit ? 'deposited' : 'returned');
    await acceptor.confirmDeposit();
    await acceptor.accept(acceptor.values());
  }
  expect(device.truth()).toMatchObject({ path: {}, cashbox: { 20: 1 }, customer: { 5: 1 } });
  expect(device.violations()).toEqual([]);
});
