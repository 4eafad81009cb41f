/**
 * The machine's signer in the field: a NIP-46 bunker. It compares what comes back with what was
 * asked for, knows how the bunker is, and leaves a dead or refusing bunker alone.
 *
 * Only signatures of kind 21000 decide about health. A bunker that does not grant another kind, or
 * whose budget for it is used up, is silent about it just as a dead one is (bitspire-wire.md 8), so
 * a
 * call that fails makes a probe decide.
 */
import { isDeepStrictEqual } from 'node:util';
import { type CancelTimer, type Clock, type Random, randomBelow } from '../base/clock.ts';
import { RelayError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { type EventTemplate, kinds, type SignedEvent } from '../event.ts';
import type { Unsubscribe } from '../relay/relay.ts';
import type { Nip46Client, Nip46Failure, Nip46Outcome, RequestOptions } from './nip46.ts';
import type { NostrCrypto } from './nostr-crypto.ts';
import { checkPlaintext } from './plaintext.ts';
import { probeTemplate } from './probe.ts';
import { checkSignedEvent } from './signed-event.ts';
import { type Signer, SignerError, type SignerHealth } from './signer.ts';

/** What a bunker signer is made of. It closes the client, and not the client's relays. */
export interface BunkerSignerOptions {
  readonly client: Nip46Client;
  /** The machine's identity, hex, as the pairing pinned it. */
  readonly pubkey: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly crypto: NostrCrypto;
}

/** A health with which nothing is asked of the bunker but the probe. */
type Fault = SignerHealth & { kind: 'silent' | 'refused' | 'authUrl' };

/**
 * Waits before the probe that may close the breaker, ms: the first, doubled up to the last. A
 * bunker
 * restart takes 1 to 3 min (bitspire-wire.md 8) and ends by itself; a refusal needs a person.
 */
const PROBE_WAIT_MS = {
  silent: { first: 5_000, last: 60_000 },
  refused: { first: 60_000, last: 600_000 },
  authUrl: { first: 300_000, last: 600_000 },
} as const;
/**
 * A bad verdict younger than this is not asked for again, ms, however often the screen is touched.
 */
const VERDICT_MS = 5_000;
/** Doublings of the wait; beyond these every wait is the last one. */
const DOUBLINGS_MAX = 8;
/** Shape of a NIP-44 version 2 payload: base64 whose first byte is 2. */
const PAYLOAD = /^A[g-v][A-Za-z0-9+/]{130,}={0,2}$/;

/** Signs and encrypts through a bunker. See `Signer`. */
export class BunkerSigner implements Signer {
  readonly pubkey: string;
  readonly #options: BunkerSignerOptions;
  readonly #log: Log;
  readonly #listeners = new Set<(health: SignerHealth) => void>();
  #health: SignerHealth = { kind: 'unknown' };
  #verdictAtMs = Number.NEGATIVE_INFINITY;
  #probing: Promise<SignerHealth> | undefined;
  #failedProbes = 0;
  #cancelProbe: CancelTimer = () => undefined;
  #isClosed: boolean = false;

  constructor(options: BunkerSignerOptions) {
    this.#options = options;
    this.#log = options.log;
    this.pubkey = options.pubkey;
  }

  async sign(template: EventTemplate): Promise<SignedEvent> {
    const what = `sign_event of kind ${template.kind}`;
    const json = await this.#call(what, (options) =>
      this.#options.client.signEvent(template, options),
    );
    const check = checkSignedEvent(json, template, this.pubkey, this.#options.crypto);
    if (check.kind === 'altered') {
      this.#log.error({ what, reason: check.reason }, 'the signer altered an event');
      throw new SignerError(alteredFault(check.reason), what, 'fraudAttempt');
    }
    // A document or a relay's AUTH that was signed says nothing about the calls to the wallet.
    if (template.kind === kinds.rpc) this.#succeeded();
    return check.event;
  }

  async encrypt(peer: string, plaintext: string): Promise<string> {
    checkPlaintext(plaintext);
    const what = 'nip44_encrypt';
    const payload = await this.#call(what, (options) =>
      this.#options.client.nip44Encrypt(peer, plaintext, options),
    );
    if (!PAYLOAD.test(payload)) {
      const reason = 'the signer answered with something that is no NIP-44 payload';
      throw new SignerError({ kind: 'refused', reason }, what, 'invalidData');
    }
    return payload;
  }

  async decrypt(peer: string, ciphertext: string): Promise<string> {
    return this.#call('nip44_decrypt', (options) =>
      this.#options.client.nip44Decrypt(peer, ciphertext, options),
    );
  }

  health(): SignerHealth {
    return this.#health;
  }

  /** Tells of every change of health; a further success is none. */
  onHealth(listener: (health: SignerHealth) => void): Unsubscribe {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** See `Signer`. One at a time; a bad verdict holds for 5 s. @throws RelayError `canceled`. */
  async probe(): Promise<SignerHealth> {
    const ageMs = this.#options.clock.monotonic() - this.#verdictAtMs;
    if (!this.#probing && faultOf(this.#health) && ageMs < VERDICT_MS) return this.#health;
    return this.#probe();
  }

  /** Asks where the bunker wants to be met; see `Nip46Client`. It says nothing about health. */
  switchRelays(): Promise<Nip46Outcome> {
    return this.#options.client.switchRelays();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#cancelProbe();
    this.#listeners.clear();
    this.#options.client.close();
  }

  /** Asks the bunker, unless it is known not to answer; the result is not proven yet. */
  async #call(what: string, ask: Ask): Promise<string> {
    // While a probe decides whether it is worth asking, what comes waits for its verdict.
    await this.#probing;
    const known = faultOf(this.#health);
    if (known && !this.#isClosed) throw new SignerError(known, what);
    const outcome = await this.#ask(what, ask);
    if (outcome.kind === 'result') return outcome.result;
    this.#log.warn({ what, outcome: outcome.kind }, 'the signer did not do what it was asked');
    const fault = faultOfOutcome(outcome);
    if (fault.kind === 'authUrl') this.#failed(fault);
    else this.#letProbeDecide();
    throw new SignerError(fault, what, outcome.kind === 'faulty' ? 'invalidData' : undefined);
  }

  /**
   * Asks without waiting for a person: that ends with the address at once, and the request stays
   * open behind it, because its answer tells that the person has been there.
   */
  async #ask(what: string, ask: Ask): Promise<Nip46Outcome> {
    let wantPerson: (outcome: Nip46Outcome) => void = () => undefined;
    let isLate = false;
    const personWanted = new Promise<Nip46Outcome>((resolve) => {
      wantPerson = resolve;
    });
    const onAuthUrl = (url: string) => {
      isLate = true;
      wantPerson({ kind: 'authUrl', url });
    };
    const answered = ask({ onAuthUrl }).then((outcome) => {
      if (isLate && outcome.kind === 'result') this.#letProbeDecide();
      return outcome;
    });
    try {
      return await Promise.race([answered, personWanted]);
    } catch (error) {
      if (!(error instanceof RelayError) || error.code !== 'invalidData') throw error;
      throw new SignerError({ kind: 'refused', reason: error.message }, what, 'invalidData');
    }
  }

  #probe(): Promise<SignerHealth> {
    this.#probing ??= this.#runProbe().finally(() => {
      this.#probing = undefined;
    });
    return this.#probing;
  }

  async #runProbe(): Promise<SignerHealth> {
    const { client, clock, crypto } = this.#options;
    this.#cancelProbe();
    const template = probeTemplate(clock, this.pubkey);
    const outcome = await this.#ask('probe', (options) =>
      client.signEvent(template, { ...options, isUrgent: true }),
    );
    if (outcome.kind !== 'result') return this.#failed(faultOfOutcome(outcome));
    const check = checkSignedEvent(outcome.result, template, this.pubkey, crypto);
    return check.kind === 'same' ? this.#succeeded() : this.#failed(alteredFault(check.reason));
  }

  #letProbeDecide(): void {
    this.#probe().catch((error: unknown) => {
      if (!(error instanceof RelayError) || error.code !== 'canceled') throw error;
    });
  }

  #succeeded(): SignerHealth {
    this.#cancelProbe();
    this.#failedProbes = 0;
    return this.#become({ kind: 'ok', atMonotonicMs: this.#options.clock.monotonic() });
  }

  #failed(fault: Fault): SignerHealth {
    if (this.#isClosed) return fault;
    const { clock, random } = this.#options;
    this.#failedProbes = this.#health.kind === fault.kind ? this.#failedProbes + 1 : 0;
    this.#verdictAtMs = clock.monotonic();
    const { first, last } = PROBE_WAIT_MS[fault.kind];
    const waitMs = Math.min(last, first * 2 ** Math.min(this.#failedProbes, DOUBLINGS_MAX));
    // Half of it at random, so that the machines of one bunker do not all ask at once.
    const halfMs = waitMs / 2;
    this.#cancelProbe();
    this.#cancelProbe = clock.after(halfMs + randomBelow(random, halfMs), () => {
      this.#letProbeDecide();
    });
    return this.#become(fault);
  }

  #become(health: SignerHealth): SignerHealth {
    const before = this.#health;
    this.#health = health;
    const isNews = health.kind === 'ok' ? before.kind !== 'ok' : !isDeepStrictEqual(before, health);
    if (!isNews) return health;
    this.#log.info({ health }, 'signer health');
    for (const listener of [...this.#listeners]) listener(health);
    return health;
  }
}

type Ask = (options: RequestOptions) => Promise<Nip46Outcome>;

function faultOf(health: SignerHealth): Fault | undefined {
  return health.kind === 'ok' || health.kind === 'unknown' ? undefined : health;
}

function faultOfOutcome(outcome: Nip46Failure): Fault {
  switch (outcome.kind) {
    case 'silent':
      return { kind: 'silent', reason: `Signer Unreachable: ${outcome.reason}` };
    case 'faulty':
      return { kind: 'silent', reason: `Signer Unreachable: ${outcome.reason}` };
    case 'error':
      return { kind: 'refused', reason: `Pairing Required: ${outcome.error}` };
    case 'authUrl':
      return { kind: 'authUrl', url: outcome.url };
  }
}

function alteredFault(reason: string): Fault {
  return {
    kind: 'refused',
    reason: `Pairing Required: the signer returned another event than was asked for: ${reason}`,
  };
}
