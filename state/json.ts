/** JSON as the state keeps it: plain values only, and one text for one value. */
import assert from 'node:assert/strict';

/** Any JSON value. */
export type JsonValue =
  | null
  | boolean
  | number
  | string
  | readonly JsonValue[]
  | { readonly [key: string]: JsonValue };

/** A JSON object. */
export type JsonObject = { readonly [key: string]: JsonValue };

/**
 * The one text of a JSON value: keys sorted by UTF-16 code units, no white space. Anything that
 * JSON would drop or bend in silence (undefined, NaN, a class instance such as `Secret`) is a bug
 * of the caller and fails an assertion.
 */
export function canonicalJson(value: JsonValue): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value === 'object' && value !== null) {
    const prototype: unknown = Object.getPrototypeOf(value);
    assert(prototype === Object.prototype || prototype === null, 'a class instance is no JSON');
    const members = Object.entries(value)
      .sort(([left], [right]) => (left < right ? -1 : 1))
      .map(([key, member]) => `${JSON.stringify(key)}:${canonicalJson(member)}`);
    return `{${members.join(',')}}`;
  }
  assert(typeof value !== 'number' || Number.isFinite(value), 'JSON has no NaN and no infinity');
  const text: string | undefined = JSON.stringify(value);
  assert(text !== undefined, `${typeof value} is no JSON`);
  return text;
}

/** Reads what `canonicalJson` wrote. */
export function parseJson(text: string): JsonValue {
  const value: JsonValue = JSON.parse(text);
  return value;
}

/** Reads an object that `canonicalJson` wrote; the tables' CHECKs allow nothing else there. */
export function parseJsonObject(text: string): JsonObject {
  const value: JsonObject = JSON.parse(text);
  return value;
}
