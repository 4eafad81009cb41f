/** A machine with a dead signer says so before anyone comes, and comes back by itself. */
import { afterEach, expect, test } from 'vitest';
import type { MachineView } from '#agent/api/schemas.ts';
import { WholeMachine } from '#test/support/whole-machine.ts';

let machine: WholeMachine;
afterEach(() => machine.stop());

const codes = (view: MachineView) => view.cashIn.reasons.map(({ code }) => code);
const isOpen = (view: MachineView) => view.cashIn.open && view.cashOut.open;

async function opensAgain(): Promise<void> {
  await machine.until(isOpen, 'in service again');
}

test('a deaf bunker is noticed while nobody is there', async () => {
  machine = await WholeMachine.inService();
  machine.bunker.policy.switches.silent = true;
  await machine.until((view) => codes(view).includes('signerUnreachable'), 'deafness is noticed');
  const [reason] = machine.view.cashIn.reasons;
  expect(reason?.text).toMatch(/^Signer Unreachable: /);
  expect(machine.view.cashOut.open).toBe(false);
  machine.bunker.policy.switches.silent = false;
  await opensAgain();
});

test('a bunker that wants a page to be opened gives the page', async () => {
  machine = await WholeMachine.inService();
  machine.bunker.policy.switches.authUrl = 'https://bunker.example/approve';
  await machine.until((view) => codes(view).includes('pairingRequired'), 'the page is asked for');
  const [reason] = machine.view.cashIn.reasons;
  expect(reason?.text).toContain('https://bunker.example/approve');
  machine.bunker.policy.switches.authUrl = undefined;
  await opensAgain();
});

test('empty bays close cash-out alone, until a refill is told', async () => {
  machine = await WholeMachine.inService();
  const bays = { '1': 20, '2': 20, '3': 50, '4': 100 };
  const empty = Object.fromEntries(
    Object.entries(bays).map(([bay, denomination]) => [bay, { denomination, count: 0 }]),
  );
  await machine.clock.resolve(machine.keeper.publishCassettes(empty));
  await machine.until((view) => !view.cashOut.open, 'the empty bays are noticed');
  expect(machine.view.cashOut.reasons.map(({ code }) => code)).toEqual(['noNotes']);
  expect(machine.view.cashIn.open).toBe(true);
});

test('a configured cap of 0 closes cash-in alone', async () => {
  machine = await WholeMachine.inService({ config: { limits: { max_cash_in_sats: 0 } } });
  expect(codes(machine.view)).toEqual(['capIsZero']);
  expect(machine.view.cashOut.open).toBe(true);
});
