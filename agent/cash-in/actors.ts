/** The effects of the cash-in machine, bound to the parts of this machine. */
import { fromCallback } from 'xstate';
import type { TransactionId } from '#protocol/base/ids.ts';
import type {
  CashInEnd,
  CashInEvent,
  NoteInput,
  QuoteOutcome,
  WithTransaction,
} from '../machines/cash-in.ts';
import { effect } from '../machines/effect.ts';
import type { Parts } from '../parts.ts';
import { isSaidKey, type Said, say } from '../texts/customer.ts';
import { depositNote, returnNote } from './note.ts';
import { arm, conclude, disarm, judge, quote } from './session.ts';
import { FRESH_MS, readAhead } from './terms.ts';
import type { Withdraws } from './withdraws.ts';

/** A note is in escrow, or refused, by then. */
const DRAWING_MS = 5_000;

/** Why a note came back: the catalogue's sentence for it, or the one that fits all. */
function refusal(reason: string): Said {
  const code = `refused.${reason}`;
  const key = `notice.${code}`;
  return say(code, isSaidKey(key) ? key : 'notice.refused');
}

/** While a note is drawn in: a balance that would be too old for it is renewed, the rest read. */
async function prepareToJudge(parts: Parts, transactionId: TransactionId): Promise<void> {
  await parts.walletWatch.balance(FRESH_MS - DRAWING_MS);
  readAhead(parts, transactionId);
}

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
    acceptorNews: fromCallback<CashInEvent, WithTransaction>(({ sendBack, input }) =>
      parts.acceptor.subscribe((event) => {
        switch (event.kind) {
          case 'note.inserted':
            prepareToJudge(parts, input.transactionId).catch((err: unknown) => {
              // Nobody waits for it here: the note is judged by the next question, or not taken.
              parts.log.warn({ err }, 'not prepared for the note that is drawn in');
            });
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
              notice: refusal(event.reason),
            });
            break;
          case 'status.changed':
            if (event.status.device !== 'ready' || event.status.cashBox !== 'ok') {
              sendBack({
                type: 'acceptor.lost',
                notice: say('acceptorLost', 'notice.slotLost'),
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
