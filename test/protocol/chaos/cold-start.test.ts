/** The 24 orders in which everything may come back after a power cut, two minutes apart. */
import { describe, expect, test } from 'vitest';
import { sleep } from '#protocol/base/clock.ts';
import { PARTS, type Part, WholeWorld } from './whole-world.ts';

/** From the start of one part to that of the next, ms. */
const APART_MS = 120_000;
/** Longest time from the last start to service, ms: a link's longest back-off, and two probes. */
const IN_SERVICE_MS = 600_000;

function orders(parts: readonly Part[]): Part[][] {
  if (parts.length === 0) return [[]];
  return parts.flatMap((first) =>
    orders(parts.filter((part) => part !== first)).map((rest) => [first, ...rest]),
  );
}

describe('a cold start', () => {
  test.for(orders(PARTS).map((order) => [order.join(', '), order] as const))(
    '%s',
    async ([, order], { onTestFinished }) => {
      const world = await WholeWorld.cold(onTestFinished);
      for (const part of order) {
        expect(world.isInService()).toBe(false);
        await world.start(part);
        if (part !== order.at(-1)) await sleep(world.clock, APART_MS);
      }
      await world.inService(IN_SERVICE_MS);
    },
  );

  test('wire 9.3: no fees are known, so nobody is served, until the operator publishes', async ({
    onTestFinished,
  }) => {
    const world = await WholeWorld.cold(onTestFinished, false);
    for (const part of PARTS) await world.start(part);
    await sleep(world.clock, APART_MS);
    const { state, cashIn, cashOut } = world.view;
    expect(state).toBe('outOfService');
    for (const { reasons } of [cashIn, cashOut]) {
      expect(reasons).toMatchObject([{ code: 'awaitingFees' }]);
    }
    await world.keeper.publishFees();
    await world.inService(IN_SERVICE_MS);
  });
});
