/**
 * eSSP: keys that are agreed at the start of a session, and packets under them.
 * Keys: Diffie-Hellman over numbers of at most 64 bits. Such numbers keep out a line tap of its day
 * and no attacker of ours; the protocol has no larger ones.
 * A packet inside a frame's data: `7E` and AES-128-ECB over `length(1) count(4) data packing
 * crc(2)`, whole blocks of 16. The count rises by one with every packet, either way.
 * Source: ITL SSP manual GA138, encryption keys and encryption layer; cash-hardware.md 5.6.
 */
import { ecb } from '@noble/ciphers/aes.js';
import type { Random } from '#protocol/base/clock.ts';
import { crc16Ssp } from './wire.ts';

/** Numbers travel as eight bytes, low byte first. */
export const KEY_NUMBER_BYTES = 8;
/** The half of the key that is agreed beforehand; what devices are delivered with. */
export const DEFAULT_FIXED_KEY = 0x0123456701234567n;

/**
 * Primes are taken below 2^31, as by the vendor's own programs: a device that multiplies in 64 bits
 * does not overflow with them.
 */
const PRIME_BITS = 31n;
/** Primes of that size are one in about 21 numbers; the bound is far beyond bad luck. */
const CANDIDATES_MAX = 10_000;

/** `base` to the power of `exponent`, modulo `modulus`. */
export function modPow(base: bigint, exponent: bigint, modulus: bigint): bigint {
  let result = 1n % modulus;
  let factor = base % modulus;
  for (let rest = exponent; rest > 0n; rest >>= 1n) {
    if (rest & 1n) result = (result * factor) % modulus;
    factor = (factor * factor) % modulus;
  }
  return result;
}

/** These witnesses decide every number below 2^64. Source: Sorenson and Webster, 2015. */
const WITNESSES = [2n, 3n, 5n, 7n, 11n, 13n, 17n, 19n, 23n, 29n, 31n, 37n];

/** Whether a number below 2^64 is prime, by Miller and Rabin. */
export function isPrime(number: bigint): boolean {
  if (number < 2n) return false;
  for (const witness of WITNESSES) {
    if (number === witness) return true;
    if (number % witness === 0n) return false;
  }
  let odd = number - 1n;
  let twos = 0;
  for (; (odd & 1n) === 0n; odd >>= 1n) twos++;
  return WITNESSES.every((witness) => {
    let power = modPow(witness, odd, number);
    if (power === 1n) return true;
    for (let count = 0; count < twos; count++) {
      if (power === number - 1n) return true;
      power = (power * power) % number;
    }
    return false;
  });
}

/** One side's numbers. The generator is the greater of the two primes. */
export interface KeyOffer {
  readonly generator: bigint;
  readonly modulus: bigint;
  readonly secret: bigint;
}

/** New numbers for one session. */
export function newKeyOffer(random: Random): KeyOffer {
  const one = randomPrime(random);
  let other = randomPrime(random);
  while (other === one) other = randomPrime(random);
  const [generator, modulus] = one > other ? [one, other] : [other, one];
  return { generator, modulus, secret: randomNumber(random) };
}

/** What is sent to the other side. */
export function intermediateOf({ generator, modulus, secret }: KeyOffer): bigint {
  return modPow(generator, secret, modulus);
}

/** The key that both sides come to: the fixed half, then the shared number. */
export function sessionKey(
  { modulus, secret }: Pick<KeyOffer, 'modulus' | 'secret'>,
  otherIntermediate: bigint,
  fixedKey: bigint,
): Uint8Array {
  const shared = modPow(otherIntermediate, secret, modulus);
  return Uint8Array.from([...numberBytes(fixedKey), ...numberBytes(shared)]);
}

/** A number below 2^64 as it travels. */
export function numberBytes(number: bigint): Uint8Array {
  const bytes = new Uint8Array(KEY_NUMBER_BYTES);
  new DataView(bytes.buffer).setBigUint64(0, number, true);
  return bytes;
}

/** The number in eight bytes. @throws RangeError for fewer. */
export function numberOf(bytes: Uint8Array): bigint {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length).getBigUint64(0, true);
}

function randomPrime(random: Random): bigint {
  for (let count = 0; count < CANDIDATES_MAX; count++) {
    const candidate = randomNumber(random) | 1n;
    if (isPrime(candidate)) return candidate;
  }
  throw new Error('the random source gives no primes');
}

/** A number with its highest bit set, so that no key is short by chance. */
function randomNumber(random: Random): bigint {
  const number = numberOf(random.bytes(KEY_NUMBER_BYTES)) % (1n << PRIME_BITS);
  return number | (1n << (PRIME_BITS - 1n));
}

/** First byte of encrypted data. */
export const ENVELOPE_START = 0x7e;
const BLOCK_BYTES = 16;
const HEAD_BYTES = 5;
const CRC_BYTES = 2;
/** Fifteen blocks behind the start byte fit a frame. */
const DATA_BYTES_MAX = 15 * BLOCK_BYTES - HEAD_BYTES - CRC_BYTES;

/** What was in a packet. */
export interface Opened {
  readonly count: number;
  readonly data: Uint8Array;
}

/** Seals and opens packets under one session key. It keeps no count: that is its user's. */
export class SspEnvelope {
  readonly #key: Uint8Array;
  readonly #random: Random;

  /** The key has 16 bytes. The random source fills the packing. */
  constructor(key: Uint8Array, random: Random) {
    this.#key = key;
    this.#random = random;
  }

  /** A cipher object encrypts once, so each packet has its own. */
  #cipher(): ReturnType<typeof ecb> {
    return ecb(this.#key, { disablePadding: true });
  }

  /** Data for a frame. @throws RangeError for more than 233 bytes. */
  seal(count: number, data: Uint8Array): Uint8Array {
    if (data.length > DATA_BYTES_MAX) throw new RangeError(`${data.length} bytes do not fit`);
    const used = HEAD_BYTES + data.length;
    const size = Math.ceil((used + CRC_BYTES) / BLOCK_BYTES) * BLOCK_BYTES;
    const plain = new Uint8Array(size);
    plain[0] = data.length;
    new DataView(plain.buffer).setUint32(1, count, true);
    plain.set(data, HEAD_BYTES);
    plain.set(this.#random.bytes(size - CRC_BYTES - used), used);
    const crc = crc16Ssp(plain, 0, size - CRC_BYTES);
    plain.set([crc & 0xff, crc >> 8], size - CRC_BYTES);
    return Uint8Array.from([ENVELOPE_START, ...this.#cipher().encrypt(plain)]);
  }

  /** What is in a frame's data; undefined when it is no packet under this key. Never throws. */
  open(sealed: Uint8Array): Opened | undefined {
    const size = sealed.length - 1;
    if (sealed[0] !== ENVELOPE_START || size === 0 || size % BLOCK_BYTES !== 0) return undefined;
    const plain = this.#cipher().decrypt(sealed.subarray(1));
    const length = plain[0] ?? 0;
    const crc = (plain[size - 2] ?? 0) | ((plain[size - 1] ?? 0) << 8);
    if (HEAD_BYTES + length + CRC_BYTES > size) return undefined;
    if (crc !== crc16Ssp(plain, 0, size - CRC_BYTES)) return undefined;
    const count = new DataView(plain.buffer, plain.byteOffset, size).getUint32(1, true);
    return { count, data: plain.slice(HEAD_BYTES, HEAD_BYTES + length) };
  }
}
