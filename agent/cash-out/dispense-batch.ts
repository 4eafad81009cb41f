/**
 * One dispense command: what a lost answer will be judged by, intent on disk, command once,
 * evidence
 * on disk (design 7.5, 7.6). Nothing here ever sends a command again.
 */
import { z } from 'zod';
import type {
  CashDispenserStatus,
  DispenseBaseline,
  DispenseOutcome,
  LastResult,
  UnitCount,
  UnitResult,
} from '#hal/cash-dispenser.ts';
import { DeviceError } from '#protocol/base/errors.ts';
import { position, type TransactionId } from '#protocol/base/ids.ts';
import { minorUnits } from '#protocol/base/money.ts';
import type { Intent } from '#state/intents.ts';
import { bayAccount } from '#state/note-ledger.ts';
import { noteDoubt } from '../exchange/doubt.ts';
import { formatMoney } from '../format.ts';
import type { BatchOutcome, Plan } from '../machines/cash-out.ts';
import type { Parts } from '../parts.ts';
import { recordDevice } from '../recovery/device-record.ts';
import { writeEnd } from '../recovery/open-act.ts';
import { tellQuarantine } from '../recovery/quarantine.ts';
import { recoveryPolicy } from '../recovery/recovery-policy.ts';
import { say } from '../texts/customer.ts';
import { availableBays } from './available.ts';
import { classify, type Judgement } from './classify.ts';
import { denominate, splitBatches } from './denominate.ts';
import { oweCash, saleOf } from './sale.ts';

/** How long notes may lie in the slot before the machine goes on without their being taken. */
export const TAKE_MS = 60_000;

/** A command whose end nobody knows may be carried out as late as this, ms; all are far faster. */
const LATE_MS = 600_000;

/** Longer than any driver waits for the end of one command, ms. */
const COMMAND_MAX_MS = 180_000;

/** Cause of a correction: more came out of a place than the book had. No note has moved. */
export const BOOK_SHORT = 'bookShort';

const POLICY = recoveryPolicy.dispense;

const unitCount = z.object({ position: z.int().transform(position), count: z.int().positive() });
const bodySchema = z.object({
  units: z.array(unitCount).readonly(),
  lastResultHex: z.string().nullable(),
  sequenceNumber: z.number().nullable(),
});

/** Sends one command of the plan and says what is to be done about the rest. */
export async function dispenseBatch(parts: Parts, plan: Plan): Promise<BatchOutcome> {
  const { store, dispenser } = parts;
  const [asked = [], ...rest] = plan.batches;
  const { transactionId, ordinal } = plan;
  // What the command before has handed out lies at the exit, where that is seen, until it is taken.
  if (ordinal > 1 && dispenser.capabilities.sensesExit) await dispenser.waitTaken(TAKE_MS);
  const baseline = await readBaseline(parts);
  if (baseline === undefined) {
    // Nothing was sent, so all of it is proven missing.
    const evidence = 'the dispenser did not answer before the command';
    const none: Judgement = { class: 'none', units: [], trusted: true, evidence };
    return store.commit(() => next(parts, plan, asked, rest, none));
  }
  const body = {
    units: asked.map((unit) => ({ ...unit })),
    lastResultHex: baseline.lastResultHex ?? null,
    sequenceNumber: baseline.sequenceNumber ?? null,
  };
  const intent = store.commit(() => {
    store.journal.append('dispense.intended', { ordinal, ...body }, transactionId);
    store.transactions.update(transactionId, { state: 'dispensing' });
    return store.intents.open({
      kind: 'dispense',
      device: 'dispenser',
      transactionId,
      ordinal,
      body,
    });
  });
  const outcome = await dispenser.dispense(asked).catch((err: unknown): DispenseOutcome => {
    if (!(err instanceof DeviceError)) throw err;
    return { kind: 'unknown', evidence: err.message };
  });
  const judgement = await judge(parts, asked, outcome, baseline);
  // What is owed is on disk in the same moment as what came out: a cut cannot fall between them.
  const write = () =>
    store.commit(() => {
      settle(parts, intent, transactionId, asked, judgement);
      return next(parts, plan, asked, rest, judgement);
    });
  const later = () => settleLeft(parts, intent, transactionId, judgement);
  const done = await writeEnd(parts, intent, write, later);
  tellQuarantine(parts);
  parts.changed();
  return done;
}

/** What a lost answer will be judged by; undefined when the device does not say it. */
export async function readBaseline({
  dispenser,
  log,
}: Parts): Promise<DispenseBaseline | undefined> {
  try {
    return await dispenser.baseline();
  } catch (err) {
    if (!(err instanceof DeviceError)) throw err;
    log.warn({ err }, 'the dispenser cannot be asked before a command');
    return undefined;
  }
}

/** Asks what there is to ask, and classifies. `read` says what a device's counts mean. */
export async function judge(
  parts: Parts,
  asked: readonly UnitCount[],
  outcome: DispenseOutcome,
  baseline: DispenseBaseline,
  read: (units: readonly UnitResult[]) => readonly UnitResult[] = (units) => units,
): Promise<Judgement> {
  const { dispenser } = parts;
  const status: CashDispenserStatus = await dispenser.status();
  let last: LastResult | undefined;
  let sequenceNumber: number | undefined;
  if (outcome.kind === 'unknown' && status.device !== 'offline') {
    try {
      const now = dispenser.capabilities.sequenceNumber ? await dispenser.baseline() : undefined;
      sequenceNumber = now?.sequenceNumber;
      last = dispenser.capabilities.lastResult ? await dispenser.lastResult() : undefined;
    } catch (err) {
      if (!(err instanceof DeviceError)) throw err;
      parts.log.warn({ err }, 'the dispenser cannot say what its last command did');
    }
  }
  const { sensesExit } = dispenser.capabilities;
  const meant = <Result extends { readonly units: readonly UnitResult[] }>(result: Result) => {
    return { ...result, units: read(result.units) };
  };
  return classify({
    ...{ asked, status, baseline, sequenceNumber, sensesExit },
    outcome: outcome.kind === 'answered' ? meant(outcome) : outcome,
    last: last?.dispense ? { ...last, dispense: meant(last.dispense) } : last,
  });
}

/**
 * Books what is proven or said, marks the bays of which the count is now in doubt; inside a commit.
 */
function settle(
  parts: Parts,
  intent: Intent,
  transactionId: TransactionId,
  asked: readonly UnitCount[],
  judgement: Judgement,
): void {
  const { store } = parts;
  const units = judgement.units.map((unit) => ({ ...unit }));
  const presentedMinor = minorOf(parts, presentedOf(judgement));
  const { openedAtUnixMs } = intent;
  for (const { position: bay, presented, rejected } of judgement.units) {
    bookOut(parts, transactionId, bay, 'customer', presented, openedAtUnixMs);
    bookOut(parts, transactionId, bay, 'reject', rejected, openedAtUnixMs);
  }
  const every = judgement.otherBays ? parts.dispenser.capabilities.positions : [];
  for (const bay of [...doubtfulBays(asked, judgement), ...every]) {
    if (!isCountedSince(parts, bay, openedAtUnixMs)) doubtBay(parts, bay);
  }
  const { class: outcome, evidence } = judgement;
  store.intents.settle(intent.id, outcome, { units, presentedMinor, evidence });
  store.journal.append(
    'dispense.settled',
    { ordinal: intent.ordinal ?? 0, class: outcome, units, presentedMinor, evidence },
    transactionId,
  );
  if (outcome === 'unknown') recordDevice(parts, 'dispenser', transactionId);
}

/** Nobody counts on a bay until it was looked at; inside a commit. */
export function doubtBay({ store }: Parts, bay: UnitCount['position']): void {
  const unit = store.cashUnits.get(bay);
  if (unit) store.cashUnits.put({ ...unit, accuracy: 'inaccurate' });
}

/**
 * The dispenser has answered again. Until then it may still have carried out a command whose end
 * nobody knows: counts of its bays that were written before are in doubt as well. Inside a commit.
 */
export function doubtLateActs(parts: Parts): void {
  const { store, clock } = parts;
  for (const { kind, transactionId, createdAtUnixMs } of store.obligations.list({ open: true })) {
    if (kind !== POLICY.unknown.owes || transactionId === undefined) continue;
    if (Math.abs(clock.now() - createdAtUnixMs) > LATE_MS) continue;
    const unknown = store.intents
      .forTransaction(transactionId)
      .filter((intent) => intent.kind === 'dispense' && intent.outcome === 'unknown');
    for (const { body, openedAtUnixMs } of unknown) {
      for (const { position: bay } of bodySchema.parse(body).units) {
        if (isCountedSince(parts, bay, openedAtUnixMs)) continue;
        doubtBay(parts, bay);
        noteDoubt(parts, bay);
      }
    }
  }
}

/** The notes that are said to have reached the customer. */
function presentedOf({ units }: Judgement): readonly UnitCount[] {
  return units
    .filter(({ presented }) => presented > 0)
    .map(({ position: bay, presented }) => ({ position: bay, count: presented }));
}

/**
 * Bays that nobody may count on until they were looked at: all that were asked when it is not known
 * what happened, else the first that fell short (empty, jammed or miscounted). Units stop there, so
 * a later bay that moved no note was never reached.
 */
function doubtfulBays(
  asked: readonly UnitCount[],
  judgement: Judgement,
): readonly UnitCount['position'][] {
  if (!judgement.trusted) return asked.map(({ position: bay }) => bay);
  if (judgement.units.length === 0) return [];
  const said = (bay: UnitCount['position']) =>
    judgement.units.find((unit) => unit.position === bay) ?? { presented: 0, rejected: 0 };
  return asked
    .filter(({ position: bay, count }) => said(bay).presented < count)
    .filter(({ position: bay }, at) => {
      const { presented, rejected } = said(bay);
      return at === 0 || presented + rejected > 0;
    })
    .map(({ position: bay }) => bay);
}

/** Hands have counted a bay after an instant: what it gave before that is in the count already. */
function isCountedSince(
  { store }: Pick<Parts, 'store'>,
  bay: UnitCount['position'],
  sinceUnixMs: number | undefined,
): boolean {
  const counted = store.cashUnits.get(bay)?.countedAtUnixMs;
  return counted !== undefined && sinceUnixMs !== undefined && counted > sinceUnixMs;
}

/** When a command can have ended at the latest. The clock may be wrong after a start. */
const endOf = (begunAtUnixMs: number, nowUnixMs: number): number =>
  Math.max(begunAtUnixMs, Math.min(nowUnixMs, begunAtUnixMs + COMMAND_MAX_MS));

/**
 * Moves notes out of a bay, inside a commit. A count that the book does not have was wrong: it is
 * put right first. Notes of an act that was begun, `begunAtUnixMs`, before the last count were
 * missed by that count, and are in `unaccounted` since. An act that is booked late, after a cut or
 * a full disk, is dated by when it can have ended at the latest: a document that states counts as
 * of between has counted without these notes.
 */
export function bookOut(
  parts: Pick<Parts, 'store' | 'config' | 'clock'>,
  transactionId: TransactionId | undefined,
  bay: UnitCount['position'],
  to: 'customer' | 'reject' | 'technician',
  count: number,
  begunAtUnixMs?: number,
): void {
  const { store, config, clock } = parts;
  const unit = store.cashUnits.get(bay);
  if (count === 0 || !unit) return;
  const from = bayAccount(bay);
  const now = clock.now();
  const common = {
    currency: config.currency,
    value: unit.value,
    atUnixMs: begunAtUnixMs === undefined ? now : endOf(begunAtUnixMs, now),
    ...(transactionId === undefined ? {} : { transactionId }),
  };
  if (isCountedSince(parts, bay, begunAtUnixMs)) {
    store.ledger.move({ ...common, from: 'unaccounted', to, count, cause: 'dispense' });
    return;
  }
  const missing = count - store.ledger.count(from, unit.value);
  if (missing > 0) {
    const cause = BOOK_SHORT;
    store.ledger.move({ ...common, from: 'unaccounted', to: from, count: missing, cause });
  }
  store.ledger.move({ ...common, from, to, count, cause: 'dispense' });
}

/** What so many notes of these bays come to, by what the bays are said to hold. */
export function minorOf(parts: Pick<Parts, 'store'>, units: readonly UnitCount[]): number {
  return units.reduce(
    (sum, { position: bay, count }) => sum + count * (parts.store.cashUnits.get(bay)?.value ?? 0),
    0,
  );
}

/** What is to be done about what is still missing; inside a commit. */
function next(
  parts: Parts,
  plan: Plan,
  asked: readonly UnitCount[],
  rest: Plan['batches'],
  judgement: Judgement,
): BatchOutcome {
  const units = presentedOf(judgement);
  if (judgement.class === 'exact') return { kind: 'exact', units };
  const left = minorOf(parts, asked) + minorOf(parts, rest.flat());
  // Counts that may be wrong prove no note: all of it is in doubt.
  if (judgement.class === 'unknown') return unknown(parts, plan, units, left, judgement);
  const missing = minorUnits(left - minorOf(parts, units));
  const again = denominate(missing, availableBays(parts), parts.config.limits.cashOutNotesMax);
  if (again && judgement.units.length > 0) {
    const batches = splitBatches(again, parts.dispenser.capabilities.batchMax);
    return { kind: 'short', units, next: { ...plan, batches, ordinal: plan.ordinal + 1 } };
  }
  owe(parts, plan.transactionId, POLICY.partial.owes, missing, judgement.evidence);
  const money = formatMoney(missing, parts.config.currency);
  return {
    kind: 'remainder',
    units,
    remainderMinor: missing,
    notice: say('remainder', 'notice.remainder', { money }),
  };
}

function unknown(
  parts: Parts,
  plan: Plan,
  units: readonly UnitCount[],
  missing: number,
  judgement: Judgement,
): BatchOutcome {
  owe(parts, plan.transactionId, POLICY.unknown.owes, missing, judgement.evidence);
  const { reference } = saleOf(parts, plan.transactionId);
  const notice = say('dispenseUnknown', 'notice.dispenseUnknown', { reference });
  return { kind: 'unknown', units, notice };
}

function owe(
  parts: Parts,
  transactionId: TransactionId,
  kind: 'remainder' | 'dispenseUnknown',
  missing: number,
  evidence: string,
): void {
  oweCash(parts, saleOf(parts, transactionId), kind, minorUnits(missing), evidence);
}

/**
 * Settles a command that was on its way when the program ended, by what the device says of its last
 * one. What is still missing is owed: nothing is dispensed by a start.
 */
export async function recoverDispense(parts: Parts, intent: Intent): Promise<void> {
  const { transactionId } = intent;
  if (transactionId === undefined) return;
  const { units: asked, lastResultHex, sequenceNumber } = bodySchema.parse(intent.body);
  const judgement = await judge(
    parts,
    asked,
    { kind: 'unknown', evidence: 'cut while the notes were on their way' },
    {
      lastResultHex: lastResultHex ?? undefined,
      sequenceNumber: sequenceNumber ?? undefined,
    },
  );
  settleLeft(parts, intent, transactionId, judgement);
}

/** Nobody stands there any more: what is missing is owed, and not dispensed. */
function settleLeft(
  parts: Parts,
  intent: Intent,
  transactionId: TransactionId,
  judgement: Judgement,
): void {
  const { units: asked } = bodySchema.parse(intent.body);
  parts.store.commit(() => {
    settle(parts, intent, transactionId, asked, judgement);
    if (judgement.class === 'unknown') {
      owe(parts, transactionId, POLICY.unknown.owes, minorOf(parts, asked), judgement.evidence);
    }
  });
  parts.changed();
}
