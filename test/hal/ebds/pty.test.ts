/** The happy path over a real pty, by the port that the machine uses. */
import { expect, onTestFinished, test } from 'vitest';
import type { CashAcceptorEvent } from '#hal/cash-acceptor.ts';
import { EbdsAcceptor } from '#hal/ebds/driver.ts';
import { SystemPort } from '#hal/serial-port.ts';
import { EbdsDevice } from '#hal/simulator/ebds/device.ts';
import { openPty } from '#hal/simulator/pty.ts';
import { systemClock } from '#protocol/base/clock.ts';
import { silentLog } from '#protocol/base/log.ts';

/** A fast mechanism: what is tried here is the port, and the times are tried elsewhere. */
const FAST = { initialiseMs: 100, acceptMs: 50, leverMs: 20, stackMs: 50, returnMs: 50 };

test.each(['seven bits', 'parity in the eighth'])(
  'one note is deposited and one given back over a pty: %s',
  async (bits) => {
    const device = new EbdsDevice({ clock: systemClock, options: { timings: FAST } });
    const pty = await openPty();
    pty.onData((bytes) => device.receive(bytes));
    device.connect((bytes) => pty.write(bytes));
    if (bits !== 'seven bits') device.control({ do: 'fault', name: 'parity', times: 1_000_000 });
    const acceptor = new EbdsAcceptor({
      port: new SystemPort({ path: pty.path, clock: systemClock }),
      clock: systemClock,
      log: silentLog,
      options: { model: 'cashflow-sc', currency: 'USD', pollMs: 30 },
    });
    onTestFinished(async () => {
      await acceptor.close();
      device.stop();
      pty.close();
    });
    expect(await acceptor.open()).toMatchObject({ model: 'Cashflow SC', protocol: 'ebds' });
    expect(await acceptor.initialise()).toMatchObject({ device: 'ready', note: 'none' });
    await acceptor.accept(acceptor.values());
    const heard = (wanted: (event: CashAcceptorEvent) => boolean) =>
      new Promise<void>((resolve) => {
        const off = acceptor.subscribe((event) => {
          if (!wanted(event)) return;
          off();
          resolve();
        });
      });
    for (const denomination of [20, 5]) {
      const escrowed = heard(({ kind }) => kind === 'note.escrowed');
      device.control({ do: 'insert', denomination });
      await escrowed;
      const isDeposit = denomination === 20;
      const outcome = isDeposit ? await acceptor.deposit() : await acceptor.returnNote();
      expect(outcome.kind).toBe(isDeposit ? 'deposited' : 'returned');
      await acceptor.confirmDeposit();
      // Set once more: it waits until the device has rest.
      await acceptor.accept(acceptor.values());
    }
    expect(device.truth()).toMatchObject({ path: {}, cashbox: { 20: 1 }, customer: { 5: 1 } });
    expect(device.violations()).toEqual([]);
  },
);
