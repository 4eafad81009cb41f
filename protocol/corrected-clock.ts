/**
 * The time that we sign with. A machine's own clock may be wrong by hours and nobody there sees it;
 * relays and wallet then drop what it says without a word (design 9, nostr.md 6).
 */
import type { CancelTimer, Clock } from './base/clock.ts';
import type { Log } from './base/log.ts';

/** How the machine's own clock stands; offsets are the world's time less its own, ms. */
export type ClockVerdict =
  /** Nobody has said what the time is. */
  | { readonly kind: 'unknown' }
  /** Nobody has said it either, and a relay refuses us for our time, in these words. */
  | { readonly kind: 'doubted'; readonly words: string }
  | { readonly kind: 'right'; readonly offsetMs: number }
  /** Above 30 s: an alarm. */
  | { readonly kind: 'off'; readonly offsetMs: number }
  /** Above 60 s: out of service. */
  | { readonly kind: 'wrong'; readonly offsetMs: number };

/** Above this somebody has to look after the clock, ms. Source: design 9. */
export const ALARM_MS = 30_000;
/** Above this the machine is out of service, ms. Source: design 9; the server's own bound. */
export const WRONG_MS = 60_000;
/** Offsets up to this are the noise of whole seconds and of the line, ms: nothing is corrected. */
export const NOISE_MS = 2_000;
/**
 * While the wallet was heard within this, ms, nobody else is asked for the time; an idle machine
 * asks it every 5 min. A time that was wrong in spite of all must not outlive the wallet's silence.
 */
const WALLET_HOLDS_MS = 600_000;
/**
 * A correction that nobody has confirmed for longer than the wallet's time holds, and the own
 * clock,
 * are tried in turn for so long each, ms: whoever told it may have been the one that was wrong, and
 * a server that drops what is dated too far off never says so.
 */
const TURN_MS = 60_000;
/** A date older than this is no date any more, ms. */
const DATE_HOLDS_MS = 3_600_000;
/** Dates of two hosts are one time when they are within this of their median, ms. */
const AGREEMENT_MS = 5_000;
/** Hosts whose date is kept; a machine talks to about eight relays and three price servers. */
const HOSTS_MAX = 16;
/** Longest words of a relay that are kept. */
const WORDS_MAX = 200;
/**
 * What relays and TLS say about time. Source: strfry `invalid: ephemeral event expired`,
 * `created_at
 * too late`; @nostr-relay and nostream `created_at`; OpenSSL's words for certificates.
 */
const ABOUT_TIME =
  /^invalid:.*(?:\bexpired\b|\btoo (?:late|early|old|far)\b|\bfuture\b|created_at|timestamp)|certificate (?:is not yet valid|has expired)/i;

/** What a corrected clock is made of. */
export interface CorrectedClockOptions {
  /** The machine's own. */
  readonly clock: Clock;
  readonly log: Log;
}

/** World time at monotonic zero, so that a jump of the own clock changes nothing of it. */
interface Anchor {
  readonly unixMsAtZero: number;
  readonly heardAtMs: number;
  readonly from: 'wallet' | 'dates';
}

/**
 * A clock whose `now` is the world's time as far as it is known, else the machine's own. Told by
 * the wallet's fresh signed answers, else by the median of the dates of two independent hosts: one
 * host alone, or an unsigned event, must not be able to date what we sign.
 */
export class CorrectedClock implements Clock {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #dates = new Map<string, Pick<Anchor, 'unixMsAtZero' | 'heardAtMs'>>();
  readonly #listeners = new Set<() => void>();
  #anchor: Anchor | undefined;
  #knownSinceUnixMs: number | undefined;
  #doubt: string | undefined;

  /**
   * The same, for what is written down: a correction that nobody confirms any more still holds.
   * What happened before the own clock jumped is still before what came after.
   */
  readonly world: Clock = {
    now: () => this.#clock.now() + this.#correctionMs(),
    monotonic: () => this.#clock.monotonic(),
    after: (delayMs, task) => this.#clock.after(delayMs, task),
  };

  constructor(options: CorrectedClockOptions) {
    this.#clock = options.clock;
    this.#log = options.log;
  }

  now(): number {
    return this.#isTurnOfAnchor() ? this.world.now() : this.#clock.now();
  }

  monotonic(): number {
    return this.#clock.monotonic();
  }

  after(delayMs: number, task: () => void): CancelTimer {
    return this.#clock.after(delayMs, task);
  }

  /** The world's time less the machine's own now, ms; undefined while nobody knows. */
  offsetMs(): number | undefined {
    if (!this.#anchor) return undefined;
    return this.#anchor.unixMsAtZero + this.#clock.monotonic() - this.#clock.now();
  }

  /** When it became known what the time is; undefined while nobody knows. */
  get knownSinceUnixMs(): number | undefined {
    return this.#knownSinceUnixMs;
  }

  /** How the machine's own clock stands now. */
  verdict(): ClockVerdict {
    const offsetMs = this.offsetMs();
    if (offsetMs === undefined) {
      return this.#doubt === undefined
        ? { kind: 'unknown' }
        : { kind: 'doubted', words: this.#doubt };
    }
    const size = Math.abs(offsetMs);
    return { kind: size > WRONG_MS ? 'wrong' : size > ALARM_MS ? 'off' : 'right', offsetMs };
  }

  /** Tells when the time has become another one, or whether it is known. */
  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The wallet's own time at this moment, Unix ms, out of an event that it signed just now. */
  heardWallet(unixMs: number): void {
    this.#set({ ...this.#heard(unixMs), from: 'wallet' });
  }

  /** A host's own time at this moment, Unix ms, out of the Date header of an answer. */
  heardDate(host: string, unixMs: number): void {
    this.#dates.delete(host);
    this.#dates.set(host, this.#heard(unixMs));
    const [oldest] = this.#dates.keys();
    if (this.#dates.size > HOSTS_MAX && oldest !== undefined) this.#dates.delete(oldest);
    const nowMs = this.#clock.monotonic();
    const isWalletFresh =
      this.#anchor?.from === 'wallet' && nowMs - this.#anchor.heardAtMs <= WALLET_HOLDS_MS;
    if (isWalletFresh) return;
    const unixMsAtZero = this.#agreed(nowMs);
    if (unixMsAtZero !== undefined) this.#set({ unixMsAtZero, heardAtMs: nowMs, from: 'dates' });
  }

  /** A peer would not have us, in these words; counts only when they are about time. */
  refused(words: string): void {
    if (!ABOUT_TIME.test(words)) return;
    const isNews = this.#doubt === undefined && this.#anchor === undefined;
    this.#doubt = words.slice(0, WORDS_MAX);
    if (!isNews) return;
    this.#log.error({ words: this.#doubt }, 'clock doubted');
    this.#tell();
  }

  /** A relay took an event of ours, so that our time is not what another one minds. */
  accepted(): void {
    if (this.#doubt === undefined) return;
    this.#doubt = undefined;
    this.#tell();
  }

  #correctionMs(): number {
    const offsetMs = this.offsetMs() ?? 0;
    return Math.abs(offsetMs) > NOISE_MS ? Math.round(offsetMs) : 0;
  }

  #isTurnOfAnchor(): boolean {
    if (!this.#anchor) return false;
    const unheardMs = this.#clock.monotonic() - this.#anchor.heardAtMs - WALLET_HOLDS_MS;
    return unheardMs <= 0 || Math.floor(unheardMs / TURN_MS) % 2 === 1;
  }

  #heard(unixMs: number): Pick<Anchor, 'unixMsAtZero' | 'heardAtMs'> {
    const heardAtMs = this.#clock.monotonic();
    return { unixMsAtZero: unixMs - heardAtMs, heardAtMs };
  }

  #set(anchor: Anchor): void {
    const before = this.#anchor;
    const kindBefore = this.verdict().kind;
    this.#anchor = anchor;
    this.#knownSinceUnixMs ??= anchor.unixMsAtZero + anchor.heardAtMs;
    const verdict = this.verdict();
    const moved = before ? Math.abs(anchor.unixMsAtZero - before.unixMsAtZero) : Infinity;
    if (moved <= NOISE_MS && verdict.kind === kindBefore) return;
    const fields = { ...verdict, from: anchor.from };
    if (verdict.kind === 'right') this.#log.info(fields, 'clock compared');
    else this.#log.error(fields, 'clock is wrong');
    this.#tell();
  }

  #tell(): void {
    for (const listener of [...this.#listeners]) listener();
  }

  /** The median of the dates still good, when two hosts at least stand by it. */
  #agreed(nowMs: number): number | undefined {
    const dates = [...this.#dates.values()]
      .filter(({ heardAtMs }) => nowMs - heardAtMs <= DATE_HOLDS_MS)
      .map(({ unixMsAtZero }) => unixMsAtZero)
      .sort((a, b) => a - b);
    const [low, high] = [dates[(dates.length - 1) >> 1], dates[dates.length >> 1]];
    if (low === undefined || high === undefined) return undefined;
    const median = (low + high) / 2;
    const agreeing = dates.filter((date) => Math.abs(date - median) <= AGREEMENT_MS);
    return agreeing.length >= 2 ? median : undefined;
  }
}
