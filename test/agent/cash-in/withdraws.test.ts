import { describe, expect, test } from 'vitest';
import { transactionOf } from '#agent/cash-in/terms.ts';
import { withdrawBody } from '#agent/cash-in/withdraw-body.ts';
import { Withdraws } from '#agent/cash-in/withdraws.ts';
import type { IssueOutcome } from '#agent/machines/cash-in.ts';
import { RelayError } from '#protocol/base/errors.ts';
import { newReference, newTransactionId, type TransactionId } from '#protocol/base/ids.ts';
import { minorPerBtc, minorUnits, sats } from '#protocol/base/money.ts';
import { Secret } from '#protocol/base/secret.ts';
import type { PreparedCall, RpcAnswer, RpcClient } from '#protocol/rpc/rpc.ts';
import { Wallet } from '#protocol/rpc/wallet.ts';
import { SignerError } from '#protocol/signer/signer.ts';
import { encodeLnurl } from '#protocol/simulator/keeper/lnurl.ts';
import { CashInRig, RATE } from '#test/support/cash-in-rig.ts';

const MINUTE_MS = 60_000;
const GOOD = encodeLnurl('https://wallet.example/withdraw/api/v1/lnurl/abc');
const OTHER = encodeLnurl('https://wallet.example/withdraw/api/v1/lnurl/def');

/** A session of which one note of 100 dollars is in the box. */
function deposited(rig: CashInRig): TransactionId {
  const { store, random, clock } = rig.parts;
  const id = newTransactionId(random);
  store.commit(() => {
    store.transactions.insert({
      id,
      kind: 'cashIn',
      reference: newReference(random),
      state: 'accepting',
      currency: 'USD',
      fiatMinor: minorUnits(10_000),
      rateMinorPerBtc: minorPerBtc(RATE),
      principalSats: sats(82_386),
      feeSats: sats(6_591),
      wireSats: sats(75_795),
      createdAtUnixMs: clock.now(),
    });
    store.secrets.put({ transactionId: id, kind: 'claimCode', value: new Secret('a b c d e') });
  });
  return id;
}

const withdrawOf = (rig: CashInRig, id: TransactionId) => {
  const intent = rig.store.intents.forTransaction(id).find(({ kind }) => kind === 'withdraw');
  if (!intent) throw new Error('there is no withdraw');
  return { ...intent, ...withdrawBody(intent) };
};

const lnurlOf = (rig: CashInRig, id: TransactionId) => rig.store.secrets.get(id, 'lnurl')?.reveal();

/** The wallet's links, whoever knows of them. */
const links = (rig: CashInRig) => rig.keeper.books().withdrawLinks;

/** Events that came to the relay from this machine, each as often as it came. */
function sentEvents(rig: CashInRig): { id: string; atMs: number }[] {
  const events: { id: string; atMs: number }[] = [];
  rig.line.faults.drop = (event, direction) => {
    if (direction === 'up' && event.kind === 21_000) {
      events.push({ id: event.id, atMs: rig.clock.monotonic() });
    }
    return false;
  };
  return events;
}

/** A client of which a test says what is answered to which call. */
class ScriptedRpc implements RpcClient {
  readonly calls: PreparedCall[] = [];
  readonly published: string[] = [];
  readonly watching = new Map<string, Set<(answer: RpcAnswer) => void>>();
  readonly #rpc: RpcClient;
  constructor(rpc: RpcClient) {
    this.#rpc = rpc;
  }
  async prepare(rpcName: string, body: unknown, walletId?: string): Promise<PreparedCall> {
    const call = await this.#rpc.prepare(rpcName, body, walletId);
    this.calls.push(call);
    return call;
  }
  watch(call: PreparedCall, listener: (answer: RpcAnswer) => void): () => void {
    const listeners = this.watching.get(call.event.id) ?? new Set();
    this.watching.set(call.event.id, listeners.add(listener));
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0) this.watching.delete(call.event.id);
    };
  }
  async publish(call: PreparedCall) {
    this.published.push(call.event.id);
    return [];
  }
  async ask() {
    return { kind: 'unanswered' as const };
  }
  clockOffsetMs() {
    return undefined;
  }
  async close() {
    this.watching.clear();
  }
  /** The wallet answers the n-th call. */
  answer(nth: number, answer: RpcAnswer): void {
    const id = this.calls[nth]?.event.id ?? '';
    for (const listener of this.watching.get(id) ?? []) listener(answer);
  }
}

function scripted(rig: CashInRig) {
  const { parts } = rig;
  const rpc = new ScriptedRpc(parts.rpc);
  const { clock, log, walletId } = parts;
  const wallet = new Wallet({ rpc, clock, log, walletId });
  const withdraws = new Withdraws({ ...parts, rpc, wallet }, (url) => rig.fetchLink(url));
  return { rpc, withdraws };
}

const ok = (lnurl: string): RpcAnswer => ({ kind: 'ok', data: { lnurl } });
const no = (error: string): RpcAnswer => ({ kind: 'refused', error });

/** What came of a promise, as far as it has come. */
function outcomeOf(promise: Promise<IssueOutcome>): { value: IssueOutcome | undefined } {
  const seen: { value: IssueOutcome | undefined } = { value: undefined };
  void promise.then((value) => {
    seen.value = value;
  });
  return seen;
}

describe('an answered withdraw', () => {
  test('is shown: prepared, on disk as sent before the event leaves, answered', async () => {
    const rig = new CashInRig();
    const id = deposited(rig);
    const states: unknown[] = [];
    rig.line.faults.drop = (event, direction) => {
      if (direction === 'up' && event.kind === 21_000) {
        const { state, calls } = withdrawOf(rig, id);
        states.push([state, calls.at(-1)?.event.id === event.id]);
      }
      return false;
    };
    expect(await rig.run(rig.withdraws.issue(id))).toEqual({ kind: 'issued' });
    expect(states).toEqual([['sent', true]]);
    const [link] = links(rig);
    expect(lnurlOf(rig, id)).toBe(link?.lnurl);
    expect(link).toMatchObject({ principalSats: 82_386, feeSats: 6_591, netSats: 75_795 });
    expect(withdrawOf(rig, id)).toMatchObject({ state: 'answered', netSats: 75_795 });
    expect(transactionOf(rig.parts, id).state).toBe('offered');
    expect(rig.obligations()).toEqual([]);
    // Asked again, also after a restart, it is the same link.
    expect(await rig.run(rig.withdraws.issue(id))).toEqual({ kind: 'issued' });
    rig.restart();
    expect(await rig.run(rig.withdraws.issue(id))).toEqual({ kind: 'issued' });
    expect(links(rig)).toHaveLength(1);
    expect(JSON.stringify(rig.store.journal.read({ limit: 100 }))).not.toContain('LNURL1');
    expect(rig.lines.join('')).not.toContain('LNURL1');
  });

  test('waits for a signer that does not sign, as long as that takes', async () => {
    const rig = new CashInRig();
    const id = deposited(rig);
    for (let turn = 0; turn < 3; turn++) {
      rig.signer.failures.push(new SignerError({ kind: 'silent', reason: 'deaf' }, 'sign_event'));
    }
    expect(await rig.run(rig.withdraws.issue(id))).toEqual({ kind: 'issued' });
    expect(rig.clock.monotonic()).toBeGreaterThanOrEqual(30_000);
    expect(links(rig)).toHaveLength(1);
  });

  test('a fault that is none of the signer’s goes to whoever asked, and a later try goes on', async () => {
    const rig = new CashInRig();
    const id = deposited(rig);
    rig.signer.failures.push(new Error('a bug'));
    await expect(rig.run(rig.withdraws.issue(id))).rejects.toThrow('a bug');
    expect(withdrawOf(rig, id)).toMatchObject({ state: 'prepared', calls: [] });
    expect(await rig.run(rig.withdraws.issue(id))).toEqual({ kind: 'issued' });
    expect(rig.lines.join('')).toContain('withdraw stopped');
  });

  test('lets its calls go some time after, so that the client’s bound is never used up', async () => {
    const rig = new CashInRig();
    const { rpc, withdraws } = scripted(rig);
    const id = deposited(rig);
    const issued = withdraws.issue(id);
    await rig.clock.until(() => rpc.published.length > 0);
    rpc.answer(0, ok(GOOD));
    expect(await rig.run(issued)).toEqual({ kind: 'issued' });
    expect(rpc.watching.size).toBe(1);
    await rig.clock.advance(10 * MINUTE_MS);
    expect(rpc.watching.size).toBe(0);
  });
});

describe('a lost answer', () => {
  test('the same event goes again while it is young; then two more events, minutes apart', async () => {
    const rig = new CashInRig();
    const id = deposited(rig);
    rig.keeper.switches.silent = true;
    const events = sentEvents(rig);
    const outcome = outcomeOf(rig.withdraws.issue(id));
    await rig.clock.advance(MINUTE_MS + 100);
    expect(outcome.value).toMatchObject({ kind: 'owed', notice: { code: 'withdrawPending' } });
    const [first] = events;
    expect(events.map((event) => event.id)).toEqual(Array(4).fill(first?.id));
    for (const { atMs } of events) expect(atMs).toBeLessThan(50_000);
    expect(rig.obligations()).toEqual([]);
    await rig.clock.advance(6 * MINUTE_MS);
    const distinct = [...new Set(events.map((event) => event.id))];
    expect(distinct).toHaveLength(3);
    const starts = distinct.map((one) => events.find((event) => event.id === one)?.atMs ?? 0);
    expect((starts[1] ?? 0) - (starts[0] ?? 0)).toBeGreaterThanOrEqual(2 * MINUTE_MS);
    expect((starts[2] ?? 0) - (starts[1] ?? 0)).toBeGreaterThanOrEqual(2 * MINUTE_MS);
    expect(rig.obligations(id)).toEqual(['withdrawUnanswered']);
    await rig.clock.advance(60 * MINUTE_MS);
    expect(new Set(events.map((event) => event.id)).size).toBe(3);
    expect(rig.obligations(id)).toEqual(['withdrawUnanswered']);
  });

  test('an answer to the first event that comes late is taken, and settles what was owed', async () => {
    const rig = new CashInRig();
    const { rpc, withdraws } = scripted(rig);
    const id = deposited(rig);
    const outcome = outcomeOf(withdraws.issue(id));
    await rig.clock.advance(8 * MINUTE_MS);
    expect(outcome.value?.kind).toBe('owed');
    expect(rig.obligations(id)).toEqual(['withdrawUnanswered']);
    rpc.answer(0, ok(GOOD));
    expect(lnurlOf(rig, id)).toBe(GOOD);
    expect(rig.obligations(id)).toEqual([]);
    expect(await rig.run(withdraws.issue(id))).toEqual({ kind: 'issued' });
  });

  test('the wallet answers an event once: lost answers end in one link that is shown', async () => {
    const rig = new CashInRig();
    const id = deposited(rig);
    rig.keeper.switches.dropAnswers = 1;
    const outcome = outcomeOf(rig.withdraws.issue(id));
    await rig.clock.advance(3 * MINUTE_MS);
    expect(outcome.value?.kind).toBe('owed');
    // The first link is known to nobody; the second one is the customer's.
    expect(links(rig)).toHaveLength(2);
    expect(lnurlOf(rig, id)).toBe(links(rig)[1]?.lnurl);
    expect(rig.obligations()).toEqual([]);
  });

  test('of two links only the first is kept; the other is the operator’s to delete', async () => {
    const rig = new CashInRig();
    const { rpc, withdraws } = scripted(rig);
    const id = deposited(rig);
    const issued = withdraws.issue(id);
    await rig.clock.until(() => rpc.calls.length === 2);
    rpc.answer(1, ok(GOOD.toLowerCase()));
    rpc.answer(0, ok(OTHER));
    rpc.answer(1, ok(GOOD));
    await rig.run(issued);
    expect(lnurlOf(rig, id)).toBe(GOOD);
    expect(rig.obligations(id)).toEqual(['surplusLink']);
    const [surplus] = rig.store.obligations.forTransaction(id);
    expect(JSON.stringify(surplus?.body)).not.toContain('LNURL1');
  });
});

describe('a refusal', () => {
  test('by cap teaches the cap and becomes a claim; nothing is split', async () => {
    const rig = new CashInRig();
    const id = deposited(rig);
    rig.keeper.setMaxCashInSats(50_000);
    const outcome = await rig.run(rig.withdraws.issue(id));
    expect(outcome).toMatchObject({ kind: 'owed', notice: { code: 'withdrawRefused' } });
    expect(rig.store.facts.get('learnedCap')?.value).toBe(50_000);
    expect(rig.store.obligations.forTransaction(id)).toMatchObject([
      { kind: 'withdrawRefused', amountSats: 75_795, body: { cause: 'cap' } },
    ]);
    expect(links(rig)).toEqual([]);
    expect(rig.store.secrets.get(id, 'claimCode')).toBeDefined();
  });

  test('for want of money becomes a claim, and the code brings the link once there is money', async () => {
    const rig = new CashInRig({ fundSats: 1_000 });
    const id = deposited(rig);
    expect(await rig.run(rig.withdraws.issue(id))).toMatchObject({ kind: 'owed' });
    expect(rig.obligations(id)).toEqual(['withdrawRefused']);
    rig.keeper.fund(1_000_000);
    expect(await rig.run(rig.withdraws.issue(id))).toEqual({ kind: 'issued' });
    expect(rig.obligations(id)).toEqual([]);
    expect(rig.store.facts.get('learnedCap')).toBeUndefined();
  });

  test.each(['Please try again later.', 'rate_limited'])('%s: tried again', async (words) => {
    const rig = new CashInRig();
    const id = deposited(rig);
    rig.keeper.switches.refuse = (method) => (method === 'create_withdraw' ? words : undefined);
    const outcome = outcomeOf(rig.withdraws.issue(id));
    await rig.clock.advance(MINUTE_MS + 100);
    expect(outcome.value?.kind).toBe('owed');
    expect(rig.obligations()).toEqual([]);
    rig.keeper.switches.refuse = () => undefined;
    await rig.clock.advance(2 * MINUTE_MS);
    expect(await rig.run(rig.withdraws.issue(id))).toEqual({ kind: 'issued' });
    expect(links(rig)).toHaveLength(1);
  });

  test('of a further event takes nothing from a link that is there', async () => {
    const rig = new CashInRig();
    const { rpc, withdraws } = scripted(rig);
    const id = deposited(rig);
    const issued = withdraws.issue(id);
    await rig.clock.until(() => rpc.calls.length === 2);
    rpc.answer(0, ok(GOOD));
    rpc.answer(1, no('Insufficient balance.'));
    await rig.run(issued);
    expect(withdrawOf(rig, id)).toMatchObject({ state: 'answered' });
    expect(rig.obligations()).toEqual([]);
    const ends = new AbortController();
    let claimed = false;
    withdraws.awaitClaim(id, ends.signal).then(
      () => {
        claimed = true;
      },
      () => undefined,
    );
    await rig.clock.advance(MINUTE_MS);
    expect(claimed).toBe(false);
    ends.abort();
  });

  test('of one event, and a link to another later: the link is surplus', async () => {
    const rig = new CashInRig();
    const { rpc, withdraws } = scripted(rig);
    const id = deposited(rig);
    void withdraws.issue(id);
    await rig.clock.until(() => rpc.calls.length === 2);
    rpc.answer(1, no('Insufficient balance.'));
    rpc.answer(1, no('Insufficient balance.'));
    rpc.answer(0, ok(GOOD));
    expect(lnurlOf(rig, id)).toBeUndefined();
    expect(rig.obligations(id)).toEqual(['withdrawRefused', 'surplusLink']);
  });

  test('that cannot be read settles nothing', async () => {
    const rig = new CashInRig();
    const { rpc, withdraws } = scripted(rig);
    const id = deposited(rig);
    const issued = withdraws.issue(id);
    await rig.clock.until(() => rpc.published.length > 0);
    rpc.answer(0, { kind: 'ok', data: { nothing: true } });
    expect(withdrawOf(rig, id).state).toBe('sent');
    rpc.answer(0, ok(GOOD));
    expect(await rig.run(issued)).toEqual({ kind: 'issued' });
  });
});

describe('a bad link', () => {
  test.each([
    ['no bech32', 'https://wallet.example/withdraw'],
    ['a broken checksum', `${GOOD.slice(0, -1)}${GOOD.endsWith('Q') ? 'P' : 'Q'}`],
    ['a private host', encodeLnurl('https://192.168.1.5/withdraw')],
    ['plain http', encodeLnurl('http://wallet.example/withdraw')],
  ])('is never kept: %s', async (_name, lnurl) => {
    const rig = new CashInRig();
    const { rpc, withdraws } = scripted(rig);
    const id = deposited(rig);
    const issued = withdraws.issue(id);
    await rig.clock.until(() => rpc.published.length > 0);
    rpc.answer(0, ok(lnurl));
    expect(await rig.run(issued)).toMatchObject({
      kind: 'owed',
      notice: { code: 'withdrawRefused' },
    });
    expect(lnurlOf(rig, id)).toBeUndefined();
    expect(rig.obligations(id)).toEqual(['withdrawRefused']);
    // The wallet may have made it: nothing is asked for again.
    expect(await rig.run(withdraws.issue(id))).toMatchObject({ kind: 'owed' });
    expect(rpc.calls).toHaveLength(1);
  });
});

describe('claimed', () => {
  /** A link on the screen. */
  async function offered(options: ConstructorParameters<typeof CashInRig>[0] = {}) {
    const rig = new CashInRig(options);
    const id = deposited(rig);
    await rig.run(rig.withdraws.issue(id));
    const ends = new AbortController();
    const claimed = rig.withdraws.awaitClaim(id, ends.signal);
    return { rig, id, ends, claimed };
  }

  test('by the word of the link’s own server; then the secrets are gone', async () => {
    const { rig, id, claimed } = await offered();
    await rig.clock.advance(MINUTE_MS);
    expect(lnurlOf(rig, id)).toBeDefined();
    rig.keeper.claim(lnurlOf(rig, id) ?? '');
    await rig.run(claimed, 10_000);
    expect(lnurlOf(rig, id)).toBeUndefined();
    expect(rig.store.secrets.get(id, 'claimCode')).toBeUndefined();
    expect(withdrawOf(rig, id)).toMatchObject({
      outcome: 'claimed',
      evidence: { evidence: 'spent' },
    });
    expect(transactionOf(rig.parts, id)).toMatchObject({ state: 'claimed', outcome: 'claimed' });
    expect(await rig.run(rig.withdraws.issue(id))).toMatchObject({ notice: { code: 'claimed' } });
    await rig.run(rig.withdraws.awaitClaim(id, new AbortController().signal), 100);
    expect(links(rig)).toHaveLength(1);
  });

  test('by the payout in the wallet, where the link’s server cannot be reached', async () => {
    const { rig, id, claimed } = await offered();
    rig.fetchLink = () => Promise.reject(new Error('no route'));
    await rig.clock.advance(MINUTE_MS);
    // It is not in the list, which proves nothing.
    expect(lnurlOf(rig, id)).toBeDefined();
    rig.keeper.claim(lnurlOf(rig, id) ?? '');
    await rig.run(claimed, MINUTE_MS);
    expect(withdrawOf(rig, id)).toMatchObject({ evidence: { evidence: 'payout' } });
  });

  test.each([
    ['a signer that is silent', new SignerError({ kind: 'silent', reason: 'deaf' }, 'sign_event')],
    ['a closed client', new RelayError('canceled', 'closed')],
  ])('is not said because of %s', async (_name, failure) => {
    const { rig, id, claimed } = await offered();
    rig.fetchLink = async () => ({ status: 'ERROR', reason: 'Link cannot be used yet.' });
    rig.keeper.claim(lnurlOf(rig, id) ?? '');
    rig.signer.failures.push(failure);
    await rig.clock.advance(50_000);
    expect(withdrawOf(rig, id).outcome).toBeUndefined();
    await rig.run(claimed, 2 * MINUTE_MS);
    expect(withdrawOf(rig, id)).toMatchObject({ evidence: { evidence: 'payout' } });
  });

  test('is not said because of an unreadable list or a bug', async () => {
    const { rig, id, claimed } = await offered();
    rig.fetchLink = () => Promise.reject(new Error('no route'));
    rig.keeper.switches.refuse = (method) => (method === 'list_payments' ? 'no' : undefined);
    rig.keeper.claim(lnurlOf(rig, id) ?? '');
    await rig.clock.advance(40_000);
    expect(withdrawOf(rig, id).outcome).toBeUndefined();
    rig.signer.failures.push(new Error('a bug'));
    await expect(rig.run(claimed)).rejects.toThrow('a bug');
  });

  test('is waited for only as long as somebody looks', async () => {
    const { rig, id, ends, claimed } = await offered();
    await rig.clock.advance(1_000);
    ends.abort(new Error('gone'));
    await expect(claimed).rejects.toThrow('gone');
    expect(lnurlOf(rig, id)).toBeDefined();
  });

  test('a link below the promise is shown, and what is missing is owed once', async () => {
    const { rig, id, ends, claimed } = await offered();
    claimed.catch(() => undefined);
    rig.fetchLink = async () => ({ tag: 'withdrawRequest', maxWithdrawable: 75_000_999 });
    await rig.clock.advance(MINUTE_MS);
    expect(lnurlOf(rig, id)).toBeDefined();
    expect(rig.store.obligations.forTransaction(id)).toMatchObject([
      { kind: 'withdrawRefused', amountSats: 795, body: { reason: 'linkBelowPromise' } },
    ]);
    ends.abort();
  });

  test('is found out in the background, also after a restart, with one question for all links', async () => {
    const { rig, id, ends, claimed } = await offered();
    claimed.catch(() => undefined);
    ends.abort();
    const other = deposited(rig);
    await rig.run(rig.withdraws.issue(other));
    rig.keeper.claim(lnurlOf(rig, id) ?? '');
    rig.restart();
    rig.fetchLink = () => Promise.reject(new Error('no route'));
    const events = sentEvents(rig);
    rig.withdraws.resume();
    await rig.clock.advance(5 * MINUTE_MS + 5_000);
    expect(events).toHaveLength(1);
    expect(transactionOf(rig.parts, id)).toMatchObject({ outcome: 'claimed' });
    expect(lnurlOf(rig, other)).toBeDefined();
    rig.keeper.claim(lnurlOf(rig, other) ?? '');
    await rig.clock.advance(5 * MINUTE_MS);
    expect(transactionOf(rig.parts, other)).toMatchObject({ outcome: 'claimed' });
    await rig.clock.advance(5 * MINUTE_MS);
    expect(events).toHaveLength(2);
  });

  test('is never proven by a link that can no longer be read', async () => {
    const { rig, id } = await offered({ allowPrivateHosts: true });
    rig.parts.store.commit(() => rig.store.secrets.erase(id, 'lnurl'));
    const ends = new AbortController();
    const claimed = rig.withdraws.awaitClaim(id, ends.signal);
    claimed.catch(() => undefined);
    await rig.clock.advance(MINUTE_MS);
    expect(withdrawOf(rig, id).outcome).toBeUndefined();
    ends.abort();
  });
});

describe('after a restart', () => {
  test('a late answer is taken before any further event is made', async () => {
    const rig = new CashInRig();
    const id = deposited(rig);
    rig.keeper.switches.answerDelayMs = 30_000;
    void rig.withdraws.issue(id);
    await rig.clock.advance(5_000);
    expect(links(rig)).toHaveLength(1);
    rig.restart();
    rig.withdraws.resume();
    await rig.clock.advance(40_000);
    expect(lnurlOf(rig, id)).toBe(links(rig)[0]?.lnurl);
    expect(links(rig)).toHaveLength(1);
    expect(rig.obligations()).toEqual([]);
  });

  test('three events are all there ever are, and the debt is said once', async () => {
    const rig = new CashInRig();
    const id = deposited(rig);
    rig.keeper.switches.silent = true;
    void rig.withdraws.issue(id);
    await rig.clock.advance(3 * MINUTE_MS);
    for (let run = 0; run < 4; run++) {
      rig.restart();
      rig.withdraws.resume();
      await rig.clock.advance(5 * MINUTE_MS);
    }
    expect(withdrawOf(rig, id).calls).toHaveLength(3);
    expect(rig.obligations(id)).toEqual(['withdrawUnanswered']);
    expect(rig.journal().filter((kind) => kind === 'withdraw.sent')).toHaveLength(3);
    // The code joins what still listens.
    const outcome = await rig.run(rig.withdraws.issue(id));
    expect(outcome).toMatchObject({ notice: { code: 'withdrawPending' } });
  });

  test('a withdraw that was never signed is signed then', async () => {
    const rig = new CashInRig();
    const id = deposited(rig);
    rig.signer.failures.push(new SignerError({ kind: 'silent', reason: 'deaf' }, 'sign_event'));
    void rig.withdraws.issue(id);
    await rig.clock.advance(1_000);
    expect(withdrawOf(rig, id).state).toBe('prepared');
    rig.restart();
    rig.store.commit(() => rig.store.intents.open({ kind: 'withdraw', body: {} }));
    rig.withdraws.resume();
    await rig.clock.advance(1_000);
    expect(withdrawOf(rig, id).state).toBe('answered');
  });

  test('an answer that comes in the moment of closing harms nothing', async () => {
    const rig = new CashInRig();
    const id = deposited(rig);
    rig.signer.failures.push(new SignerError({ kind: 'silent', reason: 'deaf' }, 'sign_event'));
    rig.withdraws.issue(id).catch(() => undefined);
    rig.withdraws.resume();
    await rig.clock.advance(1_000);
    rig.withdraws.close();
    await rig.clock.advance(20 * MINUTE_MS);
    expect(withdrawOf(rig, id).state).toBe('prepared');
    expect(rig.lines.join('')).not.toContain('withdraw stopped');
  });
});

test('a note of which the end is not on disk holds the link up, so that it can be part of it', async () => {
  const rig = new CashInRig();
  const id = deposited(rig);
  const { store } = rig;
  const act = { kind: 'deposit', device: 'acceptor', transactionId: id, body: {} };
  const intent = store.commit(() => store.intents.open(act));
  expect(await rig.run(rig.withdraws.issue(id))).toMatchObject({
    notice: { code: 'withdrawPending' },
  });
  expect(store.intents.listOpen('withdraw')).toEqual([]);
  store.commit(() => store.intents.settle(intent.id, 'returned', {}));
  expect(await rig.run(rig.withdraws.issue(id))).toEqual({ kind: 'issued' });
  expect(links(rig)).toHaveLength(1);
});
