/**
 * One note: intent on disk, command once, evidence on disk, and only then the word to the device
 * that we have it (design 6.3).
 */
import assert from 'node:assert';
import { z } from 'zod';
import type { DepositOutcome, InitialiseOutcome, ReturnOutcome } from '#hal/cash-acceptor.ts';
import { DeviceError } from '#protocol/base/errors.ts';
import { newNoteId, newReference, type TransactionId } from '#protocol/base/ids.ts';
import { type MinorUnits, minorPerBtc, minorUnits, principalOfNote } from '#protocol/base/money.ts';
import type { Intent } from '#state/intents.ts';
import type { JsonObject } from '#state/json.ts';
import type { CashInTerms, NoteOutcome } from '../machines/cash-in.ts';
import type { Parts } from '../parts.ts';
import { recordDevice } from '../recovery/device-record.ts';
import { writeEnd } from '../recovery/open-act.ts';
import { tellQuarantine } from '../recovery/quarantine.ts';
import { noteClasses, recoveryPolicy } from '../recovery/recovery-policy.ts';
import { say } from '../texts/customer.ts';
import { addExposure } from './exposure.ts';
import { afterNote, totalOf, transactionOf } from './terms.ts';

/**
 * The credit that was booked last. That our word to the device was sent does not prove that it was
 * heard: until the next note is drawn in, every credit that it reports is this one again.
 */
const LAST_CREDIT = 'acceptor.lastCredit';

interface NoteInput {
  readonly transactionId: TransactionId;
  readonly value: MinorUnits;
  readonly terms: Pick<CashInTerms, 'rate' | 'rateSource'>;
}

const fraction = z.number().nonnegative();
/** A note's intent: with it alone the figures of the note can be worked out again. */
const bodySchema = z.object({
  noteId: z.string(),
  valueMinor: z.number(),
  rateMinorPerBtc: z.number(),
  rateSource: z.string(),
  /** In force when the note was put in; a newer document is for the next session. */
  fees: z.union([
    z.object({ kind: z.literal('legs'), platform: fraction, operator: fraction }),
    z.object({ kind: z.literal('total'), total: fraction }),
  ]),
  /** What the validator's counters said before this note, where it has them. */
  baseline: z.object({ stacked: z.int(), rejected: z.int() }).optional(),
});

function intend(parts: Parts, kind: 'deposit' | 'return', input: NoteInput): Intent {
  const { store, random, acceptor } = parts;
  const fees = parts.fees();
  if (!fees) throw new Error('a fee document in force is never taken away');
  const baseline = acceptor.baseline?.();
  const body = {
    noteId: newNoteId(random),
    valueMinor: input.value,
    rateMinorPerBtc: input.terms.rate,
    rateSource: input.terms.rateSource,
    fees: { ...fees.cashIn },
    ...(baseline ? { baseline: { ...baseline } } : {}),
  };
  return store.commit(() => {
    const intent = store.intents.open({
      kind,
      transactionId: input.transactionId,
      device: 'acceptor',
      body,
    });
    store.journal.append(`${kind}.intended`, body, input.transactionId);
    return intent;
  });
}

/** What the journal says of every note. */
function aboutNote({ body }: Intent, { value }: NoteInput, evidence: string): JsonObject {
  return { noteId: bodySchema.parse(body).noteId, valueMinor: value, evidence };
}

/** Books a note that the device has credited, in one commit with its intent. */
function book(parts: Parts, intent: Intent, input: NoteInput, value: MinorUnits, evidence: string) {
  const { store, config } = parts;
  const { fees, rateMinorPerBtc, rateSource } = bodySchema.parse(intent.body);
  const before = transactionOf(parts, input.transactionId);
  const note = principalOfNote(value, input.terms.rate);
  const after = afterNote(before.principalSats, note, fees);
  const transaction = store.commit(() => {
    store.intents.settle(intent.id, 'deposited', { evidence, valueMinor: value });
    store.ledger.move({
      from: 'customer',
      to: 'cashbox',
      currency: config.currency,
      value,
      count: 1,
      cause: 'deposit',
      transactionId: input.transactionId,
    });
    store.journal.append(
      'note.deposited',
      {
        ...aboutNote(intent, input, evidence),
        valueMinor: value,
        escrowedMinor: input.value,
        principalSats: note,
        ...{ rateMinorPerBtc, rateSource, fees },
        total: { principalSats: after.principal, feeSats: after.fee, netSats: after.net },
      },
      input.transactionId,
    );
    addExposure(parts, note);
    store.facts.put(LAST_CREDIT, value, parts.clock.now());
    return store.transactions.update(input.transactionId, {
      fiatMinor: minorUnits(before.fiatMinor + value),
      principalSats: after.principal,
      feeSats: after.fee,
      wireSats: after.net,
      rateMinorPerBtc: input.terms.rate,
    });
  });
  parts.changed();
  return totalOf(parts, transaction);
}

function settleReturned(parts: Parts, intent: Intent, input: NoteInput, evidence: string): void {
  parts.store.commit(() => {
    parts.store.intents.settle(intent.id, 'returned', { evidence });
    const body = aboutNote(intent, input, evidence);
    parts.store.journal.append('note.returned', body, input.transactionId);
  });
}

/** A note of which nobody knows where it is: the code holds it, and cash-in stays closed. */
function settleUnknown(
  parts: Parts,
  intent: Intent,
  input: NoteInput,
  evidence: string,
): NoteOutcome {
  const { store, config } = parts;
  const { reference } = transactionOf(parts, input.transactionId);
  const body = aboutNote(intent, input, evidence);
  store.commit(() => {
    store.intents.settle(intent.id, 'unknown', { evidence });
    store.obligations.insert({
      transactionId: input.transactionId,
      reference,
      kind: recoveryPolicy.deposit.unknown.owes,
      amountSats: principalOfNote(input.value, input.terms.rate),
      amountMinor: input.value,
      currency: config.currency,
      body,
    });
    store.journal.append('note.unknown', body, input.transactionId);
    recordDevice(parts, 'acceptor', input.transactionId);
  });
  parts.board.set(
    'cashIn',
    'noteUnknown',
    `It is not known where a note went (reference ${reference}).`,
  );
  tellQuarantine(parts);
  parts.changed();
  return {
    kind: 'unknown',
    notice: say('noteUnknown', 'notice.noteUnknown'),
  };
}

/** No command left: no note waited for one any more, or the device was out of touch. */
function settleNotSent(
  parts: Parts,
  intent: Intent,
  input: NoteInput,
  evidence: string,
): NoteOutcome {
  parts.store.commit(() => {
    parts.store.intents.settle(intent.id, 'notSent', { evidence });
    const body = aboutNote(intent, input, evidence);
    parts.store.journal.append('note.notMoved', body, input.transactionId);
  });
  return { kind: 'returned', notice: say('noteNotTaken', 'notice.noteNotTaken') };
}

/** Puts the escrowed note in the cash box. */
export function depositNote(parts: Parts, input: NoteInput): Promise<NoteOutcome> {
  return moveNote(parts, 'deposit', input, () => parts.acceptor.deposit());
}

/** Gives the escrowed note back. */
export function returnNote(parts: Parts, input: NoteInput): Promise<NoteOutcome> {
  return moveNote(parts, 'return', input, () => parts.acceptor.returnNote());
}

async function moveNote(
  parts: Parts,
  kind: 'deposit' | 'return',
  input: NoteInput,
  command: () => Promise<DepositOutcome | ReturnOutcome>,
): Promise<NoteOutcome> {
  const intent = intend(parts, kind, input);
  let outcome: DepositOutcome | ReturnOutcome;
  try {
    outcome = await command();
  } catch (err) {
    if (!(err instanceof DeviceError) || err.code !== 'sequenceError') throw err;
    return settleNotSent(parts, intent, input, err.message);
  }
  const write = () => settleMoved(parts, intent, input, outcome);
  return writeEnd(parts, intent, write, async () => void (await write()));
}

async function settleMoved(
  parts: Parts,
  intent: Intent,
  input: NoteInput,
  outcome: DepositOutcome | ReturnOutcome,
): Promise<NoteOutcome> {
  switch (outcome.kind) {
    case 'deposited': {
      const total = book(parts, intent, input, outcome.value, outcome.evidence);
      await parts.acceptor.confirmDeposit();
      return { kind: 'deposited', total };
    }
    case 'returned':
      settleReturned(parts, intent, input, outcome.evidence);
      return { kind: 'returned' };
    case 'unknown':
      return settleUnknown(parts, intent, input, outcome.evidence);
  }
}

/** Gives back a note that nobody has asked for. @throws DeviceError `sequenceError` without one. */
export async function giveBack(parts: Parts): Promise<void> {
  const outcome = await parts.acceptor.returnNote();
  // First what is owed for it: a full disk may take neither.
  if (outcome.kind === 'deposited') await takeUnexpectedCredit(parts, outcome.value);
  parts.store.commit(() => parts.store.journal.append('note.givenBack', { ...outcome }));
}

/** A note is being drawn in: a credit that the device reports from now on is a new one. */
export function forgetLastCredit({ store }: Parts): void {
  if (store.facts.get(LAST_CREDIT)) store.commit(() => store.facts.remove(LAST_CREDIT));
}

/**
 * Takes a credit that no deposit waits for. It mints nothing (design 6.3): the note is booked to
 * the cash box and owed to whoever it belongs to. A repeat of a credit that is booked is only
 * confirmed; one after a note was seen to be drawn in, `isNew`, is none.
 */
export async function takeUnexpectedCredit(
  parts: Parts,
  value: MinorUnits | undefined,
  isNew: boolean = false,
): Promise<void> {
  const { acceptor, unwrittenCredits } = parts;
  const mayRepeat = acceptor.capabilities.repeatsCredit && !isNew;
  // One that waits stands for its repeats.
  if (!mayRepeat || unwrittenCredits.length === 0) {
    // Who stood there is known now; a full disk may take it when somebody else does.
    const evidence = openCashIn(parts);
    unwrittenCredits.push(() => writeCredit(parts, value, mayRepeat, evidence));
  }
  if (writeCredits(parts)) await acceptor.confirmDeposit();
}

/**
 * Writes down what the disk refused when it was said; true when there was some, and the device may
 * be told. What an act has ended in comes first: the credit may be the one of it. @throws
 * StoreError when the disk still refuses.
 */
export function writeCredits({ store, unwrittenCredits, unwrittenEnds }: Parts): boolean {
  const waits = ({ id, device }: Intent) => device === 'acceptor' && unwrittenEnds.has(id);
  if (unwrittenCredits.length === 0 || store.intents.listOpen().some(waits)) return false;
  // Out of the list before: that the disk works again is told by the first write, and whoever
  // hears it and wants to write, or to tell the device, is here already.
  const writes = unwrittenCredits.splice(0);
  try {
    for (let [write] = writes; write; [write] = writes) {
      write();
      writes.shift();
    }
  } finally {
    unwrittenCredits.unshift(...writes);
  }
  return true;
}

/**
 * One of a device that may say each more than once is a repeat until a note was drawn in since.
 * Where it says each once, another one is another note whose way in went unheard.
 */
function writeCredit(
  parts: Parts,
  value: MinorUnits | undefined,
  mayRepeat: boolean,
  evidence: CreditEvidence,
): void {
  const { store } = parts;
  const isRepeat = mayRepeat && store.facts.get(LAST_CREDIT) !== undefined;
  if (!isRepeat) oweCredit(parts, value, evidence);
  else store.commit(() => store.journal.append('credit.repeated', { valueMinor: value ?? null }));
}

/** The cash-in that was open then: whoever stood there can say whether the note was theirs. */
type CreditEvidence = { readonly cashInReference?: string };

function openCashIn({ store }: Parts): CreditEvidence {
  const open = store.transactions
    .listOpen()
    .find(({ kind, state }) => kind === 'cashIn' && state === 'accepting');
  return open ? { cashInReference: open.reference } : {};
}

/** Books a credit that no deposit waits for, as owed. */
function oweCredit(parts: Parts, value: MinorUnits | undefined, evidence: CreditEvidence): void {
  const { store, config, random } = parts;
  const reference = newReference(random);
  store.commit(() => {
    if (value !== undefined) {
      store.ledger.move({
        from: 'customer',
        to: 'cashbox',
        currency: config.currency,
        value,
        count: 1,
        cause: 'creditWithoutIntent',
      });
    }
    store.obligations.insert({
      reference,
      kind: recoveryPolicy.deposit.unasked.owes,
      ...(value === undefined ? {} : { amountMinor: value }),
      currency: config.currency,
      body: evidence,
    });
    store.facts.put(LAST_CREDIT, value ?? null, parts.clock.now());
    const body = { valueMinor: value ?? null, reference, ...evidence };
    store.journal.append('credit.unexpected', body);
  });
  parts.changed();
}

/** The terms under which an open note was put in, as its intent has them. */
function inputOf(intent: Intent): NoteInput {
  const { valueMinor, rateMinorPerBtc, rateSource } = bodySchema.parse(intent.body);
  assert(intent.transactionId !== undefined, 'a note belongs to a session');
  return {
    transactionId: intent.transactionId,
    value: minorUnits(valueMinor),
    terms: { rate: minorPerBtc(rateMinorPerBtc), rateSource },
  };
}

/**
 * Settles a note that was on its way when the program ended, by what the device says of it now. The
 * evidence is journaled before the reset that moves the note.
 */
export async function recoverNote(parts: Parts, intent: Intent): Promise<void> {
  const { acceptor, store } = parts;
  const input = inputOf(intent);
  const { powerUp } = acceptor.status();
  store.commit(() =>
    store.journal.append('deposit.recovering', { powerUp, intent: intent.id }, input.transactionId),
  );
  const { note, evidence } = await acceptor.initialise(bodySchema.parse(intent.body).baseline);
  const write = () => settleCut(parts, intent, note, `power-up ${powerUp}; ${evidence}`);
  await writeEnd(parts, intent, write, write);
}

async function settleCut(
  parts: Parts,
  intent: Intent,
  note: InitialiseOutcome['note'],
  words: string,
): Promise<void> {
  const input = inputOf(intent);
  switch (noteClasses[note]) {
    case 'exact':
      book(parts, intent, input, input.value, words);
      await parts.acceptor.confirmDeposit();
      return;
    case 'none':
      settleReturned(parts, intent, input, words);
      return;
    case 'unknown':
      // Nothing inside and nothing said: whether it was stacked before the cut is not known.
      settleUnknown(parts, intent, input, words);
  }
}
