/**
 * The customer's desk: takes commands by session and step, hands them to the spire machine, and
 * shows what the machine and the store say. It decides nothing about money.
 */
import type { ActorRefFrom, SnapshotFrom } from 'xstate';
import { position, type TransactionId } from '#protocol/base/ids.ts';
import { minorDigits, minorWithin } from '#protocol/base/money.ts';
import type { Transaction } from '#state/transactions.ts';
import type {
  CashInView,
  CashOutView,
  CommandResult,
  CustomerCommand,
  MachineView,
} from './api/schemas.ts';
import { feeFractionOf } from './cash-in/terms.ts';
import { availableBays } from './cash-out/available.ts';
import { offeredAmounts } from './cash-out/denominate.ts';
import { minorOf } from './cash-out/dispense-batch.ts';
import { invoiceOf } from './cash-out/payments.ts';
import { hashClaimCode, isClaimCode } from './claim-code.ts';
import type { CashInContext, CashInEnd, cashInMachine } from './machines/cash-in.ts';
import type { CashOutEnd, cashOutMachine } from './machines/cash-out.ts';
import type { CustomerEvent, Opening, SpireEvent, spireMachine } from './machines/spire.ts';
import type { Parts } from './parts.ts';
import { reasonKey, type Said, say } from './texts/customer.ts';
import { isSuspended } from './upkeep/restore.ts';
import type { Direction, Reason } from './watch/reasons.ts';

/** Wrong claim codes that are let pass in the window (design 7.7). */
const WRONG_TRIES_MAX = 5;
const WRONG_TRIES_MS = 600_000;
/** A link comes back by its code for a day (design 6.5). */
const LINK_SHOWN_MS = 86_400_000;
/** Results kept, so that a repeat gets the first one; the oldest are forgotten. */
const RESULTS_MAX = 256;

/** What lets nobody in, also for a claim that needs no open direction. */
const SERVES_NOBODY: ReadonlySet<string> = new Set(['updating', 'exchangeActive']);

type Refused = Extract<CommandResult, { ok: false }>;
type Refusal = Refused['code'];
type SpireActor = ActorRefFrom<typeof spireMachine>;

/**
 * Ends that went well: what was said on the way, about a note that came back, is not how it
 * ended.
 */
const GOOD_ENDS: ReadonlySet<string> = new Set(['claimed', 'unclaimed', 'dispensed']);

const held = (reference: string): Said => say('closed', 'refusal.held', { reference });

/** The operator's sentence with its details, and the name of the customer's. */
const reasonWords = ({ code, text }: Reason): Said => ({ code, text, key: reasonKey(code) });

function endWords(end: CashInEnd | CashOutEnd, notice: CashInContext['notice']): Said {
  return notice === null || GOOD_ENDS.has(end) ? say(end, `end.${end}`) : { ...notice, code: end };
}

/** Puts commands to the machine and shows it. */
export class Desk {
  readonly #parts: Parts;
  readonly #spire: SpireActor;
  readonly #results = new Map<string, CommandResult>();
  /** The screen's name for the session that is on, and its next step. */
  #session = { id: '', step: 0 };

  constructor(parts: Parts, spire: SpireActor) {
    this.#parts = parts;
    this.#spire = spire;
  }

  /** Carries out a command; a repeat of an accepted one returns the first result. */
  command(command: CustomerCommand): CommandResult {
    const key = `${command.session}:${command.step}:${command.do}`;
    const first = this.#results.get(key);
    if (first) return first;
    const result = this.#carryOut(command);
    if (result.ok) {
      this.#results.set(key, result);
      const [oldest] = this.#results.keys();
      if (this.#results.size > RESULTS_MAX && oldest !== undefined) this.#results.delete(oldest);
    }
    return result;
  }

  #carryOut(command: CustomerCommand): CommandResult {
    switch (command.do) {
      case 'startCashIn':
        return this.#open(command, { kind: 'cashIn' }, 'cashIn');
      case 'startCashOut':
        return this.#open(command, { kind: 'cashOut' }, 'cashOut');
      case 'redeem':
        return this.#redeem(command, command.code);
      case 'chooseAmount':
        return this.#chooseAmount(command, command.amountMinor);
      case 'finish':
        return this.#pass(command, { type: 'customer.finished' });
      case 'cancel':
        return this.#pass(command, { type: 'customer.cancelled' });
      case 'dismiss':
        return this.#pass(command, { type: 'customer.dismissed' });
    }
  }

  /** Refuses for a cause that only a program can have: the screen never asks for it. */
  #refuse(code: Refusal, reason: string): Refused {
    return { ok: false, code, reason, step: this.#session.step };
  }

  /** Refuses with a sentence of the catalogue. */
  #tell(code: Refusal, { text, key, values }: Said): Refused {
    return { ...this.#refuse(code, text), key, values };
  }

  #accept(id: string, step: number): CommandResult {
    this.#session = { id, step: step + 1 };
    return { ok: true, session: id, step: step + 1 };
  }

  #open(command: CustomerCommand, opening: Opening, direction: Direction): CommandResult {
    if (command.step !== 0) return this.#refuse('sequenceError', 'a session opens at step 0');
    // Also the claims that no closed direction keeps from being shown.
    const nobody = this.#parts.board.list(direction).find(({ code }) => SERVES_NOBODY.has(code));
    if (nobody) return this.#tell('closed', reasonWords(nobody));
    const snapshot = this.#spire.getSnapshot();
    if (snapshot.context.opening) {
      return this.#tell('busy', say('busy', 'refusal.anotherSession'));
    }
    const event: SpireEvent = { type: 'session.opened', opening };
    if (!snapshot.can(event)) {
      const [reason] = this.#parts.board.list(direction);
      const words = reason ? reasonWords(reason) : say('closed', 'refusal.notReady');
      return this.#tell('closed', words);
    }
    // Before the event: the machine may change the view at once.
    const accepted = this.#accept(command.session, 0);
    this.#spire.send(event);
    return accepted;
  }

  #chooseAmount(command: CustomerCommand, amountMinor: number): CommandResult {
    const amount = this.#offered().find((offered) => offered === amountMinor);
    if (amount === undefined) return this.#tell('usage', say('usage', 'refusal.notOffered'));
    return this.#pass(command, { type: 'amount.chosen', amount });
  }

  #pass(command: CustomerCommand, event: CustomerEvent): CommandResult {
    if (command.session !== this.#session.id) {
      return this.#tell('notFound', say('notFound', 'refusal.sessionOver'));
    }
    if (command.step !== this.#session.step) {
      return this.#refuse('sequenceError', `the next step is ${this.#session.step}`);
    }
    if (!this.#can(event)) {
      return this.#tell('sequenceError', say('closed', 'refusal.notNow'));
    }
    const accepted = this.#accept(command.session, command.step);
    this.#spire.send(event);
    return accepted;
  }

  #redeem(command: CustomerCommand, code: string): CommandResult {
    const { store, clock, claimKey } = this.#parts;
    const now = clock.now();
    if (store.wrongTries.countSince('claim', now - WRONG_TRIES_MS) >= WRONG_TRIES_MAX) {
      return this.#tell('tooManyTries', say('tooManyTries', 'refusal.tooManyTries'));
    }
    if (!isClaimCode(code)) {
      return this.#tell('notFound', say('notFound', 'refusal.notACode'));
    }
    const transaction = store.transactions.byClaimHash(hashClaimCode(claimKey, code));
    if (!transaction) {
      store.commit(() => store.wrongTries.add('claim', now));
      return this.#tell('notFound', say('notFound', 'refusal.noSuchCode'));
    }
    const due = store.obligations
      .forTransaction(transaction.id)
      .filter(({ settledAtUnixMs }) => settledAtUnixMs === undefined);
    const owed = due.filter(({ state }) => state === 'open');
    const cash = owed.find(({ kind }) => kind === 'remainder' || kind === 'latePayment');
    if (cash) {
      const opening: Opening = {
        kind: 'claimCash',
        transactionId: transaction.id,
        obligationId: cash.id,
      };
      return this.#open(command, opening, 'cashOut');
    }
    if (due.some(isSuspended)) return this.#tell('closed', held(transaction.reference));
    const young = now - transaction.createdAtUnixMs < LINK_SHOWN_MS;
    if (
      transaction.kind === 'cashIn' &&
      transaction.wireSats > 0 &&
      young &&
      !transaction.outcome
    ) {
      return this.#open(command, { kind: 'claimSats', transactionId: transaction.id }, 'cashIn');
    }
    if (due.length > 0) return this.#tell('closed', held(transaction.reference));
    const { reference } = transaction;
    return this.#tell('closed', say('closed', 'refusal.over', { reference }));
  }

  /** Whether the session that is on knows this event in its present state. */
  #can(event: CustomerEvent): boolean {
    const { cashIn, cashOut } = this.#spire.getSnapshot().children;
    if (cashIn && event.type !== 'amount.chosen') return cashIn.getSnapshot().can(event);
    if (cashOut && event.type !== 'customer.finished') return cashOut.getSnapshot().can(event);
    return false;
  }

  #offered() {
    return offeredAmounts(availableBays(this.#parts), this.#parts.config.limits);
  }

  /** The machine as a customer may see it. */
  view(): MachineView {
    const { config, board, rates } = this.#parts;
    const fees = this.#parts.fees();
    const fraction = (direction: Direction) => (fees ? feeFractionOf(fees[direction]) : null);
    const side = (direction: Direction) => ({
      open: board.open(direction),
      reasons: board.list(direction).map(reasonWords),
      feeFraction: fraction(direction),
    });
    return {
      state: this.#state(),
      currency: config.currency,
      language: config.language,
      minorDigits: minorDigits(config.currency),
      supportContact: config.support.contact,
      cashIn: side('cashIn'),
      cashOut: side('cashOut'),
      rateMinorPerBtc: rates.latest()?.minorPerBtc ?? null,
      session: this.#sessionView(),
    };
  }

  #state(): MachineView['state'] {
    const snapshot = this.#spire.getSnapshot();
    if (snapshot.matches('recovering')) return 'recovering';
    if (snapshot.matches('stopping')) return 'stopping';
    if (snapshot.matches({ inService: 'cashIn' })) return 'cashIn';
    if (snapshot.matches({ inService: 'cashOut' })) return 'cashOut';
    // Whatever else is closed meanwhile: somebody stands there with the door open.
    if (this.#parts.board.has('cashIn', 'exchangeActive')) return 'exchange';
    return snapshot.matches({ inService: 'idle' }) ? 'idle' : 'outOfService';
  }

  #sessionView(): CashInView | CashOutView | null {
    const { cashIn, cashOut } = this.#spire.getSnapshot().children;
    if (cashIn) return this.#cashInView(cashIn.getSnapshot());
    if (cashOut) return this.#cashOutView(cashOut.getSnapshot());
    return null;
  }

  #common(
    id: TransactionId | null,
    transaction: Transaction | undefined,
    context: Pick<CashInContext, 'notice'> & { end: CashInEnd | CashOutEnd | null },
    ended: boolean,
  ) {
    const code = id === null ? undefined : this.#parts.store.secrets.get(id, 'claimCode');
    return {
      session: this.#session.id,
      step: this.#session.step,
      reference: transaction?.reference ?? null,
      claimCode: code?.reveal() ?? null,
      notice: context.notice,
      outcome: ended && context.end !== null ? endWords(context.end, context.notice) : null,
    };
  }

  #cashInView(child: SnapshotFrom<typeof cashInMachine>): CashInView {
    const { store } = this.#parts;
    const { context } = child;
    const id = context.transactionId;
    const transaction = id === null ? undefined : store.transactions.get(id);
    const ended = child.matches('done') || child.matches('concluding');
    const common = this.#common(id, transaction, context, ended);
    const offering = child.matches('offering');
    const anyMoney = (transaction?.principalSats ?? 0) > 0 || context.escrowed !== null;
    return {
      kind: 'cashIn',
      ...common,
      claimCode: anyMoney || child.matches('accepting') ? common.claimCode : null,
      phase: cashInPhase(child),
      terms: context.terms && {
        rateMinorPerBtc: context.terms.rate,
        feeFraction: context.terms.feeFraction,
        capSats: context.terms.capSats,
        capMinor: capMinorOf(context.terms),
        acceptedMinor: [...context.terms.accepted],
      },
      notes: context.total?.notes ?? 0,
      fiatMinor: transaction?.fiatMinor ?? 0,
      principalSats: transaction?.principalSats ?? 0,
      feeSats: transaction?.feeSats ?? 0,
      netSats: transaction?.wireSats ?? 0,
      lnurl: (offering && id !== null && store.secrets.get(id, 'lnurl')?.reveal()) || null,
    };
  }

  #cashOutView(child: SnapshotFrom<typeof cashOutMachine>): CashOutView {
    const { store } = this.#parts;
    const fees = this.#parts.fees();
    const { context } = child;
    const id = context.transactionId;
    const transaction = id === null ? undefined : store.transactions.get(id);
    const ended = child.matches('done') || child.matches('concluding');
    const paying = child.matches('awaitingPayment');
    return {
      kind: 'cashOut',
      ...this.#common(id, transaction, context, ended),
      phase: cashOutPhase(child),
      offeredMinor: child.matches('choosing') ? [...this.#offered()] : [],
      fiatMinor: transaction?.fiatMinor ?? 0,
      principalSats: transaction?.principalSats ?? 0,
      feeSats: transaction?.feeSats ?? 0,
      wireSats: transaction?.wireSats ?? 0,
      feeFraction: fees ? feeFractionOf(fees.cashOut) : 0,
      rateMinorPerBtc: transaction?.rateMinorPerBtc ?? this.#parts.rates.latest()?.minorPerBtc ?? 0,
      bolt11: (paying && id !== null && invoiceOf(store, id)) || null,
      expiresAtUnixMs: paying ? context.expiresAtUnixMs : null,
      dispensedMinor: minorOf(this.#parts, countsOf(context.dispensed)),
      dispensed: { ...context.dispensed },
      remainderMinor: context.remainderMinor,
    };
  }
}

/** Notes by bay, as the machine has counted them. */
const countsOf = (dispensed: Readonly<Record<string, number>>) =>
  Object.entries(dispensed).map(([bay, count]) => ({ position: position(Number(bay)), count }));

function capMinorOf({ capSats, rate }: NonNullable<CashInContext['terms']>): number | null {
  return capSats === null ? null : minorWithin(capSats, rate);
}

function cashInPhase(child: SnapshotFrom<typeof cashInMachine>): CashInView['phase'] {
  if (child.matches('quoting') || child.matches('opening')) return 'quoting';
  if (child.matches({ accepting: 'depositing' }) || child.matches({ accepting: 'returning' })) {
    return 'moving';
  }
  if (child.matches('accepting')) return 'inserting';
  if (child.matches('closing')) return 'moving';
  if (child.matches('issuing')) return 'issuing';
  if (child.matches('offering')) return 'offering';
  return 'ended';
}

function cashOutPhase(child: SnapshotFrom<typeof cashOutMachine>): CashOutView['phase'] {
  if (child.matches('choosing')) return 'choosing';
  if (child.matches('reserving') || child.matches('invoicing')) return 'preparing';
  if (child.matches('awaitingPayment')) return 'awaitingPayment';
  if (child.matches('redeeming') || child.matches('dispensing')) return 'dispensing';
  if (child.matches('presenting')) return 'presenting';
  return 'ended';
}
