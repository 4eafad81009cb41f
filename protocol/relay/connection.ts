/** Keeps one socket to one URL open: upgrade, ping, back-off. Knows nothing of Nostr. */
import { type CancelTimer, type Clock, type Random, withDeadline } from '../base/clock.ts';
import { RelayError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { BackOff, withJitter } from './back-off.ts';
import type { LinkLimits } from './limits.ts';
import type { RelayStatus, Unsubscribe } from './relay.ts';
import type { OpenSocket, Socket, SocketEvent } from './socket.ts';

/** Longest wait for the sockets to report their end when we close, ms; they do so at once. */
const CLOSE_MS = 1_000;
/** HTTP "Too Many Requests". Source: RFC 6585, 4. */
const TOO_MANY_REQUESTS = 429;

/** What a connection is made of. */
export interface ConnectionOptions {
  readonly url: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly openSocket: OpenSocket;
  readonly limits: LinkLimits;
}

/** What a connection tells. `lost` comes once after each `opened`, and after no other. */
export interface ConnectionListener {
  opened(): void;
  message(text: string): void;
  lost(reason: string): void;
  /** An attempt came to nothing or a connection was lost; the next attempt is in `waitMs`. */
  waiting(waitMs: number, reason: string): void;
}

/** One URL, connected whenever it can be. */
export class Connection {
  readonly #options: ConnectionOptions;
  readonly #listener: ConnectionListener;
  readonly #backOff: BackOff;
  readonly #statusListeners = new Set<(status: RelayStatus) => void>();
  readonly #endings = new Set<Promise<void>>();
  #state: RelayStatus['state'] = 'waiting';
  #reason: string | undefined = 'not started';
  #clockOffsetMs: number | undefined;
  #socket: Socket | undefined;
  #cancelTimer: CancelTimer = () => undefined;
  #openedAtMs = 0;
  #nextAttemptAtMs = 0;
  #pingedAtMs: number | undefined;
  #blame: { readonly atMs: number; readonly pauseMs: number } | undefined;

  constructor(options: ConnectionOptions, listener: ConnectionListener) {
    this.#options = options;
    this.#listener = listener;
    const { random, limits } = options;
    this.#backOff = new BackOff({
      random,
      firstMs: limits.backOffFirstMs,
      maxMs: limits.backOffMaxMs,
      stableMs: limits.stableMs,
    });
  }

  /** Begins; called once. */
  start(): void {
    this.#connect();
  }

  /** Sends a frame; nothing when it is not open. A relay that does not read is given up. */
  send(text: string): void {
    if (this.#state !== 'open' || !this.#socket) return;
    this.#socket.send(text);
    const unsent = this.#socket.unsentBytes();
    const { unsentBytesMax } = this.#options.limits;
    if (unsent > unsentBytesMax) this.drop(`does not read: ${unsent} bytes are waiting`);
  }

  /** True while frames can be sent. */
  isOpen(): boolean {
    return this.#state === 'open';
  }

  /** True once it was closed for good. */
  isClosed(): boolean {
    return this.#state === 'closed';
  }

  /** Time until the next attempt to connect, ms; 0 while open or connecting. */
  untilAttemptMs(): number {
    if (this.#state !== 'waiting') return 0;
    return Math.max(0, this.#nextAttemptAtMs - this.#options.clock.monotonic());
  }

  /** The relay said that it is displeased: if it hangs up now, we stay away at least `pauseMs`. */
  blame(pauseMs: number): void {
    this.#blame = { atMs: this.#options.clock.monotonic(), pauseMs };
  }

  /** Gives the socket up for a reason of ours, and connects again after at least `pauseMs`. */
  drop(reason: string, pauseMs = 0): void {
    this.#lose(reason, pauseMs);
  }

  status(): RelayStatus {
    return {
      url: this.#options.url,
      state: this.#state,
      reason: this.#reason,
      clockOffsetMs: this.#clockOffsetMs,
    };
  }

  onStatus(listener: (status: RelayStatus) => void): Unsubscribe {
    this.#statusListeners.add(listener);
    return () => this.#statusListeners.delete(listener);
  }

  /** Ends it for good; resolves when the last socket has ended. */
  async close(): Promise<void> {
    if (this.#state !== 'closed') {
      this.#release();
      this.#change('closed', 'closed by us');
    }
    await withDeadline(this.#options.clock, CLOSE_MS, Promise.all(this.#endings));
  }

  #connect(): void {
    const { url, clock, openSocket, limits } = this.#options;
    this.#change('connecting', this.#reason);
    let socket: Socket;
    try {
      socket = openSocket(url);
    } catch (error) {
      if (!(error instanceof RelayError)) throw error;
      this.#lose(error.message, 0);
      return;
    }
    this.#socket = socket;
    this.#cancelTimer = clock.after(limits.connectMs, () => {
      this.drop(`no connection within ${limits.connectMs} ms`);
    });
    const ending = new Promise<void>((resolve) => {
      socket.subscribe((event) => {
        if (event.kind === 'closed') resolve();
        // A socket that was given up may still have something to say.
        if (socket === this.#socket) this.#take(event);
      });
    });
    this.#endings.add(ending);
    void ending.then(() => this.#endings.delete(ending));
  }

  #take(event: SocketEvent): void {
    switch (event.kind) {
      case 'open':
        this.#opened(event.dateUnixMs);
        break;
      case 'message':
        if (this.#state === 'open') this.#listener.message(event.text);
        break;
      case 'pong':
        this.#pingedAtMs = undefined;
        break;
      case 'closed':
        this.#lose(event.reason, this.#pauseAskedFor(event));
        break;
    }
  }

  #opened(dateUnixMs: number | undefined): void {
    const { clock } = this.#options;
    this.#cancelTimer();
    this.#openedAtMs = clock.monotonic();
    // The header has whole seconds, cut off: half a second is its mean error.
    if (dateUnixMs !== undefined) this.#clockOffsetMs = dateUnixMs + 500 - clock.now();
    this.#pingedAtMs = undefined;
    this.#blame = undefined;
    this.#cancelTimer = clock.after(this.#options.limits.pingMs, () => this.#ping());
    this.#change('open', undefined);
    this.#listener.opened();
  }

  #ping(): void {
    const { clock, limits } = this.#options;
    if (this.#pingedAtMs !== undefined) {
      this.drop(`no pong within ${limits.pingMs} ms`);
      return;
    }
    this.#pingedAtMs = clock.monotonic();
    this.#socket?.ping();
    this.#cancelTimer = clock.after(limits.pingMs, () => this.#ping());
  }

  #pauseAskedFor(event: SocketEvent & { kind: 'closed' }): number {
    const { limits } = this.#options;
    if (event.retryAfterMs !== undefined) {
      return Math.min(event.retryAfterMs, limits.retryAfterMaxMs);
    }
    return event.status === TOO_MANY_REQUESTS ? limits.rateLimitedMs : 0;
  }

  #pauseForBlame(nowMs: number): number {
    const { limits } = this.#options;
    if (!this.#blame || nowMs - this.#blame.atMs > limits.blameMs) return 0;
    return this.#blame.pauseMs;
  }

  #lose(reason: string, pauseMs: number): void {
    if (this.#state === 'closed' || this.#state === 'waiting') return;
    const { clock, random, log } = this.#options;
    const nowMs = clock.monotonic();
    const wasOpen = this.#state === 'open';
    const pauses = Math.max(pauseMs, this.#pauseForBlame(nowMs));
    this.#release();
    const backOffMs = this.#backOff.next(wasOpen ? nowMs - this.#openedAtMs : 0);
    const waitMs = Math.max(backOffMs, pauses > 0 ? withJitter(random, pauses) : 0);
    this.#nextAttemptAtMs = nowMs + waitMs;
    this.#cancelTimer = clock.after(waitMs, () => this.#connect());
    log.warn({ reason, waitMs }, wasOpen ? 'relay lost' : 'relay not reached');
    this.#change('waiting', reason);
    if (wasOpen) this.#listener.lost(reason);
    this.#listener.waiting(waitMs, reason);
  }

  /** Lets go of socket and timer. The socket is no longer ours before it can report its end. */
  #release(): void {
    this.#cancelTimer();
    const socket = this.#socket;
    this.#socket = undefined;
    this.#blame = undefined;
    socket?.terminate();
  }

  #change(state: RelayStatus['state'], reason: string | undefined): void {
    this.#state = state;
    this.#reason = reason;
    if (state === 'open') this.#options.log.info('relay open');
    const status = this.status();
    for (const listener of [...this.#statusListeners]) listener(status);
  }
}
