/** Real signed invoices, each wrong in one way. */
import { expect, test } from 'vitest';
import { checkInvoice, type ExpectedInvoice } from '#agent/cash-out/check-invoice.ts';
import { sats } from '#protocol/base/money.ts';
import { createInvoiceMaker } from '#protocol/simulator/keeper/bolt11.ts';
import { seededRandom } from '#test/support/seeded-random.ts';

const random = seededRandom('invoices');
const maker = createInvoiceMaker(random.bytes(32));
const NOW = Date.UTC(2026, 10, 21, 12);
const HASH = Buffer.from(random.bytes(32)).toString('hex');
const SECRET = Buffer.from(random.bytes(32)).toString('hex');

const made = (terms: Partial<Parameters<typeof maker.make>[0]> = {}): string =>
  maker.make(
    {
      paymentHash: HASH,
      amountMsat: 77_845_000,
      memo: 'Cash K7Q4-9XMB',
      createdAtUnixMs: NOW,
      expiresAtUnixMs: NOW + 180_000,
      ...terms,
    },
    SECRET,
  );
const checked = (bolt11: string, expected: Partial<ExpectedInvoice> = {}) =>
  checkInvoice({
    bolt11,
    paymentHash: HASH,
    wireSats: sats(77_845),
    network: 'regtest',
    nowUnixMs: NOW,
    ...expected,
  });

// Signed once: a signature is salted, so two invoices of the same terms may end differently.
const signed = made();
const flipped = `${signed.slice(0, -1)}${signed.endsWith('q') ? 'p' : 'q'}`;

test('exactly what was asked for, in either case', () => {
  const ok = { kind: 'ok', expiresAtUnixMs: NOW + 180_000 };
  expect(checked(made())).toEqual(ok);
  expect(checked(made().toUpperCase())).toEqual(ok);
});

test.each([
  ['one millisat more', made({ amountMsat: 77_845_001 }), {}, /amount/],
  ['one millisat less', made({ amountMsat: 77_844_999 }), {}, /amount/],
  ['no amount', made({ amountMsat: 0 }), {}, /amount/],
  ['another hash', made({ paymentHash: SECRET }), {}, /hash/],
  ['expired', made(), { nowUnixMs: NOW + 180_001 }, /expired/],
  ['about to expire', made(), { nowUnixMs: NOW + 155_000 }, /expired/],
  ['no invoice', 'lnurl1dp68gurn8ghj7', {}, /read/],
  ['nothing', '', {}, /read/],
  ['a flipped character', flipped, {}, /read/],
] as const)('refused: %s', (_, bolt11, expected, reason) => {
  const check = checked(bolt11, expected);
  expect(check).toMatchObject({ kind: 'bad', reason: expect.stringMatching(reason) });
});

test.each(['bitcoin', 'testnet', 'signet'] as const)('a regtest invoice on %s', (network) => {
  const check = checked(made(), { network });
  expect(check).toMatchObject({ kind: 'bad', reason: expect.stringMatching(/network \(lnbcrt\)/) });
});
