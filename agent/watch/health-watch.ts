/**
 * Asks the world how it is while nobody is there, so that a machine with a dead signer says so
 * before
 * anyone comes (design 9): signer, wallet, rate, notes in the bays.
 */
import { type CancelTimer, sleep } from '#protocol/base/clock.ts';
import type { ClockVerdict } from '#protocol/corrected-clock.ts';
import type { SignerHealth } from '#protocol/signer/signer.ts';
import { availableBays } from '../cash-out/available.ts';
import type { Parts } from '../parts.ts';
import { shortOfSignatures } from './signer-ready.ts';

/** Pace of the round while something is wrong, and while all is well. */
const ROUND_TROUBLED_MS = 15_000;
const ROUND_WELL_MS = 60_000;
/** A signature younger than this proves the signer (design 9: every 10 min while idle). */
const PROBE_AFTER_MS = 600_000;
/** A rate and a balance may be this old while nobody is there. */
const IDLE_AGE_MS = 300_000;

/** What tells of itself between the rounds. */
export interface HealthNews {
  onSigner(listener: (health: SignerHealth) => void): CancelTimer;
  /** How the machine's own clock stands now. */
  clock(): ClockVerdict;
  onClock(listener: () => void): CancelTimer;
}

/** The round over everything that closes a direction and does not report by itself. */
export class HealthWatch {
  readonly #parts: Parts;
  readonly #closed = new AbortController();
  readonly #news: HealthNews;
  #offs: readonly CancelTimer[] = [];

  constructor(parts: Parts, news: HealthNews) {
    this.#parts = parts;
    this.#news = news;
  }

  /** Starts the rounds. */
  start(): void {
    this.#offs = [
      this.#news.onSigner((health) => this.#tellSigner(health)),
      this.#news.onClock(() => this.#tellClock()),
    ];
    void this.#rounds().catch((err: unknown) => {
      if (!this.#closed.signal.aborted) this.#parts.log.fatal({ err }, 'health watch ended');
    });
  }

  /** Stops the rounds. */
  close(): void {
    this.#closed.abort(new Error('closed'));
    for (const off of this.#offs) off();
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
    this.#tellClock();
    for (const direction of ['cashIn', 'cashOut'] as const) {
      this.#parts.board.set(direction, 'signatures', shortOfSignatures(this.#parts, direction));
    }
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

  /** In every round too: the own clock may jump, and nobody else says so. */
  #tellClock(): void {
    this.#parts.board.setBoth('clock', clockReason(this.#news.clock()));
  }

  #tellSigner(health: SignerHealth): void {
    const { board } = this.#parts;
    const silent = health.kind === 'silent' || health.kind === 'unknown';
    board.setBoth('signerUnreachable', silent ? `Signer Unreachable${why(health)}` : undefined);
    const refused = health.kind === 'refused' || health.kind === 'authUrl';
    board.setBoth('pairingRequired', refused ? `Pairing Required${why(health)}` : undefined);
  }
}

/** Why the clock closes the machine, as a sentence; undefined when it does not. */
function clockReason(verdict: ClockVerdict): string | undefined {
  if (verdict.kind === 'doubted') {
    return `The clock of this machine may be wrong: a relay says "${verdict.words}".`;
  }
  if (verdict.kind !== 'wrong') return undefined;
  const seconds = Math.round(Math.abs(verdict.offsetMs) / 1000);
  const direction = verdict.offsetMs > 0 ? 'slow' : 'fast';
  return `The clock of this machine is ${seconds} s ${direction}. Set it, and see to its time server.`;
}

function why(health: SignerHealth): string {
  if (health.kind === 'silent' || health.kind === 'refused') return `: ${health.reason}`;
  if (health.kind === 'authUrl') return `: the bunker wants ${health.url} to be opened`;
  return '';
}
