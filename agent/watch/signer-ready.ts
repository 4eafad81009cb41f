/** What must be certain of the signer before a customer puts anything at stake (design 9). */
import type { Notice } from '../machines/cash-in.ts';
import type { Parts } from '../parts.ts';
import { say } from '../texts/customer.ts';
import type { Direction } from './reasons.ts';

/** A signature younger than this proves the signer, ms. Source: design 9. */
const PROVEN_MS = 60_000;
/**
 * Signatures that one session may need. Cash-in: three withdraw requests, the balance each minute
 * and again after a lost answer, and 10 min of looking whether the link was claimed. Cash-out: the
 * invoice, a question every 10 s while it lives, each perhaps twice, and the late questions.
 */
const NEEDED: Readonly<Record<Direction, number>> = { cashIn: 48, cashOut: 64 };

const OVERDRAWN: Notice = say('signatures', 'notice.signatures');

/** Why there are not enough signatures for a session, as a sentence; undefined when there are. */
export function shortOfSignatures(parts: Parts, direction: Direction): string | undefined {
  if (parts.signatures.has(NEEDED[direction])) return undefined;
  return OVERDRAWN.text;
}

/**
 * Proves the signer, when its last signature is old, and reserves all signatures of a session;
 * `conclude` or the next session lets go of them. The notice says why there can be none now.
 */
export async function readySigner(parts: Parts, direction: Direction): Promise<Notice | undefined> {
  const { signer, clock, signatures } = parts;
  const health = signer.health();
  const isOld = health.kind !== 'ok' || clock.monotonic() - health.atMonotonicMs > PROVEN_MS;
  if (isOld && (await signer.probe()).kind !== 'ok') {
    return say('signerUnreachable', 'notice.signerUnreachable');
  }
  if (signatures.reserve(NEEDED[direction])) return undefined;
  return OVERDRAWN;
}
