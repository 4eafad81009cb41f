/** A wallet client and the wallet stand-in, which was written from the same pages by itself. */
import type { Clock } from '#protocol/base/clock.ts';
import { silentLog } from '#protocol/base/log.ts';
import type { Relays } from '#protocol/relay/relay.ts';
import { NostrRpcClient } from '#protocol/rpc/rpc-client.ts';
import { Wallet } from '#protocol/rpc/wallet.ts';
import { createNostrCrypto } from '#protocol/signer/nostr-crypto.ts';
import type { Signer } from '#protocol/signer/signer.ts';
import { createInvoiceMaker } from '#protocol/simulator/keeper/bolt11.ts';
import { type Keeper, startKeeper } from '#protocol/simulator/keeper.ts';
import { seededRandom } from '#test/support/seeded-random.ts';
import { keyOf, operatorKey, serverKey } from './rig.ts';

/** The stand-in, with this machine on its roster. */
export function makeKeeper(clock: Clock, relays: Relays, spirePubkey: string): Keeper {
  return startKeeper({
    relays,
    clock,
    random: seededRandom('keeper'),
    crypto: createNostrCrypto(seededRandom('keeper nonces')),
    invoices: createInvoiceMaker(keyOf('lightning node')),
    log: silentLog,
    spirePubkey,
    keys: { transport: serverKey, operator: operatorKey },
    lnurlBase: 'https://keeper.example',
  });
}

/** The client of its wallet. */
export function makeWallet(clock: Clock, relays: Relays, signer: Signer, keeper: Keeper) {
  const rpc = new NostrRpcClient({
    relays,
    signer,
    transportPubkey: keeper.transportPubkey,
    clock,
    random: seededRandom('wallet'),
    log: silentLog,
  });
  return { rpc, wallet: new Wallet({ rpc, clock, log: silentLog, walletId: keeper.walletId }) };
}
