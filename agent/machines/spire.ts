/**
 * The supervisor (design 5): starts, recovers, serves one customer at a time, stops. Whether a
 * direction is open is the reason board's; this machine only asks. No snapshot is ever restored.
 */
import { assign, sendTo, setup } from 'xstate';
import type { ObligationId, TransactionId } from '#protocol/base/ids.ts';
import { type CashInEvent, type CashInInput, cashInMachine } from './cash-in.ts';
import { type CashOutEvent, type CashOutInput, cashOutMachine } from './cash-out.ts';
import { stub } from './effect.ts';

/** What opens a session. */
export type Opening =
  | { readonly kind: 'cashIn' }
  | { readonly kind: 'cashOut' }
  | { readonly kind: 'claimSats'; readonly transactionId: TransactionId }
  | {
      readonly kind: 'claimCash';
      readonly transactionId: TransactionId;
      readonly obligationId: ObligationId;
    };

/** What a customer does inside a session; passed on to it as it is. */
export type CustomerEvent = Extract<
  CashInEvent | CashOutEvent,
  { type: `customer.${string}` | 'amount.chosen' }
>;

export interface SpireContext {
  readonly opening: Opening | null;
  /** The directions as the board has them. */
  readonly open: { readonly cashIn: boolean; readonly cashOut: boolean };
}

export type SpireEvent =
  | { readonly type: 'reasons.changed'; readonly open: SpireContext['open'] }
  | { readonly type: 'session.opened'; readonly opening: Opening }
  | { readonly type: 'agent.stopped' }
  | CustomerEvent;

const sessionOver = { target: '#spire.inService.idle', actions: 'closeSession' } as const;

/** The spire machine; children and effects are supplied by `provide`. */
export const spireMachine = setup({
  types: {
    context: {} as SpireContext,
    events: {} as SpireEvent,
    children: {} as { cashIn: 'cashIn'; cashOut: 'cashOut' },
  },
  actors: {
    cashIn: cashInMachine,
    cashOut: cashOutMachine,
    /** Opens devices and asks what every open intent came to. */
    recover: stub<void>('recover'),
    /** Applies what waited for the end of a session. */
    tidyUp: stub<void>('tidyUp'),
  },
  guards: {
    noDirection: ({ context }) => !context.open.cashIn && !context.open.cashOut,
  },
  actions: {
    keepOpen: assign((_, params: { open: SpireContext['open'] }) => ({ open: params.open })),
    keepOpening: assign((_, params: { opening: Opening }) => ({ opening: params.opening })),
    closeSession: assign({ opening: null }),
  },
}).createMachine({
  id: 'spire',
  context: { opening: null, open: { cashIn: false, cashOut: false } },
  initial: 'recovering',
  on: {
    'reasons.changed': {
      actions: { type: 'keepOpen', params: ({ event }) => ({ open: event.open }) },
    },
  },
  states: {
    recovering: {
      invoke: {
        src: 'recover',
        onDone: 'inService',
        onError: 'failed',
      },
      on: { 'agent.stopped': 'stopping' },
    },
    // Nothing is touched, and nothing opens before another start.
    failed: {
      on: { 'agent.stopped': 'stopping' },
    },
    outOfService: {
      // A session may have ended here: what waited for its end waits no longer.
      invoke: { src: 'tidyUp' },
      always: {
        guard: ({ context }) => context.open.cashIn || context.open.cashOut,
        target: 'inService',
      },
      on: {
        'agent.stopped': 'stopping',
        // A claim on sats needs no device and no open direction: the customer gets the code shown.
        'session.opened': {
          guard: ({ event }) => event.opening.kind === 'claimSats',
          target: 'inService.cashIn',
          actions: { type: 'keepOpening', params: ({ event }) => ({ opening: event.opening }) },
        },
      },
    },
    inService: {
      initial: 'idle',
      states: {
        idle: {
          always: { guard: 'noDirection', target: '#spire.outOfService' },
          invoke: { src: 'tidyUp' },
          on: {
            'agent.stopped': '#spire.stopping',
            'session.opened': [
              {
                guard: ({ event, context }) =>
                  event.opening.kind === 'claimSats' ||
                  (event.opening.kind === 'cashIn' && context.open.cashIn),
                target: 'cashIn',
                actions: {
                  type: 'keepOpening',
                  params: ({ event }) => ({ opening: event.opening }),
                },
              },
              {
                guard: ({ event, context }) =>
                  event.opening.kind !== 'cashIn' && context.open.cashOut,
                target: 'cashOut',
                actions: {
                  type: 'keepOpening',
                  params: ({ event }) => ({ opening: event.opening }),
                },
              },
            ],
          },
        },
        cashIn: {
          invoke: {
            id: 'cashIn',
            src: 'cashIn',
            input: ({ context }): CashInInput =>
              context.opening?.kind === 'claimSats'
                ? { kind: 'claim', transactionId: context.opening.transactionId }
                : { kind: 'deposit' },
            onDone: sessionOver,
            onError: sessionOver,
          },
          on: {
            'customer.finished': { actions: sendTo('cashIn', ({ event }) => event) },
            'customer.cancelled': { actions: sendTo('cashIn', ({ event }) => event) },
            'customer.dismissed': { actions: sendTo('cashIn', ({ event }) => event) },
          },
        },
        cashOut: {
          invoke: {
            id: 'cashOut',
            src: 'cashOut',
            input: ({ context }): CashOutInput =>
              context.opening?.kind === 'claimCash'
                ? {
                    kind: 'redeem',
                    transactionId: context.opening.transactionId,
                    obligationId: context.opening.obligationId,
                  }
                : { kind: 'sale' },
            onDone: sessionOver,
            onError: sessionOver,
          },
          on: {
            'amount.chosen': { actions: sendTo('cashOut', ({ event }) => event) },
            'customer.cancelled': { actions: sendTo('cashOut', ({ event }) => event) },
            'customer.dismissed': { actions: sendTo('cashOut', ({ event }) => event) },
          },
        },
      },
    },
    stopping: { type: 'final' },
  },
});
