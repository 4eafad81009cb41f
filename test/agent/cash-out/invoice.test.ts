/** The invoice of a sale: shown only when it is exactly right, and what the wallet is told. */
import { expect, test } from 'vitest';
import { invoice } from '#agent/cash-out/invoice.ts';
import { invoiceOf } from '#agent/cash-out/payments.ts';
import type { Parts } from '#agent/parts.ts';
import { SignerError } from '#protocol/signer/signer.ts';
import { invoiced, type MachineParts, machineParts, reserved } from './rig.ts';

test.each<[string, (parts: MachineParts) => Partial<Parts> | undefined, RegExp]>([
  [
    'the wallet refuses',
    ({ rpc }) => {
      rpc.answer = () => ({ kind: 'refused', error: 'Wallet is locked.' });
      return undefined;
    },
    /Wallet is locked/,
  ],
  [
    'the wallet is silent',
    ({ rpc }) => {
      rpc.answer = () => ({ kind: 'unanswered' });
      return undefined;
    },
    /did not answer/,
  ],
  [
    'the answer has another shape',
    ({ says }) => {
      says.invoice = { payment_hash: 7 };
      return undefined;
    },
    /payment_hash/,
  ],
  [
    'the signer is silent',
    ({ rpc }) => {
      rpc.prepare = () => Promise.reject(new SignerError({ kind: 'silent', reason: 'x' }, 'y'));
      return undefined;
    },
    /no invoice/,
  ],
  [
    'another wallet',
    ({ says }) => {
      says.invoice = { wallet_id: 'someone else' };
      return undefined;
    },
    /not the one/,
  ],
  [
    'nobody names the wallet',
    ({ says, walletWatch }) => {
      says.invoice = { wallet_id: null };
      return { walletWatch: { ...walletWatch, named: () => false } };
    },
    /not proven/,
  ],
  [
    'an invoice over another amount',
    ({ says }) => {
      says.terms = { amountMsat: 1_000 };
      return undefined;
    },
    /another amount/,
  ],
  [
    'an invoice with another hash',
    ({ says }) => {
      says.terms = { paymentHash: '55'.repeat(32) };
      return undefined;
    },
    /another payment hash/,
  ],
  [
    'an invoice without life left',
    ({ says }) => {
      says.terms = { lifeMs: 10_000 };
      return undefined;
    },
    /expired/,
  ],
  [
    'an invoice that cannot be read',
    ({ says }) => {
      says.invoice = { bolt11: 'lnbcrt1nonsense' };
      return undefined;
    },
    /cannot be read/,
  ],
])('no QR: %s', async (_, spoil, words) => {
  const parts = await machineParts();
  const plan = await reserved(parts, 2_000);
  const outcome = await parts.clock.resolve(invoice({ ...parts, ...spoil(parts) }, plan));
  expect(outcome).toMatchObject({ kind: 'refused' });
  const [told] = parts.store.journal.read({ kind: 'invoice.refused' });
  expect(told?.body.text).toMatch(words);
  expect(parts.store.intents.listOpen('payment')).toEqual([]);
  expect(invoiceOf(parts.store, plan.transactionId)).toBeUndefined();
});

test('the answer of another wallet closes both directions', async () => {
  const parts = await machineParts();
  parts.says.invoice = { wallet_id: 'wallet-2' };
  const plan = await reserved(parts, 7_000);
  await parts.clock.resolve(invoice(parts, plan));
  for (const direction of ['cashIn', 'cashOut'] as const) {
    expect(parts.board.list(direction).map(({ code }) => code)).toEqual(['walletMismatch']);
  }
});

test('a wallet that is named by get_wallet alone gets its payment', async () => {
  const parts = await machineParts();
  parts.says.invoice = { wallet_id: null };
  await invoiced(parts, 2_000);
  expect(parts.store.intents.listOpen('payment')).toHaveLength(1);
});

test('a fault that is not of the signer is a fault', async () => {
  const parts = await machineParts();
  const plan = await reserved(parts, 2_000);
  const bug = new Error('a bug');
  parts.rpc.prepare = () => Promise.reject(bug);
  await expect(parts.clock.resolve(invoice(parts, plan))).rejects.toBe(bug);
});

test('the operator is told the notes and the bays of the sale', async () => {
  const parts = await machineParts();
  await invoiced(parts, 7_000);
  expect(parts.rpc.asked[0]?.body).toMatchObject({
    amount: 77_845,
    extra: {
      bills: [
        { denomination: 20, count: 1 },
        { denomination: 50, count: 1 },
      ],
      // What is held back lies in its bay all the same.
      cassettes: { '1': { denomination: 20, count: 10 }, '3': { denomination: 50, count: 10 } },
    },
  });
});

test('the journal has no bearer value: no invoice, no code', async () => {
  const parts = await machineParts();
  const plan = await invoiced(parts, 7_000);
  const text = JSON.stringify(parts.store.journal.read({}));
  const code = parts.store.secrets.get(plan.transactionId, 'claimCode')?.reveal() ?? 'missing';
  expect(code.split(' ')).toHaveLength(5);
  expect(text).not.toContain(code);
  expect(text).not.toContain('lnbcrt');
  expect(text).toContain('"wireSats":77845');
});
