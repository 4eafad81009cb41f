import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Random } from '#protocol/base/clock.ts';
import { Secret } from '#protocol/base/secret.ts';
import type { PairingStep } from '#protocol/pairing/binding.ts';
import { pair } from '#protocol/pairing/pair.ts';
import { type FileSteps, PairingFile } from '#protocol/pairing/pairing-file.ts';
import { formatSeed, parseSeed, type Seed } from '#protocol/pairing/seed.ts';
import { createNostrCrypto, type NostrCrypto } from '#protocol/signer/nostr-crypto.ts';
import { startMemoryBunker } from '#protocol/simulator/memory-bunker.ts';
import { type LineFaults, MemoryNetwork } from '#protocol/simulator/memory-network.ts';
import { HostileBunker } from '#test/support/hostile-bunker.ts';
import { logLines } from '#test/support/log-lines.ts';
import { seededRandom } from '#test/support/seeded-random.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';
import { hiddenKey, hiddenText } from '#test/support/written.ts';

/** A request that a bunker has read, and who asked. */
export interface ReadRequest {
  readonly client: string;
  readonly method: string;
  readonly params: readonly string[];
}

/** A relay and two bunkers on virtual time, a real folder, and a machine to pair. */
export function pairingRig(makeCrypto: (random: Random) => NostrCrypto = createNostrCrypto) {
  const clock = new VirtualClock();
  const random = seededRandom('pairing rig');
  const crypto = makeCrypto(random);
  const { log, lines } = logLines();
  const network = new MemoryNetwork({ clock, verify: crypto.verify });
  const folder = mkdtempSync(join(tmpdir(), 'spire-pair-'));
  const sealingKey = new Secret(random.bytes(32));
  hiddenKey('the sealing key', sealingKey.reveal());
  /** What the honest bunker has read, in order. */
  const read: ReadRequest[] = [];
  const secretKey = random.bytes(32);
  const bunker = startMemoryBunker({
    ...{ clock, random, log, secretKey, relays: network.client() },
    crypto: {
      ...crypto,
      decrypt: (key, client, payload) => {
        const text = crypto.decrypt(key, client, payload);
        const { method, params } = JSON.parse(text);
        read.push({ client, method, params });
        return text;
      },
    },
  });
  const hostile = new HostileBunker({
    ...{ relays: network.client(), clock, random },
    key: random.bytes(32),
  });
  const progress: PairingStep[] = [];
  const faults: Partial<LineFaults> = {};
  const file = (steps?: FileSteps) =>
    new PairingFile({ path: join(folder, 'pairing.json'), sealingKey, random, log, steps });
  const seedFor = (pubkey: string, token: string, change: Partial<Seed> = {}): Seed => {
    const relays = [network.url];
    const secret = new Secret(token);
    hiddenText('a token', token);
    const whole = { spirePubkey: pubkey, bunkerPubkey: pubkey, bunkerRelays: relays, relays };
    return parseSeed(formatSeed({ ...whole, secret, ...change }));
  };
  const arguments_ = {
    operatorPubkey: crypto.publicKeyOf(random.bytes(32)),
    transportPubkey: crypto.publicKeyOf(random.bytes(32)),
    walletId: 'wallet-1',
  };
  const start = (seed: Seed, change: { steps?: FileSteps; walletId?: string } = {}) => {
    const { steps, ...given } = change;
    return pair({
      ...{ ...arguments_, ...given, seed, clock, random, log, crypto },
      file: file(steps),
      makeRelays: () => network.client(faults),
      progress: (step) => void progress.push(step),
    });
  };
  return {
    ...{ clock, random, crypto, log, lines, network, folder, bunker, hostile, read, progress },
    ...{ faults, file, seedFor, arguments: arguments_, start },
    /** Pairs to the end, on virtual time. */
    run: (seed: Seed, change?: { steps?: FileSteps; walletId?: string }) =>
      clock.resolve(start(seed, change), 3_600_000),
    methods: () => read.map(({ method }) => method),
    end: () => rmSync(folder, { recursive: true }),
  };
}
