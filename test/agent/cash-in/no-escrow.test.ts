/** A validator without escrow: what it has taken stays taken, so the cap must hold before that. */
import { afterEach, expect, test } from 'vitest';
import { LcdmDevice } from '#hal/simulator/lcdm/device.ts';
import { SioDevice } from '#hal/simulator/sio/device.ts';
import { WholeMachine } from '#test/support/whole-machine.ts';

const CHANNELS = [1, 2, 5, 10, 20, 50, 100];
const CASSETTES = { '1': { denomination: 20, count: 10 } };
/** Two notes of $20 are 41,186 sats at the machine's rate, three are 61,779. */
const CAP_SATS = 60_000;

let machine: WholeMachine;
afterEach(() => machine.stop());

async function inService(): Promise<WholeMachine> {
  const model = 'nv10-no-escrow';
  return WholeMachine.inService({
    cassettes: CASSETTES,
    devices: {
      validator: {
        protocol: 'sio',
        model,
        make: (clock) => new SioDevice({ clock, options: { model, channels: CHANNELS } }),
      },
      dispenser: {
        protocol: 'lcdm',
        make: (clock) => new LcdmDevice({ clock, options: { cassettes: CASSETTES } }),
      },
    },
    config: {
      validator: { protocol: 'sio', model, port: 'validator', channels: CHANNELS },
      limits: { max_cash_in_sats: null, noEscrowSats: CAP_SATS },
    },
  });
}

test('its own small cap is on the screen, and only notes that fit under it come in', async () => {
  machine = await inService();
  await machine.until((view) => view.cashIn.open, 'cash-in is open');
  await machine.act({ do: 'startCashIn' });
  await machine.untilCashIn(({ phase }) => phase === 'inserting', 'the slot is open');
  expect(machine.cashIn.terms?.capSats).toBe(CAP_SATS);
  expect(machine.cashIn.terms?.acceptedMinor).toEqual([100, 200, 500, 1000, 2000, 5000]);
  for (const notes of [1, 2]) {
    await machine.insert(20);
    await machine.untilCashIn((view) => view.notes === notes && view.phase === 'inserting', 'in');
  }
  await machine.untilCashIn(
    ({ terms }) => terms?.acceptedMinor.join() === '100,200,500,1000',
    'only what fits is open',
  );
  // A third one would pass the cap: the device itself gives it back.
  await machine.insert(20);
  await machine.clock.advance(5000);
  expect(machine.validator.truth()).toMatchObject({ cashbox: { 20: 2 }, customer: { 20: 1 } });
  await machine.act({ do: 'finish' });
  await machine.untilCashIn(({ lnurl }) => lnurl !== null, 'the link is there');
  expect(machine.cashIn.principalSats).toBe(41_186);
  expect(machine.differences()).toEqual([]);
});

test('a second note under the same terms is owed, and not part of what is paid out', async () => {
  machine = await inService();
  await machine.until((view) => view.cashIn.open, 'cash-in is open');
  await machine.act({ do: 'startCashIn' });
  await machine.untilCashIn(({ phase }) => phase === 'inserting', 'the slot is open');
  await machine.insert(50);
  // Nothing is heard of what would shut the slot for the next note.
  machine.validator.control({ do: 'fault', name: 'deaf', times: 5 });
  await machine.clock.until(() => machine.validator.truth().cashbox[50] === 1);
  machine.validator.control({ do: 'insert', denomination: 50 });
  await machine.clock.until(() => machine.validator.truth().cashbox[50] === 2);
  await machine.untilCashIn(({ lnurl }) => lnurl !== null, 'the link is there');
  expect(machine.cashIn.principalSats).toBe(51_484);
  const owed = machine.running.store.obligations.list({ open: true });
  expect(owed.map(({ kind, amountMinor }) => [kind, amountMinor])).toEqual([
    ['creditWithoutIntent', 5000],
  ]);
  expect(machine.differences()).toEqual([]);
});
