/** One relay: its connection, and what we and it say over it (NIP-01, NIP-42). */
import type { Clock, Random } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { Filter, SignedEvent } from '../event.ts';
import { type Authenticate, Authentication } from './authentication.ts';
import { BackOff } from './back-off.ts';
import { Connection } from './connection.ts';
import { type FetchInformation, type RelayInformation, shortcomingsOf } from './information.ts';
import { defaultLimits, type LinkLimits } from './limits.ts';
import { type RelayMessage, readMessage } from './message.ts';
import { Publications } from './publications.ts';
import { RecentIds } from './recent-ids.ts';
import type {
  PublishResult,
  RelayStatus,
  Relays,
  SubscriptionListener,
  Unsubscribe,
} from './relay.ts';
import { type OpenSocket, openWebSocket } from './socket.ts';
import { pauseFor, Subscriptions } from './subscriptions.ts';
import { type Verify, verifySignature } from './verify.ts';

/** What links have in common, whatever their URL. */
export interface LinkOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Answers `auth-required:` (NIP-42); without it the relay's refusal stands. */
  readonly auth?: Authenticate | undefined;
  /** Opens sockets; real ones when left out. */
  readonly openSocket?: OpenSocket | undefined;
  /** Asks relays for their limits (NIP-11); without it they are not known. */
  readonly fetchInformation?: FetchInformation | undefined;
  /** Bounds that differ from `defaultLimits`. */
  readonly limits?: Partial<LinkLimits> | undefined;
  /** Only a simulation that signs with stubs gives another one. */
  readonly verify?: Verify | undefined;
}

/** The link to one relay. It connects at once and stays connected until it is closed. */
export class RelayLink implements Relays {
  readonly #url: string;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #limits: LinkLimits;
  readonly #connection: Connection;
  readonly #authentication: Authentication;
  readonly #subscriptions: Subscriptions;
  readonly #publications: Publications;
  readonly #fetchInformation: FetchInformation | undefined;
  #offences = 0;
  #reports = 0;
  #information: RelayInformation | undefined;

  constructor(options: LinkOptions & { readonly url: string }) {
    const { url, clock, random } = options;
    const limits: LinkLimits = { ...defaultLimits, ...options.limits };
    this.#url = url;
    this.#clock = clock;
    this.#log = options.log.child({ relay: url });
    this.#limits = limits;
    this.#fetchInformation = options.fetchInformation;
    this.#connection = this.#makeConnection(options);
    this.#authentication = this.#makeAuthentication(options);
    const send = (message: readonly unknown[]) => this.#send(message);
    const requireAuth = () => this.#authentication.require();
    this.#subscriptions = new Subscriptions({
      url,
      clock,
      random,
      limits,
      verify: options.verify ?? verifySignature,
      send,
      requireAuth,
      isOpen: () => this.#connection.isOpen(),
      settled: () => this.#publications.flush(),
      isChallenged: () => this.#authentication.isChallenged(),
      offence: (reason) => this.#offence(reason),
      requestIdCharsMax: () => this.#information?.requestIdCharsMax,
      refused: (words, waitMs) => this.#report({ words, waitMs }, 'subscription refused'),
    });
    this.#publications = new Publications({
      url,
      clock,
      limits,
      coolDown: this.#backOff(random, limits.coolDownFirstMs, limits.coolDownMaxMs),
      send,
      requireAuth,
      isOpen: () => this.#connection.isOpen(),
      information: () => this.#information,
    });
    this.#connection.start();
  }

  /**
   * See `Relays`. `seen` are the ids that were reported already; a pool shares one among its links.
   * @throws RelayError `refused` above `subscriptionsMax` subscriptions.
   */
  subscribe(
    filter: Filter | (() => Filter),
    listener: SubscriptionListener,
    seen: RecentIds = new RecentIds(this.#limits.idsMax),
  ): Unsubscribe {
    if (this.#connection.isClosed()) return () => undefined;
    return this.#subscriptions.add(filter, listener, seen);
  }

  /** See `Relays`. Settles at once when the next attempt to connect comes after `limitMs`. */
  async publish(
    event: SignedEvent,
    limitMs: number = this.#limits.publishMs,
  ): Promise<readonly PublishResult[]> {
    const { state, reason = '' } = this.#connection.status();
    if (state === 'closed' || this.#connection.untilAttemptMs() > limitMs) {
      return [{ url: this.#url, outcome: 'silent', reason: `no link (${state}): ${reason}` }];
    }
    return [await this.#publications.add(event, limitMs, this.#subscriptions.present())];
  }

  ready(): boolean {
    return this.#connection.isOpen() && this.#subscriptions.areLive();
  }

  status(): readonly RelayStatus[] {
    const status = this.#connection.status();
    const said = this.#information;
    if (!said) return [status];
    return [
      { ...status, shortcomings: shortcomingsOf(said, this.#subscriptions.present().length) },
    ];
  }

  onStatus(listener: (status: RelayStatus) => void): Unsubscribe {
    return this.#connection.onStatus(listener);
  }

  async close(): Promise<void> {
    const closed = this.#connection.close();
    this.#authentication.lost();
    this.#subscriptions.close();
    this.#publications.close('closed by us');
    await closed;
  }

  #makeConnection(options: LinkOptions): Connection {
    const limits = this.#limits;
    return new Connection(
      {
        url: this.#url,
        clock: options.clock,
        random: options.random,
        log: this.#log,
        limits,
        openSocket: options.openSocket ?? ((url) => openWebSocket(url, limits)),
      },
      {
        opened: () => this.#opened(),
        message: (text) => this.#receive(text),
        lost: () => this.#lost(),
        waiting: (waitMs, reason) => {
          this.#publications.unreachable(this.#clock.monotonic() + waitMs, reason);
        },
      },
    );
  }

  #makeAuthentication(options: LinkOptions): Authentication {
    const { backOffFirstMs, backOffMaxMs } = this.#limits;
    return new Authentication({
      url: this.#url,
      clock: options.clock,
      log: this.#log,
      limits: this.#limits,
      authenticate: options.auth,
      backOff: this.#backOff(options.random, backOffFirstMs, backOffMaxMs),
      send: (message) => this.#send(message),
      accepted: () => {
        this.#subscriptions.authenticated();
        this.#publications.authenticated();
      },
      failed: (words) => {
        this.#subscriptions.authenticationFailed(words);
        this.#publications.authenticationFailed(words);
      },
    });
  }

  #backOff(random: Random, firstMs: number, maxMs: number): BackOff {
    return new BackOff({ random, firstMs, maxMs, stableMs: this.#limits.stableMs });
  }

  #send(message: readonly unknown[]): void {
    this.#connection.send(JSON.stringify(message));
  }

  #opened(): void {
    this.#offences = 0;
    this.#reports = 0;
    this.#subscriptions.opened();
    this.#publications.flush();
    void this.#askLimits();
  }

  /** Its limits may be others after each outage. Until they are known, nothing waits for them. */
  async #askLimits(): Promise<void> {
    this.#information = await this.#fetchInformation?.(this.#url);
    if (this.#connection.isOpen()) this.#subscriptions.shortenNames();
  }

  #lost(): void {
    this.#authentication.lost();
    this.#subscriptions.lost();
    this.#publications.lost();
  }

  #receive(text: string): void {
    if (text.length > this.#limits.frameCharsMax) {
      // No offence: anyone may store a large event on an honest relay with wider limits.
      this.#report({ characters: text.length }, 'frame too long, let go');
      return;
    }
    this.#take(readMessage(text));
  }

  #take(message: RelayMessage): void {
    switch (message.kind) {
      case 'event':
      case 'endOfStored':
        this.#subscriptions.take(message);
        break;
      case 'closed':
        this.#heed(message.words);
        this.#subscriptions.take(message);
        break;
      case 'ok':
        if (!message.accepted) this.#heed(message.words);
        if (!this.#authentication.takeOk(message)) this.#publications.take(message);
        break;
      case 'notice':
        this.#heed(message.words);
        this.#report({ words: message.words }, 'notice');
        this.#publications.noticed(message.words);
        break;
      case 'challenge':
        this.#authentication.challenged(message.challenge);
        break;
      case 'unknown':
        this.#report({ reason: message.reason }, 'message not understood');
        break;
      case 'garbage':
        this.#offence(`garbage: ${message.reason}`);
        break;
    }
  }

  /** Words that go before a ban: if the relay hangs up next, we stay away for longer. */
  #heed(words: string): void {
    const pauseMs = pauseFor(words, this.#limits);
    if (pauseMs > 0) this.#connection.blame(pauseMs);
  }

  #offence(reason: string): void {
    this.#offences += 1;
    this.#report({ reason }, 'relay offends');
    if (this.#offences < this.#limits.offencesMax) return;
    this.#connection.drop(`too many offences, the last: ${reason}`, this.#limits.blockedMs);
  }

  #report(fields: Record<string, unknown>, phrase: string): void {
    this.#reports += 1;
    if (this.#reports <= this.#limits.reportsMax) this.#log.warn(fields, phrase);
    else this.#log.debug(fields, phrase);
  }
}
