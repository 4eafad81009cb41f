/** A machine with a dead signer says so before anyone comes, and comes back by itself. */
import { afterEach, expect, test } from 'vitest';
import type { MachineView } from '#agent/api/schemas.ts';
import { logLines } from '#test/support/log-lines.ts';
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

test('a clock that is over a minute wrong closes the machine under its own name', async () => {
  machine = await WholeMachine.inService();
  machine.keeper.switches.clockSkewMs = 70_000;
  await machine.until((view) => codes(view).includes('clock'), 'the wallet tells the time');
  expect(codes(machine.view)).toEqual(['clock']);
  expect(machine.view.cashOut.reasons).toMatchObject([
    { code: 'clock', text: expect.stringMatching(/^The clock of this machine is 70 s slow\./) },
  ]);
  machine.keeper.switches.clockSkewMs = 0;
  await opensAgain();
});

test('half a minute of it is written down and closes nothing', async () => {
  const { log, lines } = logLines();
  machine = await WholeMachine.inService({ log });
  machine.keeper.switches.clockSkewMs = -40_000;
  const isWritten = () => lines.some((line) => line.includes('clock is wrong'));
  await machine.until(isWritten, 'the alarm');
  expect(isOpen(machine.view)).toBe(true);
});

test('without signatures for a whole session none begins', async () => {
  machine = await WholeMachine.inService({
    config: { signer: { caps: [{ count: 66, minutes: 60 }] } },
  });
  await machine.until((view) => !view.cashOut.open, 'they are used up');
  expect(machine.view.cashOut.reasons).toMatchObject([{ code: 'signatures' }]);
  expect(await machine.act({ do: 'startCashOut' })).toMatchObject({ ok: false, code: 'closed' });
  // A cash-in needs fewer.
  expect(machine.view.cashIn.open).toBe(true);
});
