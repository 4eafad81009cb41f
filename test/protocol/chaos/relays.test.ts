/** What relays and lines do to a machine, row by row; the world is real sockets. */
import { describe, expect, test } from 'vitest';
import { type Clock, sleep, timedOut, withDeadline } from '#protocol/base/clock.ts';
import { kinds } from '#protocol/event.ts';
import { spirePolicy } from '#protocol/simulator/bunker-policy.ts';
import { forged, signed } from '../relay/stub-relay.ts';
import { heapGrowth } from './leaks.ts';
import { eventIn, type Liar } from './liar.ts';
import { named, RealWorld, type RealWorldOptions } from './real-world.ts';
import { flooding, hangUpAt, hastyEvents, openRequests, replaying } from './tampers.ts';
import type { TcpProxy } from './tcp-proxy.ts';

/** One trap: the harm, what the machine shows meanwhile, and the world getting well. */
interface Row {
  readonly trap: string;
  readonly options?: RealWorldOptions;
  readonly harm: (world: RealWorld) => void | Promise<void>;
  /** Class of the signer's health while it lasts. */
  readonly health: 'ok' | 'silent';
  /** Whether calls to the wallet are answered while it lasts. */
  readonly serves: boolean;
  readonly mend?: (world: RealWorld) => void | Promise<void>;
  readonly after?: (world: RealWorld) => void | Promise<void>;
}

const both = (world: RealWorld) => [world.bunkerSide, world.walletSide];

/** Makes all connections be made anew, so that a harm meets them from their beginning. */
function cut(world: RealWorld): void {
  for (const { line } of both(world)) line.cut();
}

function lie(world: RealWorld, how: (liar: Liar) => void): void {
  for (const { liar } of both(world)) how(liar);
  cut(world);
}

/** The bunker's relay serves our client key alone, the other one the machine's own. */
function demandAuth({ bunkerSide, walletSide, clientPubkey, bunker }: RealWorld): void {
  bunkerSide.liar.authPubkey = clientPubkey;
  walletSide.liar.authPubkey = bunker.pubkey;
}

const honest = (world: RealWorld) => {
  for (const { liar } of both(world)) liar.honest();
};

/** In this time a machine tries to connect once, and then does as it was told. */
async function expectOneAttempt(line: TcpProxy, time: Clock, forMs: number): Promise<void> {
  const before = line.accepted;
  await sleep(time, forMs);
  expect(line.accepted - before).toBe(1);
}

/** Longest until a dead line is noticed, ms: two pings, and a first back-off. */
const NOTICED_MS = 42_000;
const far = 4_102_444_800;

const rows: readonly Row[] = [
  {
    trap: 'nostr.md 0.3, 2.1: a connection is taken and never upgraded',
    harm: ({ bunkerSide: { line } }) => {
      line.mode = 'swallow';
      line.cut();
    },
    health: 'silent',
    serves: false,
    mend: ({ bunkerSide: { line } }) => {
      line.mode = 'pass';
    },
  },
  {
    trap: 'nostr.md 6: a relay refuses connections',
    harm: ({ bunkerSide: { line } }) => {
      line.mode = 'refuse';
      line.cut();
    },
    health: 'silent',
    serves: false,
    mend: ({ bunkerSide: { line } }) => {
      line.mode = 'pass';
    },
  },
  ...(['swallow', 'refuse'] as const).map(
    (mode): Row => ({
      trap: `nostr.md 2.2: the line to the wallet’s relay does ${mode}, and the bunker’s does not`,
      harm: ({ walletSide: { line } }) => {
        line.mode = mode;
        line.cut();
      },
      health: 'ok',
      serves: false,
      mend: ({ walletSide: { line } }) => {
        line.mode = 'pass';
      },
    }),
  ),
  {
    trap: 'nostr.md 2.2: an hour in which nothing is said ends no connection',
    harm: async (world) => {
      const before = both(world).map(({ line }) => line.accepted);
      await sleep(world.time, 3_600_000);
      expect(both(world).map(({ line }) => line.accepted)).toEqual(before);
    },
    health: 'ok',
    serves: true,
  },
  {
    trap: 'nostr.md 6: an hour of refusals, asked ever more seldom and never given up',
    harm: async ({ bunkerSide: { line }, time }) => {
      line.mode = 'refuse';
      line.cut();
      const before = line.accepted;
      await sleep(time, 3_600_000);
      const attempts = line.accepted - before;
      // Full jitter up to 5 min comes to about 30 an hour.
      expect(attempts).toBeGreaterThan(10);
      expect(attempts).toBeLessThan(80);
    },
    health: 'silent',
    serves: false,
    mend: ({ bunkerSide: { line } }) => {
      line.mode = 'pass';
    },
  },
  {
    trap: 'nostr.md 6: nothing is published where the answer could not come back yet',
    harm: async (world) => {
      const seen = both(world).map(({ liar }) => hastyEvents(liar));
      cut(world);
      await world.serves();
      for (const { hasty, count } of seen) {
        expect(hasty).toEqual([]);
        expect(count).toBeGreaterThan(0);
      }
    },
    health: 'ok',
    serves: true,
    mend: honest,
  },
  {
    trap: 'nostr.md 2.2, 6: half-open lines, ended after a missed pong and not after minutes',
    harm: async ({ bunkerSide: { line }, time }) => {
      line.mode = 'swallow';
      const noticed = await withDeadline(time, NOTICED_MS, line.nextConnection());
      expect(noticed).not.toBe(timedOut);
    },
    health: 'silent',
    serves: false,
    mend: ({ bunkerSide: { line } }) => {
      line.mode = 'pass';
      // What was taken meanwhile is as dead as before, and is noticed by itself.
    },
  },
  {
    trap: 'nostr.md 6: a slow line, on which an answer takes 9 s',
    harm: ({ bunkerSide: { line } }) => {
      line.delayMs = 4_500;
    },
    health: 'ok',
    serves: true,
    mend: ({ bunkerSide: { line } }) => {
      line.delayMs = 0;
    },
  },
  {
    trap: 'nostr.md 2.2: outages during calls leave no socket and no timer behind',
    harm: async (world) => {
      const timers = world.clock.pending;
      for (let outage = 0; outage < 10; outage++) {
        const asking = world.asksWallet();
        cut(world);
        await asking;
        await world.serves();
      }
      expect(world.bunkerSide.line.open).toBeLessThanOrEqual(2);
      expect(world.walletSide.line.open).toBeLessThanOrEqual(2);
      expect(world.clock.pending).toBeLessThanOrEqual(timers + 4);
    },
    health: 'ok',
    serves: true,
  },
  {
    trap: 'nostr.md 2.2: one of two relays is dead, which is seen and does no harm',
    options: { moreRelays: ['ws://127.0.0.1:9'] },
    harm: () => undefined,
    health: 'ok',
    serves: true,
    after: ({ machine }) => {
      const dead = machine.nostr.relayStatus().find(({ url }) => url.endsWith(':9'));
      expect(dead).toMatchObject({ state: 'waiting', reason: expect.stringContaining('ECONN') });
    },
  },
  {
    trap: 'nostr.md 6: everything comes over two relays, and counts once',
    options: { isTwofold: true },
    harm: async (world) => {
      const { machine, keeper } = world;
      await keeper.publishLimits(7);
      await world.until(() => machine.reports.length > 0, 'the document is there');
      await world.serves();
      expect(machine.reports).toHaveLength(1);
      expect(machine.nostr.relayStatus()).toHaveLength(3);
    },
    health: 'ok',
    serves: true,
  },
  {
    trap: 'nostr.md 2.2: twenty thousand events of strangers, of which nothing is kept',
    harm: async (world) => {
      const grown = await heapGrowth(async () => {
        lie(world, (liar) => {
          liar.down = flooding(10_000);
        });
        await world.serves();
      });
      expect(grown).toBeLessThan(4_000_000);
      // They were let go before their signatures were looked at.
      expect(world.machine.hasLine('relay offends')).toBe(false);
    },
    health: 'ok',
    serves: true,
    mend: honest,
  },
  {
    trap: 'nostr.md 6: dropped between REQ and EOSE',
    harm: (world) =>
      lie(world, (liar) => {
        liar.down = hangUpAt('EOSE', 2);
      }),
    health: 'ok',
    serves: true,
  },
  {
    trap: 'nostr.md 2.2: the relay hangs up during AUTH',
    harm: (world) => {
      demandAuth(world);
      lie(world, (liar) => {
        liar.up = hangUpAt('AUTH', 2);
      });
    },
    health: 'ok',
    serves: true,
  },
  {
    trap: 'nostr.md 0.5: a forgery of each event comes first, the real one second',
    harm: (world) =>
      lie(world, (liar) => {
        liar.down = (message) => {
          const event = eventIn(message);
          return event ? [['EVENT', message[1], forged(event)], message] : [message];
        };
      }),
    health: 'ok',
    serves: true,
    mend: honest,
  },
  {
    trap: 'nostr.md 2.2: an event whose content was changed under its id and signature',
    harm: (world) =>
      lie(world, (liar) => {
        liar.down = (message) => {
          const event = eventIn(message);
          const other = event && { ...event, content: `${event.content}x` };
          return other ? [['EVENT', message[1], other], message] : [message];
        };
      }),
    health: 'ok',
    serves: true,
    mend: honest,
  },
  {
    trap: 'nostr.md 0.4: an event of the year 2100 makes no subscription deaf',
    harm: (world) =>
      lie(world, (liar) => {
        liar.down = (message) =>
          message[0] === 'EOSE'
            ? [['EVENT', message[1], signed({ created_at: far, kind: kinds.rpc })], message]
            : [message];
        liar.up = (message) => {
          const since = message[0] === 'REQ' ? Reflect.get(Object(message[2]), 'since') : 0;
          expect(Number(since ?? 0)).toBeLessThan(world.time.now() / 1000);
          return [message];
        };
      }),
    health: 'ok',
    serves: true,
    mend: (world) => {
      honest(world);
      cut(world);
    },
  },
  {
    trap: 'nostr.md 6: a relay that delivers what was not asked for',
    harm: (world) => {
      for (const { relay } of both(world)) relay.switches.overDeliver = true;
      lie(world, (liar) => {
        liar.down = (message) =>
          message[0] === 'EOSE' ? [['EVENT', message[1], signed()], message] : [message];
      });
    },
    health: 'ok',
    serves: true,
    after: ({ machine }) => expect(machine.reports).toEqual([]),
  },
  {
    trap: 'nostr.md 6: ephemerals replayed, each of them with every later message',
    harm: (world) =>
      lie(world, (liar) => {
        liar.down = replaying();
      }),
    health: 'ok',
    serves: true,
    mend: honest,
  },
  {
    trap: 'nostr.md 4: a relay that keeps ephemerals, and refuses those over 60 s old',
    harm: (world) => {
      for (const { relay } of both(world)) relay.switches.keepEphemeralsSec = 300;
      cut(world);
    },
    health: 'ok',
    serves: true,
  },
  {
    trap: 'nostr.md 6: `OK true` to what goes nowhere',
    harm: ({ bunkerSide: { relay } }) => {
      relay.switches.swallow = () => true;
    },
    health: 'silent',
    serves: false,
    mend: ({ bunkerSide: { relay } }) => {
      relay.switches.swallow = () => false;
    },
  },
  {
    trap: 'nostr.md 2.2: no OK ever comes, and the answer does',
    harm: (world) => {
      for (const { relay } of both(world)) relay.switches.withholdOk = () => true;
    },
    health: 'ok',
    serves: true,
  },
  {
    trap: 'nostr.md 6: `rate-limited:` to the first events',
    harm: (world) => {
      let left = 3;
      world.bunkerSide.liar.up = (message, line) => {
        const event = eventIn(message);
        if (!event || left-- <= 0) return [message];
        line.toMachine(['OK', event.id, false, 'rate-limited: you are noting too much']);
        return [];
      };
    },
    health: 'ok',
    serves: true,
    mend: honest,
  },
  {
    trap: 'nostr.md 6: HTTP 429 with Retry-After',
    harm: async ({ bunkerSide: { liar, line }, time }) => {
      liar.refuseWith = 429;
      liar.retryAfterSec = 120;
      line.cut();
      await expectOneAttempt(line, time, 119_000);
    },
    health: 'silent',
    serves: false,
    mend: ({ bunkerSide: { liar } }) => {
      liar.refuseWith = undefined;
    },
  },
  {
    trap: 'nostr.md 6: `blocked:` and then the door, where we do not knock for 5 min',
    harm: async ({ bunkerSide: { liar, line }, time }) => {
      liar.up = (message, socket) => {
        if (message[0] !== 'REQ') return [message];
        socket.toMachine(['CLOSED', message[1], 'blocked: not you']);
        socket.hangUp();
        return [];
      };
      line.cut();
      await expectOneAttempt(line, time, 299_000);
    },
    health: 'silent',
    serves: false,
    mend: honest,
  },
  {
    trap: 'nostr.md 6: NIP-42, with the client key at the bunker, by the bunker elsewhere',
    harm: (world) => {
      demandAuth(world);
      cut(world);
    },
    health: 'ok',
    serves: true,
  },
  {
    trap: 'nostr.md 2.2: what was asked again after AUTH is closed with all else',
    harm: async (world) => {
      demandAuth(world);
      const open = both(world).map(({ liar }) => openRequests(liar));
      cut(world);
      await world.serves();
      const before = open.map((count) => count());
      for (let call = 0; call < 5; call++) await world.asksWallet();
      expect(open.map((count) => count())).toEqual(before);
    },
    health: 'ok',
    serves: true,
    mend: honest,
  },
  ...(
    [
      [
        'nostr.md 5.3: NIP-42 where the policy forgot kind 22242, and the bunker is silent',
        'silent',
      ],
      ['nostr.md 2.2: NIP-42 where the bunker refuses to sign it', 'refuse'],
    ] as const
  ).map(
    ([trap, ungranted]): Row => ({
      trap,
      harm: (world) => {
        const { policy } = world.bunker;
        policy.rules = spirePolicy.filter(({ eventKind }) => eventKind !== kinds.auth);
        policy.switches.ungranted = ungranted;
        demandAuth(world);
        world.walletSide.line.cut();
      },
      health: 'ok',
      serves: false,
      mend: ({ bunker }) => {
        bunker.policy.rules = spirePolicy;
      },
    }),
  ),
  {
    trap: 'nostr.md 6: frames too long, too deep, and of no sense',
    harm: (world) =>
      lie(world, (liar) => {
        liar.down = (message) =>
          message[0] === 'EOSE'
            ? [
                ['EVENT', message[1], signed({ content: 'x'.repeat(200_000) })],
                ['EVENT', message[1], [[[[[[[[['deep']]]]]]]]]],
                ['EVENT', message[1], signed({ tags: Array(3_000).fill(['t']) })],
                ['NONSENSE', 1, null],
                message,
              ]
            : [message];
      }),
    health: 'ok',
    serves: true,
  },
  {
    trap: 'nostr.md 0.8: the longest text goes through, a longer one is never sent',
    harm: async ({ machine, bunker, time }) => {
      const { signer } = machine.nostr;
      const payload = await signer.encrypt(bunker.pubkey, 'x'.repeat(24_576));
      const now = Math.floor(time.now() / 1000);
      const template = { kind: kinds.rpc, created_at: now, tags: [], content: payload };
      expect((await signer.sign(template)).content).toBe(payload);
      const longer = signer.encrypt(bunker.pubkey, 'x'.repeat(24_577));
      await expect(longer).rejects.toMatchObject({ code: 'invalidData' });
    },
    health: 'ok',
    serves: true,
  },
];

describe('a relay', () => {
  test.for(named(rows))('%s', async ([, row], { onTestFinished }) => {
    const { options, harm, health, serves, mend, after } = row;
    const world = await RealWorld.inService(onTestFinished, options);
    await harm(world);
    // Where it is well it may have to connect anew first; where it is not, that is said at once.
    if (serves) await world.serves();
    else if (health === 'ok') await world.signs();
    else await world.machine.nostr.signer.probe();
    expect(world.machine.health).toBe(health);
    if (!serves) expect(await world.asksWallet()).toBe(false);
    await mend?.(world);
    if (mend || !serves) await world.serves();
    await after?.(world);
  });
});
