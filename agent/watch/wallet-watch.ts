/** What the pinned wallet holds, whether it is the pinned one, and what the board says of it. */
import type { Clock } from '#protocol/base/clock.ts';
import type { Log } from '#protocol/base/log.ts';
import type { Wallet, WalletAnswer, WalletBalance } from '#protocol/rpc/wallet.ts';
import { SignerError } from '#protocol/signer/signer.ts';
import type { Config } from '../config.ts';
import type { WalletWatch } from '../parts.ts';
import type { ReasonBoard } from './reasons.ts';

/** What `openWalletWatch` needs. */
export interface WalletWatchOptions {
  readonly config: { readonly limits: Pick<Config['limits'], 'walletReserveSats'> };
  readonly wallet: Pick<Wallet, 'getWallet'>;
  /** Id of the pinned wallet. */
  readonly walletId: string;
  readonly board: ReasonBoard;
  readonly clock: Clock;
  readonly log: Log;
}

/** A watch that can also be told to ask now. */
export interface OpenWalletWatch extends WalletWatch {
  /** Asks the wallet now and tells the board. Never rejects for what wallet or signer do. */
  check(): Promise<void>;
}

/** Opens the watch. Nothing is asked before the first `balance` or `check`. */
export function openWalletWatch(options: WalletWatchOptions): OpenWalletWatch {
  return new Watch(options);
}

/** Longest words of the wallet that a sentence repeats, characters. */
const WORDS_MAX = 200;

class Watch implements OpenWalletWatch {
  readonly #options: WalletWatchOptions;
  #held: { readonly balanceSats: number; readonly atMonotonicMs: number } | undefined;
  #named: boolean = false;
  /** The server named another wallet, and has not named the pinned one since. */
  #isOther: boolean = false;
  #asking: Promise<void> | undefined;

  constructor(options: WalletWatchOptions) {
    this.#options = options;
  }

  named(): boolean {
    return this.#named;
  }

  async balance(maxAgeMs: number): Promise<number | undefined> {
    const held = this.#held;
    if (held && this.#options.clock.monotonic() - held.atMonotonicMs <= maxAgeMs) {
      return held.balanceSats;
    }
    await this.check();
    return this.#held?.balanceSats;
  }

  check(): Promise<void> {
    // One request at a time: whoever asks meanwhile takes its answer.
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  async #ask(): Promise<void> {
    const { wallet, clock, log } = this.#options;
    // The age counts from before the question, so that it is never told too young.
    const atMonotonicMs = clock.monotonic();
    this.#held = undefined;
    let answer: WalletAnswer<WalletBalance>;
    try {
      answer = await wallet.getWallet();
    } catch (err) {
      if (!(err instanceof SignerError)) throw err;
      // The signer's own reason is on the board; the wallet was not even asked.
      log.warn({ err }, 'wallet not asked: the signer did not sign');
      return;
    }
    const why = silenceOf(answer);
    this.#options.board.setBoth('walletUnreachable', why);
    if (why !== undefined) log.warn({ reason: why }, 'wallet not reached');
    if (answer.kind === 'ok') this.#take(answer.value, atMonotonicMs);
  }

  #take({ walletId, balanceSats }: WalletBalance, atMonotonicMs: number): void {
    const { board, config, log } = this.#options;
    this.#named = walletId === this.#options.walletId;
    // An answer without an id does not take back that another wallet was named.
    this.#isOther = walletId === undefined ? this.#isOther : !this.#named;
    if (this.#isOther) {
      log.error({ walletId, pinned: this.#options.walletId }, 'another wallet answers');
      const named = walletId === undefined ? 'another wallet' : `wallet ${walletId}`;
      const text = `The server speaks for ${named} and not for the pinned one.`;
      board.setBoth('walletMismatch', text);
      return;
    }
    board.setBoth('walletMismatch', undefined);
    this.#held = { balanceSats, atMonotonicMs };
    const { walletReserveSats } = config.limits;
    const text =
      balanceSats === 0
        ? 'The wallet is empty.'
        : `The wallet holds ${balanceSats} sats, of which ${walletReserveSats} are kept back.`;
    board.set('cashIn', 'walletEmpty', balanceSats <= walletReserveSats ? text : undefined);
  }
}

/** Why an answer says nothing of the balance, as a sentence; undefined when it does. */
function silenceOf(answer: WalletAnswer<WalletBalance>): string | undefined {
  switch (answer.kind) {
    case 'ok':
      return undefined;
    case 'unanswered':
      return 'The wallet does not answer.';
    case 'refused':
      return `The wallet refuses: ${answer.words.slice(0, WORDS_MAX)}`;
    case 'malformed':
      return `The wallet's answer cannot be read: ${answer.reason.slice(0, WORDS_MAX)}`;
  }
}
