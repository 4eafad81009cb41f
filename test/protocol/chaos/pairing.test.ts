/** What a pairing meets, row by row: whatever becomes of it, the machine goes on as it was. */
import { describe, expect, test } from 'vitest';
import { systemRandom } from '#protocol/base/clock.ts';
import { AtmError } from '#protocol/base/errors.ts';
import { Secret } from '#protocol/base/secret.ts';
import { kinds } from '#protocol/event.ts';
import { pair } from '#protocol/pairing/pair.ts';
import type { Pairing } from '#protocol/pairing/pairing.ts';
import { formatSeed, parseSeed, type Seed } from '#protocol/pairing/seed.ts';
import { RelayPool } from '#protocol/relay/pool.ts';
import { createNostrCrypto, newSecretKey } from '#protocol/signer/nostr-crypto.ts';
import { eventIn } from './liar.ts';
import { named, RealWorld } from './real-world.ts';

/** A seed as the operator's page shows it, or one that is wrong somewhere. */
function seedOf({ bunker, bunkerSide, walletSide }: RealWorld, change: Partial<Seed>): string {
  return formatSeed({
    ...{ spirePubkey: bunker.pubkey, bunkerPubkey: bunker.pubkey },
    bunkerRelays: [bunkerSide.line.url],
    relays: [walletSide.line.urlBy('localhost')],
    secret: new Secret(bunker.policy.mintToken()),
    ...change,
  });
}

/** What `spire pair` does, on the machine's own folder. */
function pairs(world: RealWorld, seed: string, allowPrivateRelays = true): Promise<Pairing> {
  const { machine, keeper, clock } = world;
  const common = { random: systemRandom, log: machine.log };
  return pair({
    ...{ ...common, clock, allowPrivateRelays },
    seed: parseSeed(seed, { allowPrivateRelays }),
    ...{ operatorPubkey: keeper.operatorPubkey, transportPubkey: keeper.transportPubkey },
    walletId: keeper.walletId,
    file: machine.file,
    makeRelays: (urls, auth) => new RelayPool({ ...common, urls, auth, clock }),
  });
}

/** One trap: the seed that is given, and why it is not taken. */
interface Row {
  readonly trap: string;
  readonly seed: (world: RealWorld) => string;
  readonly code: string;
  readonly words: string;
  readonly isPublic?: boolean;
}

const rows: readonly Row[] = [
  {
    trap: 'wire 8: its token has expired',
    seed: (world) => seedOf(world, { secret: new Secret(world.bunker.policy.mintToken(0)) }),
    code: 'refused',
    words: 'Token expired',
  },
  {
    trap: 'wire 8: the bunker knows no such token',
    seed: (world) => seedOf(world, { secret: new Secret('ab'.repeat(32)) }),
    code: 'refused',
    words: 'Token not found',
  },
  {
    trap: 'wire 8: another machine has used it',
    seed: (world) => {
      const token = world.bunker.policy.mintToken();
      world.bunker.policy.redeem('cd'.repeat(32), token);
      return seedOf(world, { secret: new Secret(token) });
    },
    code: 'refused',
    words: 'this seed has been used already',
  },
  {
    trap: 'wire 9.2: it is of another machine than the bunker signs for',
    seed: (world) => {
      const spireKey = newSecretKey(systemRandom);
      const spirePubkey = createNostrCrypto(systemRandom).publicKeyOf(spireKey);
      return seedOf(world, { spirePubkey });
    },
    code: 'refused',
    words: 'the bunker signs as',
  },
  {
    trap: 'wire 5, 9.6: its bunker’s relay is the wallet’s own loopback',
    seed: (world) => seedOf(world, {}),
    isPublic: true,
    code: 'refused',
    words: 'make a seed with a public relay',
  },
  {
    trap: 'nostr.md 2.3: its address is no bunker’s, and no name is looked up',
    seed: (world) => {
      const whole = seedOf(world, {}).slice('spire-seed:v1:'.length);
      const body = JSON.parse(Buffer.from(whole, 'base64url').toString());
      const other = JSON.stringify({ ...body, bunker_url: 'bob@bunker.example' });
      return `spire-seed:v1:${Buffer.from(other).toString('base64url')}`;
    },
    code: 'invalidData',
    words: 'bunker_url is not bunker://',
  },
];

describe('a seed', () => {
  test.for(named(rows))('%s', async ([, { seed, code, words, isPublic }], { onTestFinished }) => {
    const world = await RealWorld.inService(onTestFinished);
    const pairing = (async () => pairs(world, seed(world), !isPublic))();
    const error: unknown = await pairing.then(
      () => undefined,
      (reason: unknown) => reason,
    );
    if (!(error instanceof AtmError)) throw error;
    expect(error.code).toBe(code);
    expect(error.message).toContain(words);
    await world.machine.restart();
    await world.serves();
  });

  test('wire 8: the bunker’s key is locked; later the same seed does', async ({
    onTestFinished,
  }) => {
    const world = await RealWorld.inService(onTestFinished);
    const { bunker, machine } = world;
    const seed = seedOf(world, {});
    bunker.policy.switches.silent = true;
    await expect(pairs(world, seed)).rejects.toMatchObject({ code: 'timeOut' });
    bunker.policy.switches.silent = false;
    await machine.restart();
    await world.serves();
    await pairs(world, seed);
    await machine.restart();
    await world.serves();
  });

  test('nostr.md 1: `connect` is answered and the answer lost', async ({ onTestFinished }) => {
    const world = await RealWorld.inService(onTestFinished);
    let replies = 0;
    world.bunkerSide.liar.down = (message) => {
      const isReply = eventIn(message)?.kind === kinds.remoteSigning;
      return isReply && ++replies === 1 ? [] : [message];
    };
    const pairing = await pairs(world, seedOf(world, {}));
    expect(replies).toBeGreaterThan(1);
    expect(pairing.token.state).toBe('spent');
    await world.machine.restart();
    await world.serves();
  });
});
