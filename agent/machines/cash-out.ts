/**
 * The customer's cash-out: sats in, notes out (design 5 and 7). Pure: every effect is an invoked
 * actor
 * from main.ts, and the journal is the only memory; no snapshot is ever restored.
 */
import { assign, setup } from 'xstate';
import type { UnitCount } from '#hal/cash-dispenser.ts';
import type { ObligationId, TransactionId } from '#protocol/base/ids.ts';
import type { MinorUnits } from '#protocol/base/money.ts';
import { say } from '../texts/customer.ts';
import type { Notice } from './cash-in.ts';
import { given, outcomeAs, stub } from './effect.ts';

/** What opens the session: a sale, or a claim on cash that is owed. */
export type CashOutInput =
  | { readonly kind: 'sale' }
  | {
      readonly kind: 'redeem';
      readonly transactionId: TransactionId;
      readonly obligationId: ObligationId;
    };

/** The notes still to be handed out, and how many commands went before. */
export interface Plan {
  readonly transactionId: TransactionId;
  /** Bays and counts of the commands to come, one command each. */
  readonly batches: readonly (readonly UnitCount[])[];
  /** Number of the next command; never used twice in a transaction. */
  readonly ordinal: number;
}

export type ReserveOutcome =
  | { readonly kind: 'reserved'; readonly plan: Plan }
  | { readonly kind: 'refused'; readonly notice: Notice };

export type InvoiceOutcome =
  | { readonly kind: 'invoiced'; readonly expiresAtUnixMs: number }
  | { readonly kind: 'refused'; readonly notice: Notice };

/** `held`: paid, but the proof is not clean; the claim code holds it. */
export type PaymentOutcome =
  | { readonly kind: 'paid' }
  | { readonly kind: 'expired'; readonly notice: Notice }
  | { readonly kind: 'held'; readonly notice: Notice };

/** How one command ended, and what is to be done about the rest. */
export type BatchOutcome =
  | { readonly kind: 'exact'; readonly units: readonly UnitCount[] }
  /** Proven short; `next` makes the rest from other bays. */
  | { readonly kind: 'short'; readonly units: readonly UnitCount[]; readonly next: Plan }
  /** Proven short and not to be made now: the claim code holds it. */
  | {
      readonly kind: 'remainder';
      readonly units: readonly UnitCount[];
      readonly remainderMinor: number;
      readonly notice: Notice;
    }
  | {
      readonly kind: 'unknown';
      readonly units: readonly UnitCount[];
      readonly notice: Notice;
    };

export type PresentOutcome =
  | { readonly kind: 'taken' }
  | { readonly kind: 'notTaken'; readonly notice: Notice };

/** How the session ended. */
export type CashOutEnd =
  | 'dispensed'
  | 'presentedNotTaken'
  | 'remainder'
  | 'needsOperator'
  | 'cancelled'
  | 'expired'
  | 'failed';

export interface CashOutContext {
  readonly input: CashOutInput;
  readonly transactionId: TransactionId | null;
  readonly amount: MinorUnits | null;
  readonly plan: Plan | null;
  readonly expiresAtUnixMs: number | null;
  /** Notes handed out by position. */
  readonly dispensed: Readonly<Record<string, number>>;
  readonly remainderMinor: number;
  readonly notice: Notice | null;
  readonly end: CashOutEnd | null;
}

export type CashOutEvent =
  | { readonly type: 'amount.chosen'; readonly amount: MinorUnits }
  | { readonly type: 'customer.cancelled' }
  | { readonly type: 'customer.dismissed' };

/** What most effects are told. */
export interface WithTransaction {
  readonly transactionId: TransactionId;
}

/** What the end of a session is told. */
export interface EndInput extends WithTransaction {
  readonly end: CashOutEnd;
  readonly input: CashOutInput;
  readonly remainderMinor: number;
}

function transactionOf(context: CashOutContext): WithTransaction {
  return { transactionId: given(context.transactionId, 'transaction') };
}

function planOf(context: CashOutContext): Plan {
  return given(context.plan, 'plan');
}

function added(
  dispensed: CashOutContext['dispensed'],
  units: readonly UnitCount[],
): CashOutContext['dispensed'] {
  const sum = { ...dispensed };
  for (const { position, count } of units) {
    sum[String(position)] = (sum[String(position)] ?? 0) + count;
  }
  return sum;
}

const FAULT: Notice = say('fault', 'notice.faultOut');

const unforeseen = {
  target: '#cashOut.needsOperator',
  actions: { type: 'say', params: { notice: FAULT } },
} as const;

/** The cash-out machine; its effects are supplied by `provide`. */
export const cashOutMachine = setup({
  types: {
    context: {} as CashOutContext,
    events: {} as CashOutEvent,
    input: {} as CashOutInput,
    output: {} as { readonly end: CashOutEnd },
    tags: {} as 'moneyInFlight',
  },
  actors: {
    /** Fixes bays, rate and fee; journals transaction, reservation and claim code. */
    reserve: stub<ReserveOutcome, { readonly amount: MinorUnits }>('reserve'),
    /** Asks the wallet for the invoice and checks it. */
    invoice: stub<InvoiceOutcome, WithTransaction>('invoice'),
    /** Resolves on the wallet's own word that it is paid, or at the end of its time. */
    awaitPayment: stub<PaymentOutcome, WithTransaction>('awaitPayment'),
    /** Turns an obligation into a plan, once. */
    redeem: stub<ReserveOutcome, Extract<CashOutInput, { kind: 'redeem' }>>('redeem'),
    /** Journals the intent, sends one command once, journals the evidence. */
    dispense: stub<BatchOutcome, Plan>('dispense'),
    /** Waits until the notes are taken, where the unit can sense it. */
    present: stub<PresentOutcome, WithTransaction>('present'),
    /** Journals how the session ended. */
    conclude: stub<void, EndInput>('conclude'),
  },
  guards: {
    redeems: ({ context }) => context.input.kind === 'redeem',
    opened: ({ context }) => context.transactionId !== null,
    handedOut: ({ context }) => Object.keys(context.dispensed).length > 0,
    moreBatches: ({ context }) => planOf(context).batches.length > 0,
  },
  actions: {
    say: assign((_, params: { notice: Notice | null }) => ({ notice: params.notice })),
    endAs: assign((_, params: { end: CashOutEnd }) => ({ end: params.end })),
    /** A remainder stays one, also when what did come out is taken. */
    endUnless: assign(({ context }, params: { end: CashOutEnd }) => ({
      end: context.end ?? params.end,
    })),
    count: assign(({ context }, params: { units: readonly UnitCount[] }) => ({
      dispensed: added(context.dispensed, params.units),
    })),
  },
  delays: {
    /** A customer who does not choose has left. */
    choosingTime: 60_000,
    /** The last screen gives way to the next customer. */
    endScreen: 45_000,
  },
}).createMachine({
  id: 'cashOut',
  context: ({ input }) => ({
    input,
    transactionId: input.kind === 'redeem' ? input.transactionId : null,
    amount: null,
    plan: null,
    expiresAtUnixMs: null,
    dispensed: {},
    remainderMinor: 0,
    notice: null,
    end: null,
  }),
  output: ({ context }) => ({ end: given(context.end, 'end') }),
  initial: 'opening',
  states: {
    opening: { always: [{ guard: 'redeems', target: 'redeeming' }, { target: 'choosing' }] },
    choosing: {
      after: { choosingTime: { target: 'cancelled' } },
      on: {
        'amount.chosen': {
          target: 'reserving',
          actions: assign(({ event }) => ({ amount: event.amount, notice: null })),
        },
        'customer.cancelled': { target: 'cancelled' },
      },
    },
    reserving: {
      invoke: {
        src: 'reserve',
        input: ({ context }) => ({ amount: given(context.amount, 'amount') }),
        onDone: [
          {
            guard: ({ event }) => event.output.kind === 'reserved',
            target: 'invoicing',
            actions: assign(({ event }) => {
              const { plan } = outcomeAs(event.output, 'reserved');
              return { plan, transactionId: plan.transactionId };
            }),
          },
          {
            target: 'ending',
            actions: assign(({ event }) => ({
              end: 'failed' as const,
              notice: outcomeAs(event.output, 'refused').notice,
            })),
          },
        ],
        onError: {
          target: 'ending',
          actions: { type: 'endAs', params: { end: 'failed' } },
        },
      },
    },
    invoicing: {
      invoke: {
        src: 'invoice',
        input: ({ context }) => transactionOf(context),
        onDone: [
          {
            guard: ({ event }) => event.output.kind === 'invoiced',
            target: 'awaitingPayment',
            actions: assign(({ event }) => ({
              expiresAtUnixMs: outcomeAs(event.output, 'invoiced').expiresAtUnixMs,
            })),
          },
          {
            target: 'ending',
            actions: assign(({ event }) => ({
              end: 'failed' as const,
              notice: outcomeAs(event.output, 'refused').notice,
            })),
          },
        ],
        onError: {
          target: 'ending',
          actions: { type: 'endAs', params: { end: 'failed' } },
        },
      },
    },
    awaitingPayment: {
      invoke: {
        src: 'awaitPayment',
        input: ({ context }) => transactionOf(context),
        onDone: [
          { guard: ({ event }) => event.output.kind === 'paid', target: 'dispensing' },
          {
            guard: ({ event }) => event.output.kind === 'expired',
            target: 'ending',
            actions: assign(({ event }) => ({
              end: 'expired' as const,
              notice: outcomeAs(event.output, 'expired').notice,
            })),
          },
          {
            target: 'needsOperator',
            actions: assign(({ event }) => ({
              notice: outcomeAs(event.output, 'held').notice,
            })),
          },
        ],
        onError: unforeseen,
      },
      // A payment that crosses the cancelling becomes an obligation: see payments.ts.
      on: { 'customer.cancelled': { target: 'cancelled' } },
    },
    redeeming: {
      tags: 'moneyInFlight',
      invoke: {
        src: 'redeem',
        input: ({ context }) => outcomeAs(context.input, 'redeem'),
        onDone: [
          {
            guard: ({ event }) => event.output.kind === 'reserved',
            target: 'dispensing',
            actions: assign(({ event }) => ({ plan: outcomeAs(event.output, 'reserved').plan })),
          },
          {
            target: 'done',
            actions: assign(({ event }) => ({
              end: 'failed' as const,
              notice: outcomeAs(event.output, 'refused').notice,
            })),
          },
        ],
        onError: unforeseen,
      },
    },
    dispensing: {
      tags: 'moneyInFlight',
      invoke: {
        src: 'dispense',
        input: ({ context }) => planOf(context),
        onDone: [
          {
            guard: ({ event }) => event.output.kind === 'exact',
            target: 'dispensed',
            actions: [
              { type: 'count', params: ({ event }) => ({ units: event.output.units }) },
              assign(({ context }) => {
                const plan = planOf(context);
                return {
                  plan: { ...plan, batches: plan.batches.slice(1), ordinal: plan.ordinal + 1 },
                };
              }),
            ],
          },
          {
            guard: ({ event }) => event.output.kind === 'short',
            target: 'dispensing',
            reenter: true,
            actions: [
              { type: 'count', params: ({ event }) => ({ units: event.output.units }) },
              assign(({ event }) => ({ plan: outcomeAs(event.output, 'short').next })),
            ],
          },
          {
            guard: ({ event }) => event.output.kind === 'remainder',
            target: 'remainder',
            actions: [
              { type: 'count', params: ({ event }) => ({ units: event.output.units }) },
              assign(({ event }) => {
                const { remainderMinor, notice } = outcomeAs(event.output, 'remainder');
                return { remainderMinor, notice };
              }),
            ],
          },
          {
            target: 'needsOperator',
            actions: [
              { type: 'count', params: ({ event }) => ({ units: event.output.units }) },
              assign(({ event }) => ({
                notice: outcomeAs(event.output, 'unknown').notice,
              })),
            ],
          },
        ],
        onError: unforeseen,
      },
    },
    /** Between two commands; passed through at once. */
    dispensed: {
      tags: 'moneyInFlight',
      always: [{ guard: 'moreBatches', target: 'dispensing' }, { target: 'presenting' }],
    },
    presenting: {
      tags: 'moneyInFlight',
      invoke: {
        src: 'present',
        input: ({ context }) => transactionOf(context),
        onDone: [
          {
            guard: ({ event }) => event.output.kind === 'taken',
            target: 'ending',
            actions: { type: 'endUnless', params: { end: 'dispensed' } },
          },
          {
            target: 'ending',
            actions: [
              { type: 'endUnless', params: { end: 'presentedNotTaken' } },
              {
                type: 'say',
                params: ({ event }) => ({ notice: outcomeAs(event.output, 'notTaken').notice }),
              },
            ],
          },
        ],
        onError: unforeseen,
      },
    },
    remainder: {
      entry: { type: 'endAs', params: { end: 'remainder' } },
      always: [{ guard: 'handedOut', target: 'presenting' }, { target: 'ending' }],
    },
    needsOperator: {
      entry: { type: 'endAs', params: { end: 'needsOperator' } },
      always: { target: 'ending' },
    },
    cancelled: {
      entry: { type: 'endAs', params: { end: 'cancelled' } },
      always: { target: 'ending' },
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
          input: context.input,
          remainderMinor: context.remainderMinor,
        }),
        onDone: 'done',
        onError: { target: 'done', actions: { type: 'endAs', params: { end: 'needsOperator' } } },
      },
    },
    done: {
      after: { endScreen: { target: 'left' } },
      on: { 'customer.dismissed': { target: 'left' } },
    },
    left: { type: 'final' },
  },
});
