/** Kind 21000 calls to the operator's wallet, in three steps so that each can be journaled. */
import type { SignedEvent } from '../event.ts';
import type { PublishResult, Unsubscribe } from '../relay/relay.ts';

/** A signed call; all of it is plain JSON and may be kept on disk until it is settled. */
export interface PreparedCall {
  readonly rpcName: string;
  /** Our correlation id, 128 random bits in hex. */
  readonly requestId: string;
  readonly event: SignedEvent;
}

/** What the wallet said. `refused` carries its words verbatim. */
export type RpcAnswer =
  | { readonly kind: 'ok'; readonly data: unknown }
  | { readonly kind: 'refused'; readonly error: string };

/**
 * An answer, or none within the bound (which may also mean: unknown method, bitspire-wire.md
 * 2.3).
 */
export type RpcOutcome = RpcAnswer | { readonly kind: 'unanswered' };

/** Calls the wallet. Answers count only from the pinned key, for open calls, once per event. */
export interface RpcClient {
  /**
   * Encrypts and signs a call through the signer; nothing is sent. A fresh one may be made as often
   * as needed. @throws SignerError
   */
  prepare(rpcName: string, body: unknown, walletId?: string): Promise<PreparedCall>;
  /**
   * Takes answers to a prepared call from now on, also after a restart, until it is taken off.
   * Several answers may come; each event is reported once.
   */
  watch(call: PreparedCall, listener: (answer: RpcAnswer) => void): Unsubscribe;
  /** Publishes the very event; may be done again with the same. */
  publish(call: PreparedCall): Promise<readonly PublishResult[]>;
  /**
   * For reads: prepares, publishes and waits, with one more try inside `limitMs` (15 s when left
   * out). Never for a call that moves money. @throws SignerError
   */
  ask(rpcName: string, body: unknown, walletId?: string, limitMs?: number): Promise<RpcOutcome>;
  close(): Promise<void>;
}
