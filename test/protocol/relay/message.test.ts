import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isFlat, prefixOf, readMessage } from '#protocol/relay/message.ts';
import { signed } from './stub-relay.ts';

const read = (message: unknown) => readMessage(JSON.stringify(message));

describe('a message of a relay', () => {
  it('is read as NIP-01 and NIP-42 write it', () => {
    const event = signed();
    expect(read(['EVENT', 'a', event])).toEqual({ kind: 'event', request: 'a', event });
    expect(read(['EOSE', 'a'])).toEqual({ kind: 'endOfStored', request: 'a' });
    expect(read(['CLOSED', 'a', 'error: no'])).toEqual({
      kind: 'closed',
      request: 'a',
      words: 'error: no',
    });
    expect(read(['OK', 'b', true, ''])).toEqual({
      kind: 'ok',
      id: 'b',
      accepted: true,
      words: '',
    });
    expect(read(['NOTICE', 'hear'])).toEqual({ kind: 'notice', words: 'hear' });
    expect(read(['AUTH', 'c'])).toEqual({ kind: 'challenge', challenge: 'c' });
  });

  it('may lack its words, as some relays leave them out', () => {
    expect(read(['OK', 'b', false])).toMatchObject({ kind: 'ok', words: '' });
    expect(read(['CLOSED', 'a'])).toMatchObject({ kind: 'closed', words: '' });
    expect(read(['CLOSED', 'a', { no: 'text' }])).toMatchObject({ kind: 'closed', words: '' });
  });

  it('keeps the words short', () => {
    expect(read(['NOTICE', 'x'.repeat(5_000)])).toEqual({ kind: 'notice', words: 'x'.repeat(300) });
  });

  it('drops fields of an event that NIP-01 does not know', () => {
    const event = signed();
    expect(read(['EVENT', 'a', { ...event, seen: true }])).toEqual({
      kind: 'event',
      request: 'a',
      event,
    });
  });

  it.each([
    ['an upper case id', { id: 'A'.repeat(64) }],
    ['an empty id', { id: '' }],
    ['a long signature', { sig: 'a'.repeat(130) }],
    ['a fractional time', { created_at: 1.5 }],
    ['a negative time', { created_at: -1 }],
    ['a kind beyond 16 bits', { kind: 65_536 }],
    ['a number in a tag', { tags: [['p', 1]] }],
    ['content that is no text', { content: { text: 'a' } }],
  ])('refuses an event with %s', (_what, fields) => {
    expect(read(['EVENT', 'a', { ...signed(), ...fields }]).kind).toBe('unknown');
  });

  it('is garbage when it is no JSON or no array, and unknown when of another type', () => {
    for (const text of ['', '{', '{"a":1}', 'null', '"EVENT"', '[1,']) {
      expect(readMessage(text).kind).toBe('garbage');
    }
    for (const message of [
      [],
      ['COUNT', 'a', {}],
      [['EVENT']],
      [null],
      ['EOSE'],
      ['OK', 1, true],
    ]) {
      expect(read(message).kind).toBe('unknown');
    }
  });

  it('is not parsed when it is deep or has very many parts', () => {
    expect(isFlat('['.repeat(7))).toBe(false);
    expect(isFlat('['.repeat(6))).toBe(true);
    expect(isFlat(`["${'[{'.repeat(10_000)}"]`)).toBe(true);
    expect(isFlat(`["\\"${'[{'.repeat(10_000)}"]`)).toBe(true);
    expect(isFlat(`["\\\\",${'['.repeat(10)}`)).toBe(false);
    expect(isFlat(`[${'[],'.repeat(2_001)}1]`)).toBe(false);
    const deep = `["EVENT","a",${'['.repeat(60_000)}${']'.repeat(60_000)}]`;
    expect(readMessage(deep)).toMatchObject({ kind: 'garbage' });
    const tags = Array.from({ length: 2_001 }, () => ['t', 'x']);
    expect(read(['EVENT', 'a', signed({ tags })]).kind).toBe('garbage');
  });

  it('agrees with a slow count of the depth outside strings', () => {
    const depthOf = (value: unknown): number =>
      typeof value === 'object' && value !== null
        ? 1 + Math.max(0, ...Object.values(value).map(depthOf))
        : 0;
    fc.assert(
      fc.property(fc.json({ maxDepth: 10 }), (text) => {
        expect(isFlat(text)).toBe(depthOf(JSON.parse(text)) <= 6);
      }),
    );
  });

  it('never throws, whatever comes', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        expect(readMessage(text).kind).toBeTypeOf('string');
      }),
    );
    const types = fc.constantFrom('EVENT', 'EOSE', 'CLOSED', 'OK', 'NOTICE', 'AUTH');
    fc.assert(
      fc.property(types, fc.array(fc.jsonValue()), (type, rest) => {
        expect(read([type, ...rest]).kind).not.toBe('event');
      }),
    );
  });
});

describe('the prefix of words', () => {
  it('is told only at their start', () => {
    expect(prefixOf('rate-limited: slow down')).toBe('rate-limited');
    expect(prefixOf('blocked: you')).toBe('blocked');
    expect(prefixOf('auth-required: who?')).toBe('auth-required');
    expect(prefixOf('error: blocked: no')).toBeUndefined();
  });
});
