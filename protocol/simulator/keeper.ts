/**
 * The wallet stand-in: LNbits' nostr transport with the spirekeeper extension and the operator's
 * documents, as a peer that any client may be run against. It keeps the truth about the money
 * (`books`), does what a customer or an operator would do, and misbehaves by switch.
 */
import type { Clock, Random } from '#protocol/base/clock.ts';
import type { Log } from '#protocol/base/log.ts';
import type { PublishResult, Relays } from '../relay/relay.ts';
import { type NostrCrypto, newSecretKey } from '../signer/nostr-crypto.ts';
import type { InvoiceMaker } from './keeper/bolt11.ts';
import { linkIdOf } from './keeper/lnurl.ts';
import { LnurlWithdraw } from './keeper/lnurl-withdraw.ts';
import { OperatorDocuments, type ReceivedDocument } from './keeper/operator-documents.ts';
import { type FeeSettings, perform, type RpcSwitches } from './keeper/rpc.ts';
import type { KeeperState } from './keeper/state.ts';
import {
  type CallResult,
  type ReceivedCall,
  Transport,
  type TransportSwitches,
} from './keeper/transport.ts';
import {
  type Books,
  type MoneyOutcome,
  newWalletState,
  Wallet,
  type WalletInvoice,
  type WithdrawLink,
} from './keeper/wallet.ts';

/** How the stand-in behaves. All may be set while it runs. */
export interface KeeperSwitches extends TransportSwitches, RpcSwitches {
  /**
   * What becomes of a sender that is on no roster. `autoAccount`, the default, is what LNbits does:
   * it gets a new wallet of its own, which has cost real cash (bitspire-wire.md 9.1).
   */
  unknownSender: 'autoAccount' | 'refuse' | 'silent';
}

/** What the stand-in needs. */
export interface KeeperOptions {
  readonly relays: Relays;
  readonly clock: Clock;
  readonly random: Random;
  readonly crypto: NostrCrypto;
  readonly invoices: InvoiceMaker;
  readonly log: Log;
  /** The machine on the roster, hex. */
  readonly spirePubkey: string;
  readonly keys: KeeperKeys;
  /** What links begin with. */
  readonly lnurlBase: string;
  /** Books and settings of an earlier run. */
  readonly state?: KeeperState | undefined;
}

/** Its two keys, 32 bytes each. */
export interface KeeperKeys {
  readonly transport: Uint8Array;
  readonly operator: Uint8Array;
}

/** A cassette document's bays by position. */
export type CassettePositions = Readonly<
  Record<number, { readonly denomination: number; readonly count: number }>
>;

/** The fees of the worked example in bitspire-wire.md 6.2: 3 % platform, 5 % operator. */
const USUAL_FEES: FeeSettings = {
  superCashIn: 0.03,
  superCashOut: 0.03,
  operatorCashIn: 0.05,
  operatorCashOut: 0.05,
};
/** Sums of fractions are published rounded to this, far below the 1e-6 that consumers allow. */
const FRACTION_DIGITS = 12;

/** Starts the stand-in; its subscriptions are under way when this returns. */
export function startKeeper(options: KeeperOptions): Keeper {
  return new Keeper(options);
}

/** A running stand-in. */
export class Keeper {
  readonly switches: KeeperSwitches;
  /** Machines whose calls go to the machine's wallet. */
  readonly roster: Set<string>;
  /** Called after every change of what is kept. */
  onChange: () => void = () => undefined;
  readonly #options: KeeperOptions;
  readonly #transport: Transport;
  readonly #documents: OperatorDocuments;
  readonly #lnurl: LnurlWithdraw;
  readonly #wallet: Wallet;
  readonly #autoAccounts = new Map<string, Wallet>();
  #fees: FeeSettings;
  #maxCashInSats: number | null;

  constructor(options: KeeperOptions) {
    const { state, random, spirePubkey, keys } = options;
    this.#options = options;
    this.#fees = state?.fees ?? USUAL_FEES;
    this.#maxCashInSats = state?.maxCashInSats ?? null;
    this.roster = new Set([spirePubkey]);
    this.#wallet = this.#open(state?.wallet ?? newWalletState(random), spirePubkey);
    for (const { owner, wallet } of state?.autoAccounts ?? []) {
      this.#autoAccounts.set(owner, this.#open(wallet));
    }
    this.#lnurl = new LnurlWithdraw({
      clock: options.clock,
      invoices: options.invoices,
      find: (id) => this.#findLink(id),
    });
    this.#documents = new OperatorDocuments({ ...options, secretKey: keys.operator });
    this.#transport = new Transport({
      ...options,
      secretKey: keys.transport,
      handle: (call) => this.#handle(call),
    });
    this.switches = Object.assign(this.#transport.switches, {
      nameWallet: true,
      namePaymentWallet: true,
      zeroPreimages: false,
      foreignPreimages: false,
      requireWalletId: false,
      unknownSender: 'autoAccount' as const,
    });
  }

  get transportPubkey(): string {
    return this.#transport.pubkey;
  }

  get operatorPubkey(): string {
    return this.#documents.pubkey;
  }

  /** Resolves when a relay serves it, so that no call is missed any more. */
  get listening(): Promise<void> {
    return this.#transport.listening;
  }

  /** The wallet that is bound to the machine. */
  get walletId(): string {
    return this.#wallet.id;
  }

  /** What must not be forgotten, plain JSON without the transport's key. */
  get state(): KeeperState {
    const accounts = [...this.#autoAccounts].map(([owner, { state }]) => ({
      owner,
      wallet: state,
    }));
    return {
      wallet: this.#wallet.state,
      autoAccounts: accounts,
      fees: this.#fees,
      maxCashInSats: this.#maxCashInSats,
      operatorKey: Buffer.from(this.#documents.secretKey).toString('hex'),
    };
  }

  /**
   * The machine's wallet as it stands; with an owner, the one LNbits made up for that sender.
   * @throws RangeError when none was made.
   */
  books(autoAccountOf?: string): Books {
    if (autoAccountOf === undefined) return this.#wallet.books();
    const wallet = this.#autoAccounts.get(autoAccountOf);
    if (!wallet) throw new RangeError(`no wallet was made for ${autoAccountOf}`);
    return wallet.books();
  }

  /** The operator puts sats into the machine's wallet. */
  fund(sats: number): void {
    this.#wallet.fund(sats);
  }

  /** A customer takes what a link holds, without HTTP. @throws Error for what is no LNURL. */
  claim(lnurl: string): MoneyOutcome {
    const found = this.#findLink(linkIdOf(lnurl));
    if (!found) return { ok: false, reason: 'Withdraw link does not exist.' };
    return found.wallet.claim(found.link);
  }

  /** The operator deletes a link; true when it was open. @throws Error for what is no LNURL. */
  deleteLink(lnurl: string): boolean {
    const found = this.#findLink(linkIdOf(lnurl));
    return found?.wallet.deleteLink(found.link) ?? false;
  }

  /** Answers the LNURL endpoint's GET (LUD-03); the HTTP server hands every path to it. */
  answerLnurl(pathAndQuery: string): unknown {
    return this.#lnurl.answer(pathAndQuery, this.#options.lnurlBase);
  }

  /**
   * A customer pays an invoice by payment hash or bolt11. `internal`: from a wallet of the same
   * server, which leaves a zero preimage. `evenExpired`: the payment was under way at the expiry.
   */
  pay(
    paymentHashOrBolt11: string,
    how: { readonly internal?: boolean; readonly evenExpired?: boolean } = {},
  ): MoneyOutcome {
    const found = this.#findInvoice(paymentHashOrBolt11);
    if (!found) return { ok: false, reason: 'Payment does not exist.' };
    const { internal = false, evenExpired = false } = how;
    return found.wallet.pay(found.invoice, { internal, evenExpired });
  }

  /** The server's cap; null for none, 0 refuses every cash-in. It publishes nothing. */
  setMaxCashInSats(value: number | null): void {
    this.#maxCashInSats = value;
    this.onChange();
  }

  /** The server's fees; a document that was published before stays as it was. */
  setFees(fees: Partial<FeeSettings>): void {
    this.#fees = { ...this.#fees, ...fees };
    this.onChange();
  }

  /** Publishes the fees in force. Source: bitspire-wire.md 3.3. */
  publishFees(): Promise<readonly PublishResult[]> {
    const { superCashIn, superCashOut, operatorCashIn, operatorCashOut } = this.#fees;
    return this.publishDocument('bitspire-fees', {
      schema_version: 1,
      cash_in_fee_fraction: fractionSum(superCashIn, operatorCashIn),
      cash_out_fee_fraction: fractionSum(superCashOut, operatorCashOut),
      components: {
        super_cash_in: superCashIn,
        super_cash_out: superCashOut,
        operator_cash_in: operatorCashIn,
        operator_cash_out: operatorCashOut,
      },
    });
  }

  /** Publishes cassettes by position. Source: bitspire-wire.md 3.1. */
  publishCassettes(positions: CassettePositions): Promise<readonly PublishResult[]> {
    return this.publishDocument('bitspire-cassettes', { positions });
  }

  /** Publishes the withdrawn shape, keyed by denomination; a machine must refuse it. */
  publishOldCassettes(
    denominations: Readonly<Record<number, { readonly position: number; readonly count: number }>>,
  ): Promise<readonly PublishResult[]> {
    return this.publishDocument('bitspire-cassettes', { denominations });
  }

  /** Publishes the machine's own limit document (design 10). */
  publishLimits(maxCashInSats: number | null): Promise<readonly PublishResult[]> {
    const limits = { schema_version: 1, max_cash_in_sats: maxCashInSats };
    return this.publishDocument('bitspire-limits', limits);
  }

  /** Publishes any JSON to the machine under `<name>:<hex>`, at a time of one's choice. */
  publishDocument(
    name: string,
    content: unknown,
    createdAtSec?: number,
  ): Promise<readonly PublishResult[]> {
    return this.#documents.publish(name, content, createdAtSec);
  }

  /** The newest document that the machine has published under a name, decrypted. */
  received(name: string): ReceivedDocument | undefined {
    return this.#documents.received(name);
  }

  /** Gives the operator another key, which orphans every document so far; returns it, hex. */
  rotateOperatorKey(): string {
    this.#documents.rotate(newSecretKey(this.#options.random));
    this.onChange();
    return this.#documents.pubkey;
  }

  /** The server restarts: it forgets which events it has seen, and answers under way are lost. */
  restart(): void {
    this.#transport.restart();
  }

  /** Hears and sends no more. The relays stay open: they are the caller's. */
  stop(): void {
    this.#transport.stop();
    this.#documents.stop();
  }

  #open(state: ReturnType<typeof newWalletState>, machinePubkey?: string): Wallet {
    const machine = machinePubkey === undefined ? {} : { machinePubkey };
    const { clock, random, invoices } = this.#options;
    return new Wallet({
      clock,
      random,
      invoices,
      state,
      ...machine,
      onChange: () => this.onChange(),
    });
  }

  #wallets(): Wallet[] {
    return [this.#wallet, ...this.#autoAccounts.values()];
  }

  #handle(call: ReceivedCall): CallResult {
    const isMachine = this.roster.has(call.sender);
    if (!isMachine && this.switches.unknownSender === 'silent') return undefined;
    if (!isMachine && this.switches.unknownSender === 'refuse') return { error: 'not_in_roster' };
    return perform(call, {
      wallet: isMachine ? this.#wallet : this.#autoAccount(call.sender),
      wallets: this.#wallets(),
      isMachine,
      fees: this.#fees,
      maxCashInSats: this.#maxCashInSats,
      lnurlBase: this.#options.lnurlBase,
      invoices: this.#options.invoices,
      switches: this.switches,
    });
  }

  #autoAccount(sender: string): Wallet {
    const known = this.#autoAccounts.get(sender);
    if (known) return known;
    const wallet = this.#open(newWalletState(this.#options.random));
    this.#autoAccounts.set(sender, wallet);
    this.onChange();
    return wallet;
  }

  #findLink(id: string): { wallet: Wallet; link: WithdrawLink } | undefined {
    for (const wallet of this.#wallets()) {
      const link = wallet.link(id);
      if (link) return { wallet, link };
    }
    return undefined;
  }

  #findInvoice(wanted: string): { wallet: Wallet; invoice: WalletInvoice } | undefined {
    const isHash = /^[0-9a-f]{64}$/.test(wanted);
    const hash = isHash ? wanted : this.#options.invoices.read(wanted).paymentHash;
    for (const wallet of this.#wallets()) {
      const invoice = wallet.invoice(hash);
      if (invoice) return { wallet, invoice };
    }
    return undefined;
  }
}

const fractionSum = (a: number, b: number): number => Number((a + b).toFixed(FRACTION_DIGITS));
