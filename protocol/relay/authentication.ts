/** NIP-42: proves who we are to a relay that asks for it, once per connection and need. */
import type { CancelTimer, Clock } from '../base/clock.ts';
import { messageOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { SignedEvent } from '../event.ts';
import type { BackOff } from './back-off.ts';
import type { LinkLimits } from './limits.ts';
import type { OkMessage } from './message.ts';

/**
 * Makes the AUTH event (kind 22242, tags `relay` and `challenge`) for one relay; which key signs it
 * is the caller's choice. It may reject or never settle.
 */
export type Authenticate = (challenge: string, url: string) => Promise<SignedEvent>;

/** What an authentication is made of. */
export interface AuthenticationOptions {
  readonly url: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly limits: LinkLimits;
  readonly authenticate: Authenticate | undefined;
  /** Waits between signatures, so that a relay cannot make us ask for one again and again. */
  readonly backOff: BackOff;
  send(message: readonly unknown[]): void;
  /** It worked: what was held back can go again. */
  accepted(): void;
  /** It did not: what was held back has to do without. */
  failed(words: string): void;
}

type State =
  | { readonly kind: 'idle' }
  /** Needed, but the relay has not sent a challenge yet. */
  | { readonly kind: 'unchallenged' }
  /** A signature is asked for, or will be when enough time has passed since the last one. */
  | { readonly kind: 'signing' }
  | { readonly kind: 'sent'; readonly id: string }
  | { readonly kind: 'accepted' };

const IDLE: State = { kind: 'idle' };

/**
 * The authentication of one link. It waits until something got `auth-required:`, as many relays
 * challenge everyone and want an answer from few, and every signature costs the signer's budget.
 */
export class Authentication {
  readonly #options: AuthenticationOptions;
  #state: State = IDLE;
  #challenge: string | undefined;
  #acceptedAtMs: number | undefined;
  #notBeforeMs = 0;
  #cancelTimer: CancelTimer = () => undefined;

  constructor(options: AuthenticationOptions) {
    this.#options = options;
  }

  /** The relay challenged us. A new challenge replaces the old one and what was built on it. */
  challenged(challenge: string): void {
    // Relays repeat a challenge beside each refusal; a second signature of it would be for nothing.
    if (challenge === this.#challenge && this.#state.kind !== 'unchallenged') return;
    const isNeeded = this.#state.kind !== 'idle' && this.#state.kind !== 'accepted';
    this.#challenge = challenge;
    this.#become(IDLE);
    if (isNeeded) this.#sign(challenge);
  }

  /** True when the relay has challenged us and we have not answered. */
  isChallenged(): boolean {
    return this.#challenge !== undefined && this.#state.kind === 'idle';
  }

  /**
   * Something got `auth-required:`. True when it should be held back until `accepted` or `failed`;
   * false when nothing can be done about it now.
   */
  require(): boolean {
    const { authenticate, limits } = this.#options;
    // Refused even though we are authenticated: with this key it will stay so.
    if (!authenticate || this.#state.kind === 'accepted') return false;
    if (this.#state.kind !== 'idle') return true;
    if (this.#untilAllowedMs() > limits.authAnswerMs) return false;
    if (this.#challenge !== undefined) this.#sign(this.#challenge);
    else {
      this.#become({ kind: 'unchallenged' });
      this.#bound(limits.authAnswerMs, 'the relay sent no challenge');
    }
    return true;
  }

  /** Takes the OK to our AUTH; false when the OK belongs to something else. */
  takeOk(message: OkMessage): boolean {
    if (this.#state.kind !== 'sent' || this.#state.id !== message.id) return false;
    if (!message.accepted) this.#fail(`refused: ${message.words}`);
    else {
      this.#become({ kind: 'accepted' });
      this.#acceptedAtMs = this.#options.clock.monotonic();
      this.#options.log.info('authenticated');
      this.#options.accepted();
    }
    return true;
  }

  /** The connection ended, and its challenge with it. A late signature finds another state. */
  lost(): void {
    this.#challenge = undefined;
    this.#become(IDLE);
  }

  #become(state: State): void {
    this.#cancelTimer();
    this.#state = state;
  }

  #bound(limitMs: number, words: string): void {
    this.#cancelTimer = this.#options.clock.after(limitMs, () => this.#fail(words));
  }

  #untilAllowedMs(): number {
    return Math.max(0, this.#notBeforeMs - this.#options.clock.monotonic());
  }

  #sign(challenge: string): void {
    this.#become({ kind: 'signing' });
    const waitMs = this.#untilAllowedMs();
    if (waitMs === 0) this.#ask(challenge);
    else this.#cancelTimer = this.#options.clock.after(waitMs, () => this.#ask(challenge));
  }

  /** Asks for the signature. Counted here, as a relay decides how often it challenges us. */
  #ask(challenge: string): void {
    const { authenticate, clock, limits, url, backOff } = this.#options;
    if (!authenticate) return;
    const nowMs = clock.monotonic();
    const heldMs = this.#acceptedAtMs === undefined ? 0 : nowMs - this.#acceptedAtMs;
    this.#acceptedAtMs = undefined;
    this.#notBeforeMs = nowMs + backOff.next(heldMs);
    this.#bound(limits.authSignMs, `no signature within ${limits.authSignMs} ms`);
    const mine = this.#state;
    const signature = (async () => authenticate(challenge, url))();
    signature.then(
      (event) => {
        if (this.#state === mine) this.#send(event);
      },
      (error: unknown) => {
        if (this.#state === mine) this.#fail(`no signature: ${messageOf(error)}`);
      },
    );
  }

  #send(event: SignedEvent): void {
    const { limits, send } = this.#options;
    this.#become({ kind: 'sent', id: event.id });
    this.#bound(limits.authAnswerMs, `no answer to AUTH within ${limits.authAnswerMs} ms`);
    send(['AUTH', event]);
  }

  #fail(words: string): void {
    this.#become(IDLE);
    this.#options.log.warn({ reason: words }, 'authentication failed');
    this.#options.failed(words);
  }
}
