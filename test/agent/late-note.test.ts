/** A note that is drawn in while the customer already finishes: it goes back, whatever is shown. */
import { afterEach, expect, test } from 'vitest';
import { WholeMachine } from '#test/support/whole-machine.ts';

let machine: WholeMachine;
afterEach(async () => {
  await machine.stop();
});

/** Long before the validator's own escrow time-out gives up waiting. */
const GIVEN_BACK_LIMIT_MS = 6_000;

/** Between two polls, and past one: the driver knows of the note, or does not yet. */
test.each([0, 30, 60, 90, 120])('finished %d ms after a note was drawn in', async (afterMs) => {
  machine = await WholeMachine.inService();
  await machine.act({ do: 'startCashIn' });
  await machine.insert(20);
  await machine.untilCashIn(({ notes }) => notes === 1, 'the first note is in');
  await machine.untilCashIn(({ phase }) => phase === 'inserting', 'the slot is open again');
  await machine.clock.advance(500);
  await machine.insert(50);
  await machine.clock.advance(afterMs);
  expect(await machine.act({ do: 'finish' })).toMatchObject({ ok: true });
  await machine.clock.until(
    () => machine.validator.truth().customer['50'] === 1,
    GIVEN_BACK_LIMIT_MS,
  );
  await machine.untilCashIn(({ lnurl }) => lnurl !== null, 'the link');
  expect(machine.cashIn.notes).toBe(1);
  expect(machine.validator.truth()).toMatchObject({ cashbox: { '20': 1 }, path: {} });
});
