/** What a relay takes and refuses by time; one set of rules for the real and the small relay. */
import type { SignedEvent } from '../event.ts';

/** Bounds on `created_at`, seconds; undefined means none. */
export interface RelayRules {
  /** Furthest into the future. Source: strfry, nostream and @nostr-relay all use 900 s. */
  futureMaxSec: number | undefined;
  /** Oldest ephemeral event. Source: strfry's `ephemeralEventsLifetimeSeconds` guard, 60 s. */
  ephemeralAgeMaxSec: number | undefined;
}

/** The rules of the most deployed relay (strfry), which are the strictest of the common ones. */
export const usualRelayRules: Readonly<RelayRules> = { futureMaxSec: 900, ephemeralAgeMaxSec: 60 };

/** True for kinds that relays forward and do not keep (NIP-01). */
export const isEphemeral = (kind: number): boolean => kind >= 20_000 && kind < 30_000;

/** True for kinds of which relays keep one event per author and `d` tag (NIP-01). */
export const isAddressable = (kind: number): boolean => kind >= 30_000 && kind < 40_000;

/** The seven fields of an event, without the mark by which nostr-tools remembers a verdict. */
export function bareEvent(event: SignedEvent): SignedEvent {
  const { id, pubkey, created_at, kind, content, sig } = event;
  return { id, pubkey, created_at, kind, tags: event.tags.map((tag) => [...tag]), content, sig };
}

/** The first value of a tag, or undefined. */
export function tagValue(event: Pick<SignedEvent, 'tags'>, name: string): string | undefined {
  return event.tags.find((tag) => tag[0] === name)?.[1];
}

/** Why a relay refuses an event for its time, in NIP-01's words; undefined when it does not. */
export function refusalByTime(
  event: SignedEvent,
  nowUnixMs: number,
  rules: Readonly<RelayRules>,
): string | undefined {
  const ageSec = nowUnixMs / 1000 - event.created_at;
  if (rules.futureMaxSec !== undefined && -ageSec > rules.futureMaxSec) {
    return 'invalid: created_at is too far in the future';
  }
  const { ephemeralAgeMaxSec } = rules;
  if (ephemeralAgeMaxSec !== undefined && isEphemeral(event.kind) && ageSec > ephemeralAgeMaxSec) {
    return 'invalid: ephemeral event expired';
  }
  const expiration = Number(tagValue(event, 'expiration'));
  if (Number.isFinite(expiration) && expiration * 1000 < nowUnixMs) {
    return 'invalid: event expired';
  }
  return undefined;
}

/** True when `candidate` replaces `held`: newer, or at the same second the lowest id (NIP-01). */
export function replaces(candidate: SignedEvent, held: SignedEvent): boolean {
  if (candidate.created_at !== held.created_at) return candidate.created_at > held.created_at;
  return candidate.id < held.id;
}
