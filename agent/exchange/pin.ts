/** PINs: what one must be, and what is kept of it. */
import { createHmac, scrypt, timingSafeEqual } from 'node:crypto';
import type { Random } from '#protocol/base/clock.ts';
import type { Secret } from '#protocol/base/secret.ts';
import type { PinHash } from '#state/technicians.ts';

/** Six digits at least (design 11), and no more than a person types. */
const PIN = /^[0-9]{6,32}$/;
const SALT_BYTES = 16;
const HASH_BYTES = 32;
/**
 * Cost of one try: 16 MiB and some 40 ms, so that a machine with 120 MiB has room for it. A PIN of
 * six digits cannot withstand a search of its own; the key that goes in with it is what a stolen
 * backup lacks. Source: RFC 7914, 2 and 6.
 */
const COST = { N: 16_384, r: 8, p: 1, maxmem: 32 * 1024 * 1024 } as const;

/** Whether it may be chosen: 6 digits or more, not all alike, no plain run up or down. */
export function isFitPin(pin: string): boolean {
  if (!PIN.test(pin)) return false;
  const steps = new Set(
    [...pin].slice(1).map((digit, at) => (Number(digit) - Number(pin[at]) + 10) % 10),
  );
  const [only] = steps;
  return steps.size > 1 || (only !== 0 && only !== 1 && only !== 9);
}

/** Keyed, so that the database alone does not tell whether a guess is right. */
function derive(key: Secret<Uint8Array>, pin: string, salt: Uint8Array): Promise<Buffer> {
  const pinKey = createHmac('sha256', key.reveal()).update('spire technician pin').digest();
  const keyed = createHmac('sha256', pinKey).update(pin).digest();
  return new Promise((resolve, reject) => {
    scrypt(keyed, salt, HASH_BYTES, COST, (error, hash) => {
      if (error) reject(error);
      else resolve(hash);
    });
  });
}

/** What is kept of a PIN. */
export async function hashPin(
  key: Secret<Uint8Array>,
  random: Random,
  pin: string,
): Promise<PinHash> {
  const salt = random.bytes(SALT_BYTES);
  return { salt, hash: new Uint8Array(await derive(key, pin, salt)) };
}

/** Whether it is the PIN; without one to compare it takes as long, and says no. */
export async function isPin(
  key: Secret<Uint8Array>,
  pin: string,
  kept: PinHash | undefined,
): Promise<boolean> {
  const hash = await derive(key, pin, kept?.salt ?? new Uint8Array(SALT_BYTES));
  return kept !== undefined && timingSafeEqual(hash, kept.hash);
}
