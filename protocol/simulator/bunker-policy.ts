/**
 * Who may do what at a bunker: nsecbunkerd's one-time tokens, bindings per client key, rules and
 * usage caps, in the order in which its access list decides. Both bunkers ask this one module.
 * Source: bitspire-wire.md 5 and 8, nostr.md 3.
 */
import { z } from 'zod';
import type { CancelTimer, Clock, Random } from '#protocol/base/clock.ts';

/** What a bunker does with a request. `silent`: it never answers. `authUrl`: it wants a person. */
export type BunkerVerdict =
  | { readonly kind: 'allow' }
  | { readonly kind: 'refuse'; readonly error: string }
  | { readonly kind: 'silent' }
  | { readonly kind: 'authUrl'; readonly url: string };

/** A request as far as the access list is concerned; `eventKind` for `sign_event` only. */
export interface BunkerRequest {
  readonly client: string;
  readonly method: string;
  readonly eventKind?: number;
}

/** How the bunker is set. All may be set while it runs. */
export interface BunkerSwitches {
  /** Deaf, locked or cut off: nothing is answered. */
  silent: boolean;
  /** What is done with what no rule grants: the fork is silent, a stock one refuses in the end. */
  ungranted: 'silent' | 'refuse';
  /** Answers every request of a bound client with this URL instead (nsecbunkerd's `baseUrl`). */
  authUrl: string | undefined;
  /** Every answer comes this much later, ms. */
  delayMs: number;
}

const ruleSchema = z.object({
  method: z.string(),
  /** For `sign_event` only. */
  eventKind: z.number().int().optional(),
  /** Most uses in the window; without it there is no cap. */
  maxUsageCount: z.number().int().optional(),
  /** Without it the cap holds for a lifetime. */
  windowMs: z.number().int().optional(),
});

/** One grant; all capped rules that match must have budget left. */
export type BunkerRule = z.infer<typeof ruleSchema>;

const stateSchema = z.object({
  tokens: z.array(
    z.object({
      token: z.string(),
      expiresAtUnixMs: z.number().optional(),
      redeemedBy: z.string().optional(),
      revoked: z.boolean(),
    }),
  ),
  revokedClients: z.array(z.string()),
});

/** What a bunker must not forget, plain JSON. */
export type BunkerState = z.infer<typeof stateSchema>;
/** Reads a kept state. */
export const bunkerStateSchema = stateSchema;

/** The policy `spirekeeper-spire`, with the AUTH kind that was added later. */
export const spirePolicy: readonly BunkerRule[] = [
  ...[21000, 21001, 21002, 21003, 30078, 22242].map((eventKind) => ({
    method: 'sign_event',
    eventKind,
  })),
  { method: 'nip44_encrypt' },
  { method: 'nip44_decrypt' },
];

const NOT_AUTHORIZED = 'Not authorized';
const TOKEN_BYTES = 32;

/** What a bunker of either kind offers to the demo and the tests. */
export interface SimulatedBunker {
  /** The machine's identity: the bunker's only key, hex. */
  readonly pubkey: string;
  /** Tokens, revocation, rules, caps and switches. */
  readonly policy: BunkerPolicy;
  /** Ends it and starts it again with the same key and bindings; resolves when it listens. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

/** Tokens, bindings, rules and caps of one bunker key. */
export class BunkerPolicy {
  readonly switches: BunkerSwitches = {
    silent: false,
    ungranted: 'silent',
    authUrl: undefined,
    delayMs: 0,
  };
  /** What is granted to whoever has redeemed a token; may be changed while it runs. */
  rules: readonly BunkerRule[] = spirePolicy;
  /** Called after every change of what must not be forgotten. */
  onChange: () => void = () => undefined;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #state: BunkerState;
  readonly #uses = new Map<string, number[]>();
  readonly #waiting = new Set<CancelTimer>();

  constructor(options: { clock: Clock; random: Random; state?: BunkerState | undefined }) {
    this.#clock = options.clock;
    this.#random = options.random;
    this.#state = structuredClone(options.state ?? { tokens: [], revokedClients: [] });
  }

  /** What must not be forgotten. */
  get state(): BunkerState {
    return structuredClone(this.#state);
  }

  /** Makes a token for one client; with a lifetime it bounds the binding too (nsecbunkerd#27). */
  mintToken(lifetimeMs?: number): string {
    const token = Buffer.from(this.#random.bytes(TOKEN_BYTES)).toString('hex');
    const expiry =
      lifetimeMs === undefined ? {} : { expiresAtUnixMs: this.#clock.now() + lifetimeMs };
    this.#state.tokens.push({ token, revoked: false, ...expiry });
    this.onChange();
    return token;
  }

  /** Binds a client by a token. @throws Error with nsecbunkerd's words. */
  redeem(client: string, token: string): void {
    const found = this.#state.tokens.find((other) => other.token === token);
    if (!found) throw new Error('Token not found');
    if (found.redeemedBy !== undefined) throw new Error('Token already redeemed');
    if (this.#lapsed(found)) throw new Error('Token expired');
    found.redeemedBy = client;
    this.onChange();
  }

  /** Bans a client (`revoke_key_user`): from now on everything is refused. */
  revoke(client: string): void {
    this.#state.revokedClients.push(client);
    this.onChange();
  }

  /** Revokes one token: its binding is refused from now on. */
  revokeToken(token: string): void {
    for (const other of this.#state.tokens) if (other.token === token) other.revoked = true;
    this.onChange();
  }

  /** Clients that have redeemed a token. */
  clients(): string[] {
    return this.#state.tokens.flatMap(({ redeemedBy }) => redeemedBy ?? []);
  }

  /** Caps a method (and kind), beside the caps that are there; no window means a lifetime. */
  cap(rule: BunkerRule & { maxUsageCount: number }): void {
    this.rules = [...this.rules, rule];
  }

  /** Judges a request, and counts it against the caps when it is allowed. */
  decide(request: BunkerRequest): BunkerVerdict {
    const { client, method } = request;
    if (this.switches.silent) return { kind: 'silent' };
    if (this.#state.revokedClients.includes(client)) return refused();
    const bound = this.#state.tokens.filter((token) => token.redeemedBy === client);
    const live = bound.filter((token) => !token.revoked && !this.#lapsed(token));
    const matching = this.rules.filter((rule) => covers(rule, request));
    const granted = method === 'connect' || matching.length > 0;
    if (bound.length === 0 || !granted) {
      return this.switches.ungranted === 'refuse' ? refused() : { kind: 'silent' };
    }
    if (live.length === 0) return refused();
    if (this.switches.authUrl !== undefined) return { kind: 'authUrl', url: this.switches.authUrl };
    return this.#count(client, matching) ? { kind: 'allow' } : { kind: 'silent' };
  }

  /** Waits as long as the switch `delayMs` says; never resolves after `close`. */
  delay(): Promise<void> {
    if (this.switches.delayMs === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const cancel = this.#clock.after(this.switches.delayMs, () => {
        this.#waiting.delete(cancel);
        resolve();
      });
      this.#waiting.add(cancel);
    });
  }

  /** Ends what waits. */
  close(): void {
    for (const cancel of this.#waiting) cancel();
    this.#waiting.clear();
  }

  #lapsed(token: BunkerState['tokens'][number]): boolean {
    return token.expiresAtUnixMs !== undefined && token.expiresAtUnixMs <= this.#clock.now();
  }

  /** All capped rules bind together; nothing is counted unless every one of them has budget. */
  #count(client: string, rules: readonly BunkerRule[]): boolean {
    const nowMs = this.#clock.monotonic();
    const counters: number[][] = [];
    for (const rule of rules) {
      if (rule.maxUsageCount === undefined) continue;
      const name = `${client} ${JSON.stringify(rule)}`;
      const sinceMs = nowMs - (rule.windowMs ?? Number.POSITIVE_INFINITY);
      const uses = (this.#uses.get(name) ?? []).filter((atMs) => atMs > sinceMs);
      this.#uses.set(name, uses);
      if (uses.length >= rule.maxUsageCount) return false;
      counters.push(uses);
    }
    for (const uses of counters) uses.push(nowMs);
    return true;
  }
}

const refused = (): BunkerVerdict => ({ kind: 'refuse', error: NOT_AUTHORIZED });

function covers(rule: BunkerRule, { method, eventKind }: BunkerRequest): boolean {
  if (rule.method !== method) return false;
  return method !== 'sign_event' || rule.eventKind === eventKind;
}
