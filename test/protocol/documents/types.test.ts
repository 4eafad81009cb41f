import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Reference } from '#protocol/base/ids.ts';
import {
  feeSats,
  minorPerBtc,
  minorUnits,
  principalOfNote,
  principalOfPayout,
  sats,
  wireOfCashIn,
  wireOfCashOut,
} from '#protocol/base/money.ts';
import { type Beacon, beaconDocument } from '#protocol/documents/beacon.ts';
import { cassettes } from '#protocol/documents/cassettes.ts';
import { cassettesStateDocument } from '#protocol/documents/cassettes-state.ts';
import { readText, supersedes, TEXT_CHARACTERS_MAX } from '#protocol/documents/document.ts';
import { fees } from '#protocol/documents/fees.ts';
import { limits } from '#protocol/documents/limits.ts';
import { obligationsDocument } from '#protocol/documents/obligations.ts';
import { incomingTypeNames, incomingTypeOf, incomingTypes } from '#protocol/documents/registry.ts';

const readFees = (value: unknown) => {
  const parsed = fees.read(value);
  if (parsed.kind === 'refused') throw new Error(parsed.reason);
  return parsed.document;
};

const usualFees = {
  schema_version: 1,
  cash_in_fee_fraction: 0.08,
  cash_out_fee_fraction: 0.08,
  components: {
    super_cash_in: 0.03,
    super_cash_out: 0.03,
    operator_cash_in: 0.05,
    operator_cash_out: 0.05,
  },
};

describe('fees', () => {
  test('the worked cash-in comes out: 82,386 at 3 % and 5 % is 2,472 + 4,119, wire 75,795', () => {
    const { cashIn } = readFees(usualFees);
    expect(cashIn).toEqual({ kind: 'legs', platform: 0.03, operator: 0.05 });
    const principal = sats(82_386);
    expect(feeSats(principal, { kind: 'total', total: 0.03 })).toBe(2_472);
    expect(feeSats(principal, { kind: 'total', total: 0.05 })).toBe(4_119);
    const fee = feeSats(principal, cashIn);
    expect(fee).toBe(6_591);
    expect(wireOfCashIn(principal, fee)).toBe(75_795);
  });

  test('the document of the operator extension is read as it stands', () => {
    const document = readFees({
      schema_version: 1,
      cash_in_fee_fraction: 0.0633,
      cash_out_fee_fraction: 0.1077,
      components: {
        super_cash_in: 0.03,
        super_cash_out: 0.03,
        operator_cash_in: 0.0333,
        operator_cash_out: 0.0777,
      },
      published_at: 1_780_000_000,
    });
    expect(document.cashOut).toEqual({ kind: 'legs', platform: 0.03, operator: 0.0777 });
    // 222,320 at 7.77 % is the 17,274 that the machine once took, and 3 % of it goes on top.
    expect(feeSats(sats(222_320), document.cashOut)).toBe(17_274 + 6_670);
  });

  test('an amount whose product passes 2^53 keeps every sat', () => {
    // A million of a currency of which a bitcoin costs 700,000: 10^8 * 10^8 is above 2^53.
    const value = minorUnits(100_000_000);
    const rate = minorPerBtc(70_000_000);
    const { cashOut } = readFees(usualFees);
    expect(principalOfNote(value, rate)).toBe(142_857_142);
    const principal = principalOfPayout(value, rate);
    expect(principal).toBe(142_857_143);
    const fee = feeSats(principal, cashOut);
    expect(fee).toBe(4_285_714 + 7_142_857);
    expect(wireOfCashOut(principal, fee)).toBe(154_285_714);
  });

  test('without components the total is rounded once', () => {
    const { components: _, ...bare } = usualFees;
    expect(readFees(bare).cashIn).toEqual({ kind: 'total', total: 0.08 });
    expect(readFees({ ...bare, components: null }).cashOut).toEqual({ kind: 'total', total: 0.08 });
  });

  test.each([
    [{ ...usualFees, cash_in_fee_fraction: 8 }, 'not percent'],
    [{ ...usualFees, cash_in_fee_fraction: 0.151 }, 'not percent'],
    [{ ...usualFees, cash_in_fee_fraction: -0.01 }, 'cash_in_fee_fraction'],
    [{ ...usualFees, cash_in_fee_fraction: '0.08' }, 'cash_in_fee_fraction'],
    [{ ...usualFees, cash_in_fee_fraction: 0.080_002 }, 'cash_in_fee_fraction is not the sum'],
    [{ ...usualFees, cash_out_fee_fraction: 0.07 }, 'cash_out_fee_fraction is not the sum'],
    [{ ...usualFees, components: { super_cash_in: 0.03 } }, 'components.super_cash_out'],
    [{ ...usualFees, schema_version: 2 }, 'schema_version 2 is not known, only 1 is'],
    [{ ...usualFees, schema_version: undefined }, 'schema_version is missing'],
    [[], 'expected object'],
  ])('refused: %j', (value, reason) => {
    const parsed = fees.read(value);
    expect(parsed).toMatchObject({ kind: 'refused' });
    expect(parsed.kind === 'refused' && parsed.reason).toContain(reason);
  });

  test('a sum that differs in the last digits of a double is still the sum', () => {
    const inPercent = fc.integer({ min: 0, max: 700 }).map((basisPoints) => basisPoints / 10_000);
    fc.assert(
      fc.property(inPercent, inPercent, (platform, operator) => {
        const { cashIn } = readFees({
          schema_version: 1,
          cash_in_fee_fraction: Number((platform + operator).toFixed(6)),
          cash_out_fee_fraction: platform + operator,
          components: {
            super_cash_in: platform,
            super_cash_out: platform,
            operator_cash_in: operator,
            operator_cash_out: operator,
          },
        });
        expect(cashIn).toEqual({ kind: 'legs', platform, operator });
      }),
    );
  });
});

describe('cassettes', () => {
  test('by position, in order, with the same denomination twice', () => {
    const positions = {
      '10': { denomination: 20, count: 0 },
      '2': { denomination: 20, count: 100 },
      '1': { denomination: 50, count: 80 },
    };
    expect(cassettes.read({ positions, unknown: { deep: [1] } })).toEqual({
      kind: 'document',
      document: {
        type: 'cassettes',
        bays: [
          { position: 1, denomination: 50, count: 80 },
          { position: 2, denomination: 20, count: 100 },
          { position: 10, denomination: 20, count: 0 },
        ],
      },
    });
  });

  test('the old shape is refused with the new one in the reason', () => {
    const parsed = cassettes.read({ denominations: { '20': { position: 1, count: 100 } } });
    expect(parsed).toMatchObject({ kind: 'refused' });
    expect(parsed.kind === 'refused' && parsed.reason).toMatch(/old shape.*"positions": \{"1"/);
  });

  const bay = { denomination: 20, count: 1 };
  test.each([
    [{ positions: {} }],
    [{ positions: { '0': bay } }],
    [{ positions: { '17': bay } }],
    [{ positions: { '01': bay } }],
    [{ positions: { one: bay } }],
    [{ positions: { '1': { ...bay, denomination: 0 } } }],
    [{ positions: { '1': { ...bay, denomination: 2.5 } } }],
    [{ positions: { '1': { ...bay, count: -1 } } }],
    [{ positions: { '1': { ...bay, count: '100' } } }],
    [{ positions: { '1': { ...bay, count: 10_001 } } }],
    [{ positions: { '1': { denomination: 20 } } }],
    [{ positions: [bay] }],
    [{ positions: { '1': bay }, schema_version: 2 }],
    [{}],
    [null],
  ])('refused: %j', (value) => {
    expect(cassettes.read(value).kind).toBe('refused');
  });

  test('what we publish is what we read', () => {
    const bays = fc.uniqueArray(
      fc.record({
        position: fc.integer({ min: 1, max: 16 }),
        denomination: fc.integer({ min: 1, max: 1_000 }),
        count: fc.integer({ min: 0, max: 10_000 }),
      }),
      { selector: ({ position }) => position, minLength: 1, maxLength: 16 },
    );
    fc.assert(
      fc.property(bays, (stated) => {
        const { text, audience } = cassettesStateDocument(stated);
        expect(audience).toBe('operator');
        const inOrder = stated.toSorted((a, b) => a.position - b.position);
        expect(readText(cassettes, text)).toEqual({
          kind: 'document',
          document: { type: 'cassettes', bays: inOrder },
        });
      }),
    );
  });
});

describe('limits', () => {
  test('a cap, none, and zero', () => {
    const read = (max: unknown) => limits.read({ schema_version: 1, max_cash_in_sats: max });
    const document = (maxCashInSats: number | null) => ({
      kind: 'document',
      document: { type: 'limits', maxCashInSats },
    });
    expect(read(400_000)).toEqual(document(400_000));
    expect(read(null)).toEqual(document(null));
    expect(read(0)).toEqual(document(0));
    for (const wrong of [undefined, -1, 1.5, '400000', 2 ** 53]) {
      expect(read(wrong).kind).toBe('refused');
    }
    expect(limits.read({ schema_version: 3, max_cash_in_sats: 1 }).kind).toBe('refused');
  });
});

describe('texts', () => {
  test('are bounded in size and depth, and need not be JSON', () => {
    expect(readText(limits, '{').kind).toBe('refused');
    expect(readText(limits, `${'['.repeat(33)}${']'.repeat(33)}`)).toEqual({
      kind: 'refused',
      reason: 'nested more than 32 deep',
    });
    const long = JSON.stringify({ schema_version: 1, max_cash_in_sats: 1, fill: '' });
    const fill = 'x'.repeat(TEXT_CHARACTERS_MAX - long.length);
    const fits = JSON.stringify({ schema_version: 1, max_cash_in_sats: 1, fill });
    expect(readText(limits, fits).kind).toBe('document');
    expect(readText(limits, `${fits} `).kind).toBe('refused');
  });

  test('of any kind are read without throwing', () => {
    fc.assert(
      fc.property(fc.oneof(fc.json(), fc.string()), (text) => {
        for (const type of incomingTypeNames) {
          const { kind } = readText(incomingTypes[type], text);
          expect(['document', 'refused']).toContain(kind);
        }
      }),
    );
  });
});

test('d tags name a type only with our own key', () => {
  expect(incomingTypeOf('bitspire-fees:aa', 'aa')).toBe('fees');
  expect(incomingTypeOf('bitspire-cassettes:aa', 'aa')).toBe('cassettes');
  expect(incomingTypeOf('bitspire-fees:bb', 'aa')).toBeUndefined();
  expect(incomingTypeOf('bitspire-cassettes-state:aa', 'aa')).toBeUndefined();
  expect(incomingTypeOf(undefined, 'aa')).toBeUndefined();
});

test('versions are in a strict order, whatever the versions', () => {
  const version = fc.record({
    createdAt: fc.integer({ min: 0, max: 3 }),
    eventId: fc.constantFrom('a', 'b', 'c'),
  });
  fc.assert(
    fc.property(version, version, (a, b) => {
      const isSame = a.createdAt === b.createdAt && a.eventId === b.eventId;
      expect([supersedes(a, b), supersedes(b, a)].filter(Boolean)).toHaveLength(isSame ? 0 : 1);
      expect(supersedes(a, undefined)).toBe(true);
    }),
  );
});

describe('what we publish', () => {
  const beacon: Beacon = {
    cashIn: true,
    cashOut: false,
    cashLevel: null,
    fiat: 'USD',
    model: 'Sintra 2',
  };

  test('a beacon has its five fields, and nothing that names anybody', () => {
    const { audience, text } = beaconDocument(beacon);
    expect(audience).toBe('public');
    expect(JSON.parse(text)).toEqual({
      cash_in: true,
      cash_out: false,
      cash_level: null,
      fiat: 'USD',
      model: 'Sintra 2',
    });
    expect(() => beaconDocument({ ...beacon, model: 'nostr:npub1xyz' })).toThrow('invalidData');
    expect(() => beaconDocument({ ...beacon, fiat: 'dollars' })).toThrow('invalidData');
  });

  test('obligations, oldest first, as many as fit', () => {
    const open = Array.from({ length: 150 }, (_, index) => ({
      reference: `AAAA-${String(index).padStart(4, '0')}` as Reference,
      class: 'presentedNotTaken',
      amountSats: sats(2_100_000_000_000_000),
      amountMinor: minorUnits(100_000_000),
      openedAtUnixMs: 1_790_000_000_000 - index * 1000,
    }));
    const { text, audience } = obligationsDocument('USD', open);
    expect(audience).toBe('operator');
    const content = JSON.parse(text) as { total: number; obligations: unknown[] };
    expect(content.total).toBe(150);
    expect(content.obligations).toHaveLength(100);
    expect(content.obligations[0]).toMatchObject({
      reference: 'AAAA-0149',
      opened_at: 1_789_999_851,
    });
    expect(Buffer.byteLength(text)).toBeLessThan(24_576);
    expect(JSON.parse(obligationsDocument('USD', []).text)).toMatchObject({ obligations: [] });
  });
});
