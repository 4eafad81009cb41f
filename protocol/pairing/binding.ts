/**
 * The dialogue of a pairing with the bunker; what must not be forgotten is saved before it is done.
 */
import type { Clock } from '../base/clock.ts';
import { ConfigError, RelayError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Secret } from '../base/secret.ts';
import type { Nip46Client, Nip46Failure, Nip46Outcome, RequestOptions } from '../signer/nip46.ts';
import { peerWords } from '../signer/nip46-reply.ts';
import type { NostrCrypto } from '../signer/nostr-crypto.ts';
import { probeTemplate } from '../signer/probe.ts';
import { checkSignedEvent, type SignedEventCheck } from '../signer/signed-event.ts';
import type { Pairing } from './pairing.ts';

/** What a pairing is doing, for the person who waits for it. */
export type PairingStep =
  | { readonly kind: 'connecting'; readonly attempt: number }
  /** The bunker wants a person to open this address; the pairing waits up to 10 min for it. */
  | { readonly kind: 'authUrl'; readonly url: string }
  /** The token is spent. Whether the bunker signs for us is still to be seen. */
  | { readonly kind: 'redeemed' }
  /** The bunker signs as the machine, and the new pairing is in force. */
  | { readonly kind: 'paired' };

/** What a binding needs. */
export interface BindingOptions {
  readonly client: Nip46Client;
  readonly secret: Secret<string>;
  readonly pairing: Pairing;
  /** Writes the pairing to the disk; when it returns, it is there. */
  readonly save: (pairing: Pairing) => void;
  /** Removes what `save` wrote: the bunker is not ours. */
  readonly discard: () => void;
  readonly crypto: NostrCrypto;
  readonly clock: Clock;
  readonly log: Log;
  readonly progress: (step: PairingStep) => void;
}

/** Longest wait for where the bunker wants to be met, ms: a person waits for the pairing. */
const WISH_MS = 3_000;
/** `connect` is tried so often: a bunker that was just starting loses the first (nostr.md 3.2). */
const CONNECT_ATTEMPTS_MAX = 3;
/**
 * What a bunker says to a token that has been used. Source: nsecbunkerd, `Token already redeemed`.
 */
const ALREADY_REDEEMED = /already\s+(been\s+)?(redeemed|used)/i;

/** Binds one client key to one bunker. */
export class Binding {
  readonly #options: BindingOptions;
  readonly #asking: RequestOptions;
  #pairing: Pairing;
  #wasRedeemedBefore: boolean = false;

  constructor(options: BindingOptions) {
    this.#options = options;
    this.#asking = { onAuthUrl: (url) => options.progress({ kind: 'authUrl', url }) };
    this.#pairing = options.pairing;
  }

  /**
   * Redeems the token, unless that has been done, and proves the identity by name and by signature;
   * the result is the pairing with its token spent.
   * @throws ConfigError `refused` when the bunker says no, or is another's; `fraudAttempt` when it
   * alters what it signs.
   * @throws RelayError `timeOut` when it does not answer: the same seed may be tried again.
   */
  async run(): Promise<Pairing> {
    const { token } = this.#pairing;
    // An earlier connect may have arrived and its answer not: a signature tells.
    if (token.state === 'sent' && (await this.#sign(true)).kind === 'same') this.#mark('spent');
    if (this.#pairing.token.state !== 'spent') await this.#connect();
    this.#options.progress({ kind: 'redeemed' });
    await this.#checkIdentity();
    const proof = await this.#sign(false);
    if (proof.kind === 'altered') {
      throw new ConfigError(
        'fraudAttempt',
        `the bunker returned another event than it was asked to sign: ${proof.reason}`,
      );
    }
    if (proof.kind !== 'same') throw this.#failure(proof, 'it does not sign');
    return this.#pairing;
  }

  /** Asks where the bunker wants to be met. */
  wish(): Promise<Nip46Outcome> {
    return this.#options.client.switchRelays({ attemptMs: WISH_MS });
  }

  async #connect(): Promise<void> {
    const { client, secret, progress } = this.#options;
    let failure: Nip46Failure = { kind: 'silent', reason: 'it was not asked' };
    for (let attempt = 1; attempt <= CONNECT_ATTEMPTS_MAX; attempt++) {
      progress({ kind: 'connecting', attempt });
      // The record, and the client key in it, is on the disk before the bunker hears of the key.
      this.#mark('sent');
      const outcome = await client.connect(secret, this.#asking);
      // NIP-46: the result is `ack` or the secret itself.
      if (outcome.kind === 'result' && ['ack', secret.reveal()].includes(outcome.result)) {
        return this.#mark('spent');
      }
      if (outcome.kind === 'error' && ALREADY_REDEEMED.test(outcome.error)) {
        // By us, when an answer was lost, or by another: the signature tells.
        this.#wasRedeemedBefore = true;
        return this.#mark('spent');
      }
      // It may have been redeemed all the same; never ask twice for what has been given.
      if ((await this.#sign(true)).kind === 'same') return this.#mark('spent');
      failure = outcome.kind === 'result' ? unknownAnswer(outcome.result) : outcome;
      if (failure.kind === 'error' || failure.kind === 'authUrl') break;
    }
    throw this.#failure(failure, 'it does not accept the seed');
  }

  async #checkIdentity(): Promise<void> {
    const { client, discard } = this.#options;
    const { spirePubkey } = this.#pairing;
    const outcome = await client.getPublicKey(this.#asking);
    if (outcome.kind !== 'result')
      throw this.#failure(outcome, 'it does not say whom it signs for');
    if (outcome.result.toLowerCase() === spirePubkey) return;
    discard();
    throw new ConfigError(
      'refused',
      `the bunker signs as ${peerWords(outcome.result)}, and the seed is for ${spirePubkey}. ` +
        'Nothing was kept; have the operator check which machine this seed was made for',
    );
  }

  async #sign(once: boolean): Promise<SignedEventCheck | Nip46Failure> {
    const { client, clock, crypto } = this.#options;
    const { spirePubkey } = this.#pairing;
    const template = probeTemplate(clock, spirePubkey);
    const outcome = await client.signEvent(template, { ...this.#asking, once });
    if (outcome.kind !== 'result') return outcome;
    return checkSignedEvent(outcome.result, template, spirePubkey, crypto);
  }

  #mark(state: Pairing['token']['state']): void {
    if (this.#pairing.token.state === state) return;
    this.#pairing = { ...this.#pairing, token: { ...this.#pairing.token, state } };
    this.#options.save(this.#pairing);
  }

  #failure(failure: Nip46Failure, what: string): ConfigError | RelayError {
    if (this.#wasRedeemedBefore) {
      return new ConfigError(
        'refused',
        'this seed has been used already, by another machine or by a pairing whose file is gone. ' +
          'Have the operator make a new seed',
      );
    }
    switch (failure.kind) {
      case 'error':
        return new ConfigError(
          'refused',
          `Pairing Required: ${what}: ${failure.error}. Have the operator make a new seed`,
        );
      case 'authUrl':
        return new ConfigError('refused', `${what} before somebody opens ${failure.url}`);
      case 'silent':
      case 'faulty':
        return new RelayError(
          'timeOut',
          `Signer Unreachable: ${what}: ${failure.reason}. Try again with the same seed`,
        );
    }
  }
}

/** Neither `ack` nor the secret; its words are not shown, as they may be a secret of somebody's. */
const unknownAnswer = (result: string): Nip46Failure => ({
  kind: 'faulty',
  reason: `an answer of ${result.length} characters that is neither "ack" nor the secret`,
});
