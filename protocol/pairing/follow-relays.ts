/** The bunker decides where it is met (NIP-46 `switch_relays`); the relays it had stay as well. */
import { AtmError, messageOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { BunkerSigner } from '../signer/bunker-signer.ts';
import type { Nip46Outcome } from '../signer/nip46.ts';
import { parseJson } from '../signer/nip46-reply.ts';
import { bunkerRelaysOf, type Pairing } from './pairing.ts';
import { RELAYS_MAX, relayUrlFault } from './relay-url.ts';

/** What `followRelays` needs. */
export interface FollowRelaysOptions {
  readonly pairing: Pairing;
  readonly signer: Pick<BunkerSigner, 'onHealth' | 'switchRelays'>;
  /** Writes the pairing to the disk; when it returns, it is there. @throws StoreError */
  readonly save: (pairing: Pairing) => void;
  /** Opens links to these as well. */
  readonly open: (urls: readonly string[]) => void;
  readonly log: Log;
}

/** The relays that the bunker wants to be met on; undefined when it has no wish, or a bad one. */
export function relaysWanted(
  outcome: Nip46Outcome,
  allowPrivateRelays: boolean,
  log: Log,
): readonly string[] | undefined {
  if (outcome.kind !== 'result') return undefined;
  const wish = parseJson(outcome.result);
  if (!Array.isArray(wish) || wish.length < 1 || wish.length > RELAYS_MAX) return undefined;
  const urls = wish.filter((url) => typeof url === 'string');
  const fault = urls.map((url) => relayUrlFault(url, allowPrivateRelays)).find(Boolean);
  if (fault === undefined && urls.length === wish.length) return urls;
  log.warn({ reason: fault ?? 'not all are addresses' }, 'the bunker wants relays we cannot use');
  return undefined;
}

/** The pairing with the bunker's wish; undefined when that changes nothing. */
export function withRelays(
  pairing: Pairing,
  wanted: readonly string[] | undefined,
): Pairing | undefined {
  const { bunkerRelays, fallbackBunkerRelays } = pairing;
  if (!wanted || otherUrls(wanted, bunkerRelays).length === 0) return undefined;
  return {
    ...pairing,
    bunkerRelays: [...wanted],
    // The signer is in charge of its relays, and those it had may be all that works (nostr.md 1).
    fallbackBunkerRelays: otherUrls([...bunkerRelays, ...fallbackBunkerRelays], wanted),
  };
}

/** Those of some URLs that are not among the others, at most 8. */
export function otherUrls(urls: readonly string[], known: readonly string[]): string[] {
  return [...new Set(urls)].filter((url) => !known.includes(url)).slice(0, RELAYS_MAX);
}

/**
 * Asks whenever the bunker has begun to sign, at the start and after an outage, and does as it
 * says: first on the disk, then on the line, so that a program that is ended in between finds the
 * bunker at its next start. A bunker that knows no such wish, or grants none, is silent, and
 * nothing changes.
 */
export function followRelays(options: FollowRelaysOptions): void {
  const { log } = options;
  let pairing = options.pairing;
  let asking = Promise.resolve();
  options.signer.onHealth(({ kind }) => {
    if (kind !== 'ok') return;
    asking = asking
      .then(async () => {
        pairing = await follow(pairing, options);
      })
      .catch((error: unknown) => {
        // The client was closed, or the disk does not take it: it is asked again.
        if (!(error instanceof AtmError)) throw error;
        log.warn({ reason: messageOf(error) }, 'relays of the bunker not followed');
      });
  });
}

async function follow(pairing: Pairing, options: FollowRelaysOptions): Promise<Pairing> {
  const { signer, save, open, log } = options;
  // Whoever allowed a private relay when this machine was paired allowed the bunker's next one.
  const isPrivate = (url: string) => relayUrlFault(url, false) !== undefined;
  const allowPrivateRelays = pairing.bunkerRelays.some(isPrivate);
  const wanted = relaysWanted(await signer.switchRelays(), allowPrivateRelays, log);
  const switched = withRelays(pairing, wanted);
  if (!switched) return pairing;
  save(switched);
  const added = otherUrls(bunkerRelaysOf(switched), bunkerRelaysOf(pairing));
  log.info({ relays: switched.bunkerRelays, added }, 'the bunker is met elsewhere');
  if (added.length > 0) open(added);
  return switched;
}
