import { wordlist } from '@scure/bip39/wordlists/english.js';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { hashClaimCode, isClaimCode, newClaimCode, normaliseClaimCode } from '#agent/claim-code.ts';
import { type Random, systemRandom } from '#protocol/base/clock.ts';
import { Secret } from '#protocol/base/secret.ts';

const KEY = new Secret(new Uint8Array(32).fill(1));
const code = fc.array(fc.constantFrom(...wordlist), { minLength: 5, maxLength: 5 });

test('a code is 55 bits: five words, each one of 2,048 by a number of its own', () => {
  expect(new Set(wordlist).size).toBe(2_048);
  expect(Math.log2(2_048 ** 5)).toBe(55);
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 0, max: 2_047 }), { minLength: 5, maxLength: 5 }),
      (at) => {
        const left = [...at];
        const random: Random = {
          bytes: () => new Uint8Array(new Uint32Array([swap(left.shift() ?? 0)]).buffer),
        };
        const words = newClaimCode(random).reveal().split(' ');
        expect(words).toEqual(at.map((index) => wordlist[index]));
      },
    ),
  );
});

/** The same number in the other order of bytes. */
function swap(value: number): number {
  const view = new DataView(new ArrayBuffer(4));
  view.setUint32(0, value);
  return view.getUint32(0, true);
}

test('codes differ, and show nowhere by accident', () => {
  const codes = Array.from({ length: 200 }, () => newClaimCode(systemRandom));
  expect(new Set(codes.map((one) => one.reveal())).size).toBe(200);
  expect(`${codes[0]}`).toBe('[secret]');
});

test('however a code is typed, its hash is the same', () => {
  const gap = fc.constantFrom(' ', '  ', '-', ', ', '\n', '.', ' – ', '\t1. ');
  fc.assert(
    fc.property(
      code,
      fc.array(gap, { minLength: 6, maxLength: 6 }),
      fc.boolean(),
      (words, gaps, up) => {
        const typed = gaps.reduce((text, between, at) => `${text}${between}${words[at] ?? ''}`, '');
        const shouted = up ? typed.toUpperCase() : typed;
        expect(normaliseClaimCode(shouted)).toBe(words.join(' '));
        expect(hashClaimCode(KEY, shouted)).toBe(hashClaimCode(KEY, words.join(' ')));
      },
    ),
  );
});

test('normalising never throws, and what is normal stays', () => {
  fc.assert(
    fc.property(fc.string(), (typed) => {
      const normal = normaliseClaimCode(typed);
      expect(normaliseClaimCode(normal)).toBe(normal);
      expect(normal).toMatch(/^([a-z]+( [a-z]+)*)?$/);
    }),
  );
});

test('other words, another order or another key are another hash', () => {
  fc.assert(
    fc.property(code, code, (one, other) => {
      fc.pre(one.join(' ') !== other.join(' '));
      expect(hashClaimCode(KEY, one.join(' '))).not.toBe(hashClaimCode(KEY, other.join(' ')));
    }),
  );
  const words = 'abandon ability able about above';
  const otherKey = new Secret(new Uint8Array(32).fill(2));
  expect(hashClaimCode(KEY, words)).not.toBe(hashClaimCode(otherKey, words));
  expect(hashClaimCode(KEY, words)).toMatch(/^[0-9a-f]{64}$/);
});

test('only five words of the list are a code, however they are typed', () => {
  fc.assert(fc.property(code, (words) => isClaimCode(words.join('-').toUpperCase())));
  for (const typed of ['', 'zoo', 'zoo zoo zoo zoo', 'zoo zoo zoo zoo zoo zoo']) {
    expect(isClaimCode(typed)).toBe(false);
  }
  expect(isClaimCode('zoo zoo zoo zoo zooo')).toBe(false);
});
