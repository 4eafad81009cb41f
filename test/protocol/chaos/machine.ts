/** The machine's Nostr side as the agent wires it, with ears on all that it says and writes. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { type NostrSide, type OpenRelays, openNostr } from '#agent/nostr.ts';
import type { Clock, Random } from '#protocol/base/clock.ts';
import type { Log } from '#protocol/base/log.ts';
import { Secret } from '#protocol/base/secret.ts';
import { CorrectedClock } from '#protocol/corrected-clock.ts';
import type { InboxReport } from '#protocol/documents/inbox.ts';
import type { Pairing } from '#protocol/pairing/pairing.ts';
import { PairingFile } from '#protocol/pairing/pairing-file.ts';
import { createNostrCrypto, type NostrCrypto } from '#protocol/signer/nostr-crypto.ts';
import type { SignatureCap } from '#protocol/signer/signature-budget.ts';
import type { SignerHealth } from '#protocol/signer/signer.ts';
import { openStore, type Store } from '#state/store.ts';
import { logLines } from '#test/support/log-lines.ts';
import { type Hidden, hiddenKey, spilled } from '#test/support/written.ts';

/** What a machine is made of. */
export interface ChaosMachineOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly openRelays: (log: Log) => OpenRelays;
  readonly pairing: Pairing;
  readonly signatureCaps?: readonly SignatureCap[];
  /** Keys and signatures other than the real ones. */
  readonly crypto?: NostrCrypto;
}

/** Real files in memory where there are such: no row is about what a disk takes its time for. */
export const FILES_IN = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
/** What seals the pairing and what the database holds in confidence. */
export const SEALING_KEY = new Secret(Uint8Array.from({ length: 32 }, (_, at) => at * 5 + 3));

/** A machine that can be ended at any moment and started again from its folder. */
export class ChaosMachine {
  readonly clock: Clock;
  readonly folder = mkdtempSync(join(FILES_IN, 'spire-chaos-'));
  readonly log: Log;
  readonly lines: string[];
  readonly file: PairingFile;
  /** What the inbox has reported, over all lives. */
  readonly reports: InboxReport[] = [];
  /** Health as it changed, over all lives. */
  readonly healths: SignerHealth['kind'][] = [];
  nostr: NostrSide;
  store: Store;
  readonly #options: ChaosMachineOptions;
  readonly #listeners = new Set<() => void>();

  constructor(options: ChaosMachineOptions) {
    this.#options = options;
    this.clock = options.clock;
    const { log, lines } = logLines();
    this.log = log;
    this.lines = lines;
    const path = join(this.folder, 'pairing.json');
    this.file = new PairingFile({ path, random: options.random, log, sealingKey: SEALING_KEY });
    this.file.save(options.pairing);
    this.store = this.#openStore();
    this.nostr = this.#open();
  }

  /** The pairing as it is on the disk. */
  get pairing(): Pairing {
    const pairing = this.file.load();
    if (!pairing) throw new Error('no pairing');
    return pairing;
  }

  get health(): SignerHealth['kind'] {
    return this.nostr.signer.health().kind;
  }

  /** Calls back after every change of health, clock or documents. */
  onNews(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  hasLine(phrase: string): boolean {
    return this.lines.some((line) => line.includes(phrase));
  }

  /** Ends the program and starts it again on what is on the disk, or on another pairing. */
  async restart(pairing?: Pairing): Promise<void> {
    await this.nostr.close();
    this.store.close();
    if (pairing) this.file.save(pairing);
    this.store = this.#openStore();
    this.nostr = this.#open();
  }

  /** Ends it for good. Nothing that it wrote or said holds a secret, its pairing included. */
  async close(secrets: readonly Hidden[]): Promise<void> {
    const hidden = [
      ...secrets,
      hiddenKey('the client key', this.pairing.clientKey.reveal()),
      hiddenKey('the sealing key', SEALING_KEY.reveal()),
    ];
    // Also while it runs: what is only in the database's log is gone at the end.
    const whileOpen = spilled(this.folder, this.lines, hidden);
    await this.nostr.close();
    this.store.close();
    const atTheEnd = spilled(this.folder, this.lines, hidden);
    rmSync(this.folder, { recursive: true });
    expect([...whileOpen, ...atTheEnd]).toEqual([]);
    // The runner keeps this machine until the last row: what it said would weigh as a leak.
    this.lines.length = 0;
  }

  #openStore(): Store {
    return openStore({
      path: join(this.folder, 'state.sqlite'),
      clock: this.clock,
      random: this.#options.random,
      log: this.log,
      sealingKey: SEALING_KEY,
      bootId: 'chaos',
    });
  }

  #open(): NostrSide {
    const { clock, random, crypto, openRelays, signatureCaps } = this.#options;
    const time = new CorrectedClock({ clock, log: this.log });
    const nostr = openNostr({
      ...{ clock, time, random, crypto, signatureCaps, store: this.store, log: this.log },
      pairing: this.pairing,
      savePairing: (changed) => this.file.save(changed),
      openRelays: openRelays(this.log),
    });
    const tell = () => {
      for (const listener of [...this.#listeners]) listener();
    };
    nostr.bunker.onHealth(({ kind }) => {
      this.healths.push(kind);
      tell();
    });
    nostr.time.subscribe(tell);
    nostr.inbox.open((report) => {
      this.reports.push(report);
      tell();
    });
    return nostr;
  }
}

/** A finished pairing with fresh keys, as `spire pair` would have left it. */
export function pairingWith(
  random: Random,
  known: Pick<Pairing, 'spirePubkey' | 'operatorPubkey' | 'transportPubkey' | 'walletId'> &
    Pick<Pairing, 'bunkerRelays' | 'rpcRelays'>,
): { readonly pairing: Pairing; readonly clientPubkey: string } {
  const clientKey = random.bytes(32);
  const pairing: Pairing = {
    version: 1,
    state: 'bound',
    clientKey: new Secret(Buffer.from(clientKey)),
    bunkerPubkey: known.spirePubkey,
    fallbackBunkerRelays: [],
    documentRelays: [...known.rpcRelays],
    token: { secretHash: '00'.repeat(32), state: 'spent' },
    ...known,
    bunkerRelays: [...known.bunkerRelays],
    rpcRelays: [...known.rpcRelays],
  };
  return { pairing, clientPubkey: createNostrCrypto(random).publicKeyOf(clientKey) };
}
