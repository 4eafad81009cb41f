/** The Nostr side put together: relays, bunker, wallet calls and documents of one pairing. */
import type { Clock, Random } from '#protocol/base/clock.ts';
import type { Log } from '#protocol/base/log.ts';
import { DocumentInbox } from '#protocol/documents/inbox.ts';
import { DocumentPublisher } from '#protocol/documents/publisher.ts';
import { openBunkerSigner } from '#protocol/pairing/open-signer.ts';
import { bunkerRelaysOf, type Pairing } from '#protocol/pairing/pairing.ts';
import type { Authenticate } from '#protocol/relay/authentication.ts';
import { RelayPool } from '#protocol/relay/pool.ts';
import type { RelayStatus, Relays } from '#protocol/relay/relay.ts';
import { NostrRpcClient } from '#protocol/rpc/rpc-client.ts';
import { Wallet } from '#protocol/rpc/wallet.ts';
import { authenticateWithKey, authenticateWithSigner } from '#protocol/signer/authenticate.ts';
import type { BunkerSigner } from '#protocol/signer/bunker-signer.ts';
import { createNostrCrypto, type NostrCrypto } from '#protocol/signer/nostr-crypto.ts';
import type { Store } from '#state/store.ts';

/** Everything that talks over relays. */
export interface NostrSide {
  readonly signer: BunkerSigner;
  readonly rpc: NostrRpcClient;
  readonly wallet: Wallet;
  readonly inbox: DocumentInbox;
  readonly publisher: DocumentPublisher;
  relayStatus(): readonly RelayStatus[];
  close(): Promise<void>;
}

/** What it is opened with. */
export interface NostrOptions {
  readonly pairing: Pairing;
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Opens links to relays; a simulation gives another one. */
  readonly openRelays?: OpenRelays | undefined;
  /** Keys and signatures; a simulation gives cheaper ones. */
  readonly crypto?: NostrCrypto | undefined;
}

/** Opens links to some relays, which answer AUTH in the given way. */
export type OpenRelays = (urls: readonly string[], auth: Authenticate) => Relays;

/** Opens links and clients; nothing is awaited, everything finds its relay when it is there. */
export function openNostr(options: NostrOptions): NostrSide {
  const { pairing, store, clock, random } = options;
  const log = options.log.child({ room: 'protocol' });
  const open: OpenRelays =
    options.openRelays ?? ((urls, auth) => new RelayPool({ urls, auth, clock, random, log }));
  const crypto = options.crypto ?? createNostrCrypto(random);
  const bunkerRelays = open(
    bunkerRelaysOf(pairing),
    authenticateWithKey({ key: pairing.clientKey, clock, crypto }),
  );
  const signer = openBunkerSigner(pairing, { relays: bunkerRelays, clock, random, log, crypto });
  // Elsewhere the machine's own key answers, where the bunker's policy grants kind 22242 (NIP-42).
  const authAsSpire = authenticateWithSigner({ signer, clock });
  const relays = open([...new Set([...pairing.rpcRelays, ...pairing.documentRelays])], authAsSpire);
  const { transportPubkey, operatorPubkey, walletId } = pairing;
  const common = { relays, signer, clock, log };
  const rpc = new NostrRpcClient({ ...common, transportPubkey, random });
  const inbox = new DocumentInbox({
    ...common,
    operatorPubkey,
    watermarks: { get: (type) => store.documents.watermark(type, operatorPubkey) },
  });
  const publisher = new DocumentPublisher({
    ...common,
    operatorPubkey,
    clocks: {
      last: (dTag) => store.outbox.lastCreatedAt(dTag),
      advance: (dTag, at) => store.commit(() => store.outbox.advance(dTag, at)),
    },
  });
  return {
    signer,
    rpc,
    wallet: new Wallet({ rpc, clock, log, walletId }),
    inbox,
    publisher,
    relayStatus: () => [...bunkerRelays.status(), ...relays.status()],
    close: async () => {
      inbox.close();
      await rpc.close();
      await signer.close();
      await relays.close();
      await bunkerRelays.close();
    },
  };
}
