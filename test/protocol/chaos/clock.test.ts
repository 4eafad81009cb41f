/** What a wrong clock does, of ours or of others, row by row. */
import { describe, expect, test } from 'vitest';
import { eventIn } from './liar.ts';
import { MemoryWorld } from './memory-world.ts';
import { RealWorld } from './real-world.ts';

const LAGS = [
  ['slow', -70_000],
  ['fast', 70_000],
] as const;

/** What the events that the machine sends are dated ahead of the world's time, seconds. */
function overhear({ bunkerSide, walletSide, time }: RealWorld): number[] {
  const sent: number[] = [];
  for (const { liar } of [bunkerSide, walletSide]) {
    const { up } = liar;
    liar.up = (message, line) => {
      const event = eventIn(message);
      if (event) sent.push(event.created_at - time.now() / 1000);
      return up(message, line);
    };
  }
  return sent;
}

/** The bunker's relay takes no ephemeral event that is over 60 s old, as strfry does not. */
function refuseOld({ bunkerSide: { liar }, time }: RealWorld): void {
  liar.up = (message, line) => {
    const event = eventIn(message);
    if (!event || time.now() / 1000 - event.created_at <= 60) return [message];
    line.toMachine(['OK', event.id, false, 'invalid: ephemeral event expired']);
    return [];
  };
}

describe('nostr.md 6: our clock is 70 s', () => {
  test.for(LAGS)('%s, and two dates tell', async ([, aheadMs], { onTestFinished }) => {
    const world = await RealWorld.start(onTestFinished, { aheadMs, tellsTime: true });
    refuseOld(world);
    const { machine, clock } = world;
    await world.until(() => machine.nostr.time.verdict().kind === 'wrong', 'it is named');
    const sent = overhear(world);
    await world.serves();
    expect(machine.nostr.time.offsetMs()).toBeCloseTo(-aheadMs, -4);
    expect(sent.length).toBeGreaterThan(2);
    for (const aheadSec of sent) expect(Math.abs(aheadSec)).toBeLessThan(30);
    expect(machine.nostr.time.verdict().kind).toBe('wrong');
    clock.aheadMs = 0;
    expect(machine.nostr.time.verdict().kind).toBe('right');
    await world.serves();
  });

  test('slow, nobody tells, and the relay’s refusal is called by its name', async ({
    onTestFinished,
  }) => {
    const world = await RealWorld.start(onTestFinished, { aheadMs: -70_000 });
    refuseOld(world);
    const { machine, clock } = world;
    const health = await machine.nostr.signer.probe();
    expect(health).toMatchObject({ kind: 'silent', reason: expect.stringContaining('expired') });
    const words = 'invalid: ephemeral event expired';
    expect(machine.nostr.time.verdict()).toEqual({ kind: 'doubted', words });
    clock.aheadMs = 0;
    await world.serves();
    expect(machine.nostr.time.verdict().kind).toBe('right');
  });

  test('right, and one relay lies about the time', async ({ onTestFinished }) => {
    const world = await RealWorld.start(onTestFinished);
    const { machine, bunkerSide, time } = world;
    bunkerSide.liar.date = () => new Date(time.now() + 3_600_000).toUTCString();
    bunkerSide.line.cut();
    await world.serves();
    bunkerSide.line.cut();
    await world.serves();
    expect(machine.nostr.time.verdict().kind).toBe('right');
  });
});

describe('nostr.md 6: on virtual time', () => {
  test('the wallet’s own time corrects ours, and a jump of ours changes nothing of it', async ({
    onTestFinished,
  }) => {
    const world = new MemoryWorld(onTestFinished);
    const { machine, keeper, clock } = world;
    keeper.switches.clockSkewMs = 45_000;
    expect(await world.serves()).toBe(true);
    const { time, rpc } = machine.nostr;
    expect(time.verdict()).toMatchObject({ kind: 'off' });
    const call = await clock.resolve(rpc.prepare('get_wallet', {}));
    const ahead = call.event.created_at - clock.now() / 1000;
    expect(Math.abs(ahead - 45)).toBeLessThan(3);
    const before = time.now();
    clock.jumpWall(-300_000);
    expect(time.now()).toBe(before);
    expect(time.verdict()).toMatchObject({ kind: 'wrong' });
    clock.jumpWall(300_000);
    keeper.switches.clockSkewMs = 0;
    await clock.advance(600_001);
    expect(await world.serves()).toBe(true);
    expect(time.verdict().kind).toBe('right');
  });

  test('a document refused for its time alone is judged again after a correction', async ({
    onTestFinished,
  }) => {
    const world = new MemoryWorld(onTestFinished);
    const { machine, keeper, clock, network } = world;
    network.rules.futureMaxSec = undefined;
    const limits = { schema_version: 1, max_cash_in_sats: 5 };
    const ahead = Math.floor(clock.now() / 1000) + 1_000;
    await clock.resolve(keeper.publishDocument('bitspire-limits', limits, ahead));
    await clock.until(() => machine.reports.length === 1);
    expect(machine.reports).toMatchObject([{ kind: 'refused' }]);
    // Our own clock was 300 s slow all the time, as two hosts say.
    machine.nostr.time.heardDate('one.example', clock.now() + 300_000);
    machine.nostr.time.heardDate('two.example', clock.now() + 301_000);
    await clock.until(() => machine.reports.length === 2);
    expect(machine.reports[1]).toMatchObject({ kind: 'accepted', document: { type: 'limits' } });
  });
});
