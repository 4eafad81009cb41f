/**
 * The withdraw link of a cash-in (design 6.4, 6.5): prepared, signed, on disk as sent, sent,
 * answered,
 * claimed. Of all links ever made for one deposit only the first that was journaled is ever shown.
 */
import { createHash } from 'node:crypto';
import { sleep, timedOut, withDeadline } from '#protocol/base/clock.ts';
import type { TransactionId } from '#protocol/base/ids.ts';
import { type Sats, sats } from '#protocol/base/money.ts';
import { Secret } from '#protocol/base/secret.ts';
import type { PreparedCall, RpcAnswer } from '#protocol/rpc/rpc.ts';
import { findPayout } from '#protocol/rpc/wallet.ts';
import { SignerError } from '#protocol/signer/signer.ts';
import type { Intent } from '#state/intents.ts';
import type { FetchJson } from '../fetch-json.ts';
import type { IssueOutcome, Notice } from '../machines/cash-in.ts';
import type { Parts } from '../parts.ts';
import { askLink, checkLnurl } from './lnurl.ts';
import { transactionOf } from './session.ts';
import { learnCap } from './terms.ts';
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

/** What a transaction's withdraw has come to. */
type Settlement = 'answered' | 'refused' | 'unreadable';

const owed = (code: string, text: string): IssueOutcome => ({
  kind: 'owed',
  notice: { code, text } satisfies Notice,
});

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
      if (await this.#isClaimed(transactionId, poll % CLAIM_WALLET_EVERY === 0)) return;
      await sleep(this.#parts.clock, CLAIM_POLL_MS, ends);
    }
  }

  #owedAs(outcome: string | undefined): IssueOutcome {
    if (outcome === 'claimed') return owed('claimed', 'These sats have been claimed already.');
    if (outcome === 'refused' || outcome === 'unreadable') {
      return owed(
        'withdrawRefused',
        'The wallet cannot pay this out now. Keep your code: the operator has been told.',
      );
    }
    return owed('withdrawPending', 'Your sats are not ready yet. Your code will bring them.');
  }

  #intend(transactionId: TransactionId): Intent {
    const { store } = this.#parts;
    const { principalSats, wireSats } = transactionOf(this.#parts, transactionId);
    const body: WithdrawBody = { principalSats, netSats: wireSats, state: 'prepared', calls: [] };
    return store.commit(() => {
      store.journal.append(
        'withdraw.intended',
        { principalSats, netSats: wireSats },
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
    const { promise, resolve } = Promise.withResolvers<Settlement>();
    const take = (answer: RpcAnswer) => {
      const settlement = this.#take(transactionId, intent, answer);
      if (settlement) resolve(settlement);
    };
    const { calls } = withdrawBody(intent);
    const offs = calls.map((call) => this.#parts.rpc.watch(call, take));
    for (let attempt = calls.length; attempt < ATTEMPTS_MAX; attempt++) {
      const call = await this.#prepare(transactionId);
      this.#journalSent(transactionId, intent, call);
      offs.push(this.#parts.rpc.watch(call, take));
      const settlement = await this.#send(call, promise);
      if (settlement !== timedOut) return settlement;
    }
    this.#owe(transactionId, 'withdrawUnanswered', { attempts: ATTEMPTS_MAX });
    return promise;
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
      const body = withdrawBody(store.intents.get(intent.id) ?? intent);
      const calls = [...body.calls, call];
      store.intents.replaceBody(intent.id, withdrawJson({ ...body, state: 'sent', calls }));
      store.journal.append(
        'withdraw.sent',
        { eventId: call.event.id, attempt: calls.length },
        transactionId,
      );
    });
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
    if (this.#parts.store.intents.get(intent.id)?.state !== 'open') return undefined;
    if (read.capSats !== undefined) learnCap(this.#parts, read.capSats);
    this.#settle(intent, 'refused', { cause: read.cause, words: read.words });
    this.#owe(transactionId, 'withdrawRefused', { cause: read.cause, words: read.words });
    return 'refused';
  }

  #takeLink(transactionId: TransactionId, intent: Intent, lnurl: string): Settlement | undefined {
    const { store, config } = this.#parts;
    const lnurlHash = createHash('sha256').update(lnurl.toUpperCase()).digest('hex');
    const now = store.intents.get(intent.id) ?? intent;
    const body = withdrawBody(now);
    if (body.lnurlHash === lnurlHash) return undefined;
    if (now.state !== 'open' || body.lnurlHash !== undefined) {
      this.#owe(transactionId, 'surplusLink', { lnurlHash });
      return undefined;
    }
    const check = checkLnurl(lnurl, config.allowPrivateHosts);
    if (check.kind === 'bad') {
      this.#settle(intent, 'unreadable', { reason: check.reason, lnurlHash });
      this.#owe(transactionId, 'withdrawRefused', { reason: check.reason, lnurlHash });
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

  #settle(intent: Intent, outcome: string, evidence: Readonly<Record<string, string>>): void {
    const { store } = this.#parts;
    this.#parts.log.warn({ transactionId: intent.transactionId, outcome }, 'withdraw settled');
    store.commit(() => {
      store.intents.settle(intent.id, outcome, evidence);
      store.journal.append(`withdraw.${outcome}`, evidence, intent.transactionId);
    });
  }

  #owe(
    transactionId: TransactionId,
    kind: 'withdrawRefused' | 'withdrawUnanswered' | 'surplusLink',
    body: Readonly<Record<string, string | number>>,
    amountSats?: Sats,
  ): void {
    const { store, config } = this.#parts;
    const { reference, wireSats } = transactionOf(this.#parts, transactionId);
    store.commit(() => {
      store.obligations.insert({
        transactionId,
        reference,
        kind,
        amountSats: amountSats ?? wireSats,
        currency: config.currency,
        body,
      });
      store.journal.append('obligation.opened', { kind, ...body }, transactionId);
    });
    this.#parts.changed();
  }

  /** Evidence only: the link's server says spent, or the wallet lists the payout of our event. */
  async #isClaimed(transactionId: TransactionId, askWallet: boolean): Promise<boolean> {
    const { store, config, wallet } = this.#parts;
    const lnurl = store.secrets.get(transactionId, 'lnurl');
    const intent = store.intents
      .listOpen('withdraw')
      .find((open) => open.transactionId === transactionId);
    if (!intent || !lnurl) return true;
    const check = checkLnurl(lnurl.reveal(), config.allowPrivateHosts);
    if (check.kind === 'ok') {
      const link = await askLink(check.url, this.#fetchLink);
      if (link.kind === 'spent') return this.#claimed(intent, transactionId, 'spent');
      if (link.kind === 'open') this.#compare(intent, transactionId, link.maxWithdrawableMsat);
    }
    if (!askWallet) return false;
    const payments = await wallet.listPayments().catch((err: unknown) => {
      if (err instanceof SignerError) return { kind: 'unanswered' as const };
      throw err;
    });
    if (payments.kind !== 'ok') return false;
    const paid = withdrawBody(intent).calls.some(({ event }) =>
      findPayout(payments.value, event.id),
    );
    return paid && this.#claimed(intent, transactionId, 'payout');
  }

  /** A link that gives less than was promised is shown, and the difference is owed. */
  #compare(intent: Intent, transactionId: TransactionId, maxWithdrawableMsat: number): void {
    const { store } = this.#parts;
    const body = withdrawBody(intent);
    const missing = body.netSats - Math.floor(maxWithdrawableMsat / 1000);
    if (missing <= 0 || body.compared) return;
    store.commit(() =>
      store.intents.replaceBody(intent.id, withdrawJson({ ...body, compared: true })),
    );
    this.#owe(transactionId, 'withdrawRefused', { reason: 'linkBelowPromise' }, sats(missing));
  }

  #claimed(intent: Intent, transactionId: TransactionId, evidence: 'spent' | 'payout'): true {
    const { store, clock } = this.#parts;
    store.commit(() => {
      if (store.intents.get(intent.id)?.state !== 'open') return;
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
      for (const { transactionId } of this.#parts.store.intents.listOpen('withdraw')) {
        if (transactionId !== undefined) await this.#isClaimed(transactionId, true);
      }
    }
  }
}
