import fc from 'fast-check';
import { getPublicKey } from 'nostr-tools/pure';
import { describe, expect, test } from 'vitest';
import { ConfigError } from '#protocol/base/errors.ts';
import { Secret } from '#protocol/base/secret.ts';
import { npubOf, parsePublicKey } from '#protocol/pairing/public-key.ts';
import { formatSeed, parseSeed, type Seed } from '#protocol/pairing/seed.ts';

const spire = getPublicKey(new Uint8Array(32).fill(7));
const other = getPublicKey(new Uint8Array(32).fill(8));
const bunkerUrl = `bunker://${spire}?relay=wss%3A%2F%2Frelay.example&secret=abc123`;
const good = {
  spire_npub: npubOf(spire),
  spire_pubkey: spire,
  bunker_url: bunkerUrl,
  relays: ['wss://relay.example', 'wss://two.example/path?x=1'],
};

const encode = (body: unknown) =>
  `spire-seed:v1:${Buffer.from(JSON.stringify(body)).toString('base64url')}`;

function refusal(text: string, allowPrivateRelays = false): ConfigError {
  try {
    parseSeed(text, { allowPrivateRelays });
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
  throw new Error('the seed was taken');
}

describe('parseSeed', () => {
  test('reads a seed as the wallet makes it', () => {
    const seed = parseSeed(encode(good));
    expect(seed).toMatchObject({
      spirePubkey: spire,
      bunkerPubkey: spire,
      bunkerRelays: ['wss://relay.example'],
      relays: good.relays,
    });
    expect(seed.secret.reveal()).toBe('abc123');
  });

  test('takes padding, surrounding space, an unescaped relay and capitals in keys', () => {
    const text = encode({ ...good, spire_pubkey: spire.toUpperCase() });
    const padded = text + '='.repeat((4 - ((text.length - 14) % 4)) % 4);
    expect(parseSeed(`  ${padded}\n`).spirePubkey).toBe(spire);
    const open = { ...good, bunker_url: `bunker://${spire}?relay=wss://relay.example&secret=x` };
    expect(parseSeed(encode(open)).bunkerRelays).toEqual(['wss://relay.example']);
  });

  test('notes a bunker key that is not the machine’s', () => {
    const seed = parseSeed(encode({ ...good, bunker_url: bunkerUrl.replace(spire, other) }));
    expect(seed).toMatchObject({ spirePubkey: spire, bunkerPubkey: other });
  });

  const url = (from: string, to: string) => ({ ...good, bunker_url: bunkerUrl.replace(from, to) });
  test.each<[string, string, string]>([
    ['nothing', '', 'does not begin with'],
    ['a bunker address alone', bunkerUrl, 'does not begin with'],
    ['another version', 'spire-seed:v2:abcd', 'another version'],
    ['a space inside', `${encode(good)} x`, 'a character that cannot be'],
    ['a cut end', encode(good).slice(0, -20), 'not as expected'],
    ['too long', `spire-seed:v1:${'A'.repeat(20_000)}`, 'longer than'],
    ['a list', encode([good]), 'not as expected'],
    ['a field too many', encode({ ...good, extra: 1 }), 'not as expected'],
    ['a field missing', encode({ ...good, relays: undefined }), 'not as expected'],
    ['no relays', encode({ ...good, relays: [] }), 'not as expected'],
    ['nine relays', encode({ ...good, relays: Array(9).fill('wss://r.example') }), 'not as'],
    ['another npub', encode({ ...good, spire_npub: npubOf(other) }), 'not the same key'],
    ['an npub with a wrong letter', encode({ ...good, spire_npub: 'npub1qqqq' }), 'not the same'],
    [
      'a number that is no key',
      encode({ ...good, spire_pubkey: 'ff'.repeat(32) }),
      'no public key',
    ],
    ['a NIP-05 name', encode({ ...good, bunker_url: 'me@example.com' }), 'bunker://<64 hex>'],
    ['an https address', encode({ ...good, bunker_url: 'https://x.example' }), 'bunker://<64 hex>'],
    ['a bunker key that is none', encode(url(spire, 'ff'.repeat(32))), 'bunker://<64 hex>'],
    ['no secret', encode(url('&secret=abc123', '')), 'no secret'],
    ['an empty secret', encode(url('abc123', '')), 'no secret'],
    ['two secrets', encode(url('abc123', 'a&secret=b')), 'no secret'],
    ['a secret with a space', encode(url('abc123', 'a%20b')), 'no secret'],
    ['no bunker relay', encode(url('relay=wss%3A%2F%2Frelay.example&', '')), 'names 0 relays'],
    ['an unknown part', encode(url('&secret', '&perms=all&secret')), 'beside relay and secret'],
    ['an http relay', encode({ ...good, relays: ['https://relay.example'] }), 'neither ws://'],
    ['a relay with a password', encode({ ...good, relays: ['wss://a:b@r.example'] }), 'password'],
    ['a relay with a #', encode({ ...good, relays: ['wss://r.example/#x'] }), 'holds a #'],
    ['no address', encode({ ...good, relays: ['relay'] }), 'no address'],
    [
      'an endless relay',
      encode({ ...good, relays: [`wss://r.example/${'x'.repeat(600)}`] }),
      '512',
    ],
  ])('refuses %s', (_name, text, reason) => {
    const error = refusal(text, true);
    expect(error.code).toBe('invalidData');
    expect(error.message).toContain(reason);
    expect(error.message).toContain('Copy the whole seed again');
    expect(error.message).not.toContain('abc123');
  });

  test.each([
    'ws://127.0.0.1:5000/nostrrelay/demo',
    'ws://localhost:7777',
    'ws://192.168.1.5',
    'ws://[::1]:7777',
    'ws://[::ffff:127.0.0.1]',
    'wss://atm.local',
    'ws://0x7f.1',
    'ws://lnbits:5000',
  ])('refuses the private relay %s in both places, and takes it when it is allowed', (relay) => {
    const inList = encode({ ...good, relays: [relay] });
    const inUrl = encode(url('wss%3A%2F%2Frelay.example', encodeURIComponent(relay)));
    for (const text of [inList, inUrl]) {
      const error = refusal(text);
      expect(error.code).toBe('refused');
      expect(error.message).toContain('--allow-private-relays');
      expect(parseSeed(text, { allowPrivateRelays: true }).spirePubkey).toBe(spire);
    }
  });

  test('any text is read or refused, never more', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.jsonValue().map(encode)), (text) => {
        expect(refusal(text)).toBeInstanceOf(ConfigError);
      }),
    );
  });
});

test('formatSeed is the inverse of parseSeed', () => {
  const keys = fc.constantFrom(spire, other);
  const relay = fc
    .tuple(fc.constantFrom('ws', 'wss'), fc.domain(), fc.webPath(), fc.webQueryParameters())
    .map(([scheme, host, path, query]) => `${scheme}://${host}${path}${query && `?${query}`}`)
    .filter((text) => URL.canParse(text) && text.length <= 512);
  const visible = fc.integer({ min: 0x21, max: 0x7e }).map((code) => String.fromCharCode(code));
  const seeds: fc.Arbitrary<Seed> = fc.record({
    spirePubkey: keys,
    bunkerPubkey: keys,
    bunkerRelays: fc.array(relay, { minLength: 1, maxLength: 8 }),
    relays: fc.array(relay, { minLength: 1, maxLength: 8 }),
    secret: fc
      .string({ unit: visible, minLength: 1, maxLength: 256 })
      .map((text) => new Secret(text)),
  });
  fc.assert(
    fc.property(seeds, (seed) => {
      const read = parseSeed(formatSeed(seed), { allowPrivateRelays: true });
      expect({ ...read, secret: read.secret.reveal() }).toEqual({
        ...seed,
        secret: seed.secret.reveal(),
      });
    }),
    { numRuns: 50 },
  );
});

test('keys are read as npub or hex, and nothing else', () => {
  expect(parsePublicKey(npubOf(spire), 'operator')).toBe(spire);
  expect(parsePublicKey(` ${spire.toUpperCase()} `, 'operator')).toBe(spire);
  for (const text of ['', 'npub1', 'ff'.repeat(32), npubOf(spire).slice(0, -1), 'x'.repeat(500)]) {
    expect(() => parsePublicKey(text, 'operator')).toThrow(/the operator is no public key/);
  }
});
