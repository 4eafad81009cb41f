/** What only a booted machine can be tried by: an ordered stop in mid-act, and its power. */
import { existsSync, readFileSync, readlinkSync } from 'node:fs';
import { expect, test } from 'vitest';
import { type BootedSite, SERVICE } from './booted.ts';
import type { Machine } from './machine.ts';
import { makeRelease } from './release.ts';
import { bodies, entries, WITHIN } from './scenarios.ts';
import { until } from './until.ts';

/** A dispenser that takes so long, ms: more than a stop needs to arrive, less than it waits. */
const SLOW_MS = 5_000;
const PLAN = '/opt/spire/update.json';
const CURRENT = '/opt/spire/current';

/** What they are tried on. */
export interface BootedSubject {
  readonly site: BootedSite;
  readonly machine: Machine;
  readonly packageFile: string;
}

/** Registers them. */
export function tryCuts(subject: () => BootedSubject): void {
  testStopWhileDispensing(subject);
  testStopWhileDepositing(subject);
  testPowerCut(subject);
}

const owing = async (machine: Machine) => (await machine.status())?.openObligations;

/** An ordered stop, to its end, and the next start. */
async function stopAndStart({ site, machine }: BootedSubject): Promise<void> {
  site.container.do('systemctl', 'stop', SERVICE);
  expect(site.property('Result')).toBe('success');
  site.container.do('systemctl', 'start', SERVICE);
  await machine.inService();
}

function testStopWhileDispensing(subject: () => BootedSubject): void {
  test('a stop while notes go out waits for them: they are booked, and nothing is owed', async () => {
    const { machine } = subject();
    const [before, owed] = [await machine.look(), await owing(machine)];
    const bolt11 = await machine.invoice();
    await machine.hand({ to: 'delay', ms: SLOW_MS });
    await machine.hand({ to: 'pay', bolt11 });
    await machine.cashOut('the notes go out', ({ phase }) => phase === 'dispensing');
    await stopAndStart(subject());
    const after = await machine.look();
    expect(after.dispenser.customer['20']).toBe((before.dispenser.customer['20'] ?? 0) + 2);
    const [ended] = (await bodies(machine, 'cashOut.ended')).slice(-1);
    expect(ended).toMatchObject({ end: 'dispensed' });
    // By the run that was told to stop, and not found out by the next one.
    expect(ended).not.toHaveProperty('recovered');
    expect(await owing(machine)).toBe(owed);
  });
}

function testStopWhileDepositing(subject: () => BootedSubject): void {
  test('a stop while a note goes in: it is booked, and the next start makes its link', async () => {
    const { machine } = subject();
    const [before, owed] = [await machine.look(), await owing(machine)];
    await machine.insert();
    await machine.cashIn('the note is on its way', ({ phase }) => phase === 'moving');
    await stopAndStart(subject());
    const after = await machine.look();
    const inBox = (before.validator.cashbox['20'] ?? 0) + 1;
    expect(after.validator.cashbox['20']).toBe(inBox);
    const status = await machine.status();
    expect(status?.accounts).toContainEqual({ account: 'cashbox', denomination: 20, count: inBox });
    // Booked by the run that was told to stop; the link is the business of the next one.
    const order = ['note.deposited', 'agent.started', 'withdraw.answered'];
    const seqs = await Promise.all(
      order.map(async (kind) => (await entries(machine, kind)).at(-1)),
    );
    expect(seqs.map((entry) => entry?.seq)).toEqual(
      seqs.map((entry) => entry?.seq).sort((one = 0, other = 0) => one - other),
    );
    expect(await owing(machine)).toBe(owed);
  });
}

function testPowerCut(subject: () => BootedSubject): void {
  test('the power goes in the middle of an update: the next boot goes on with it', async () => {
    const { site, machine, packageFile } = subject();
    const next = machine.give(await makeRelease(packageFile, '9.0.9'), 'cut.deb');
    const order = ['spire', 'update', next, ...WITHIN];
    site.container.do('systemd-run', '--quiet', '--unit=order', ...order);
    // Started, too: systemd, which dies first here and not at once with all else, would not answer
    // whoever starts it, and "it does not start" would be written in the moment before the end.
    const isTried = () =>
      existsSync(site.path(PLAN)) &&
      readFileSync(site.path(PLAN), 'utf8').includes('"proving"') &&
      readlinkSync(site.path(CURRENT)) === 'releases/9.0.9' &&
      site.property('ActiveState') === 'active';
    await until('the new release in place, not proven yet', isTried);
    await site.container.cutPower();
    await until('the update done', () => !existsSync(site.path(PLAN)));
    expect(readlinkSync(site.path(CURRENT))).toBe('releases/9.0.9');
    await machine.inService();
    expect((await bodies(machine, 'update.proven')).at(-1)).toEqual({ version: '9.0.9' });
    expect((await machine.status())?.journal.chain).toBe('ok');
    await machine.sell();
  });
}
