import { AssertionError } from 'node:assert/strict';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Secret } from '#protocol/base/secret.ts';
import { canonicalJson, type JsonValue, parseJson } from '#state/json.ts';
import { codeOf } from './fixtures.ts';

describe('canonicalJson', () => {
  it('sorts keys at every depth', () => {
    expect(canonicalJson({ b: [{ d: 1, c: 'x' }], a: null, '': true })).toBe(
      '{"":true,"a":null,"b":[{"c":"x","d":1}]}',
    );
  });

  it('is one text for one value, and reads back as that value', () => {
    fc.assert(
      fc.property(fc.jsonValue({ noUnicodeString: false }), (value) => {
        const json: JsonValue = JSON.parse(JSON.stringify(value));
        const text = canonicalJson(json);
        expect(parseJson(text)).toEqual(json);
        expect(canonicalJson(parseJson(text))).toBe(text);
        expect(canonicalJson(reversed(json))).toBe(text);
      }),
    );
  });

  it.each([
    ['undefined', undefined],
    ['no number', Number.NaN],
    ['no end', Number.POSITIVE_INFINITY],
    ['a function', () => 1],
    ['a secret', new Secret('x')],
    ['a date', new Date(0)],
    ['a big integer', 1n],
  ])('takes %s for a bug and does not bend it', (_, value) => {
    // Only untyped callers can get here, so the test is one.
    const untyped: (value: never) => string = canonicalJson;
    const outcome = codeOf(() => untyped({ value } as never));
    expect(outcome).toBeInstanceOf(typeof value === 'bigint' ? TypeError : AssertionError);
  });
});

/** The same value with all keys in the opposite order. */
function reversed(value: JsonValue): JsonValue {
  if (Array.isArray(value)) return value.map(reversed);
  if (typeof value !== 'object' || value === null) return value;
  const members = Object.entries(value).map(([key, member]) => [key, reversed(member)] as const);
  return Object.fromEntries(members.reverse());
}
