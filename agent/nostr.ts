/** The Nostr side put together: relays, bunker, wallet calls and documents of one pairing. */
import type { Clock, Random } from '#protocol/base/clock.ts';
import type { Log } from '#protocol/base/log.ts';
import type { CorrectedClock } from '#protocol/corrected-clock.ts';
import { AnchorReader } from '#protocol/documents/anchor.ts';
import { DocumentInbox } from '#protocol/documents/inbox.ts';
import { DocumentPublisher, type DocumentPublisherOptions } from '#protocol/documents/publisher.ts';
import { kinds } from '#protocol/event.ts';
import { followRelays } from '#protocol/pairing/follow-relays.ts';
import { openBunkerSigner } from '#protocol/pairing/open-signer.ts';
import { bunkerRelaysOf, type Pairing } from '#protocol/pairing/pairing.ts';
import type { Authenticate } from '#protocol/relay/authentication.ts';
import { RelayGroup } from '#protocol/relay/group.ts';
import { fetchInformation } from '#protocol/relay/information.ts';
import { RelayPool } from '#protocol/relay/pool.ts';
import type { PublishResult, RelayStatus, Relays, Unsubscribe } from '#protocol/relay/relay.ts';
import { type RoundTrip, roundTrips } from '#protocol/relay/round-trip.ts';
import { NostrRpcClient } from '#protocol/rpc/rpc-client.ts';
import { Wallet } from '#protocol/rpc/wallet.ts';
import { authenticateWithKey, authenticateWithSigner } from '#protocol/signer/authenticate.ts';
import { BudgetedSigner } from '#protocol/signer/budgeted-signer.ts';
import type { BunkerSigner } from '#protocol/signer/bunker-signer.ts';
import { createNostrCrypto, type NostrCrypto } from '#protocol/signer/nostr-crypto.ts';
import { SignatureBudget, type SignatureCap } from '#protocol/signer/signature-budget.ts';
import type { Signer } from '#protocol/signer/signer.ts';
import type { Store } from '#state/store.ts';
import { watermarksAfter } from './identity/operator.ts';

/** Everything that talks over relays. */
export interface NostrSide {
  readonly bunker: BunkerSigner;
  /** The bunker as the calls to the wallet use it. */
  readonly signer: Signer;
  readonly signatures: SignatureBudget;
  /** What the time is, as far as wallet and relays have told. */
  readonly time: CorrectedClock;
  readonly rpc: NostrRpcClient;
  readonly wallet: Wallet;
  readonly inbox: DocumentInbox;
  readonly publisher: DocumentPublisher;
  readonly anchors: AnchorReader;
  /** Obeys another operator from now on, and encrypts to him. */
  setOperator(pubkey: string): void;
  relayStatus(): readonly RelayStatus[];
  /** Tells of every change of a link. */
  onRelayStatus(listener: (status: RelayStatus) => void): Unsubscribe;
  /** Asks every relay now, and waits at most `limitMs`; publishes and signs nothing. */
  roundTrips(limitMs: number): Promise<Readonly<Record<'bunker' | 'others', readonly RoundTrip[]>>>;
  close(): Promise<void>;
}

/** What it is opened with. */
export interface NostrOptions {
  readonly pairing: Pairing;
  /** Writes the pairing to the disk; when it returns, it is there. @throws StoreError */
  readonly savePairing: (pairing: Pairing) => void;
  readonly store: Store;
  /** The machine's own. */
  readonly clock: Clock;
  /** The same, corrected by what is heard here. */
  readonly time: CorrectedClock;
  readonly random: Random;
  readonly log: Log;
  /** The bunker's caps, as the operator tells them. */
  readonly signatureCaps?: readonly SignatureCap[] | undefined;
  /** Opens links to relays; a simulation gives another one. */
  readonly openRelays?: OpenRelays | undefined;
  /** Keys and signatures; a simulation gives cheaper ones. */
  readonly crypto?: NostrCrypto | undefined;
}

/** Opens links to some relays, which answer AUTH in the given way. */
export type OpenRelays = (urls: readonly string[], auth: Authenticate) => Relays;

/** Where the signatures of the last day are kept. */
const SIGNATURES = 'signatures';

/** Opens links and clients; nothing is awaited, everything finds its relay when it is there. */
export function openNostr(options: NostrOptions): NostrSide {
  const { pairing, random, time } = options;
  const log = options.log.child({ room: 'protocol' });
  const crypto = options.crypto ?? createNostrCrypto(random);
  const links = openLinks(options, time, log);
  const asClient = authenticateWithKey({ key: pairing.clientKey, clock: time, crypto });
  const bunkerRelays = links(bunkerRelaysOf(pairing), asClient);
  const bunker = openBunkerSigner(pairing, {
    relays: bunkerRelays.group,
    clock: time,
    random,
    log,
    crypto,
  });
  followRelays({
    pairing,
    signer: bunker,
    save: options.savePairing,
    open: (urls) => bunkerRelays.add(urls),
    log,
  });
  const signatures = openBudget(options, time);
  const signer = new BudgetedSigner(bunker, signatures, 'money');
  const other = new BudgetedSigner(bunker, signatures, 'other');
  // Elsewhere the machine's own key answers, where the bunker's policy grants kind 22242 (NIP-42).
  const asSpire = authenticateWithSigner({ signer: other, clock: time });
  const urls = [...new Set([...pairing.rpcRelays, ...pairing.documentRelays])];
  const relays = links(urls, asSpire).group;
  const { transportPubkey, walletId } = pairing;
  const heardTime = (unixMs: number) => time.heardWallet(unixMs);
  const common = { relays, clock: time, log };
  const rpc = new NostrRpcClient({ ...common, signer, transportPubkey, random, heardTime });
  const documents = openDocuments(options, { ...common, signer: other });
  // What was dated in the future by a wrong clock may not be so by the corrected one.
  time.subscribe(() => documents.inbox.recheck());
  return {
    ...{ bunker, signer, signatures, time, rpc },
    ...documents,
    wallet: new Wallet({ rpc, clock: time, log, walletId }),
    onRelayStatus: (listener) => {
      const offs = [bunkerRelays.group, relays].map((group) => group.onStatus(listener));
      return () => {
        for (const off of offs) off();
      };
    },
    relayStatus: () => [...bunkerRelays.group.status(), ...relays.status()],
    roundTrips: async (limitMs) => {
      const filter = { kinds: [kinds.document], authors: [pairing.spirePubkey] };
      const ask = (group: Relays) => roundTrips(group, { clock: options.clock, filter, limitMs });
      const [forBunker, others] = await Promise.all([ask(bunkerRelays.group), ask(relays)]);
      return { bunker: forBunker, others };
    },
    close: async () => {
      documents.inbox.close();
      await rpc.close();
      await bunker.close();
      await relays.close();
      await bunkerRelays.group.close();
    },
  };
}

/** The documents of both directions, which follow the operator when his key changes. */
function openDocuments(
  { pairing, store }: NostrOptions,
  common: Omit<DocumentPublisherOptions, 'operatorPubkey' | 'clocks'>,
): Pick<NostrSide, 'inbox' | 'publisher' | 'anchors' | 'setOperator'> {
  let { operatorPubkey } = pairing;
  const inbox = new DocumentInbox({
    ...common,
    operatorPubkey,
    watermarks: {
      get: (type) => store.documents.watermark(type, operatorPubkey, watermarksAfter(store)),
    },
  });
  const publisher = new DocumentPublisher({
    ...common,
    operatorPubkey,
    clocks: {
      last: (dTag) => store.outbox.lastCreatedAt(dTag),
      advance: (dTag, at) => store.commit(() => store.outbox.advance(dTag, at)),
    },
  });
  const setOperator = (pubkey: string) => {
    operatorPubkey = pubkey;
    inbox.setOperator(pubkey);
    publisher.setOperator(pubkey);
  };
  return { inbox, publisher, anchors: new AnchorReader(common), setOperator };
}

/** Opens groups of links that tell what the relays say about the time. */
function openLinks(options: NostrOptions, time: CorrectedClock, log: Log) {
  const { clock, random } = options;
  const open: OpenRelays =
    options.openRelays ??
    ((urls, auth) => new RelayPool({ urls, auth, clock, random, log, fetchInformation }));
  const published = (results: readonly PublishResult[]) => {
    const refusals = results.filter(({ outcome }) => outcome === 'refused');
    if (results.some(({ outcome }) => outcome === 'accepted')) time.accepted();
    else for (const { reason } of refusals) time.refused(reason);
  };
  const heard = ({ url, state, reason, clockOffsetMs }: RelayStatus) => {
    if (state === 'waiting' && reason !== undefined) time.refused(reason);
    const host = URL.parse(url)?.hostname;
    if (state !== 'open' || clockOffsetMs === undefined || host === undefined) return;
    time.heardDate(host, clock.now() + clockOffsetMs);
  };
  return (urls: readonly string[], auth: Authenticate) => {
    const group = new RelayGroup(open(urls, auth), published);
    group.onStatus(heard);
    return { group, add: (more: readonly string[]) => group.add(open(more, auth)) };
  };
}

function openBudget({ store, signatureCaps = [] }: NostrOptions, clock: Clock): SignatureBudget {
  return new SignatureBudget({
    clock,
    caps: signatureCaps,
    kept: store.facts.get(SIGNATURES)?.value,
    keep: (uses) => store.commit(() => store.facts.put(SIGNATURES, uses, clock.now())),
  });
}
