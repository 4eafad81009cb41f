/**
 * What the agent's effects work with; main.ts puts it together, each effect takes what it
 * needs.
 */
import type { CashAcceptor } from '#hal/cash-acceptor.ts';
import type { CashDispenser } from '#hal/cash-dispenser.ts';
import type { Clock, Random } from '#protocol/base/clock.ts';
import type { IntentId } from '#protocol/base/ids.ts';
import type { Log } from '#protocol/base/log.ts';
import type { MinorPerBtc } from '#protocol/base/money.ts';
import type { Secret } from '#protocol/base/secret.ts';
import type { FeesDocument } from '#protocol/documents/fees.ts';
import type { RpcClient } from '#protocol/rpc/rpc.ts';
import type { Wallet } from '#protocol/rpc/wallet.ts';
import type { SignatureBudget } from '#protocol/signer/signature-budget.ts';
import type { Signer } from '#protocol/signer/signer.ts';
import type { Store } from '#state/store.ts';
import type { Config } from './config.ts';
import type { ReasonBoard } from './watch/reasons.ts';

/** A rate with the moment it was taken. */
export interface Rate {
  readonly minorPerBtc: MinorPerBtc;
  /** Whose price it is, in words for the record. */
  readonly source: string;
  readonly atMonotonicMs: number;
}

/** The rate in force; asks its source again when the last one is older than asked for. */
export interface Rates {
  /** The last good rate, however old; undefined before the first. */
  latest(): Rate | undefined;
  /** A rate at most `maxAgeMs` old; undefined with the reason on the board when there is none. */
  fresh(maxAgeMs: number): Promise<Rate | undefined>;
}

/** What the wallet holds and whose it is, as last heard. */
export interface WalletWatch {
  /** Balance at most `maxAgeMs` old; undefined, with the reason on the board, when unknown. */
  balance(maxAgeMs: number): Promise<number | undefined>;
  /** True when the server named the pinned wallet in `get_wallet`. */
  named(): boolean;
}

/** Everything that effects need. */
export interface Parts {
  readonly config: Config;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly store: Store;
  readonly acceptor: CashAcceptor;
  readonly dispenser: CashDispenser;
  readonly signer: Signer;
  readonly signatures: Pick<SignatureBudget, 'has' | 'reserve' | 'release'>;
  readonly rpc: RpcClient;
  readonly wallet: Wallet;
  /** Id of the pinned wallet. */
  readonly walletId: string;
  readonly board: ReasonBoard;
  readonly rates: Rates;
  readonly walletWatch: WalletWatch;
  /** Each writes down a credit without an intent; kept until the disk has taken it. */
  readonly unwrittenCredits: (() => void)[];
  /** What is left to be done for an act whose end was told once and not taken by a full disk. */
  readonly unwrittenEnds: Map<IntentId, () => void | Promise<void>>;
  /** Keys the hashes of claim codes; the sealing key. */
  readonly claimKey: Secret<Uint8Array>;
  /** The fee document in force. */
  fees(): FeesDocument | undefined;
  /** The operator's `max_cash_in_sats`; undefined without such a document. */
  operatorCap(): number | null | undefined;
  /** Called after every change that a screen or the operator may want to see. */
  changed(): void;
}
