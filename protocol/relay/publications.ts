/** The events that wait for one relay's OK. */
import type { CancelTimer, Clock } from '../base/clock.ts';
import type { SignedEvent } from '../event.ts';
import type { BackOff } from './back-off.ts';
import type { RelayInformation } from './information.ts';
import type { LinkLimits } from './limits.ts';
import { type OkMessage, prefixOf } from './message.ts';
import type { PublishResult } from './relay.ts';
import type { Settleable } from './subscriptions.ts';

/** What the publications of a link are made of. */
export interface PublicationsOptions {
  readonly url: string;
  readonly clock: Clock;
  readonly limits: LinkLimits;
  /** Pauses after `rate-limited:`. */
  readonly coolDown: BackOff;
  send(message: readonly unknown[]): void;
  isOpen(): boolean;
  /** What the relay says of its limits, once it is known. */
  information(): Pick<RelayInformation, 'messageBytesMax' | 'contentCharsMax'> | undefined;
  /** An event got `auth-required:`; true when it is to wait for the authentication. */
  requireAuth(): boolean;
}

interface Publication {
  readonly event: SignedEvent;
  readonly deadlineMs: number;
  /** Subscriptions that must be settled first, so that no answer to this event is missed. */
  readonly after: readonly Settleable[];
  readonly settle: (outcome: PublishResult['outcome'], reason: string) => void;
  phase: 'queued' | 'sent' | 'held';
  /** What the relay said to it, or meanwhile. */
  words: string | undefined;
}

/** All events that one link has to publish. Each settles at its deadline at the latest. */
export class Publications {
  readonly #options: PublicationsOptions;
  readonly #all = new Set<Publication>();
  #coolDown:
    | { readonly untilMs: number; readonly sinceMs: number; readonly words: string }
    | undefined;
  #cancelCoolDown: CancelTimer = () => undefined;

  constructor(options: PublicationsOptions) {
    this.#options = options;
  }

  /** Queues an event; it is sent as soon as the link, `after` and a pause allow. */
  add(event: SignedEvent, limitMs: number, after: readonly Settleable[]): Promise<PublishResult> {
    const { url, clock, limits } = this.#options;
    if (this.#all.size >= limits.publishesMax) {
      const reason = `${limits.publishesMax} events wait for this relay already`;
      return Promise.resolve({ url, outcome: 'silent', reason });
    }
    if (this.#coolDown && this.#coolDown.untilMs - clock.monotonic() > limitMs) {
      return Promise.resolve({ url, outcome: 'silent', reason: this.#whyPaused() });
    }
    return new Promise((resolve) => {
      const cancel = clock.after(limitMs, () => {
        publication.settle('silent', this.#whySilent(publication, limitMs));
      });
      const publication: Publication = {
        event,
        deadlineMs: clock.monotonic() + limitMs,
        after,
        phase: 'queued',
        words: undefined,
        settle: (outcome, reason) => {
          cancel();
          this.#all.delete(publication);
          resolve({ url, outcome, reason });
        },
      };
      this.#all.add(publication);
      this.flush();
    });
  }

  /** Sends what may be sent now. */
  flush(): void {
    const { clock, isOpen } = this.#options;
    const isCoolingDown = clock.monotonic() < (this.#coolDown?.untilMs ?? 0);
    for (const publication of [...this.#all]) {
      if (!isOpen() || isCoolingDown) return;
      const isDue =
        publication.phase === 'queued' && publication.after.every((one) => one.isSettled);
      if (!isDue) continue;
      const message = ['EVENT', publication.event];
      const tooLong = this.#tooLong(publication.event, message);
      if (tooLong !== undefined) {
        // Relays drop such a frame without a word, or hang up.
        publication.settle('refused', `not sent: ${tooLong}`);
        continue;
      }
      publication.phase = 'sent';
      publication.words = undefined;
      this.#options.send(message);
    }
  }

  #tooLong({ content }: SignedEvent, message: readonly unknown[]): string | undefined {
    const said = this.#options.information();
    const { messageBytesMax = Infinity, contentCharsMax = Infinity } = said ?? {};
    const sizeBytes = Buffer.byteLength(JSON.stringify(message));
    if (sizeBytes > messageBytesMax) return `${sizeBytes} bytes, it takes ${messageBytesMax}`;
    // Characters are counted by code point, as NIP-11 has them.
    const characters = content.length > contentCharsMax ? [...content].length : 0;
    if (characters <= contentCharsMax) return undefined;
    return `${characters} characters of content, it takes ${contentCharsMax}`;
  }

  /** Takes the OK to an event. */
  take(message: OkMessage): void {
    const { accepted, words } = message;
    if (!accepted && prefixOf(words) === 'rate-limited') this.#pause(words);
    for (const publication of [...this.#all]) {
      if (publication.event.id !== message.id || publication.phase !== 'sent') continue;
      if (accepted) publication.settle('accepted', words);
      else if (prefixOf(words) === 'auth-required' && this.#options.requireAuth()) {
        publication.phase = 'held';
        publication.words = words;
      } else publication.settle('refused', words);
    }
  }

  /** A NOTICE is some relays' only answer to an event that they do not like. */
  noticed(words: string): void {
    for (const publication of this.#all) {
      if (publication.phase === 'sent') publication.words = words;
    }
  }

  /** We are authenticated: what was held back is sent again. */
  authenticated(): void {
    this.#requeue('held');
    this.flush();
  }

  /** We cannot authenticate: what was held back stays refused. */
  authenticationFailed(reason: string): void {
    for (const publication of [...this.#all]) {
      if (publication.phase !== 'held') continue;
      const words = publication.words ?? 'auth-required:';
      publication.settle('refused', `${words} (authentication failed: ${reason})`);
    }
  }

  /** The connection ended: what has no answer is sent again on the next one, if that is in time. */
  lost(): void {
    this.#requeue('sent');
    this.#requeue('held');
  }

  /** No connection before `untilMs` (monotonic): settles what cannot wait that long. */
  unreachable(untilMs: number, reason: string): void {
    for (const publication of [...this.#all]) {
      if (publication.deadlineMs < untilMs) publication.settle('silent', `no link: ${reason}`);
    }
  }

  /** Settles everything. */
  close(reason: string): void {
    this.#cancelCoolDown();
    for (const publication of [...this.#all]) publication.settle('silent', reason);
  }

  #requeue(phase: Publication['phase']): void {
    for (const publication of this.#all) {
      if (publication.phase === phase) publication.phase = 'queued';
    }
  }

  #pause(words: string): void {
    const { clock, coolDown, limits } = this.#options;
    const nowMs = clock.monotonic();
    const heldMs = this.#coolDown ? nowMs - this.#coolDown.sinceMs : 0;
    const waitMs = Math.max(limits.coolDownFirstMs, coolDown.next(heldMs));
    this.#coolDown = { sinceMs: nowMs, untilMs: nowMs + waitMs, words };
    this.#cancelCoolDown();
    this.#cancelCoolDown = clock.after(waitMs, () => this.flush());
  }

  #whySilent(publication: Publication, limitMs: number): string {
    const within = `within ${limitMs} ms`;
    if (!this.#options.isOpen()) return `no link ${within}`;
    if (publication.phase === 'held') return `no authentication ${within}: ${publication.words}`;
    if (publication.phase === 'sent') {
      const notice = publication.words === undefined ? '' : `; it noted: ${publication.words}`;
      return `no answer ${within}${notice}`;
    }
    if (publication.after.some((one) => !one.isSettled)) return `subscriptions not live ${within}`;
    return this.#whyPaused();
  }

  #whyPaused(): string {
    return `the relay wants a pause: ${this.#coolDown?.words ?? ''}`;
  }
}
