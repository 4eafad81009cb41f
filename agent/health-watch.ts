/**
 * Asks the world how it is while nobody is there, so that a machine with a dead signer says so
 * before
 * anyone comes (design 9): signer, wallet, rate, notes in the bays.
 */
import { type CancelTimer, sleep } from '#protocol/base/clock.ts';
import type { SignerHealth } from '#protocol/signer/signer.ts';
import { availableBays } from './cash-out/available.ts';
import type { Parts } from './parts.ts';

/** Pace of the round while something is wrong, and while all is well. */
const ROUND_TROUBLED_MS = 15_000;
const ROUND_WELL_MS = 60_000;
/** A signature younger than this proves the signer (design 9: every 10 min while idle). */
const PROBE_AFTER_MS = 600_000;
/** A rate and a balance may be this old while nobody is there. */
const IDLE_AGE_MS = 300_000;

/** The round over everything that closes a direction and does not report by itself. */
export class HealthWatch {
  readonly #parts: Parts;
  readonly #closed = new AbortController();
  #off: CancelTimer = () => undefined;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** Starts the rounds; `onHealth` is how the signer tells of itself between them. */
  start(onHealth: (listener: (health: SignerHealth) => void) => CancelTimer): void {
    this.#off = onHealth((health) => this.#tellSigner(health));
    void this.#rounds().catch((err: unknown) => {
      if (!this.#closed.signal.aborted) this.#parts.log.fatal({ err }, 'health watch ended');
    });
  }

  /** Stops the rounds. */
  close(): void {
    this.#closed.abort(new Error('closed'));
    this.#off();
  }

  async #rounds(): Promise<void> {
    const { board, clock } = this.#parts;
    for (;;) {
      await this.round();
      const well = board.open('cashIn') && board.open('cashOut');
      await sleep(clock, well ? ROUND_WELL_MS : ROUND_TROUBLED_MS, this.#closed.signal);
    }
  }

  /** One round. Never rejects for what the world does. */
  async round(): Promise<void> {
    const { signer, clock, rates, walletWatch } = this.#parts;
    const health = signer.health();
    const old = health.kind !== 'ok' || clock.monotonic() - health.atMonotonicMs > PROBE_AFTER_MS;
    this.#tellSigner(old ? await signer.probe() : health);
    await rates.fresh(IDLE_AGE_MS);
    if (signer.health().kind === 'ok') await walletWatch.balance(IDLE_AGE_MS);
    this.checkNotes();
  }

  /** Closes cash-out while the bays hold no note that may be counted on. */
  checkNotes(): void {
    const { board } = this.#parts;
    const some = availableBays(this.#parts).some(({ count }) => count > 0);
    board.set('cashOut', 'noNotes', some ? undefined : 'There are no notes to hand out.');
    const cap = this.#parts.operatorCap() === 0 || this.#parts.config.limits.max_cash_in_sats === 0;
    board.set('cashIn', 'capIsZero', cap ? 'The operator has closed cash-in.' : undefined);
  }

  #tellSigner(health: SignerHealth): void {
    const { board } = this.#parts;
    const silent = health.kind === 'silent' || health.kind === 'unknown';
    board.setBoth('signerUnreachable', silent ? `Signer Unreachable${why(health)}` : undefined);
    const refused = health.kind === 'refused' || health.kind === 'authUrl';
    board.setBoth('pairingRequired', refused ? `Pairing Required${why(health)}` : undefined);
  }
}

function why(health: SignerHealth): string {
  if (health.kind === 'silent' || health.kind === 'refused') return `: ${health.reason}`;
  if (health.kind === 'authUrl') return `: the bunker wants ${health.url} to be opened`;
  return '';
}
