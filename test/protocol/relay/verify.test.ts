import fc from 'fast-check';
import { verifyEvent } from 'nostr-tools/pure';
import { beforeAll, describe, expect, it } from 'vitest';
import { quickVerifier, verifySignature } from '#protocol/relay/verify.ts';
import { forged, signed } from './stub-relay.ts';

describe('verification', () => {
  beforeAll(() => quickVerifier);

  it('takes what its author signed and nothing else', () => {
    const event = signed({ content: 'äöü \ud83d\ude00 "\\ \u2028', tags: [['d', 'x']] });
    const other = signed({ content: 'other' });
    expect(verifySignature(event)).toBe(true);
    expect(verifySignature(forged(event))).toBe(false);
    expect(verifySignature({ ...event, content: 'other' })).toBe(false);
    expect(verifySignature({ ...event, pubkey: 'ab'.repeat(32) })).toBe(false);
    expect(verifySignature({ ...event, id: other.id, sig: other.sig })).toBe(false);
  });

  it('is not misled by an id or signature of another length or case', () => {
    const event = signed();
    expect(verifySignature(event)).toBe(true);
    for (const id of ['', event.id.toUpperCase(), event.id.slice(2), `${event.id}00`]) {
      expect(verifySignature({ ...event, id })).toBe(false);
    }
    for (const sig of ['', event.sig.toUpperCase(), event.sig.slice(2), `${event.sig}00`]) {
      expect(verifySignature({ ...event, sig })).toBe(false);
    }
  });

  it('leaves nothing on the event that a copy could carry along', () => {
    const event = signed();
    expect(verifySignature(event)).toBe(true);
    expect(Object.getOwnPropertySymbols(event)).toEqual([]);
  });

  it('judges as the plain implementation does, whatever byte is changed', () => {
    const event = signed({ content: 'hello', tags: [['p', 'ab'.repeat(32)]] });
    const text = JSON.stringify(event);
    fc.assert(
      fc.property(fc.nat(text.length - 1), fc.constantFrom(...'0af9"x'), (at, character) => {
        let changed: typeof event;
        try {
          changed = JSON.parse(text.slice(0, at) + character + text.slice(at + 1));
        } catch {
          return;
        }
        expect(verifySignature(structuredClone(changed))).toBe(verifyEvent(changed));
      }),
      { numRuns: 300 },
    );
  });

  it('bears the longest frame that is let through, again and again', () => {
    const event = signed({ content: 'x'.repeat(130_000) });
    for (let round = 0; round < 100; round++) expect(verifySignature(event)).toBe(true);
  });
});
