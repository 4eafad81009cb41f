/**
 * Whose documents are obeyed, and to whom ours are encrypted. A change of the key orphans all
 * documents; the last good ones stay in force, and nothing is taken over silently (design 10).
 */
import { z } from 'zod';
import type { Clock } from '#protocol/base/clock.ts';
import { ConfigError } from '#protocol/base/errors.ts';
import type { Pairing } from '#protocol/pairing/pairing.ts';
import type { PairingFile } from '#protocol/pairing/pairing-file.ts';
import { parsePublicKey } from '#protocol/pairing/public-key.ts';
import type { Store } from '#state/store.ts';
import type { OperatorResult } from '../api/schemas.ts';

/** Who sets the operator's key, and why; for the record. */
export interface OperatorChange {
  /** npub or hex. */
  readonly operator: string;
  readonly by: string;
  readonly reason: string;
}

const FACT = 'operator';
const factSchema = z.object({ pubkey: z.string(), afterOrdinal: z.int() });

/** The operator that the books know, and the documents that count for nothing since. */
function known(store: Store) {
  const fact = factSchema.safeParse(store.facts.get(FACT)?.value);
  return fact.success ? fact.data : undefined;
}

/** Documents up to this one are from before the operator's key was set; no watermark of theirs. */
export function watermarksAfter(store: Store): number {
  return known(store)?.afterOrdinal ?? 0;
}

/**
 * Writes into the journal that the pairing names another operator than before, by a pairing or by
 * hand; from then on his watermarks are clean. Nothing when it is the one that is known.
 */
export function noteOperator(
  store: Store,
  clock: Clock,
  pubkey: string,
  told: Readonly<Record<string, string>> = { by: 'pairing' },
): void {
  const before = known(store);
  if (before?.pubkey === pubkey) return;
  const afterOrdinal = before ? store.documents.lastOrdinal() : 0;
  store.commit(() => {
    store.facts.put(FACT, { pubkey, afterOrdinal }, clock.now());
    if (before) {
      store.journal.append('operator.changed', { from: before.pubkey, to: pubkey, ...told });
    }
  });
}

/** The key that is meant. @throws ConfigError `invalidData` for none, and for one of our own. */
export function operatorKey(text: string, pairing: Pairing): string {
  const pubkey = parsePublicKey(text, 'operator');
  if (pubkey === pairing.spirePubkey || pubkey === pairing.transportPubkey) {
    const whose = pubkey === pairing.spirePubkey ? "this machine's own" : "the wallet server's";
    throw new ConfigError('invalidData', `this key is ${whose}, and not an operator's`);
  }
  return pubkey;
}

/** What setting the operator needs. */
export interface SetOperatorParts {
  /** Undefined on a machine that was never started: its first start takes the pairing as it is. */
  readonly store: Store | undefined;
  readonly clock: Clock;
  readonly pairing: KeptPairing;
  /** Turns to the new key what hears and speaks. */
  readonly turnTo: (pubkey: string) => void;
}

/**
 * Sets the operator's key: on the disk, in the journal, and then on the line. Cut in between, the
 * next start finds it in the pairing and journals it.
 * @throws ConfigError `invalidData` for no key, or one of our own; StoreError.
 */
export function setOperator(parts: SetOperatorParts, change: OperatorChange): OperatorResult {
  const { store, clock, pairing, turnTo } = parts;
  const { operator, by, reason } = change;
  const operatorPubkey = operatorKey(operator, pairing.current);
  if (operatorPubkey === pairing.current.operatorPubkey) {
    return { outcome: 'unchanged', operatorPubkey };
  }
  pairing.saveOperator(operatorPubkey);
  if (store) noteOperator(store, clock, operatorPubkey, { by, reason });
  turnTo(operatorPubkey);
  return { outcome: 'set', operatorPubkey };
}

/** The pairing in force. Whoever changes one part of it leaves the others as they are now. */
export class KeptPairing {
  readonly #file: Pick<PairingFile, 'save'>;
  #current: Pairing;

  constructor(file: Pick<PairingFile, 'save'>, pairing: Pairing) {
    this.#file = file;
    this.#current = pairing;
  }

  /** As it is on the disk. */
  get current(): Pairing {
    return this.#current;
  }

  /** Takes over where the bunker is met; when it returns, that is on the disk. @throws StoreError */
  saveRelays({ bunkerRelays, fallbackBunkerRelays }: Pairing): void {
    this.#save({ ...this.#current, bunkerRelays, fallbackBunkerRelays });
  }

  /** Takes over whose documents are obeyed. @throws StoreError */
  saveOperator(operatorPubkey: string): void {
    this.#save({ ...this.#current, operatorPubkey });
  }

  #save(pairing: Pairing): void {
    this.#file.save(pairing);
    this.#current = pairing;
  }
}
