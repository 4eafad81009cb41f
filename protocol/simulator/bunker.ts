/**
 * A real NIP-46 bunker: NDK's backend, which nsecbunkerd is made of, on real relays in real time.
 * As in the field it goes deaf after a relay outage and stays so until it is started again
 * (nostr.md 3.2), so `restart` does what the service manager does there.
 */
import NDK, {
  type NDKEvent,
  NDKNip46Backend,
  NDKPrivateKeySigner,
  NDKRelay,
  NDKRelayAuthPolicies,
  type Nip46PermitCallbackParams,
} from '@nostr-dev-kit/ndk';
import { type Clock, type Random, timedOut, withDeadline } from '#protocol/base/clock.ts';
import { messageOf, RelayError } from '#protocol/base/errors.ts';
import type { Log } from '#protocol/base/log.ts';
import { kinds } from '../event.ts';
import { BunkerPolicy, type BunkerState, type SimulatedBunker } from './bunker-policy.ts';

/** What `startBunker` needs. */
export interface BunkerOptions {
  readonly relayUrls: readonly string[];
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** The machine's identity key, 32 bytes. */
  readonly secretKey: Uint8Array;
  /** Bindings of an earlier run. */
  readonly state?: BunkerState | undefined;
}

/** The bunker must listen on a relay within this; on loopback it takes about 50 ms. */
const START_LIMIT_MS = 10_000;

/**
 * Each NDKRelay sets a timer every 30 s for as long as the process lives, also after `disconnect`,
 * and offers no way to end it. All it does is to verify fewer signatures as time goes by.
 */
Object.defineProperty(NDKRelay.prototype, 'updateValidationRatio', { value: () => undefined });

/** Starts a bunker. @throws RelayError `timeOut` when no relay lets it listen. */
export async function startBunker(options: BunkerOptions): Promise<SimulatedBunker> {
  const policy = new BunkerPolicy(options);
  let backend = await Backend.listen(options, policy);
  return {
    pubkey: backend.pubkey,
    policy,
    restart: async () => {
      backend.end();
      backend = await Backend.listen(options, policy);
    },
    stop: async () => {
      policy.close();
      backend.end();
    },
  };
}

class Backend extends NDKNip46Backend {
  readonly pubkey: string;
  readonly #policy: BunkerPolicy;
  readonly #log: Log;

  /** Resolves when its subscription is live; NDK's own `start` does not wait for that. */
  static async listen(options: BunkerOptions, policy: BunkerPolicy): Promise<Backend> {
    const signer = new NDKPrivateKeySigner(options.secretKey);
    // The outbox model would connect to public relays that nobody here has named.
    const ndk = new NDK({ explicitRelayUrls: [...options.relayUrls], enableOutboxModel: false });
    ndk.relayAuthDefaultPolicy = NDKRelayAuthPolicies.signIn({ ndk, signer });
    const backend = new Backend(ndk, signer, policy, options);
    const live = await withDeadline(options.clock, START_LIMIT_MS, backend.#subscribe());
    if (live !== timedOut) return backend;
    backend.end();
    throw new RelayError('timeOut', `the bunker reaches none of ${options.relayUrls.join(', ')}`);
  }

  constructor(ndk: NDK, signer: NDKPrivateKeySigner, policy: BunkerPolicy, options: BunkerOptions) {
    super(ndk, signer, (request) => this.#permit(request), [...options.relayUrls]);
    this.pubkey = signer.pubkey;
    this.#policy = policy;
    this.#log = options.log;
  }

  override async applyToken(client: string, token: string): Promise<void> {
    this.#policy.redeem(client, token);
  }

  /** Cuts every link; NDK offers nothing for it. */
  end(): void {
    for (const { connectivity } of this.ndk.pools.flatMap((pool) => [...pool.relays.values()])) {
      connectivity.disconnect();
      // NDK leaves the timer of its next attempt behind, and that attempt would begin it all anew.
      const timer: unknown = Reflect.get(connectivity, 'reconnectTimeout');
      if (isDisposable(timer)) timer[Symbol.dispose]();
    }
  }

  async #subscribe(): Promise<void> {
    this.localUser = await this.signer.user();
    await this.ndk.connect();
    await new Promise<void>((resolve) => {
      this.ndk.subscribe(
        { kinds: [kinds.remoteSigning], '#p': [this.pubkey] },
        {
          closeOnEose: false,
          onEvent: (event: NDKEvent) => void this.#take(event),
          onEose: () => resolve(),
        },
      );
    });
  }

  /** NDK parses outside its own guard, so that a stranger's garbage would end the process. */
  async #take(event: NDKEvent): Promise<void> {
    if (this.#policy.switches.silent) {
      this.#log.debug('bunker is silent');
      return;
    }
    try {
      await this.#policy.delay();
      await this.handleIncomingEvent(event);
    } catch (error) {
      this.#log.debug({ reason: messageOf(error) }, 'bunker could not read a request');
    }
  }

  async #permit({ id, pubkey, method, params }: Nip46PermitCallbackParams): Promise<boolean> {
    const request = { client: pubkey, method };
    const verdict = this.#policy.decide(
      method === 'sign_event' ? { ...request, eventKind: Number(params.kind) } : request,
    );
    this.#log.debug({ method, verdict: verdict.kind }, 'bunker judged a request');
    switch (verdict.kind) {
      case 'allow':
        return true;
      case 'refuse':
        return false;
      case 'authUrl':
        await this.rpc.sendResponse(id, pubkey, 'auth_url', kinds.remoteSigning, verdict.url);
        return never();
      case 'silent':
        return never();
    }
  }
}

function isDisposable(value: unknown): value is Disposable {
  return typeof value === 'object' && value !== null && Symbol.dispose in value;
}

/** A wait without end: the backend answers as soon as it is told yes or no. */
const never = (): Promise<never> => new Promise(() => undefined);
