/** A release that is being proven serves nobody, and says and hears nothing. */
import { readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { UpdateHold } from '#agent/upkeep/update-hold.ts';
import {
  endPlan,
  readPlan,
  releaseVersion,
  type UpdatePlan,
  writePlan,
} from '#agent/upkeep/update-plan.ts';
import { VERSION } from '#agent/version.ts';
import { Visit, whyOf } from '#test/agent/exchange/visit-rig.ts';
import { newFolder } from '#test/state/fixtures.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';
import { WholeMachine } from '#test/support/whole-machine.ts';

const plan: UpdatePlan = {
  from: '0.0.9',
  to: VERSION,
  phase: 'proving',
  proofLimitMs: 1_000,
  attempts: 1,
  faultsBefore: null,
  backup: null,
  reason: null,
};

test('a plan is written whole, read back, and gone when it is ended', () => {
  const folder = newFolder();
  const path = join(folder, 'update.json');
  expect(readPlan(path)).toBeUndefined();
  writePlan(path, plan);
  writePlan(path, { ...plan, phase: 'returning', reason: 'it does not start' });
  expect(readPlan(path)).toMatchObject({ phase: 'returning', reason: 'it does not start' });
  expect(readdirSync(folder)).toEqual(['update.json']);
  expect(statSync(path).mode & 0o777).toBe(0o644);
  endPlan(path);
  endPlan(path);
  expect(readdirSync(folder)).toEqual([]);
  writeFileSync(path, '{"from":"1"}');
  expect(() => readPlan(path)).toThrow('is no plan');
});

test.each(['../../etc', '1/2', '', '.1', `1${'0'.repeat(80)}`])('%j is no release', (text) => {
  expect(releaseVersion.safeParse(text).success).toBe(false);
});

test('it holds the release that comes, not the one that goes, and not without a plan', () => {
  const path = join(newFolder(), 'update.json');
  const clock = new VirtualClock();
  const hold = (version: string, planFile: string | undefined = path) =>
    new UpdateHold({ planFile, version, clock }).isHeld();
  expect([hold(VERSION), hold('0.0.9')]).toEqual([false, false]);
  writePlan(path, plan);
  expect([hold(VERSION), hold('0.0.9')]).toEqual([true, false]);
  expect(new UpdateHold({ planFile: undefined, version: VERSION, clock }).isHeld()).toBe(false);
  // Nobody knows what it says: it may be about this release.
  writeFileSync(path, 'half a pl');
  expect(hold('0.0.9')).toBe(true);
});

test('it looks until the plan is gone, and not after it was closed', async () => {
  const path = join(newFolder(), 'update.json');
  const clock = new VirtualClock();
  writePlan(path, plan);
  const released: string[] = [];
  const one = new UpdateHold({ planFile: path, version: VERSION, clock });
  const other = new UpdateHold({ planFile: path, version: VERSION, clock });
  one.onRelease(() => released.push('one'));
  other.onRelease(() => released.push('other'));
  await clock.advance(5_000);
  expect(released).toEqual([]);
  other.close();
  rmSync(path);
  await clock.advance(5_000);
  expect(released).toEqual(['one']);
});

test('a held machine takes no customer and no document, and opens when it is proven', async () => {
  const planFile = join(newFolder(), 'update.json');
  writePlan(planFile, plan);
  const machine = new WholeMachine({ hold: { planFile, version: VERSION } });
  try {
    await machine.pair();
    await machine.publish();
    machine.start();
    await machine.until(({ state }) => state === 'outOfService', 'recovered');
    await machine.clock.advance(60_000);
    const codes = machine.view.cashIn.reasons.map(({ code }) => code);
    expect(codes).toContain('updating');
    expect(machine.kinds()).not.toContain('document.applied');
    expect(machine.running.store.outbox.pending()).toEqual([]);
    // Not even a claim, which no other closed direction keeps from being shown.
    expect(await machine.act({ do: 'startCashIn' })).toMatchObject({
      ok: false,
      code: 'closed',
      reason: 'The machine is being updated.',
    });
    endPlan(planFile);
    await machine.until(({ state, cashOut }) => state === 'idle' && cashOut.open, 'in service');
    expect(machine.kinds()).toContain('document.applied');
    const [proven] = machine.running.store.journal.read({ kind: 'update.proven' });
    expect(proven?.body).toEqual({ version: VERSION });
    await machine.deposit(20);
  } finally {
    await machine.stop();
  }
});

test('a held machine lets no technician begin, and one that was proven does', async () => {
  const planFile = join(newFolder(), 'update.json');
  const visit = await Visit.begin({ hold: { planFile, version: VERSION } });
  const { machine } = visit;
  try {
    await machine.clock.resolve(machine.running.stop());
    writePlan(planFile, plan);
    machine.start();
    await machine.until(({ state }) => state === 'outOfService', 'recovered');
    await visit.signIn();
    expect(await whyOf(() => visit.service.begin(visit.who))).toBe('updating');
    endPlan(planFile);
    await machine.until(({ state, cashOut }) => state === 'idle' && cashOut.open, 'in service');
    expect(visit.service.begin(visit.who)).toMatchObject({ state: 'asking' });
  } finally {
    await machine.stop();
  }
});
