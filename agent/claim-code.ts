/** Claim codes: five words that a customer holds for whatever is owed (design 6.3, 7.7). */
import assert from 'node:assert';
import { createHmac } from 'node:crypto';
import { wordlist } from '@scure/bip39/wordlists/english.js';
import { type Random, randomBelow } from '#protocol/base/clock.ts';
import { Secret } from '#protocol/base/secret.ts';

/** Five of 2,048 words are 55 bits. */
const WORDS = 5;

/** A new code: five random words of the BIP-39 English list, joined by spaces. */
export function newClaimCode(random: Random): Secret<string> {
  const pick = () => {
    const word = wordlist[randomBelow(random, wordlist.length)];
    assert.ok(word !== undefined, 'a word of the list');
    return word;
  };
  return new Secret(Array.from({ length: WORDS }, pick).join(' '));
}

/** What a person typed as a code has: case, hyphens and spaces do not count. */
export function normaliseClaimCode(typed: string): string {
  return typed
    .toLowerCase()
    .split(/[^a-z]+/)
    .filter((word) => word !== '')
    .join(' ');
}

/** Whether it is five words of the list; anything else is a typing error and no guess. */
export function isClaimCode(typed: string): boolean {
  const words = normaliseClaimCode(typed).split(' ');
  return words.length === WORDS && words.every((word) => wordlist.includes(word));
}

/** Keyed hash under which a code is kept; a stolen database does not yield codes. */
export function hashClaimCode(key: Secret<Uint8Array>, code: string): string {
  const derived = createHmac('sha256', key.reveal()).update('spire claim code').digest();
  return createHmac('sha256', derived).update(normaliseClaimCode(code)).digest('hex');
}
