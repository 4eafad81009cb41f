import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  cashOutExtra,
  classifyRefusal,
  createInvoiceBody,
  createWithdrawBody,
  getPaymentBody,
  invoiceResult,
  listResult,
  paymentResult,
  readMessage,
  requestEnvelope,
  requestTags,
  walletResult,
  withdrawResult,
} from '#protocol/rpc/dialect.ts';
import messages from './fixtures/messages.json' with { type: 'json' };
import refusals from './fixtures/refusals.json' with { type: 'json' };

const hash = 'ab'.repeat(32);

describe('requests', () => {
  test('carry the id under every name that may be the right one', () => {
    const text = requestEnvelope({
      rpcName: 'create_withdraw',
      body: createWithdrawBody(82_386),
      walletId: 'w1',
      requestId: 'f00d',
    });
    expect(JSON.parse(text)).toEqual({
      rpc_name: 'create_withdraw',
      body: { principal_sats: 82_386 },
      wallet_id: 'w1',
      request_id: 'f00d',
      requestId: 'f00d',
      id: 'f00d',
    });
  });

  test('name no wallet when none is given', () => {
    const text = requestEnvelope({ rpcName: 'get_wallet', body: {}, requestId: 'f00d' });
    expect(JSON.parse(text)).not.toHaveProperty('wallet_id');
  });

  test('expire after 300 s, as a string', () => {
    expect(requestTags('cc', 1_000_000)).toEqual([
      ['p', 'cc'],
      ['expiration', '1000300'],
    ]);
  });

  test('bodies have LNbits names', () => {
    expect(getPaymentBody(hash)).toEqual({ payment_hash: hash });
    const invoice = { wireSats: 5, memo: 'm', expirySeconds: 180, extra: { a: 1 } };
    expect(createInvoiceBody(invoice)).toEqual({
      out: false,
      amount: 5,
      unit: 'sat',
      memo: 'm',
      expiry: 180,
      extra: { a: 1 },
    });
  });

  test('extra of a cash-out has every field that a settlement needs', () => {
    const extra = cashOutExtra({
      principalSats: 100,
      feeSats: 8,
      exchangeRate: 60_000.5,
      currency: 'USD',
      transactionId: 't1',
      bills: [{ position: 2, denomination: 20, count: 3 }],
      cassettes: [{ position: 2, denomination: 20, count: 90 }],
    });
    expect(extra).toEqual({
      source: 'bitspire',
      type: 'cash_out',
      principal_sats: 100,
      fee_sats: 8,
      exchange_rate: 60_000.5,
      currency: 'USD',
      txid: 't1',
      bills: [{ denomination: 20, count: 3 }],
      cassettes: { '2': { denomination: 20, count: 90 } },
    });
  });
});

describe('messages', () => {
  test.each(messages)('$name', ({ message, read }) => {
    expect(readMessage(JSON.stringify(message))).toEqual(read);
  });

  test('a joined answer may be no shard again', () => {
    const shard = { part: 'x', index: 0, totalShards: 1, shardsId: 'a' };
    expect(readMessage(JSON.stringify(shard), true).kind).toBe('unreadable');
  });

  test('too deep and too long texts are not parsed', () => {
    const deep = `{"data":${'['.repeat(40)}${']'.repeat(40)}}`;
    expect(readMessage(deep)).toEqual({ kind: 'unreadable', reason: 'nested more than 32 deep' });
    const long = JSON.stringify({ data: 'x'.repeat(400_000) });
    expect(readMessage(long).kind).toBe('unreadable');
    const brackets = JSON.stringify({ data: `\\"${'['.repeat(100)}` });
    expect(readMessage(brackets).kind).toBe('answer');
  });

  test('anything at all is read without throwing', () => {
    const keys = fc.constantFrom('status', 'data', 'error', 'reason', 'id', 'part', 'shardsId');
    const message = fc.dictionary(keys, fc.jsonValue());
    fc.assert(
      fc.property(
        fc.oneof(
          message.map((value) => JSON.stringify(value)),
          fc.string(),
        ),
        (text) => {
          const read = readMessage(text);
          if (read.kind !== 'answer') return;
          const value = JSON.parse(text) as Record<string, unknown>;
          // What is taken for a refusal holds no result, and the other way round.
          if (read.answer.kind === 'refused') expect(value.data ?? null).toBeNull();
          else expect(value.error ?? '').toBe('');
        },
      ),
    );
  });
});

describe('refusals', () => {
  test.each(refusals)('$words', ({ words, cause, capSats }) => {
    expect(classifyRefusal(words)).toEqual(capSats === undefined ? { cause } : { cause, capSats });
  });
});

describe('results', () => {
  test('a balance is millisats, and an overdrawn wallet is empty', () => {
    const named = { id: 'w1', name: 'spire', balance: 1_999 };
    expect(walletResult.parse(named)).toEqual({ walletId: 'w1', balanceSats: 1 });
    const unnamed = { balance: -5_000 };
    expect(walletResult.parse(unnamed)).toEqual({ walletId: undefined, balanceSats: 0 });
    expect(walletResult.safeParse({ name: 'spire' }).success).toBe(false);
    expect(walletResult.safeParse({ balance: 1e300 }).success).toBe(false);
  });

  test('an invoice by its new and its old name', () => {
    const made = { payment_hash: hash, bolt11: 'lnbc1', wallet_id: 'w1', extra: {} };
    expect(invoiceResult.parse(made)).toEqual({
      paymentHash: hash,
      bolt11: 'lnbc1',
      walletId: 'w1',
    });
    const old = { payment_hash: hash, payment_request: 'lnbc2', checking_id: 'x' };
    expect(invoiceResult.parse(old).bolt11).toBe('lnbc2');
    expect(invoiceResult.safeParse({ payment_hash: hash }).success).toBe(false);
    expect(invoiceResult.safeParse({ payment_hash: 'zz', bolt11: 'lnbc1' }).success).toBe(false);
  });

  test('a failed payment is not paid, whatever `paid` says', () => {
    const details = { payment_hash: hash, wallet_id: 'w1', amount: 75_795_000 };
    const success = { paid: true, preimage: hash, details: { ...details, status: 'success' } };
    expect(paymentResult.parse(success)).toEqual({
      paid: true,
      paymentHash: hash,
      preimage: hash,
      walletId: 'w1',
      amountSats: 75_795,
    });
    const failed = { paid: true, details: { ...details, status: 'failed' } };
    expect(paymentResult.parse(failed).paid).toBe(false);
    const pending = { paid: false, preimage: null, details: null };
    expect(paymentResult.parse(pending)).toEqual({ paid: false });
    expect(paymentResult.safeParse({ status: 'success' }).success).toBe(false);
  });

  test("the payer's side shows no amount received", () => {
    const outgoing = { paid: true, details: { status: 'success', amount: -75_795_000 } };
    expect(paymentResult.parse(outgoing).amountSats).toBeUndefined();
  });

  test('a list of payments, bare or as a page', () => {
    expect(listResult.parse([1, 2])).toEqual([1, 2]);
    expect(listResult.parse({ data: [1], total: 1 })).toEqual([1]);
    expect(listResult.safeParse({}).success).toBe(false);
  });

  test('a withdraw link', () => {
    const made = { lnurl: 'LNURL1ABC', lnurl_url: 'https://x.example/w', id: 'l1' };
    const link = { lnurl: 'LNURL1ABC', lnurlUrl: 'https://x.example/w' };
    expect(withdrawResult.parse(made)).toEqual(link);
    expect(withdrawResult.parse({ lnurl: 'LNURL1ABC' })).toEqual({ lnurl: 'LNURL1ABC' });
    expect(withdrawResult.safeParse({ lnurl: '' }).success).toBe(false);
  });
});
