/**
 * What becomes of a customer's money when an act is cut, fails or stays in doubt: by the act and
 * the class that its evidence puts it in. The code that decides takes it from here; operators read
 * the same tables in `systemd/runbooks/recovery.md`, and a test holds the two together.
 */
import type { InitialiseOutcome } from '#hal/cash-acceptor.ts';
import type { ObligationKind } from '#state/obligations.ts';

/** One class of one act. */
interface Rule {
  /** What puts an act in this class. */
  readonly proof: string;
  /** What the customer has afterwards. */
  readonly customer: string;
  /** What is listed as owed or not known; null when nothing is. */
  readonly owes: ObligationKind | null;
  /** What is closed over it, and until when. */
  readonly closes: string;
}

const NOTHING = 'nothing';
const CASH_IN = 'cash-in until the validator is ready; a second one in 24 h until settled';
const CASH_OUT =
  'the bays asked; cash-out until the path is clear; a second one in 24 h until settled';

/** By act and class. A note that is given back is judged as one that is deposited. */
export const recoveryPolicy = {
  deposit: {
    exact: {
      proof: 'the validator credits the note, or its counter is one above the baseline',
      customer: 'the note counts and is paid out in sats, also after a cut',
      owes: null,
      closes: NOTHING,
    },
    none: {
      proof: 'the validator gave the note back, or no command had left',
      customer: 'has the note; nothing is minted',
      owes: null,
      closes: NOTHING,
    },
    unknown: {
      proof: 'the validator is silent, or says nothing of the note after a cut',
      customer: 'keeps the code; nothing is minted until a person has looked',
      owes: 'noteUnknown',
      closes: CASH_IN,
    },
    unasked: {
      proof: 'the validator reports a credit for which no intent was written',
      customer: 'nothing is minted; whoever proves the note is paid by the operator',
      owes: 'creditWithoutIntent',
      closes: NOTHING,
    },
  },
  dispense: {
    exact: {
      proof: 'counts as asked, or counts as asked in the memory of the unit',
      customer: 'has all notes',
      owes: null,
      closes: NOTHING,
    },
    partial: {
      proof: 'an error whose counts hold, with path and exit clear',
      customer: 'gets the rest from other bays at once, else by the code at this machine',
      owes: 'remainder',
      closes: NOTHING,
    },
    none: {
      proof: 'the unit refused, was never asked, or its sequence number did not rise',
      customer: 'gets all of it by the code at this machine',
      owes: 'remainder',
      closes: NOTHING,
    },
    unknown: {
      proof: 'everything else',
      customer: 'keeps the code as a reference; nothing is ever handed out on it by itself',
      owes: 'dispenseUnknown',
      closes: CASH_OUT,
    },
  },
  payment: {
    late: {
      proof: 'paid after the invoice had ended or was cancelled',
      customer: 'gets the cash by the code at this machine',
      owes: 'latePayment',
      closes: NOTHING,
    },
    doubtful: {
      proof: 'another wallet, too little, or a preimage of another payment',
      customer: 'keeps the code as a reference; a person judges it',
      owes: 'doubtfulPayment',
      closes: NOTHING,
    },
  },
  withdraw: {
    refused: {
      proof: 'the wallet refuses for good, or its link cannot be used or gives less',
      customer: 'keeps the code, which asks for the link again',
      owes: 'withdrawRefused',
      closes: NOTHING,
    },
    unanswered: {
      proof: 'three events in six minutes without an answer',
      customer: 'keeps the code; an answer is taken whenever it comes',
      owes: 'withdrawUnanswered',
      closes: NOTHING,
    },
    surplus: {
      proof: 'a second link for the same deposit',
      customer: 'is shown the first one only; the operator deletes the other',
      owes: 'surplusLink',
      closes: NOTHING,
    },
  },
  restart: {
    third: {
      proof: 'three starts in 24 h that find notes on their way',
      customer: 'as the act that was cut says',
      owes: 'repeatedRestarts',
      closes: 'that direction until settled',
    },
    restored: {
      proof: 'a backup was made the state',
      customer: 'codes are suspended until the operator confirms each',
      owes: 'restored',
      closes: 'both directions until settled',
    },
  },
} as const satisfies Readonly<Record<string, Readonly<Record<string, Rule>>>>;

/** What a unit says after an answer that was lost, against what was read before the command. */
interface LostAnswer {
  /** What the unit can do. */
  readonly unit: string;
  /** Its number of commands since the baseline; null where it does not count. */
  readonly sequenceNumber: 'same' | 'one more' | 'other' | null;
  /** Its last result against the baseline; null where it has none. */
  readonly lastResult: 'same' | 'changed' | null;
  /** `counts`: judged by the counts of that result, as an answer would be. */
  readonly class: 'none' | 'unknown' | 'counts';
}

const COUNTING = 'counts its commands and keeps its last result';
const KEEPING = 'keeps its last result';

/** What a lost answer of a dispenser is worth, by what the unit can prove (design 8). */
export const lostAnswers: readonly LostAnswer[] = [
  { unit: COUNTING, sequenceNumber: 'same', lastResult: 'same', class: 'none' },
  { unit: COUNTING, sequenceNumber: 'same', lastResult: 'changed', class: 'unknown' },
  { unit: COUNTING, sequenceNumber: 'one more', lastResult: 'same', class: 'counts' },
  { unit: COUNTING, sequenceNumber: 'one more', lastResult: 'changed', class: 'counts' },
  { unit: COUNTING, sequenceNumber: 'other', lastResult: 'same', class: 'unknown' },
  { unit: COUNTING, sequenceNumber: 'other', lastResult: 'changed', class: 'counts' },
  { unit: KEEPING, sequenceNumber: null, lastResult: 'same', class: 'unknown' },
  { unit: KEEPING, sequenceNumber: null, lastResult: 'changed', class: 'counts' },
  { unit: 'has no memory', sequenceNumber: null, lastResult: null, class: 'unknown' },
];

/** The class of a note that was inside at a cut, by what the validator says that it did with it. */
export const noteClasses = {
  deposited: 'exact',
  returned: 'none',
  none: 'unknown',
  unknown: 'unknown',
} as const satisfies Readonly<
  Record<InitialiseOutcome['note'], keyof typeof recoveryPolicy.deposit>
>;

/** What a validator can prove of a note that was inside at a cut, and what the note then is. */
export const cutNotes = [
  {
    validator: 'counts what it stacked',
    says: 'the counter is one above the baseline',
    class: 'exact',
  },
  { validator: 'counts what it stacked', says: 'the counter is as before', class: 'none' },
  { validator: 'repeats a credit until told', says: 'the credit, once more', class: 'exact' },
  { validator: 'tells at power-up', says: 'note in the stacker, and credits it', class: 'exact' },
  { validator: 'tells at power-up', says: 'note in the acceptor, and returns it', class: 'none' },
  { validator: 'any', says: 'nothing of a note', class: 'unknown' },
] as const satisfies readonly {
  readonly validator: string;
  readonly says: string;
  readonly class: keyof typeof recoveryPolicy.deposit;
}[];
