/** Keys and packets of eSSP against published vectors, and against an independent cipher. */
import { createDecipheriv } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  intermediateOf,
  isPrime,
  modPow,
  newKeyOffer,
  numberBytes,
  numberOf,
  SspEnvelope,
  sessionKey,
} from '#hal/ssp/encryption.ts';
import { encodeFrame, SspFramer } from '#hal/ssp/wire.ts';
import type { Random } from '#protocol/base/clock.ts';
import { seededRandom } from '#test/support/seeded-random.ts';

const bytesOf = (hex: string) => Uint8Array.from(Buffer.from(hex.replaceAll(' ', ''), 'hex'));
const zeros: Random = { bytes: (count) => new Uint8Array(count) };

function dataOf(hex: string): Uint8Array {
  const [event] = new SspFramer().push(bytesOf(hex));
  if (event?.kind !== 'frame') throw new Error('no frame');
  return event.frame.data;
}

/**
 * Sources: kybarg/ssp lib/utils.test.js; decapod-atm/ssp src/encrypted.rs; cash-hardware.md
 * 5.6.
 */
test.each([
  [
    '67452301674523019565000000000000',
    '7F 00 11 7E 70 2F FE 1D 41 19 44 AD DA D1 DF D6 77 F5 33 CC 63 1D',
    { count: 1, data: bytesOf('F0 00 4A 78 B4') },
  ],
  [
    '67452301674523015efae50d00000000',
    '7F 80 11 7E 86 01 F3 A7 85 EC 6F 4B 3D 0F F0 FE D4 8D 16 64 2A 23',
    { count: 0, data: bytesOf('06 06') },
  ],
  [
    '67452301674523015368000000000000',
    '7F 80 11 7E 52 AF E4 76 6A D3 A5 45 01 BA 6D 48 C7 0A 9B D4 C0 B4',
    { count: 0, data: bytesOf('07') },
  ],
  [
    '67452301674523015368000000000000',
    '7F 80 11 7E B5 6F E5 9A 41 0F 6C 9E A4 C4 03 78 6E 5A 50 61 93 81',
    { count: 1, data: bytesOf('F0') },
  ],
])('opens a published packet under %s', (key, frame, opened) => {
  expect(new SspEnvelope(bytesOf(key), zeros).open(dataOf(frame))).toEqual(opened);
});

test('seals as the reference does', () => {
  const envelope = new SspEnvelope(bytesOf('67452301674523015368000000000000'), zeros);
  expect(encodeFrame(1, envelope.seal(0, Uint8Array.of(0x07)))).toEqual(
    bytesOf('7F 80 11 7E 52 AF E4 76 6A D3 A5 45 01 BA 6D 48 C7 0A 9B D4 C0 B4'),
  );
  expect(encodeFrame(1, envelope.seal(1, Uint8Array.of(0xf0)))).toEqual(
    bytesOf('7F 80 11 7E B5 6F E5 9A 41 0F 6C 9E A4 C4 03 78 6E 5A 50 61 93 81'),
  );
});

test('what is sealed opens, also with an independent cipher; what was altered does not', () => {
  const key = bytesOf('67452301674523015368000000000000');
  const envelope = new SspEnvelope(key, seededRandom('packing'));
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 0xffffffff }),
      fc.uint8Array({ maxLength: 233 }),
      fc.nat(),
      (count, data, where) => {
        const sealed = envelope.seal(count, data);
        expect(sealed.length % 16).toBe(1);
        expect(envelope.open(sealed)).toEqual({ count, data });
        const cipher = createDecipheriv('aes-128-ecb', key, null).setAutoPadding(false);
        const plain = Buffer.concat([cipher.update(sealed.subarray(1)), cipher.final()]);
        expect(plain[0]).toBe(data.length);
        expect(plain.readUInt32LE(1)).toBe(count);
        const altered = Uint8Array.from(sealed);
        const at = 1 + (where % (sealed.length - 1));
        altered[at] = (altered[at] ?? 0) ^ 1;
        expect(envelope.open(altered)).not.toEqual({ count, data });
      },
    ),
  );
  expect(() => envelope.seal(0, new Uint8Array(234))).toThrow(RangeError);
  for (const size of [0, 1, 16, 18]) expect(envelope.open(new Uint8Array(size))).toBeUndefined();
});

test('the published key exchange: both sides come to 32835', () => {
  const host = { generator: 60539n, modulus: 58907n, secret: 4321n };
  const slave = { generator: 60539n, modulus: 58907n, secret: 12345n };
  expect([isPrime(60539n), isPrime(58907n)]).toEqual([true, true]);
  expect([intermediateOf(host), intermediateOf(slave)]).toEqual([25932n, 3348n]);
  const key = sessionKey(host, 3348n, 0x0123456701234567n);
  expect(key).toEqual(bytesOf('67 45 23 01 67 45 23 01 43 80 00 00 00 00 00 00'));
  expect(sessionKey(slave, 25932n, 0x0123456701234567n)).toEqual(key);
});

test('new numbers are primes of the size that devices take, and come from the random source', () => {
  for (let seed = 0; seed < 50; seed++) {
    const offer = newKeyOffer(seededRandom(`offer ${seed}`));
    expect(newKeyOffer(seededRandom(`offer ${seed}`))).toEqual(offer);
    const { generator, modulus, secret } = offer;
    expect([isPrime(generator), isPrime(modulus)]).toEqual([true, true]);
    expect(generator > modulus).toBe(true);
    for (const number of [generator, modulus, secret]) {
      expect(number >= 1n << 30n && number < 1n << 31n).toBe(true);
    }
  }
});

test('primes, by trial division too; and large ones', () => {
  const isPrimeSlowly = (number: number) => {
    for (let factor = 2; factor * factor <= number; factor++)
      if (number % factor === 0) return false;
    return number > 1;
  };
  for (let number = 0; number < 3000; number++) {
    expect([number, isPrime(BigInt(number))]).toEqual([number, isPrimeSlowly(number)]);
  }
  // The greatest prime below 2^64, and a strong pseudoprime to the first nine primes.
  expect(isPrime(18_446_744_073_709_551_557n)).toBe(true);
  expect(isPrime(3_825_123_056_546_413_051n)).toBe(false);
  expect(modPow(2n, 0n, 1n)).toBe(0n);
});

test('numbers travel low byte first', () => {
  expect(numberBytes(982_451_653n)).toEqual(bytesOf('C5 05 8F 3A 00 00 00 00'));
  expect(numberOf(bytesOf('79 C8 9C E2 DE 06 00 00'))).toBe(7_554_354_432_121n);
});
