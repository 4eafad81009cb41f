/** LNURL-withdraw (LUD-03), in the withdraw extension's paths and words. */

import type { Clock } from '#protocol/base/clock.ts';
import { messageOf } from '#protocol/base/errors.ts';
import type { InvoiceMaker, InvoiceTerms } from './bolt11.ts';
import type { Wallet, WithdrawLink } from './wallet.ts';

/** What the endpoint needs. */
export interface LnurlWithdrawOptions {
  readonly clock: Clock;
  readonly invoices: InvoiceMaker;
  /** A link by its id. */
  readonly find: (id: string) => { wallet: Wallet; link: WithdrawLink } | undefined;
}

const LINK_PATH = /^\/withdraw\/api\/v1\/lnurl\/(cb\/)?([0-9a-f]{32})$/;

/** Answers GETs; both errors and answers are JSON with status 200, as LUD-03 wants. */
export class LnurlWithdraw {
  readonly #options: LnurlWithdrawOptions;

  constructor(options: LnurlWithdrawOptions) {
    this.#options = options;
  }

  /** Answers a path with its query; `base` is what the callback begins with. */
  answer(pathAndQuery: string, base: string): unknown {
    if (!URL.canParse(pathAndQuery, base)) return wrong('Withdraw link does not exist.');
    const url = new URL(pathAndQuery, base);
    const [, callback, id = ''] = LINK_PATH.exec(url.pathname) ?? [];
    const found = this.#options.find(id);
    if (!found || found.link.state === 'deleted') return wrong('Withdraw link does not exist.');
    if (found.link.state === 'claimed') return wrong('Withdraw is spent.');
    return callback === undefined
      ? offer(found.link, base)
      : this.#claim(found.wallet, found.link, url.searchParams);
  }

  #claim(wallet: Wallet, link: WithdrawLink, query: URLSearchParams): unknown {
    if (query.get('k1') !== link.k1) return wrong('k1 is wrong.');
    let terms: InvoiceTerms;
    try {
      terms = this.#options.invoices.read(query.get('pr') ?? '');
    } catch (error) {
      return wrong(`Invalid payment request: ${messageOf(error)}`);
    }
    if (terms.amountMsat !== link.netSats * 1000) return wrong('Amount is out of range.');
    if (terms.expiresAtUnixMs <= this.#options.clock.now()) return wrong('Invoice is expired.');
    const outcome = wallet.claim(link, terms.paymentHash);
    return outcome.ok ? { status: 'OK' } : wrong(outcome.reason);
  }
}

function offer(link: WithdrawLink, base: string): unknown {
  return {
    tag: 'withdrawRequest',
    callback: `${base}/withdraw/api/v1/lnurl/cb/${link.id}`,
    k1: link.k1,
    minWithdrawable: link.netSats * 1000,
    maxWithdrawable: link.netSats * 1000,
    defaultDescription: 'bitSpire cash-in',
  };
}

const wrong = (reason: string) => ({ status: 'ERROR', reason });
