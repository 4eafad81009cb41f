/**
 * The withdraw link of a cash-in (design 6.4, 6.5): prepared, signed, on disk as sent, sent,
 * answered,
 * claimed. Of all links ever made for one deposit only the first that was journaled is ever shown.
 */
import assert from 'node:assert';
import { createHash } from 'node:crypto';
import { sleep, timedOut, withDeadline } from '#protocol/base/clock.ts';
import { RelayError } from '#protocol/base/errors.ts';
import type { TransactionId } from '#protocol/base/ids.ts';
import { type Sats, sats } from '#protocol/base/money.ts';
import { Secret } from '#protocol/base/secret.ts';
import type { PreparedCall, RpcAnswer } from '#protocol/rpc/rpc.ts';
import { findPayout, type WalletPayment } from '#protocol/rpc/wallet.ts';
import { SignerError } from '#protocol/signer/signer.ts';
import type { Intent } from '#state/intents.ts';
import type { FetchJson } from '../fetch-json.ts';
import type { IssueOutcome, Notice } from '../machines/cash-in.ts';
import type { Parts } from '../parts.ts';
import { hasOpenAct } from '../recovery/open-act.ts';
import { recoveryPolicy } from '../recovery/recovery-policy.ts';
import { say } from '../texts/customer.ts';
import { untilWritten } from '../watch/until-written.ts';
import { askLink, checkLnurl } from './lnurl.ts';
import { learnCap, transactionOf } from './terms.ts';
import { type WithdrawBody, withdrawBody, withdrawJson } from './withdraw-body.ts';

/** Attempts in all; a link whose answer never reached us is known to nobody. */
const ATTEMPTS_MAX = 3;
/** From one attempt to the next. */
const ATTEMPT_MS = 120_000;
/** The very same event is sent again at this pace, while relays still take it (under 50 s old). */
const REPEAT_MS = 15_000;
const REPEATS_MAX = 3;
/** Pause after a signer that did not sign. */
const SIGNER_PAUSE_MS = 10_000;
/** How long a customer waits at the screen before the code takes over. */
const CUSTOMER_WAIT_MS = 60_000;
/**
 * Pace of asking whether the link was claimed: by its own server, and every sixth time the
 * wallet.
 */
const CLAIM_POLL_MS = 5_000;
const CLAIM_WALLET_EVERY = 6;
/** Pace for links that nobody looks at any more. */
const BACKGROUND_MS = 300_000;
/**
 * How long further answers are listened for once one was taken: requests expire after 300 s, and
 * calls that are watched for ever would use up the client's bound.
 */
const LATE_ANSWER_MS = 600_000;

/** What a transaction's withdraw has come to. */
type Settlement = 'answered' | 'refused' | 'unreadable';

const { refused: REFUSED, unanswered: UNANSWERED, surplus: SURPLUS } = recoveryPolicy.withdraw;
type OwedKind = (typeof REFUSED | typeof UNANSWERED | typeof SURPLUS)['owes'];
type OwedBody = Readonly<Record<string, string | number>>;

const owed = (notice: Notice): IssueOutcome => ({ kind: 'owed', notice });

/** Issues withdraw links and follows them until they are claimed. */
export class Withdraws {
  readonly #parts: Parts;
  readonly #fetchLink: FetchJson;
  readonly #running = new Map<TransactionId, Promise<Settlement>>();
  readonly #closed = new AbortController();

  constructor(parts: Parts, fetchLink: FetchJson) {
    this.#parts = parts;
    this.#fetchLink = fetchLink;
  }

  /** Goes on with what was open when the program ended, and follows links left unclaimed. */
  resume(): void {
    for (const intent of this.#parts.store.intents.listOpen('withdraw')) {
      if (intent.transactionId === undefined) continue;
      if (withdrawBody(intent).state !== 'answered') void this.#start(intent.transactionId, intent);
    }
    void this.#followUnclaimed().catch((err: unknown) => this.#stopQuietly(err));
  }

  /** Ends the waiting; what is on disk goes on after the next start. */
  close(): void {
    this.#closed.abort(new Error('closed'));
  }

  /**
   * Asks for the link, or joins the asking; `owed` when it has to come later, by the claim
   * code.
   */
  async issue(transactionId: TransactionId): Promise<IssueOutcome> {
    const { store, clock } = this.#parts;
    if (store.secrets.get(transactionId, 'lnurl')) return { kind: 'issued' };
    // A deposit has one link: a note that may still be booked waits to be part of it.
    if (hasOpenAct(this.#parts, transactionId)) return this.#owedAs(undefined);
    const past = store.intents
      .forTransaction(transactionId)
      .filter(({ kind }) => kind === 'withdraw');
    const open = past.find(({ state }) => state === 'open');
    const last = past.at(-1);
    if (!open && last && last.outcome !== 'refused') return this.#owedAs(last.outcome);
    const settlement = this.#start(transactionId, open ?? this.#intend(transactionId));
    const end = await withDeadline(clock, CUSTOMER_WAIT_MS, settlement);
    if (end === 'answered') return { kind: 'issued' };
    return this.#owedAs(end === timedOut ? undefined : end);
  }

  /** Resolves when the link was proven claimed; rejects when the signal ends the waiting. */
  async awaitClaim(transactionId: TransactionId, signal: AbortSignal): Promise<void> {
    const ends = AbortSignal.any([signal, this.#closed.signal]);
    for (let poll = 1; ; poll++) {
      const payments = poll % CLAIM_WALLET_EVERY === 0 ? await this.#payments() : [];
      if (await this.#isClaimed(transactionId, payments)) return;
      await sleep(this.#parts.clock, CLAIM_POLL_MS, ends);
    }
  }

  #owedAs(outcome: string | undefined): IssueOutcome {
    if (outcome === 'claimed') return owed(say('claimed', 'notice.claimed'));
    if (outcome === 'refused' || outcome === 'unreadable') {
      return owed(say('withdrawRefused', 'notice.withdrawRefused'));
    }
    return owed(say('withdrawPending', 'notice.withdrawPending'));
  }

  #intend(transactionId: TransactionId): Intent {
    const { store } = this.#parts;
    const { principalSats, feeSats, wireSats } = transactionOf(this.#parts, transactionId);
    const body: WithdrawBody = { principalSats, netSats: wireSats, state: 'prepared', calls: [] };
    return store.commit(() => {
      store.journal.append(
        'withdraw.intended',
        { principalSats, feeSats, netSats: wireSats },
        transactionId,
      );
      store.transactions.update(transactionId, { state: 'issuing' });
      return store.intents.open({ kind: 'withdraw', transactionId, body: withdrawJson(body) });
    });
  }

  #start(transactionId: TransactionId, intent: Intent): Promise<Settlement> {
    const running = this.#running.get(transactionId);
    if (running !== undefined) return running;
    const started = this.#drive(transactionId, intent).finally(() => {
      this.#running.delete(transactionId);
    });
    started.catch((err: unknown) => this.#stopQuietly(err));
    this.#running.set(transactionId, started);
    return started;
  }

  #stopQuietly(err: unknown): void {
    if (!this.#closed.signal.aborted) this.#parts.log.error({ err }, 'withdraw stopped');
  }

  /** Attempts until an answer settles it. After the last one it only listens. */
  async #drive(transactionId: TransactionId, intent: Intent): Promise<Settlement> {
    const { promise, resolve, reject } = Promise.withResolvers<Settlement>();
    const { signal } = this.#closed;
    const giveUp = () => reject(signal.reason);
    signal.addEventListener('abort', giveUp, { once: true });
    // While the signer is asked nobody waits for it, and then nobody is told of the end either.
    promise.catch(() => undefined);
    const take = (answer: RpcAnswer) => {
      untilWritten(this.#parts, signal, () => {
        const settlement = this.#take(transactionId, intent, answer);
        if (settlement) resolve(settlement);
      });
    };
    const { calls } = withdrawBody(intent);
    const offs = calls.map((call) => this.#parts.rpc.watch(call, take));
    try {
      // One that was sent before a restart has its time too: its answer may be on the way.
      let call = calls.at(-1);
      for (let attempt = calls.length; ; attempt++) {
        const settlement = call ? await this.#send(call, promise) : timedOut;
        if (settlement !== timedOut) return settlement;
        if (attempt >= ATTEMPTS_MAX) break;
        call = await this.#prepare(transactionId);
        this.#journalSent(transactionId, intent, call);
        offs.push(this.#parts.rpc.watch(call, take));
      }
      this.#oweUnanswered(transactionId);
      return await promise;
    } finally {
      // What listens on for years would keep every answer, and the link in it, in memory.
      signal.removeEventListener('abort', giveUp);
      // Late answers are heard for a while, and by nobody once the program ends.
      const unwatch = () => {
        for (const off of offs) off();
      };
      void sleep(this.#parts.clock, LATE_ANSWER_MS, this.#closed.signal).then(unwatch, unwatch);
    }
  }

  /** Said once, however often the program starts while it waits. */
  #oweUnanswered(transactionId: TransactionId): void {
    const { store } = this.#parts;
    const told = store.obligations
      .forTransaction(transactionId)
      .some(({ kind, state }) => kind === UNANSWERED.owes && state === 'open');
    if (!told) this.#owe(transactionId, UNANSWERED.owes, { attempts: ATTEMPTS_MAX });
  }

  async #send(
    call: PreparedCall,
    answered: Promise<Settlement>,
  ): Promise<Settlement | typeof timedOut> {
    const { clock, rpc, log } = this.#parts;
    for (let repeat = 0; repeat <= REPEATS_MAX; repeat++) {
      const sent = rpc.publish(call).then((results) => {
        log.info({ results, eventId: call.event.id }, 'withdraw sent');
      });
      sent.catch((err: unknown) => log.error({ err }, 'withdraw not sent'));
      const settlement = await withDeadline(clock, REPEAT_MS, answered);
      if (settlement !== timedOut) return settlement;
    }
    return withDeadline(clock, ATTEMPT_MS - REPEAT_MS * (REPEATS_MAX + 1), answered);
  }

  /** An unsigned call is nothing yet: the signer is asked as often as needed. */
  async #prepare(transactionId: TransactionId): Promise<PreparedCall> {
    const { wallet, clock, log } = this.#parts;
    const { principalSats } = transactionOf(this.#parts, transactionId);
    for (;;) {
      try {
        return await wallet.prepareWithdraw(principalSats);
      } catch (err) {
        if (!(err instanceof SignerError)) throw err;
        log.warn({ err, transactionId }, 'withdraw waits for the signer');
        await sleep(clock, SIGNER_PAUSE_MS, this.#closed.signal);
      }
    }
  }

  /** On disk before the first byte leaves: from here on a link may exist. */
  #journalSent(transactionId: TransactionId, intent: Intent, call: PreparedCall): void {
    const { store } = this.#parts;
    store.commit(() => {
      const body = withdrawBody(this.#latest(intent));
      const calls = [...body.calls, call];
      store.intents.replaceBody(intent.id, withdrawJson({ ...body, state: 'sent', calls }));
      store.journal.append(
        'withdraw.sent',
        { eventId: call.event.id, attempt: calls.length },
        transactionId,
      );
    });
  }

  /** The intent as it is on disk now. */
  #latest(intent: Intent): Intent {
    const now = this.#parts.store.intents.get(intent.id);
    assert.ok(now, 'an intent stays');
    return now;
  }

  /** Judges one answer; undefined when it settles nothing. */
  #take(transactionId: TransactionId, intent: Intent, answer: RpcAnswer): Settlement | undefined {
    const { wallet, log } = this.#parts;
    const read = wallet.readWithdraw(answer);
    if (read.kind === 'link') return this.#takeLink(transactionId, intent, read.lnurl);
    if (read.kind === 'malformed') {
      log.warn({ transactionId, reason: read.reason }, 'withdraw answer cannot be read');
      return undefined;
    }
    log.warn({ transactionId, cause: read.cause, words: read.words }, 'withdraw refused');
    if (read.cause === 'transient' || read.cause === 'rateLimited') return undefined;
    if (read.capSats !== undefined) learnCap(this.#parts, read.capSats);
    const now = this.#latest(intent);
    // A further event may be refused when an earlier one has its link.
    if (now.state !== 'open' || withdrawBody(now).state === 'answered') return undefined;
    this.#settleOwed(transactionId, intent, 'refused', { cause: read.cause, words: read.words });
    return 'refused';
  }

  #takeLink(transactionId: TransactionId, intent: Intent, lnurl: string): Settlement | undefined {
    const { store, config } = this.#parts;
    const lnurlHash = createHash('sha256').update(lnurl.toUpperCase()).digest('hex');
    const now = this.#latest(intent);
    const body = withdrawBody(now);
    if (body.lnurlHash === lnurlHash) return undefined;
    if (now.state !== 'open' || body.lnurlHash !== undefined) {
      this.#owe(transactionId, SURPLUS.owes, { lnurlHash });
      return undefined;
    }
    const check = checkLnurl(lnurl, config.allowPrivateHosts);
    if (check.kind === 'bad') {
      this.#settleOwed(transactionId, intent, 'unreadable', { reason: check.reason, lnurlHash });
      return 'unreadable';
    }
    store.commit(() => {
      store.secrets.put({ transactionId, kind: 'lnurl', value: new Secret(lnurl.toUpperCase()) });
      store.intents.replaceBody(intent.id, withdrawJson({ ...body, state: 'answered', lnurlHash }));
      store.transactions.update(transactionId, { state: 'offered' });
      for (const obligation of store.obligations.forTransaction(transactionId)) {
        if (obligation.state !== 'open' || !obligation.kind.startsWith('withdraw')) continue;
        store.obligations.setState(obligation.id, 'open', 'settled', 'machine', 'link came later');
      }
      store.journal.append('withdraw.answered', { lnurlHash }, transactionId);
    });
    this.#parts.changed();
    return 'answered';
  }

  /** Ends a withdraw without a link: what was promised is owed from the same commit on. */
  #settleOwed(
    transactionId: TransactionId,
    intent: Intent,
    outcome: string,
    evidence: Readonly<Record<string, string>>,
  ): void {
    const { store, log } = this.#parts;
    log.warn({ transactionId, outcome }, 'withdraw settled');
    store.commit(() => {
      store.intents.settle(intent.id, outcome, evidence);
      store.journal.append(`withdraw.${outcome}`, evidence, transactionId);
      this.#writeOwed(transactionId, REFUSED.owes, evidence);
    });
    this.#parts.changed();
  }

  #owe(transactionId: TransactionId, kind: OwedKind, body: OwedBody): void {
    this.#parts.store.commit(() => this.#writeOwed(transactionId, kind, body));
    this.#parts.changed();
  }

  /** To be called inside a commit. */
  #writeOwed(transactionId: TransactionId, kind: OwedKind, body: OwedBody, amount?: Sats): void {
    const { store, config } = this.#parts;
    const { reference, wireSats } = transactionOf(this.#parts, transactionId);
    store.obligations.insert({
      transactionId,
      reference,
      kind,
      amountSats: amount ?? wireSats,
      currency: config.currency,
      body,
    });
    store.journal.append('obligation.opened', { kind, ...body }, transactionId);
  }

  /** Evidence only: the link's server says spent, or the wallet lists the payout of our event. */
  async #isClaimed(
    transactionId: TransactionId,
    payments: readonly WalletPayment[],
  ): Promise<boolean> {
    const { store, config } = this.#parts;
    const intent = store.intents
      .forTransaction(transactionId)
      .findLast(({ kind }) => kind === 'withdraw');
    if (intent?.outcome === 'claimed') return true;
    const lnurl = store.secrets.get(transactionId, 'lnurl');
    if (intent?.state !== 'open' || !lnurl) return false;
    const { calls } = withdrawBody(intent);
    if (calls.some(({ event }) => findPayout(payments, event.id))) {
      return this.#claimed(intent, transactionId, 'payout');
    }
    const check = checkLnurl(lnurl.reveal(), config.allowPrivateHosts);
    if (check.kind === 'bad') return false;
    const link = await askLink(check.url, this.#fetchLink);
    if (link.kind === 'spent') return this.#claimed(intent, transactionId, 'spent');
    if (link.kind === 'open') this.#compare(intent, transactionId, link.maxWithdrawableMsat);
    return false;
  }

  /** What the wallet lists; nothing when it cannot be asked, which proves nothing. */
  async #payments(): Promise<readonly WalletPayment[]> {
    try {
      const answer = await this.#parts.wallet.listPayments();
      return answer.kind === 'ok' ? answer.value : [];
    } catch (err) {
      if (err instanceof SignerError || err instanceof RelayError) return [];
      throw err;
    }
  }

  /** A link that gives less than was promised is shown, and the difference is owed. */
  #compare(intent: Intent, transactionId: TransactionId, maxWithdrawableMsat: number): void {
    const { store } = this.#parts;
    // Read again: the link's server took its time, and somebody else may have compared meanwhile.
    const now = this.#latest(intent);
    const body = withdrawBody(now);
    const missing = body.netSats - Math.floor(maxWithdrawableMsat / 1000);
    if (missing <= 0 || body.compared || now.state !== 'open') return;
    const reason = { reason: 'linkBelowPromise' };
    store.commit(() => {
      store.intents.replaceBody(intent.id, withdrawJson({ ...body, compared: true }));
      this.#writeOwed(transactionId, REFUSED.owes, reason, sats(missing));
    });
    this.#parts.changed();
  }

  #claimed(intent: Intent, transactionId: TransactionId, evidence: 'spent' | 'payout'): true {
    const { store, clock } = this.#parts;
    store.commit(() => {
      if (this.#latest(intent).state !== 'open') return;
      store.intents.settle(intent.id, 'claimed', { evidence });
      store.secrets.erase(transactionId, 'lnurl');
      store.secrets.erase(transactionId, 'claimCode');
      store.transactions.update(transactionId, {
        state: 'claimed',
        outcome: 'claimed',
        endedAtUnixMs: clock.now(),
      });
      store.journal.append('withdraw.claimed', { evidence }, transactionId);
    });
    this.#parts.changed();
    return true;
  }

  async #followUnclaimed(): Promise<void> {
    for (;;) {
      await sleep(this.#parts.clock, BACKGROUND_MS, this.#closed.signal);
      const open = this.#parts.store.intents.listOpen('withdraw');
      const payments = open.length > 0 ? await this.#payments() : [];
      for (const { transactionId } of open) {
        if (transactionId !== undefined) await this.#isClaimed(transactionId, payments);
      }
    }
  }
}
