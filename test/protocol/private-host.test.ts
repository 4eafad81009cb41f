import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isPrivateHost } from '#protocol/private-host.ts';

describe('isPrivateHost', () => {
  test.each([
    '',
    ' ',
    'localhost',
    'LOCALHOST.',
    'relay.localhost',
    'lnbits',
    'atm.local',
    'atm.local.',
    'nas.lan',
    'box.internal',
    'box.home.arpa',
    '127.0.0.1',
    '127.255.255.254',
    '127.1',
    '0x7f000001',
    '2130706433',
    '0177.0.0.1',
    '0.0.0.0',
    '10.1.2.3',
    '100.64.0.1',
    '169.254.169.254',
    '172.16.0.1',
    '172.31.255.255',
    '192.168.1.1',
    '198.18.0.1',
    '224.0.0.1',
    '255.255.255.255',
    '::',
    '::1',
    '[::1]',
    '[0:0:0:0:0:0:0:1]',
    '::ffff:127.0.0.1',
    '[::ffff:c0a8:0101]',
    '::ffff:10.0.0.1',
    '::127.0.0.1',
    'fe80::1',
    'fc00::1',
    'fd12:3456::1',
    'ff02::1',
    '64:ff9b::7f00:1',
    '2002:7f00:1::',
    '2001:db8::1',
    'user@relay.example',
    'relay.example:80',
    'relay.example/path',
    'no host',
  ])('%j is private', (host) => expect(isPrivateHost(host)).toBe(true));

  test.each([
    'relay.damus.io',
    'RELAY.DAMUS.IO.',
    'localhost.example.com',
    'local.example.com',
    '8.8.8.8',
    '172.15.0.1',
    '172.32.0.1',
    '100.63.0.1',
    '11.0.0.1',
    '2606:4700::1111',
    '[2a00:1450:4001::1]',
    '::ffff:8.8.8.8',
    'xn--bcher-kva.example',
    'abcdefghijklmnop.onion',
  ])('%j is public', (host) => expect(isPrivateHost(host)).toBe(false));

  test('an IPv4 address is judged the same in every spelling', () => {
    fc.assert(
      fc.property(fc.nat(0xffff_ffff), (number) => {
        const parts = [24, 16, 8, 0].map((shift) => Math.floor(number / 2 ** shift) % 256);
        const verdict = isPrivateHost(parts.join('.'));
        const hex = (value: number) => value.toString(16);
        expect(isPrivateHost(String(number))).toBe(verdict);
        expect(isPrivateHost(`0x${hex(number)}`)).toBe(verdict);
        expect(isPrivateHost(`::ffff:${parts.join('.')}`)).toBe(verdict);
        expect(isPrivateHost(`[::ffff:${parts.join('.')}]`)).toBe(verdict);
      }),
    );
  });

  test('any text gets an answer', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 80 }), (text) => {
        expect(typeof isPrivateHost(text)).toBe('boolean');
      }),
    );
  });
});
