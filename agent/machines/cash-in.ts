/**
 * The customer's cash-in: notes in, a withdraw link out (design 5 and 6). Pure: every effect is an
 * invoked actor from main.ts, and the journal is the only memory; no snapshot is ever restored.
 */

import { assign, fromCallback, setup } from 'xstate';
import type { TransactionId } from '#protocol/base/ids.ts';
import type { MinorPerBtc, MinorUnits, Sats } from '#protocol/base/money.ts';
import { type Said, say } from '../texts/customer.ts';
import { given, outcomeAs, stub } from './effect.ts';

/** What opens the session: a new deposit, or a claim on an old one. */
export type CashInInput =
  | { readonly kind: 'deposit' }
  | { readonly kind: 'claim'; readonly transactionId: TransactionId };

/** The terms said before the first note, renewed before each further one. */
export interface CashInTerms {
  readonly rate: MinorPerBtc;
  /** Whose price it is, for the record. */
  readonly rateSource: string;
  readonly feeFraction: number;
  /** Most principal that this session may come to; null for no cap. */
  readonly capSats: Sats | null;
  /** Values of the notes that still fit. */
  readonly accepted: readonly MinorUnits[];
}

/** What was deposited so far. */
export interface CashInTotal {
  readonly notes: number;
  readonly fiat: MinorUnits;
  readonly principal: Sats;
  readonly fee: Sats;
  readonly net: Sats;
}

/** A code and its sentence for the customer. */
export type Notice = Said;

export type QuoteOutcome =
  | {
      readonly kind: 'quoted';
      readonly transactionId: TransactionId;
      readonly terms: CashInTerms;
    }
  | { readonly kind: 'closed'; readonly notice: Notice };

export type ArmOutcome =
  | { readonly kind: 'armed'; readonly terms: CashInTerms; readonly notice: Notice | null }
  | { readonly kind: 'failed'; readonly notice: Notice };

export type JudgeOutcome =
  | { readonly kind: 'fits' }
  | { readonly kind: 'refused'; readonly notice: Notice };

export type NoteOutcome =
  | { readonly kind: 'deposited'; readonly total: CashInTotal }
  /** Not in the cash box. `notice` where it is not proven that the customer has it. */
  | { readonly kind: 'returned'; readonly notice?: Notice }
  | { readonly kind: 'unknown'; readonly notice: Notice };

/** `owed`: the claim code holds it, now or later. */
export type IssueOutcome =
  | { readonly kind: 'issued' }
  | { readonly kind: 'owed'; readonly notice: Notice };

/** How the session ended, for the last screen and the journal. */
export type CashInEnd = 'claimed' | 'unclaimed' | 'owed' | 'cancelled' | 'closed' | 'needsOperator';

export interface CashInContext {
  readonly input: CashInInput;
  readonly transactionId: TransactionId | null;
  readonly terms: CashInTerms | null;
  readonly total: CashInTotal | null;
  /** A note in escrow that waits for its turn. */
  readonly escrowed: MinorUnits | null;
  /** The note that is judged or moved now. */
  readonly current: MinorUnits | null;
  readonly notice: Notice | null;
  /** Set when the session goes to its end, before the acceptor is closed. */
  readonly end: CashInEnd | null;
}

export type CashInEvent =
  | { readonly type: 'customer.finished' }
  | { readonly type: 'customer.cancelled' }
  | { readonly type: 'customer.dismissed' }
  | { readonly type: 'note.inserted' }
  | { readonly type: 'note.escrowed'; readonly value: MinorUnits }
  | { readonly type: 'note.returned' }
  | { readonly type: 'note.refused'; readonly notice: Notice }
  | { readonly type: 'acceptor.lost'; readonly notice: Notice };

/** What most effects are told. */
export interface WithTransaction {
  readonly transactionId: TransactionId;
}

/** The note in escrow, under the terms that were on the screen when it went in. */
export interface NoteInput extends WithTransaction {
  readonly value: MinorUnits;
  readonly terms: CashInTerms;
}

const EMPTY: CashInTotal = {
  notes: 0,
  fiat: 0 as MinorUnits,
  principal: 0 as Sats,
  fee: 0 as Sats,
  net: 0 as Sats,
};

const RETURNED: Notice = say('noteReturned', 'notice.noteReturned');

/** What only an operator can settle stays so, whatever else of the session still went well. */
function endOf({ end }: CashInContext, next: CashInEnd): CashInEnd {
  return end === 'needsOperator' ? end : next;
}

const notesOf = ({ total }: CashInContext): number => total?.notes ?? 0;

function afterQuote(outcome: QuoteOutcome): Partial<CashInContext> {
  if (outcome.kind === 'closed') return { end: 'closed', notice: outcome.notice };
  return { transactionId: outcome.transactionId, terms: outcome.terms, total: EMPTY };
}

function afterArming({ notice }: CashInContext, outcome: ArmOutcome): Partial<CashInContext> {
  if (outcome.kind === 'failed') return { notice: outcome.notice };
  return { terms: outcome.terms, notice: outcome.notice ?? notice };
}

/** `returned` is said of a note that is back, where the effect has nothing to say of it. */
function afterMoving(outcome: NoteOutcome, returned: Notice | null): Partial<CashInContext> {
  switch (outcome.kind) {
    case 'deposited':
      return { total: outcome.total, notice: null };
    case 'returned':
      return { notice: outcome.notice ?? returned };
    case 'unknown':
      return { end: 'needsOperator', notice: outcome.notice };
  }
}

function afterIssuing(context: CashInContext, outcome: IssueOutcome): Partial<CashInContext> {
  if (outcome.kind === 'issued') return {};
  return { end: endOf(context, 'owed'), notice: outcome.notice };
}

const machineSetup = setup({
  types: {
    context: {} as CashInContext,
    events: {} as CashInEvent,
    input: {} as CashInInput,
    output: {} as { readonly end: CashInEnd },
    tags: {} as 'moneyInFlight' | 'takesNotes',
  },
  actors: {
    /** Fixes rate, fee and cap, proves signer and wallet, opens the transaction. */
    quote: stub<QuoteOutcome>('quote'),
    /** Tells the acceptor which notes fit now, with a fresh rate and balance where stale. */
    arm: stub<ArmOutcome, WithTransaction>('arm'),
    /** Closes the slot; resolves once the acceptor is inhibited. */
    disarm: stub<void>('disarm'),
    /** Checks cap, budget and cash box again for the note in escrow. */
    judge: stub<JudgeOutcome, NoteInput>('judge'),
    /** Journals the intent, deposits once, journals the evidence. */
    deposit: stub<NoteOutcome, NoteInput>('deposit'),
    /** Gives the note back. */
    returnNote: stub<NoteOutcome, NoteInput>('returnNote'),
    /** Asks the wallet for the withdraw link. */
    issue: stub<IssueOutcome, WithTransaction>('issue'),
    /** Resolves when the link was proven claimed. */
    awaitClaim: stub<void, WithTransaction>('awaitClaim'),
    /** Journals how the session ended. */
    conclude: stub<void, WithTransaction & { readonly end: CashInEnd }>('conclude'),
    /** Sends the acceptor's news as events. */
    acceptorNews: fromCallback<CashInEvent, WithTransaction>(() => undefined),
  },
  guards: {
    isClaim: ({ context }) => context.input.kind === 'claim',
    hasNotes: ({ context }) => notesOf(context) > 0,
    opened: ({ context }) => context.transactionId !== null,
    isEmpty: ({ context }) => notesOf(context) === 0,
    noteWaits: ({ context }) => context.escrowed !== null,
    hasEnd: ({ context }) => context.end !== null,
  },
  actions: {
    keepEscrowed: assign((_, params: { value: MinorUnits }) => ({ escrowed: params.value })),
    /** The turn of the note that waited has come; the next one may wait already. */
    takeUp: assign(({ context }) => ({ current: context.escrowed, escrowed: null })),
    /** Nothing else is under way: the note's turn is now. */
    takeAtOnce: assign((_, params: { value: MinorUnits }) => ({ current: params.value })),
    forgetEscrowed: assign({ escrowed: null, current: null }),
    say: assign((_, params: { notice: Notice | null }) => ({ notice: params.notice })),
    endAs: assign(({ context }, params: { end: CashInEnd }) => ({
      end: endOf(context, params.end),
    })),
    sayReturned: assign({ notice: RETURNED }),
  },
  delays: {
    /** A customer who stopped inserting has finished. */
    idleTime: 60_000,
    /** The QR code goes dark; the claim code brings it back. */
    displayTime: 600_000,
    /** The last screen gives way to the next customer. */
    endScreen: 45_000,
  },
});

function transactionOf(context: CashInContext): WithTransaction {
  return { transactionId: given(context.transactionId, 'transaction') };
}

function noteOf(context: CashInContext): NoteInput {
  const value = given(context.current, 'note in escrow');
  return { ...transactionOf(context), value, terms: given(context.terms, 'terms') };
}

const unforeseen = {
  target: '#cashIn.closing',
  actions: [
    { type: 'endAs', params: { end: 'needsOperator' } },
    {
      type: 'say',
      params: {
        notice: say('fault', 'notice.faultIn'),
      },
    },
  ],
} as const;

/** The cash-in machine; its effects are supplied by `provide`. */
export const cashInMachine = machineSetup.createMachine({
  id: 'cashIn',
  context: ({ input }) => ({
    input,
    transactionId: input.kind === 'claim' ? input.transactionId : null,
    terms: null,
    total: null,
    escrowed: null,
    current: null,
    notice: null,
    end: null,
  }),
  output: ({ context }) => ({ end: given(context.end, 'end') }),
  initial: 'opening',
  states: {
    opening: { always: [{ guard: 'isClaim', target: 'issuing' }, { target: 'quoting' }] },
    quoting: {
      invoke: {
        src: 'quote',
        onDone: [
          {
            guard: ({ event }) => event.output.kind === 'quoted',
            target: 'accepting',
            actions: assign(({ event }) => afterQuote(event.output)),
          },
          { target: 'done', actions: assign(({ event }) => afterQuote(event.output)) },
        ],
        onError: unforeseen,
      },
    },
    accepting: {
      invoke: { src: 'acceptorNews', input: ({ context }) => transactionOf(context) },
      initial: 'arming',
      on: {
        // A note may come to escrow while the last one is still being booked: it keeps its turn.
        'note.escrowed': {
          actions: { type: 'keepEscrowed', params: ({ event }) => ({ value: event.value }) },
        },
        'note.returned': { actions: ['forgetEscrowed', 'sayReturned'] },
        'note.refused': {
          actions: { type: 'say', params: ({ event }) => ({ notice: event.notice }) },
        },
      },
      states: {
        arming: {
          tags: 'takesNotes',
          always: { guard: 'noteWaits', target: 'escrowed', actions: 'takeUp' },
          invoke: {
            src: 'arm',
            input: ({ context }) => transactionOf(context),
            onDone: [
              {
                guard: ({ event }) => event.output.kind === 'armed',
                target: 'idle',
                actions: assign(({ event, context }) => afterArming(context, event.output)),
              },
              {
                target: '#cashIn.closing',
                actions: assign(({ event, context }) => afterArming(context, event.output)),
              },
            ],
            onError: unforeseen,
          },
          on: {
            'note.escrowed': {
              target: 'escrowed',
              actions: { type: 'takeAtOnce', params: ({ event }) => ({ value: event.value }) },
            },
            'customer.finished': { guard: 'hasNotes', target: '#cashIn.closing' },
            'customer.cancelled': { guard: 'isEmpty', target: '#cashIn.closing' },
            'acceptor.lost': { target: '#cashIn.closing', actions: 'forgetEscrowed' },
          },
        },
        idle: {
          tags: 'takesNotes',
          after: { idleTime: { target: '#cashIn.closing' } },
          on: {
            'note.escrowed': {
              target: 'escrowed',
              actions: { type: 'takeAtOnce', params: ({ event }) => ({ value: event.value }) },
            },
            'note.inserted': {
              target: 'idle',
              reenter: true,
              actions: { type: 'say', params: { notice: null } },
            },
            'note.refused': {
              target: 'idle',
              reenter: true,
              actions: { type: 'say', params: ({ event }) => ({ notice: event.notice }) },
            },
            'customer.finished': { guard: 'hasNotes', target: '#cashIn.closing' },
            'customer.cancelled': { guard: 'isEmpty', target: '#cashIn.closing' },
            'acceptor.lost': {
              target: '#cashIn.closing',
              actions: { type: 'say', params: ({ event }) => ({ notice: event.notice }) },
            },
          },
        },
        escrowed: {
          invoke: {
            src: 'judge',
            input: ({ context }) => noteOf(context),
            onDone: [
              {
                guard: ({ event }) => event.output.kind === 'fits',
                target: 'depositing',
              },
              {
                target: 'returning',
                actions: assign(({ event }) => ({
                  notice: outcomeAs(event.output, 'refused').notice,
                })),
              },
            ],
            onError: unforeseen,
          },
          on: { 'note.returned': { target: 'arming', actions: ['forgetEscrowed', 'sayReturned'] } },
        },
        depositing: {
          tags: 'moneyInFlight',
          invoke: {
            src: 'deposit',
            input: ({ context }) => noteOf(context),
            onDone: [
              {
                guard: ({ event }) => event.output.kind !== 'unknown',
                target: 'arming',
                actions: assign(({ event }) => afterMoving(event.output, RETURNED)),
              },
              {
                target: '#cashIn.closing',
                actions: assign(({ event }) => afterMoving(event.output, RETURNED)),
              },
            ],
            onError: unforeseen,
          },
        },
        returning: {
          tags: 'moneyInFlight',
          invoke: {
            src: 'returnNote',
            input: ({ context }) => noteOf(context),
            onDone: [
              {
                guard: ({ event }) => event.output.kind !== 'unknown',
                target: 'arming',
                // Why it goes back stays on the screen.
                actions: assign(({ event, context }) => afterMoving(event.output, context.notice)),
              },
              {
                target: '#cashIn.closing',
                actions: assign(({ event, context }) => afterMoving(event.output, context.notice)),
              },
            ],
            onError: unforeseen,
          },
          // The news of the very note that this state gives back is no news.
          on: { 'note.returned': {} },
        },
      },
    },
    closing: {
      invoke: {
        src: 'disarm',
        onDone: [
          { guard: 'hasNotes', target: 'issuing' },
          { guard: 'hasEnd', target: 'ending' },
          {
            target: 'ending',
            actions: assign({ end: 'cancelled' as const }),
          },
        ],
        onError: [
          { guard: 'hasNotes', target: 'issuing' },
          { target: 'ending', actions: { type: 'endAs', params: { end: 'needsOperator' } } },
        ],
      },
    },
    issuing: {
      tags: 'moneyInFlight',
      invoke: {
        src: 'issue',
        input: ({ context }) => transactionOf(context),
        onDone: [
          {
            guard: ({ event }) => event.output.kind === 'issued',
            target: 'offering',
            actions: assign(({ event, context }) => afterIssuing(context, event.output)),
          },
          {
            target: 'ending',
            actions: assign(({ event, context }) => afterIssuing(context, event.output)),
          },
        ],
        onError: {
          target: 'ending',
          actions: unforeseen.actions,
        },
      },
    },
    offering: {
      after: {
        displayTime: {
          target: 'ending',
          actions: { type: 'endAs', params: { end: 'unclaimed' } },
        },
      },
      invoke: {
        src: 'awaitClaim',
        input: ({ context }) => transactionOf(context),
        onDone: { target: 'ending', actions: { type: 'endAs', params: { end: 'claimed' } } },
        onError: { target: 'ending', actions: unforeseen.actions },
      },
      on: {
        'customer.dismissed': {
          target: 'ending',
          actions: { type: 'endAs', params: { end: 'unclaimed' } },
        },
      },
    },
    /** Nothing is concluded that was never opened. */
    ending: {
      always: [{ guard: 'opened', target: 'concluding' }, { target: 'done' }],
    },
    concluding: {
      invoke: {
        src: 'conclude',
        input: ({ context }) => ({
          ...transactionOf(context),
          end: given(context.end, 'end'),
        }),
        onDone: { target: 'done' },
        onError: {
          target: 'done',
          actions: { type: 'endAs', params: { end: 'needsOperator' } },
        },
      },
    },
    done: {
      after: { endScreen: { target: 'left' } },
      on: { 'customer.dismissed': { target: 'left' } },
    },
    left: { type: 'final' },
  },
});
