import { describe, expect, it } from 'vitest';
import { systemRandom } from '#protocol/base/clock.ts';
import { BunkerPolicy, bunkerStateSchema } from '#protocol/simulator/bunker-policy.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';

function setUp() {
  const clock = new VirtualClock();
  const policy = new BunkerPolicy({ clock, random: systemRandom });
  policy.redeem('client', policy.mintToken());
  const sign = (eventKind: number) =>
    policy.decide({ client: 'client', method: 'sign_event', eventKind }).kind;
  return { clock, policy, sign };
}

const HOUR_MS = 3_600_000;

describe("the bunker's policy", () => {
  it.each([21000, 21001, 21002, 21003, 30078, 22242])('grants kind %i', (eventKind) => {
    expect(setUp().sign(eventKind)).toBe('allow');
  });

  it.each([0, 1, 1059, 30079, 24133])('does not grant kind %i', (eventKind) => {
    expect(setUp().sign(eventKind)).toBe('silent');
  });

  it('refills a windowed cap as the window rolls, and a lifetime cap never', async () => {
    const { clock, policy, sign } = setUp();
    policy.cap({ method: 'sign_event', eventKind: 21000, maxUsageCount: 2, windowMs: HOUR_MS });
    policy.cap({ method: 'sign_event', eventKind: 30078, maxUsageCount: 1 });
    expect(sign(21000)).toBe('allow');
    await clock.advance(HOUR_MS / 2);
    expect([sign(21000), sign(21000)]).toEqual(['allow', 'silent']);
    await clock.advance(HOUR_MS / 2);
    expect([sign(21000), sign(21000)]).toEqual(['allow', 'silent']);
    expect(sign(30078)).toBe('allow');
    await clock.advance(1_000 * HOUR_MS);
    expect(sign(30078)).toBe('silent');
  });

  it('binds stacked caps together: what one refuses, the other does not count', async () => {
    const { clock, policy, sign } = setUp();
    policy.cap({ method: 'sign_event', eventKind: 21000, maxUsageCount: 1, windowMs: HOUR_MS });
    policy.cap({
      method: 'sign_event',
      eventKind: 21000,
      maxUsageCount: 2,
      windowMs: 24 * HOUR_MS,
    });
    expect([sign(21000), sign(21000), sign(21000)]).toEqual(['allow', 'silent', 'silent']);
    await clock.advance(HOUR_MS);
    expect([sign(21000), sign(21000)]).toEqual(['allow', 'silent']);
    await clock.advance(HOUR_MS);
    expect(sign(21000)).toBe('silent');
    await clock.advance(22 * HOUR_MS);
    expect(sign(21000)).toBe('allow');
  });

  it('lets a lifetime bound the binding and not only the token', async () => {
    const { clock, policy } = setUp();
    policy.redeem('second', policy.mintToken(HOUR_MS));
    const decide = () =>
      policy.decide({ client: 'second', method: 'sign_event', eventKind: 21000 });
    expect(decide()).toEqual({ kind: 'allow' });
    await clock.advance(HOUR_MS);
    expect(decide()).toEqual({ kind: 'refuse', error: 'Not authorized' });
    policy.redeem('second', policy.mintToken());
    expect(decide()).toEqual({ kind: 'allow' });
  });

  it('keeps tokens, bindings and bans over a restart', () => {
    const { clock, policy } = setUp();
    policy.redeem('banned', policy.mintToken());
    policy.revoke('banned');
    const spare = policy.mintToken();
    const state = bunkerStateSchema.parse(JSON.parse(JSON.stringify(policy.state)));
    const again = new BunkerPolicy({ clock, random: systemRandom, state });
    const decide = (client: string) => again.decide({ client, method: 'nip44_encrypt' }).kind;
    expect([decide('client'), decide('banned')]).toEqual(['allow', 'refuse']);
    again.redeem('late', spare);
    expect(() => again.redeem('later', spare)).toThrow('Token already redeemed');
    expect(again.clients()).toEqual(['client', 'banned', 'late']);
  });

  it('tells of every change that must be kept', () => {
    const { policy } = setUp();
    let changes = 0;
    policy.onChange = () => changes++;
    const token = policy.mintToken();
    policy.redeem('x', token);
    policy.revokeToken(token);
    policy.revoke('x');
    expect(changes).toBe(4);
  });

  it('waits as long as it is told, and leaves no timer when closed', async () => {
    const { clock, policy } = setUp();
    policy.switches.delayMs = 500;
    const waited = policy.delay();
    await clock.resolve(waited);
    expect(clock.monotonic()).toBe(500);
    void policy.delay();
    policy.close();
    expect(clock.pending).toBe(0);
  });
});
