/** What bunkers do to a machine: NDK's over real sockets, hostile ones on virtual time. */
import { describe, expect, test } from 'vitest';
import { sleep, systemRandom } from '#protocol/base/clock.ts';
import { silentLog } from '#protocol/base/log.ts';
import { kinds } from '#protocol/event.ts';
import type { SignerHealth } from '#protocol/signer/signer.ts';
import { startBunker } from '#protocol/simulator/bunker.ts';
import { spirePolicy } from '#protocol/simulator/bunker-policy.ts';
import { startRelay } from '#protocol/simulator/relay.ts';
import { type Behaviour, honest, refusing, silent } from '#test/support/hostile-bunker.ts';
import { eventIn } from './liar.ts';
import { MemoryWorld } from './memory-world.ts';
import { named, RealWorld, type RealWorldOptions } from './real-world.ts';

/** One trap of NDK's bunker: the harm, the class of health that it shows, and the mending. */
interface Row {
  readonly trap: string;
  readonly options?: RealWorldOptions;
  readonly harm: (world: RealWorld) => void | Promise<void>;
  readonly health: SignerHealth['kind'];
  readonly mend: (world: RealWorld) => void | Promise<void>;
}

const SIGNING = { method: 'sign_event', eventKind: kinds.rpc } as const;
/** A person pairs the machine anew: what a refusal asks for. */
const pairAnew = ({ machine, newPairing }: RealWorld) => machine.restart(newPairing());

const rows: readonly Row[] = [
  {
    trap: 'nostr.md 3.2, wire 8: connected and deaf after a relay outage, until it is restarted',
    harm: async ({ bunkerSide: { relay } }) => {
      await relay.suspend();
      await relay.resume();
    },
    health: 'silent',
    mend: (world) => world.restartBunker(),
  },
  {
    trap: 'wire 8: its key is locked',
    harm: ({ bunker }) => {
      bunker.policy.switches.silent = true;
    },
    health: 'silent',
    mend: ({ bunker }) => {
      bunker.policy.switches.silent = false;
    },
  },
  {
    trap: 'wire 8: its quota is exhausted, and refills by itself',
    harm: async ({ bunker, machine: { nostr } }) => {
      bunker.policy.cap({ ...SIGNING, maxUsageCount: 6, windowMs: 60_000 });
      for (let used = 0; used < 6; used++) await nostr.signer.probe();
    },
    health: 'silent',
    mend: () => undefined,
  },
  {
    trap: 'wire 8: kind 21000 was never granted, and everything else is',
    harm: async ({ bunker, machine: { nostr } }) => {
      bunker.policy.rules = spirePolicy.filter(({ eventKind }) => eventKind !== kinds.rpc);
      const operator = nostr.signer.pubkey;
      await expect(nostr.signer.encrypt(operator, 'x')).resolves.toMatch(/^A/);
    },
    health: 'silent',
    mend: ({ bunker }) => {
      bunker.policy.rules = spirePolicy;
    },
  },
  {
    trap: 'nostr.md 6: it answers after 10 s, and `Not authorized` is told from silence',
    harm: ({ bunker }) => {
      bunker.policy.rules = [];
      bunker.policy.switches.ungranted = 'refuse';
      bunker.policy.switches.delayMs = 10_100;
    },
    health: 'refused',
    mend: ({ bunker }) => {
      bunker.policy.rules = spirePolicy;
      bunker.policy.switches.delayMs = 0;
    },
  },
  {
    trap: 'wire 8: the client key is revoked',
    harm: (world) => world.bunker.policy.revoke(world.clientPubkey),
    health: 'refused',
    mend: pairAnew,
  },
  {
    trap: 'wire 8: the token has expired',
    options: { tokenMs: 60_000 },
    harm: ({ time }) => sleep(time, 60_000),
    health: 'refused',
    mend: pairAnew,
  },
  {
    trap: 'wire 8: the token is revoked, and with it what it had bound',
    harm: ({ bunker, token }) => bunker.policy.revokeToken(token),
    health: 'refused',
    mend: pairAnew,
  },
  {
    trap: 'wire 8: of two caps the wider one is used up, until the operator widens it',
    harm: async ({ bunker, machine: { nostr }, time }) => {
      bunker.policy.cap({ ...SIGNING, maxUsageCount: 4, windowMs: 60_000 });
      bunker.policy.cap({ ...SIGNING, maxUsageCount: 6 });
      for (let used = 0; used < 4; used++) await nostr.signer.probe();
      await sleep(time, 60_000);
      for (let used = 4; used < 6; used++) await nostr.signer.probe();
    },
    health: 'silent',
    mend: ({ bunker }) => {
      bunker.policy.rules = spirePolicy;
    },
  },
  {
    trap: 'nostr.md 0.1: a request ends it, as one in NIP-44 ends a stock bunker',
    harm: ({ bunker, bunkerSide: { liar } }) => {
      liar.up = (message) => {
        if (eventIn(message)?.kind === kinds.remoteSigning) void bunker.stop();
        return [message];
      };
    },
    health: 'silent',
    mend: async (world) => {
      world.bunkerSide.liar.honest();
      await world.restartBunker();
    },
  },
  {
    trap: 'nostr.md 1: it wants a person to open an address',
    harm: ({ bunker }) => {
      bunker.policy.switches.authUrl = 'https://bunker.example/allow';
    },
    health: 'authUrl',
    mend: ({ bunker }) => {
      bunker.policy.switches.authUrl = undefined;
    },
  },
];

describe('NDK’s bunker', () => {
  test.for(named(rows))('%s', async ([, row], { onTestFinished }) => {
    const world = await RealWorld.inService(onTestFinished, row.options);
    await row.harm(world);
    expect(await world.machine.nostr.signer.probe()).toMatchObject({ kind: row.health });
    expect(await world.asksWallet()).toBe(false);
    await row.mend(world);
    await world.serves();
  });

  test('nostr.md 0.7: it adds tags, which is refused and no fault of it', async ({
    onTestFinished,
  }) => {
    const world = await RealWorld.inService(onTestFinished);
    const created_at = Math.floor(world.time.now() / 1000);
    const signing = world.machine.nostr.signer.sign({
      ...{ kind: kinds.document, created_at, tags: [], content: '' },
    });
    await expect(signing).rejects.toMatchObject({ code: 'fraudAttempt' });
    await world.serves();
  });

  test('wire 8: its database was wiped, and is put back', async ({ onTestFinished }) => {
    const world = await RealWorld.inService(onTestFinished);
    const { bunker, bunkerSide, machine, time: clock } = world;
    await bunker.stop();
    const starting = startBunker({
      ...{ clock, random: systemRandom, log: silentLog },
      relayUrls: [bunkerSide.relay.url],
      secretKey: world.spireKey,
    });
    const wiped = await clock.hold(starting);
    onTestFinished(() => wiped.stop());
    expect(await machine.nostr.signer.probe()).toMatchObject({ kind: 'silent' });
    expect(await world.asksWallet()).toBe(false);
    await wiped.stop();
    await world.restartBunker();
    await world.serves();
  });

  test.for([
    ['request', 'up'],
    ['reply', 'down'],
  ] as const)(
    'nostr.md 3.2, 6: the first %s is lost, and the second does it',
    async ([, way], { onTestFinished }) => {
      const world = await RealWorld.inService(onTestFinished);
      const { liar } = world.bunkerSide;
      let passed = 0;
      liar[way] = (message) => {
        const isOne = eventIn(message)?.kind === kinds.remoteSigning;
        return isOne && ++passed === 1 ? [] : [message];
      };
      expect(await world.machine.nostr.signer.probe()).toMatchObject({ kind: 'ok' });
      expect(passed).toBe(2);
      await world.serves();
    },
  );

  test('nostr.md 6: killed right after `switch_relays`', async ({ onTestFinished }) => {
    const world = await RealWorld.start(onTestFinished);
    const { machine, bunker, bunkerSide, time: clock } = world;
    const met = machine.pairing.bunkerRelays;
    const moved = await startRelay({
      ...{ clock, log: silentLog },
      rules: { ephemeralAgeMaxSec: undefined },
    });
    onTestFinished(() => moved.stop());
    const starting = startBunker({
      ...{ clock, random: systemRandom, log: silentLog, state: bunker.policy.state },
      relayUrls: [moved.url, bunkerSide.relay.url],
      secretKey: world.spireKey,
    });
    const mover = await clock.hold(starting);
    onTestFinished(() => mover.stop());
    mover.policy.rules = [...spirePolicy, { method: 'switch_relays' }];
    await bunker.stop();
    await world.serves();
    await world.until(() => machine.pairing.bunkerRelays !== met, 'the wish is on the disk');
    await world.until(() => machine.hasLine('the bunker is met elsewhere'), 'it was followed');
    expect(machine.pairing.fallbackBunkerRelays).toEqual(met);
    // The calls to the wallet go where they went before.
    expect(machine.pairing.rpcRelays).toEqual([world.walletSide.line.urlBy('localhost')]);
    // Nothing but the disk survives, and the relays from before are gone.
    bunkerSide.line.mode = 'refuse';
    await bunkerSide.relay.suspend();
    await machine.restart();
    await world.serves();
    // The other way round the old ones are what is left.
    bunkerSide.line.mode = 'pass';
    await bunkerSide.relay.resume();
    await clock.hold(mover.restart());
    await moved.suspend();
    await machine.restart();
    await world.serves();
  });
});

/** One trap of a hostile bunker: what it does to every request, and the class of health. */
interface HostileRow {
  readonly trap: string;
  readonly behaviour: Behaviour;
  readonly health: SignerHealth['kind'];
  readonly lastsMs?: number;
}

const altering =
  (change: (event: Record<string, unknown>) => Record<string, unknown>): Behaviour =>
  (request, bunker) => {
    const { result } = bunker.work(request);
    if (request.method !== 'sign_event') return bunker.reply(request, { result });
    const altered = change(JSON.parse(String(result)));
    return bunker.reply(request, { result: JSON.stringify(altered) });
  };

const hostileRows: readonly HostileRow[] = [
  { trap: 'nostr.md 0.6: it is deaf', behaviour: silent, health: 'silent', lastsMs: 3_600_000 },
  {
    trap: 'nostr.md 0.1, 0.6: it replies in NIP-04',
    behaviour: (request, bunker) => bunker.reply(request, bunker.work(request), { nip04: true }),
    health: 'silent',
  },
  {
    trap: 'nostr.md 0.6: its result is empty',
    behaviour: (request, bunker) => bunker.reply(request, { result: '' }),
    health: 'silent',
  },
  {
    trap: 'nostr.md 0.6: its result is null',
    behaviour: (request, bunker) => bunker.reply(request, { result: null }),
    health: 'silent',
  },
  {
    trap: 'nostr.md 0.6: its result is an object',
    behaviour: (request, bunker) => bunker.reply(request, { result: { ok: true } }),
    health: 'silent',
  },
  {
    trap: 'nostr.md 2.3: it answers another request than was made',
    behaviour: (request, bunker) => bunker.reply(request, { ...bunker.work(request), id: 'ab' }),
    health: 'silent',
  },
  {
    trap: 'nostr.md 2.4: its reply is longer than is ever decrypted',
    behaviour: (request, bunker) => bunker.reply(request, {}, { raw: `A${'g'.repeat(70_000)}` }),
    health: 'silent',
  },
  {
    trap: 'nostr.md 3.2: its reply is no JSON',
    behaviour: (request, bunker) => bunker.reply(request, {}, { raw: 'nonsense' }),
    health: 'silent',
  },
  {
    trap: 'nostr.md 6: somebody else answers in its place',
    behaviour: (request, bunker) =>
      bunker.reply(request, bunker.work(request), { as: new Uint8Array(32).fill(9) }),
    health: 'silent',
  },
  {
    trap: 'nostr.md 0.6: an auth challenge without an address',
    behaviour: (request, bunker) => bunker.reply(request, { result: 'auth_url', error: 'no' }),
    health: 'silent',
  },
  {
    trap: 'nostr.md 1: an auth challenge that nobody answers',
    behaviour: (request, bunker) =>
      bunker.reply(request, { result: 'auth_url', error: 'https://bunker.example/' }),
    health: 'authUrl',
  },
  { trap: 'wire 8: it refuses', behaviour: refusing('Not authorized'), health: 'refused' },
  {
    trap: 'nostr.md 3.1: it refuses twice, in other words each time',
    behaviour: async (request, bunker) => {
      await refusing('Token already redeemed')(request, bunker);
      await refusing('Not authorized')(request, bunker);
    },
    health: 'refused',
  },
  {
    trap: 'nostr.md 1: it answers and refuses afterwards',
    behaviour: async (request, bunker) => {
      await honest(request, bunker);
      await refusing('Not authorized')(request, bunker);
    },
    health: 'ok',
  },
  ...(['kind', 'created_at'] as const).map((field) => ({
    trap: `nostr.md 0.7: it signs another ${field} than it was asked to`,
    behaviour: altering((event) => ({ ...event, [field]: Number(event[field]) + 1 })),
    health: 'refused' as const,
  })),
  ...(['content', 'pubkey', 'sig', 'id'] as const).map((field) => ({
    trap: `nostr.md 0.7: it returns another ${field}`,
    behaviour: altering((event) => ({ ...event, [field]: '00'.repeat(32) })),
    health: 'refused' as const,
  })),
  {
    trap: 'nostr.md 0.7: it adds a p tag',
    behaviour: altering((event) => ({ ...event, tags: [['p', '00'.repeat(32)]] })),
    health: 'refused',
  },
];

describe('a hostile bunker', () => {
  test.for(named(hostileRows))('%s', async ([, row], { onTestFinished }) => {
    const { behaviour, health, lastsMs = 600_000 } = row;
    const world = new MemoryWorld(onTestFinished);
    const { machine, bunker, clock } = world;
    expect(await world.serves()).toBe(true);
    bunker.behaviour = behaviour;
    const heardBefore = bunker.heard.length;
    expect(await clock.resolve(machine.nostr.signer.probe())).toMatchObject({ kind: health });
    expect(await world.serves()).toBe(health === 'ok');
    const timers = clock.pending;
    // However long it lasts, the breaker asks only now and then, and nothing piles up.
    await clock.advance(lastsMs);
    expect(bunker.heard.length - heardBefore).toBeLessThan(250);
    expect(clock.pending).toBeLessThanOrEqual(timers + 10);
    expect(machine.health).toBe(health);
    bunker.behaviour = honest;
    // By itself: nobody asks it for anything.
    await clock.until(() => machine.health === 'ok', 700_000);
    expect(await world.serves()).toBe(true);
  });

  test('nostr.md 6: silence is asked once more, by another event with the same id', async ({
    onTestFinished,
  }) => {
    const world = new MemoryWorld(onTestFinished);
    const { machine, bunker, clock } = world;
    bunker.script.push(silent);
    expect(await clock.resolve(machine.nostr.signer.probe())).toMatchObject({ kind: 'ok' });
    const [first, second] = bunker.heard;
    expect(second?.id).toBe(first?.id);
    expect(second?.eventId).not.toBe(first?.eventId);
    expect((second?.atMs ?? 0) - (first?.atMs ?? 0)).toBeGreaterThanOrEqual(15_000);
    expect(await world.serves()).toBe(true);
  });

  test('nostr.md 1: the spent secret stays unsent at every boot', async ({ onTestFinished }) => {
    const world = new MemoryWorld(onTestFinished);
    for (let boot = 0; boot < 3; boot++) {
      expect(await world.serves()).toBe(true);
      await world.machine.restart();
    }
    expect(world.bunker.methods).not.toContain('connect');
    expect(world.bunker.methods).toContain('sign_event');
  });

  test('nostr.md 2.3: two hundred requests leave nothing, and no two share an id', async ({
    onTestFinished,
  }) => {
    const world = new MemoryWorld(onTestFinished);
    const { machine, bunker, clock } = world;
    await clock.resolve(machine.nostr.signer.probe());
    const pending = clock.pending;
    for (let done = 0; done < 200; done++) {
      await clock.resolve(machine.nostr.signer.encrypt(bunker.pubkey, 'x'.repeat(99)));
    }
    await clock.advance(10_000);
    expect(clock.pending).toBeLessThanOrEqual(pending);
    const ids = bunker.heard.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids.every((id) => /^[0-9a-f]{32}$/.test(id))).toBe(true);
  });

  test('design 9: at its caps no session begins, and what was reserved is still given', async ({
    onTestFinished,
  }) => {
    const world = new MemoryWorld(onTestFinished, [{ count: 60, windowMs: 3_600_000 }]);
    const { machine, clock } = world;
    const { signatures, rpc, publisher } = machine.nostr;
    const document = { name: 'x', audience: 'operator', text: '{}'.padEnd(99) } as const;
    expect(signatures.reserve(40)).toBe(true);
    for (let sent = 0; sent < 20; sent++) {
      await clock.resolve(publisher.publish(document));
      await clock.advance(1_000);
    }
    await expect(clock.resolve(publisher.publish(document))).rejects.toMatchObject({
      code: 'timeOut',
      message: expect.stringContaining('used up or reserved'),
    });
    for (let call = 0; call < 40; call++) await clock.resolve(rpc.prepare('get_wallet', {}));
    await expect(clock.resolve(rpc.prepare('get_wallet', {}))).rejects.toThrow('used up');
    signatures.release();
    // The bunker counts on over our restarts, and so do we.
    await machine.restart();
    expect(machine.nostr.signatures.has(1)).toBe(false);
    await clock.advance(3_700_000);
    expect(machine.nostr.signatures.reserve(40)).toBe(true);
    expect(await world.serves()).toBe(true);
  });
});
