import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { silentLog } from '#protocol/base/log.ts';
import { ALARM_MS, CorrectedClock, NOISE_MS, WRONG_MS } from '#protocol/corrected-clock.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';

function rig() {
  const own = new VirtualClock();
  const clock = new CorrectedClock({ clock: own, log: silentLog });
  let told = 0;
  clock.subscribe(() => {
    told += 1;
  });
  /** Two hosts say that we are so far behind. */
  const hosts = (...behindMs: number[]) => {
    behindMs.forEach((ms, at) => {
      clock.heardDate(`${at}.example`, own.now() + ms);
    });
  };
  return { own, clock, hosts, told: () => told };
}

describe('a corrected clock', () => {
  test('shows its own time while nobody has said another', () => {
    const { own, clock } = rig();
    expect(clock.now()).toBe(own.now());
    expect(clock.offsetMs()).toBeUndefined();
    expect(clock.verdict()).toEqual({ kind: 'unknown' });
  });

  test.each([
    [0, 'right'],
    [ALARM_MS, 'right'],
    [ALARM_MS + 1, 'off'],
    [WRONG_MS, 'off'],
    [WRONG_MS + 1, 'wrong'],
    [-ALARM_MS - 1, 'off'],
    [-WRONG_MS - 1, 'wrong'],
  ] as const)('%i ms apart is %s', (offsetMs, kind) => {
    const { own, clock } = rig();
    clock.heardWallet(own.now() + offsetMs);
    expect(clock.verdict()).toEqual({ kind, offsetMs });
  });

  test('leaves the noise of whole seconds alone, and corrects what is more', () => {
    const { own, clock } = rig();
    clock.heardWallet(own.now() + NOISE_MS);
    expect(clock.now()).toBe(own.now());
    clock.heardWallet(own.now() + NOISE_MS + 1);
    expect(clock.now()).toBe(own.now() + NOISE_MS + 1);
  });

  test('goes on as it was when its own clock is set', async () => {
    const { own, clock } = rig();
    clock.heardWallet(own.now() + 90_000);
    const before = clock.now();
    own.jumpWall(90_000);
    expect(clock.now()).toBe(before);
    expect(clock.verdict().kind).toBe('right');
    await own.advance(5_000);
    expect(clock.now()).toBe(before + 5_000);
  });

  test('takes no time from one host, nor from two that disagree', () => {
    const { clock, hosts } = rig();
    hosts(90_000);
    hosts(90_000);
    expect(clock.offsetMs()).toBeUndefined();
    hosts(90_000, 3_600_000);
    expect(clock.offsetMs()).toBeUndefined();
  });

  test('takes the median of dates, whatever one liar says', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: -1e9, max: 1e9 }),
        fc.array(fc.integer({ min: -2_000, max: 2_000 }), { minLength: 3, maxLength: 6 }),
        fc.integer({ min: -1e12, max: 1e12 }),
        (offsetMs, noise, lie) => {
          const { clock, hosts } = rig();
          hosts(lie, ...noise.map((ms) => offsetMs + ms));
          expect(Math.abs((clock.offsetMs() ?? Number.NaN) - offsetMs)).toBeLessThanOrEqual(2_000);
        },
      ),
    );
  });

  test('believes the wallet before the dates, until it was silent for ten minutes', async () => {
    const { own, clock, hosts } = rig();
    hosts(90_000, 91_000);
    expect(clock.offsetMs()).toBe(90_500);
    clock.heardWallet(own.now() + 1_000);
    hosts(90_000, 91_000);
    expect(clock.offsetMs()).toBe(1_000);
    await own.advance(600_001);
    hosts(90_000, 91_000);
    expect(clock.offsetMs()).toBe(90_500);
  });

  test('tries itself and its correction in turn when nobody confirms it any more', async () => {
    const { own, clock } = rig();
    clock.heardWallet(own.now() + 70_000);
    await own.advance(600_000);
    const turns: number[] = [];
    const written: number[] = [];
    for (let minute = 0; minute < 6; minute++) {
      await own.advance(30_000);
      turns.push(clock.now() - own.now());
      written.push(clock.world.now() - own.now());
      await own.advance(30_000);
    }
    expect(turns).toEqual([0, 70_000, 0, 70_000, 0, 70_000]);
    // What is written down keeps to one time.
    expect(new Set(written)).toEqual(new Set([70_000]));
    clock.heardWallet(own.now() + 70_000);
    expect(clock.now() - own.now()).toBe(70_000);
    expect(clock.verdict().kind).toBe('wrong');
  });

  test('takes no date for one that is over an hour old', async () => {
    const { own, clock, hosts } = rig();
    hosts(90_000);
    await own.advance(3_600_001);
    clock.heardDate('other.example', own.now() + 90_000);
    expect(clock.offsetMs()).toBeUndefined();
  });

  test.each([
    'invalid: ephemeral event expired',
    'invalid: created_at is too far in the future',
    'invalid: event creation date is too far off from the current time',
    'certificate is not yet valid',
    'certificate has expired',
  ])('is doubted when a relay says "%s", until another takes an event', (words) => {
    const { clock, told } = rig();
    clock.refused(words);
    expect(clock.verdict()).toEqual({ kind: 'doubted', words });
    clock.accepted();
    expect(clock.verdict()).toEqual({ kind: 'unknown' });
    expect(told()).toBe(2);
  });

  test.each(['invalid: bad signature', 'blocked: expired membership', 'error: future', 'no link'])(
    'is not doubted for "%s"',
    (words) => {
      const { clock } = rig();
      clock.refused(words);
      expect(clock.verdict()).toEqual({ kind: 'unknown' });
    },
  );

  test('is not doubted once the time is known', () => {
    const { own, clock } = rig();
    clock.heardWallet(own.now());
    clock.refused('invalid: ephemeral event expired');
    expect(clock.verdict()).toEqual({ kind: 'right', offsetMs: 0 });
  });

  test('tells of changes, and not of every answer', () => {
    const { own, clock, told } = rig();
    clock.heardWallet(own.now());
    clock.heardWallet(own.now() + 900);
    clock.heardWallet(own.now() - 900);
    expect(told()).toBe(1);
    clock.heardWallet(own.now() + 31_000);
    expect(told()).toBe(2);
  });

  test('remembers sixteen hosts at most, those heard last', () => {
    const { own, clock } = rig();
    clock.heardDate('first.example', own.now() + 90_000);
    for (let host = 0; host < 16; host++) {
      clock.heardDate(`${host}.example`, own.now() + host * 1e6);
    }
    clock.heardDate('last.example', own.now() + 90_000);
    expect(clock.offsetMs()).toBeUndefined();
  });
});
