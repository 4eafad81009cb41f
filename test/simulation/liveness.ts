/**
 * The second phase of a run: the faults have stopped. Everything has to settle or be a named
 * obligation, every customer comes back with their code, the operator pays what is left, and then
 * the machine has to serve again.
 */
import type { MachineView } from '#agent/api/schemas.ts';
import { proveStore, settleAccounts, settleWallet, type Unsettled, unsettled } from './books.ts';
import { redeemCode } from './customers.ts';
import type { Stage } from './stage.ts';
import { Violation } from './violation.ts';

/** The machine after its faults, and what a person can do for it. */
export interface Aftermath {
  readonly stage: Stage;
  /** Starts the program again when it died. */
  revive(): Promise<void>;
  /** Clears what is stuck. */
  mendDevices(): void;
  restartValidator(): void;
  /** Takes everything out of the cash box. */
  emptyBox(): void;
  /** Fills the bays and says so by a document. */
  refill(): Promise<void>;
  /** Holds the books against the devices, when it is at rest. */
  compare(): void;
  /** Worth of the notes that the dispenser lost, minor units. */
  lostMinor(): number;
}

/** An unpaid invoice is asked for until 10 min after its 3 min, a withdraw 3 times in 6 min. */
const SETTLE_LIMIT_MS = 3_600_000;
const SETTLE_LOOK_MS = 10_000;
/** Between two customers who come back with what is owed to them. */
const CUSTOMER_PAUSE_MS = 60_000;
const VOID_PAUSE_MS = 1_000;
/** Visits of a person, and how long each waits, until a machine has to serve again. */
const VISITS_MAX = 5;
const VISIT_MS = 60_000;
/** Until a validator that is switched off and on has power again. */
const SWITCHED_MS = 5_000;

/** Brings a machine without faults to rest; what stays open. @throws Violation */
export async function comeToRest(world: Aftermath): Promise<readonly Unsettled[]> {
  // Also before anybody comes back.
  proveSettled(await untilSettled(world));
  await world.refill();
  for (const code of codesOwed(world)) {
    await redeemCode(world.stage, code, true);
    await world.stage.pause(CUSTOMER_PAUSE_MS);
  }
  const left = await untilSettled(world);
  world.compare();
  const { store } = world.stage.machine.running;
  proveStore(store);
  settleAccounts(store, world.stage.watch, world.lostMinor());
  proveSettled(left);
  await settleByHand(world);
  await serveAgain(world);
  settleWallet(world.stage.machine.keeper.books(), world.stage.watch);
  return left;
}

function proveSettled([first]: readonly Unsettled[]): void {
  if (first) throw new Violation('everything settles', `${first.reference} ${first.why}`);
}

async function untilSettled(world: Aftermath): Promise<readonly Unsettled[]> {
  let left: readonly Unsettled[] = [];
  for (let waitedMs = 0; waitedMs <= SETTLE_LIMIT_MS; waitedMs += SETTLE_LOOK_MS) {
    await world.revive();
    left = unsettled(world.stage.machine.running.store);
    if (left.length === 0 && !world.stage.view()?.session) return left;
    await world.stage.pause(SETTLE_LOOK_MS);
  }
  return left;
}

/** Words of those to whom something is owed, or whose link may still be taken. */
function codesOwed({ stage: { machine, watch } }: Aftermath): readonly string[] {
  const { store } = machine.running;
  const owed = store.obligations.list({ open: true }).map(({ transactionId }) => transactionId);
  const ids = new Set([...owed, ...store.transactions.listOpen().map(({ id }) => id)]);
  return [...ids].flatMap((id) => (id && watch.transactions.get(id)?.code) ?? []);
}

/** The operator pays what is owed, all of it or of one kind of transaction. @throws Violation */
export function payByHand({ machine, watch }: Stage, of?: 'cashIn' | 'cashOut'): void {
  const { store, service } = machine.running;
  for (const { id, kind, reference, transactionId } of store.obligations.list({ open: true })) {
    const known = transactionId && watch.transactions.get(transactionId);
    if (of !== undefined && known?.kind !== of) continue;
    const outcome = service.settle({ obligationId: id, by: 'operator', reason: 'paid by hand' });
    if (outcome === 'settled') continue;
    // What a device may have handed out for it already nobody pays before that device was asked.
    const acts = transactionId ? store.intents.forTransaction(transactionId) : [];
    const isAsked = acts.some(({ device, state }) => device !== undefined && state === 'open');
    if (outcome === 'busy' && isAsked && of !== undefined) continue;
    throw new Violation('everything settles', `${reference} ${kind}: ${outcome}`);
  }
}

/** The operator pays all that is owed; nobody who comes after that with a code gets it again. */
async function settleByHand(world: Aftermath): Promise<void> {
  payByHand(world.stage);
  const codes = [...world.stage.watch.transactions.values()].flatMap(({ code }) => code ?? []);
  for (const code of codes) {
    await redeemCode(world.stage, code, true);
    await world.stage.pause(VOID_PAUSE_MS);
  }
}

/** Jams, boxes and bays are what a person mends; with those in order it has to open again. */
async function serveAgain(world: Aftermath): Promise<void> {
  const serves = ({ state, cashIn, cashOut }: MachineView) =>
    state === 'idle' && cashIn.open && cashOut.open;
  for (let visits = 0; visits < VISITS_MAX; visits++) {
    world.mendDevices();
    if (await world.stage.until(serves, VISIT_MS)) return;
    const why = world.stage.machine.view.cashIn.reasons;
    const isFull = why.some(({ code, text }) => code === 'cashBox' && text.includes('full'));
    if (isFull) world.emptyBox();
    // Who reads that the validator needs help, and sees its box in place, switches it off and on.
    const isIn = isFull || why.every(({ code }) => code !== 'cashBox');
    if (isIn && why.some(({ code }) => code === 'validator')) world.restartValidator();
    await world.stage.pause(SWITCHED_MS);
    await world.refill();
  }
  const { state, cashIn, cashOut } = world.stage.machine.view;
  const reasons = [...cashIn.reasons, ...cashOut.reasons].map(({ text }) => text);
  throw new Violation('it serves again', `${state}: ${reasons.join(' ')}`);
}
