/** The effects of the cash-in machine, bound to the parts of this machine. */
import { fromCallback } from 'xstate';
import type {
  CashInEnd,
  CashInEvent,
  NoteInput,
  QuoteOutcome,
  WithTransaction,
} from '../machines/cash-in.ts';
import { effect } from '../machines/effect.ts';
import type { Parts } from '../parts.ts';
import { depositNote, returnNote } from './note.ts';
import { arm, conclude, disarm, judge, quote } from './session.ts';
import type { Withdraws } from './withdraws.ts';

const REFUSALS: Readonly<Record<string, string>> = {
  inhibited: 'This note is not accepted now.',
  unrecognised: 'The note was not recognised. Try it flat and straight, or another one.',
  insertion: 'The note went in askew. Please try again.',
  multiple: 'One note at a time, please.',
};

/** Everything that `cashInMachine.provide` wants. */
export function cashInActors(parts: Parts, withdraws: Withdraws) {
  return {
    quote: effect<QuoteOutcome>(() => quote(parts)),
    arm: effect((input: WithTransaction) => arm(parts, input.transactionId)),
    disarm: effect<void>(() => disarm(parts)),
    judge: effect((input: NoteInput) => judge(parts, input)),
    deposit: effect((input: NoteInput) => depositNote(parts, input)),
    returnNote: effect((input: NoteInput) => returnNote(parts, input)),
    issue: effect((input: WithTransaction) => withdraws.issue(input.transactionId)),
    awaitClaim: effect((input: WithTransaction, signal) =>
      withdraws.awaitClaim(input.transactionId, signal),
    ),
    conclude: effect((input: WithTransaction & { readonly end: CashInEnd }) =>
      conclude(parts, input),
    ),
    acceptorNews: fromCallback<CashInEvent, undefined>(({ sendBack }) =>
      parts.acceptor.subscribe((event) => {
        switch (event.kind) {
          case 'note.inserted':
            sendBack({ type: 'note.inserted' });
            break;
          case 'note.escrowed':
            sendBack({ type: 'note.escrowed', value: event.value });
            break;
          case 'note.returned':
            sendBack({ type: 'note.returned' });
            break;
          case 'note.refused':
            sendBack({
              type: 'note.refused',
              notice: {
                code: `refused.${event.reason}`,
                text: REFUSALS[event.reason] ?? 'The note came back. Please try another one.',
              },
            });
            break;
          case 'status.changed':
            if (event.status.device !== 'ready' || event.status.cashBox !== 'ok') {
              sendBack({
                type: 'acceptor.lost',
                notice: {
                  code: 'acceptorLost',
                  text: 'The note slot cannot take more notes now. What you put in counts.',
                },
              });
            }
            break;
          default:
            parts.log.warn({ kind: event.kind }, 'acceptor news for the operator');
        }
      }),
    ),
  };
}
