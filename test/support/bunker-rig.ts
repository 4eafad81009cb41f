import { Secret } from '#protocol/base/secret.ts';
import { verifySignature } from '#protocol/relay/verify.ts';
import { BunkerSigner } from '#protocol/signer/bunker-signer.ts';
import { Nip46Client } from '#protocol/signer/nip46.ts';
import { createNostrCrypto } from '#protocol/signer/nostr-crypto.ts';
import { MemoryNetwork } from '#protocol/simulator/memory-network.ts';
import { HostileBunker } from './hostile-bunker.ts';
import { logLines } from './log-lines.ts';
import { seededRandom } from './seeded-random.ts';
import { VirtualClock } from './virtual-clock.ts';

/** A client and a hostile bunker on one relay in memory, on virtual time. */
export function bunkerRig() {
  const clock = new VirtualClock();
  const random = seededRandom('bunker rig');
  const crypto = createNostrCrypto(random);
  const network = new MemoryNetwork({ clock, verify: verifySignature });
  const relays = network.client();
  const bunker = new HostileBunker({
    ...{ relays: network.client(), clock, random },
    key: random.bytes(32),
  });
  const { log, lines } = logLines();
  const clientKey = new Secret(random.bytes(32));
  const common = { clock, random, log, crypto };
  const client = new Nip46Client({ ...common, relays, clientKey, bunkerPubkey: bunker.pubkey });
  const signer = new BunkerSigner({ ...common, client, pubkey: bunker.pubkey });
  const hasLine = (phrase: string) => lines.some((line) => line.includes(phrase));
  return { ...common, network, relays, bunker, clientKey, client, signer, lines, hasLine };
}
