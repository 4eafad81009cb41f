/** Steps that tests of one session share. */
import { depositNote } from '#agent/cash-in/note.ts';
import { quote } from '#agent/cash-in/session.ts';
import type { CashInTerms, NoteOutcome } from '#agent/machines/cash-in.ts';
import type { CashAcceptorEvent } from '#hal/cash-acceptor.ts';
import type { TransactionId } from '#protocol/base/ids.ts';
import type { MinorUnits } from '#protocol/base/money.ts';
import type { CashInRig } from '#test/support/cash-in-rig.ts';

/** An open session. */
export interface Opened {
  readonly transactionId: TransactionId;
  readonly terms: CashInTerms;
}

/** Opens a session. @throws Error when it is closed to customers. */
export async function open(rig: CashInRig): Promise<Opened> {
  const outcome = await rig.run(quote(rig.parts));
  if (outcome.kind === 'quoted') return outcome;
  throw new Error(outcome.notice.text);
}

/** Waits for the acceptor's next event of a kind. */
export async function heard(
  rig: CashInRig,
  kind: CashAcceptorEvent['kind'],
  act: () => void,
): Promise<void> {
  let told = false;
  const off = rig.acceptor.subscribe((event) => {
    told ||= event.kind === kind;
  });
  act();
  await rig.clock.until(() => told);
  off();
}

/** A note of so many dollars comes to escrow. */
export async function escrow(rig: CashInRig, denomination: number): Promise<void> {
  await rig.run(rig.acceptor.accept(rig.acceptor.values()));
  await heard(rig, 'note.escrowed', () => rig.insert(denomination));
}

/** A note of 100 dollars is deposited in a session. */
export async function deposit(
  rig: CashInRig,
  { transactionId, terms }: Opened,
  value = 10_000 as MinorUnits,
): Promise<NoteOutcome> {
  await escrow(rig, value / 100);
  return rig.run(depositNote(rig.parts, { transactionId, value, terms }));
}
