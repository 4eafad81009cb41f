/** What wallet and operator's documents do to a machine, row by row. */
import { describe, expect, test } from 'vitest';
import { sleep, systemRandom } from '#protocol/base/clock.ts';
import { sats } from '#protocol/base/money.ts';
import { cassettesStateDocument } from '#protocol/documents/cassettes-state.ts';
import { kinds } from '#protocol/event.ts';
import { createNostrCrypto } from '#protocol/signer/nostr-crypto.ts';
import { MemoryWorld } from './memory-world.ts';
import { named, RealWorld } from './real-world.ts';

const crypto = createNostrCrypto(systemRandom);

/** One trap: the harm, whether calls are answered meanwhile, and the mending. */
interface Row {
  readonly trap: string;
  readonly harm: (world: RealWorld) => void | Promise<void>;
  readonly serves: boolean;
  readonly mend?: (world: RealWorld) => void | Promise<void>;
}

const rows: readonly Row[] = [
  {
    trap: 'wire 2.3: the wallet is silent',
    harm: ({ keeper }) => {
      keeper.switches.silent = true;
    },
    serves: false,
    mend: ({ keeper }) => {
      keeper.switches.silent = false;
    },
  },
  {
    trap: 'wire 2.3, 9: a method that it does not know looks like silence, and is no fault',
    harm: async ({ machine }) => {
      const outcome = await machine.nostr.rpc.ask('no_such_method', {});
      expect(outcome).toEqual({ kind: 'unanswered' });
    },
    serves: true,
  },
  {
    trap: 'wire 2.3: it echoes the id and names no event',
    harm: ({ keeper }) => {
      keeper.switches.eTag = false;
    },
    serves: true,
  },
  {
    trap: 'wire 2.3: it names the event and echoes no id',
    harm: ({ keeper }) => {
      keeper.switches.echoId = false;
    },
    serves: true,
  },
  {
    trap: 'nostr.md 6: its first answer is lost',
    harm: ({ keeper }) => {
      keeper.switches.dropAnswers = 1;
    },
    serves: true,
  },
  {
    trap: 'nostr.md 6: it answers everything twice',
    harm: ({ keeper }) => {
      keeper.switches.answerTwice = true;
    },
    serves: true,
  },
  {
    trap: 'wire 2.4, 9.1: it makes up a wallet for us, and names it',
    harm: ({ keeper, bunker }) => {
      keeper.roster.delete(bunker.pubkey);
    },
    serves: false,
    mend: ({ keeper, bunker }) => {
      keeper.roster.add(bunker.pubkey);
    },
  },
  {
    trap: 'wire 2.4: it limits the rate',
    harm: ({ keeper }) => {
      keeper.switches.rateLimitPerMinute = 0;
    },
    serves: false,
    mend: ({ keeper }) => {
      keeper.switches.rateLimitPerMinute = undefined;
    },
  },
  {
    trap: 'wire 2.3: its refusal is in its own words, which are kept as they are',
    harm: async ({ keeper, machine }) => {
      const words = 'Wallet access required (provide wallet_id)';
      keeper.switches.refuse = () => words;
      const answer = await machine.nostr.wallet.getWallet();
      expect(answer).toMatchObject({ kind: 'refused', words });
    },
    serves: false,
    mend: ({ keeper }) => {
      keeper.switches.refuse = () => undefined;
    },
  },
  {
    trap: 'wire 8, 9.8: the whole host is away for 3 min, with wallet, bunker and both relays',
    harm: async ({ keeper, bunkerSide, walletSide }) => {
      await Promise.all([bunkerSide.relay.suspend(), walletSide.relay.suspend()]);
      keeper.restart();
    },
    serves: false,
    mend: async (world) => {
      const { bunkerSide, walletSide } = world;
      await sleep(world.time, 180_000);
      expect(world.machine.health).toBe('silent');
      await Promise.all([bunkerSide.relay.resume(), walletSide.relay.resume()]);
      await world.restartBunker();
    },
  },
];

describe('the wallet', () => {
  test.for(named(rows))('%s', async ([, { harm, serves, mend }], { onTestFinished }) => {
    const world = await RealWorld.inService(onTestFinished);
    await harm(world);
    if (serves) await world.serves();
    else expect(await world.asksWallet()).toBe(false);
    if (mend) {
      await mend(world);
      await world.serves();
    }
    expect(world.machine.health).toBe('ok');
  });

  test('wire 6.3: it restarts between two copies of one request, and both links are seen', async ({
    onTestFinished,
  }) => {
    const world = new MemoryWorld(onTestFinished);
    const { clock, keeper, machine } = world;
    const { rpc, wallet } = machine.nostr;
    const call = await clock.resolve(wallet.prepareWithdraw(sats(10_000)));
    const links: string[] = [];
    const off = rpc.watch(call, (answer) => {
      const read = wallet.readWithdraw(answer);
      if (read.kind === 'link') links.push(read.lnurl);
    });
    await clock.resolve(rpc.publish(call));
    await clock.until(() => links.length === 1);
    // The very same event, and nobody knows it any more.
    await clock.resolve(rpc.publish(call));
    await clock.advance(5_000);
    expect(links).toHaveLength(1);
    keeper.restart();
    await clock.advance(1_000);
    await clock.resolve(rpc.publish(call));
    await clock.until(() => links.length === 2);
    expect(new Set(links).size).toBe(2);
    off();
    // Neither of the links, which are cash, is in the log.
    for (const link of links) expect(machine.hasLine(link)).toBe(false);
  });

  test('nostr.md 0.2: answers in NIP-44 version 1 are not read, and do no harm', async ({
    onTestFinished,
  }) => {
    const world = new MemoryWorld(onTestFinished);
    const { clock, keeper, machine, network, crypto, bunker } = world;
    expect(await world.serves()).toBe(true);
    keeper.switches.silent = true;
    // The bunker says of what it cannot decrypt what NDK's says.
    bunker.behaviour = async (request) => {
      const isOld =
        request.method === 'nip44_decrypt' && /^A[Q-Za-f]/.test(request.params[1] ?? '');
      const work = isOld ? { result: 'error', error: 'unknown encryption version 1' } : undefined;
      await bunker.reply(request, work ?? bunker.work(request));
    };
    const asking = machine.nostr.wallet.getWallet();
    const old = Buffer.concat([Buffer.of(1), world.random.bytes(224)]);
    const answer = crypto.sign(world.transportKey, {
      ...{ kind: kinds.rpc, created_at: Math.floor(clock.now() / 1000) },
      tags: [['p', bunker.pubkey]],
      content: old.toString('base64'),
    });
    await clock.until(() => bunker.methods.at(-1) === 'sign_event');
    await clock.advance(1_000);
    network.take(answer);
    expect(await clock.resolve(asking)).toEqual({ kind: 'unanswered' });
    expect(bunker.methods).toContain('nip44_decrypt');
    expect(machine.hasLine('an answer was not decrypted')).toBe(true);
    await clock.advance(60_000);
    expect(machine.health).toBe('ok');
    keeper.switches.silent = false;
    expect(await world.serves()).toBe(true);
  });

  test('wire 9.20: a request of six minutes ago is sent no more', async ({ onTestFinished }) => {
    const { clock, machine, network } = new MemoryWorld(onTestFinished);
    const call = await clock.resolve(machine.nostr.wallet.prepareWithdraw(sats(10_000)));
    await clock.advance(360_000);
    const [result] = await clock.resolve(machine.nostr.rpc.publish(call));
    expect(result).toMatchObject({ outcome: 'silent', reason: 'not sent: 360 s old' });
    expect(network.stored({ kinds: [kinds.rpc] })).toEqual([]);
  });

  test('wire 2.4: at most ten calls a minute, and money goes before polling', async ({
    onTestFinished,
  }) => {
    const { clock, machine, keeper } = new MemoryWorld(onTestFinished);
    const { wallet, rpc } = machine.nostr;
    const polls = Array.from({ length: 12 }, () => wallet.getPayment('00'.repeat(32)));
    await clock.advance(1_000);
    const call = await clock.resolve(wallet.prepareWithdraw(sats(10_000)));
    const sentAtMs = clock.monotonic();
    await clock.resolve(rpc.publish(call));
    expect(clock.monotonic() - sentAtMs).toBeLessThan(5_000);
    await clock.resolve(Promise.all(polls));
    expect(keeper.books().withdrawLinks).toHaveLength(1);
  });
});

/** The documents that a machine has taken and those it refused, in order. */
const verdicts = ({ machine }: MemoryWorld | RealWorld) =>
  machine.reports.map((report): unknown =>
    report.kind === 'accepted' && report.document.type === 'limits'
      ? report.document.maxCashInSats
      : report.kind,
  );

describe('documents', () => {
  test.for([
    ['the lower id first', false],
    ['the higher id first', true],
  ] as const)('nostr.md 6: two in one second, %s', async ([, isTurned], { onTestFinished }) => {
    const world = await RealWorld.inService(onTestFinished);
    const { time, machine, keeper, bunker, relays } = world;
    const created_at = Math.floor(time.now() / 1000);
    const spire = bunker.pubkey;
    const both = [1, 2].map((max) => {
      const text = JSON.stringify({ schema_version: 1, max_cash_in_sats: max });
      const event = crypto.sign(world.operatorKey, {
        ...{ kind: kinds.document, created_at },
        tags: [
          ['d', `bitspire-limits:${spire}`],
          ['p', spire],
        ],
        content: crypto.encrypt(world.operatorKey, spire, text),
      });
      return { max, event };
    });
    both.sort((a, b) => (a.event.id < b.event.id ? -1 : 1));
    const [winner] = both;
    expect(keeper.operatorPubkey).toBe(winner?.event.pubkey);
    for (const { event } of isTurned ? both.toReversed() : both) {
      const [result] = await relays.publish(event);
      expect(result?.outcome).toBe('accepted');
      await sleep(time, 2_000);
    }
    expect(verdicts(world).at(-1)).toBe(winner?.max);
    await machine.restart();
    await sleep(time, 5_000);
    expect(verdicts(world).at(-1)).toBe(winner?.max);
    await world.serves();
  });

  test('nostr.md 6: dated 2100 by a stolen key, it is refused and keeps no place', async ({
    onTestFinished,
  }) => {
    const world = new MemoryWorld(onTestFinished);
    const { clock, keeper, network } = world;
    network.rules.futureMaxSec = undefined;
    await world.serves();
    const limits = (max: number) => ({ schema_version: 1, max_cash_in_sats: max });
    const publish = (max: number, createdAtSec?: number) =>
      clock.resolve(keeper.publishDocument('bitspire-limits', limits(max), createdAtSec));
    await publish(1);
    await clock.advance(2_000);
    await publish(2, 4_102_444_800);
    await clock.advance(2_000);
    expect(verdicts(world)).toEqual([1, 'refused']);
    const [report] = world.machine.reports.slice(-1);
    expect(report).toMatchObject({ reason: expect.stringContaining('s in the future') });
  });

  test('wire 9.12: what came while we were away is there afterwards, without a `since`', async ({
    onTestFinished,
  }) => {
    const world = new MemoryWorld(onTestFinished);
    const { clock, keeper, lines } = world;
    await world.serves();
    for (const line of lines) line.partition();
    await clock.advance(86_400_000);
    await clock.resolve(keeper.publishLimits(7));
    await clock.advance(86_400_000);
    for (const line of lines) line.heal();
    await clock.until(() => verdicts(world).includes(7), 900_000);
    await clock.until(() => world.machine.health === 'ok', 900_000);
    expect(await world.serves()).toBe(true);
  });

  test('wire 9.5: another operator key is heard when it is said, and then alone', async ({
    onTestFinished,
  }) => {
    const world = new MemoryWorld(onTestFinished);
    const { clock, keeper, machine } = world;
    await world.serves();
    const publish = (max: number) => clock.resolve(keeper.publishLimits(max));
    await publish(1);
    await clock.until(() => verdicts(world).length === 1);
    const operatorPubkey = keeper.rotateOperatorKey();
    await publish(2);
    await clock.advance(600_000);
    // The last good one stays; nothing of an unknown author is even decrypted.
    expect(verdicts(world)).toEqual([1]);
    await clock.resolve(machine.restart({ ...machine.pairing, operatorPubkey }));
    await clock.until(() => verdicts(world).length === 2);
    expect(verdicts(world)).toEqual([1, 2]);
    expect(await world.serves()).toBe(true);
  });

  test('wire 9.4: counts by denomination are refused, and the reason names the shape', async ({
    onTestFinished,
  }) => {
    const world = new MemoryWorld(onTestFinished);
    const { clock, keeper, machine } = world;
    await world.serves();
    await clock.resolve(keeper.publishOldCassettes({ 20: { position: 1, count: 10 } }));
    await clock.until(() => machine.reports.length > 0);
    expect(machine.reports).toMatchObject([
      { kind: 'refused', reason: expect.stringContaining('positions') },
    ]);
  });

  test('wire 9.14: per cent for a fraction is refused with the reason', async ({
    onTestFinished,
  }) => {
    const world = new MemoryWorld(onTestFinished);
    await world.serves();
    const fees = { schema_version: 1, cash_in_fee_fraction: 3, cash_out_fee_fraction: 5 };
    await world.clock.resolve(world.keeper.publishDocument('bitspire-fees', fees));
    await world.clock.until(() => world.machine.reports.length > 0);
    expect(world.machine.reports).toMatchObject([
      { kind: 'refused', reason: expect.stringContaining('not percent') },
    ]);
  });

  test('nostr.md 4: `OK true` to a stale one is seen through, and the next one lands', async ({
    onTestFinished,
  }) => {
    const world = await RealWorld.inService(onTestFinished);
    const { machine, relays, time } = world;
    const { publisher, signer } = machine.nostr;
    // From before the disk was lost, and with it the clock of this document.
    const before = crypto.sign(world.spireKey, {
      ...{ kind: kinds.document, created_at: Math.floor(time.now() / 1000) + 4, content: '' },
      tags: [['d', `bitspire-cassettes-state:${signer.pubkey}`]],
    });
    await relays.publish(before);
    const state = (count: number) =>
      cassettesStateDocument([{ position: 1, denomination: 20, count }]);
    const stale = await publisher.publish(state(1));
    expect(stale).toMatchObject({ landed: false, results: [{ outcome: 'accepted' }] });
    expect(await publisher.publish(state(2))).toMatchObject({ landed: true });
    await world.serves();
  });
});
