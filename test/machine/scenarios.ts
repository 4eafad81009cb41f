/**
 * What may happen to a service, in the order in which one machine goes through it: money, a kill, a
 * stall, a backup, and updates that work and that do not.
 */
import { readdirSync, readlinkSync } from 'node:fs';
import { basename } from 'node:path';
import { expect, test } from 'vitest';
import { SLOWNESS } from './debian.ts';
import type { Machine } from './machine.ts';
import { makeRelease } from './release.ts';
import { COMES_LIMIT_MS, until } from './until.ts';

/** Where the state is. */
export const STATE = '/var/lib/spire';
/** Enough for a release that works; what does not work is found out of it in this time, seconds. */
export const WITHIN = ['--within', `${25 * SLOWNESS}`];
/** A release that reaches no relay. */
const DEAF = [
  'protocol/relay/socket.js',
  'new WebSocket(url,',
  "new WebSocket('ws://127.0.0.1:9',",
] as const;

/** What the scenarios are tried on. */
export interface Subject {
  readonly machine: Machine;
  readonly packageFile: string;
}

/** Journal entries of a kind, newest last. */
export async function entries(
  { site }: Machine,
  kind: string,
): Promise<readonly { readonly seq: number; readonly body: object }[]> {
  const { out } = await site.spire('journal', '--json', '--kind', kind, '--limit', '1000');
  return out
    .trim()
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));
}

/** What those entries say. */
export const bodies = async (machine: Machine, kind: string) =>
  (await entries(machine, kind)).map(({ body }) => body);
const stateNames = ({ site }: Machine) => readdirSync(site.path(STATE));
const runningRelease = ({ site }: Machine) => readlinkSync(site.path('/opt/spire/current'));

/** Registers them all. */
export function tryEverything(subject: () => Subject): void {
  testMoney(subject);
  testDeaths(subject);
  testBackup(subject);
  testUpdate(subject);
  testDeafUpdate(subject);
  testBookedUpdate(subject);
}

function testMoney(subject: () => Subject): void {
  test('a cash-in and a cash-out, and the books say what is in the boxes', async () => {
    const { machine } = subject();
    await machine.deposit();
    await machine.sell();
    const { validator, dispenser } = await machine.look();
    expect(validator.cashbox).toEqual({ '20': 1 });
    expect(dispenser.customer).toEqual({ '20': 2 });
    const status = await machine.status();
    expect(status?.accounts).toContainEqual({ account: 'cashbox', denomination: 20, count: 1 });
    expect(status?.journal.chain).toBe('ok');
    expect(await machine.obligations()).toEqual([]);
  });
}

/** The service ends by what is done to it, and comes back by itself. */
async function diesBy({ machine }: Subject, signal: NodeJS.Signals): Promise<void> {
  const { site } = machine;
  const [before, restarts] = [site.pid(), site.restarts()];
  site.signal(signal);
  await until('another process', () => site.pid() > 0 && site.pid() !== before);
  await machine.inService();
  expect(site.restarts()).toBe(restarts + 1);
}

function testDeaths(subject: () => Subject): void {
  test('kill -9 with a sale open: it is back by itself, and what is paid then is owed', async () => {
    const { machine } = subject();
    const bolt11 = await machine.invoice();
    await diesBy(subject(), 'SIGKILL');
    await machine.hand({ to: 'pay', bolt11 });
    // It was paid with nobody at the machine: it is owed, once, and nothing was handed out for it.
    const isOwed = async () =>
      (await machine.obligations())?.some(
        ({ kind, amountMinor }) => kind === 'latePayment' && amountMinor === 4_000,
      ) ?? false;
    await until('it is owed', isOwed, 2 * COMES_LIMIT_MS);
    expect((await machine.look()).dispenser.customer).toEqual({ '20': 2 });
  });

  test('a program that stalls is ended by the watchdog, and started again', async () => {
    const { machine } = subject();
    await diesBy(subject(), 'SIGSTOP');
    expect(machine.site.log()).toContain('Watchdog timeout');
    await machine.sell();
  });
}

function testBackup(subject: () => Subject): void {
  test('a backup of the running machine; not while somebody is at it', async () => {
    const { machine } = subject();
    const { site } = machine;
    const { code, out } = await site.spire('backup', '--json');
    expect(code).toBe(0);
    const { path }: { path: string } = JSON.parse(out);
    expect(readdirSync(site.path(`${STATE}/backups`))).toContain(basename(path));
    await machine.act({ do: 'startCashIn' });
    expect(await site.spire('backup')).toMatchObject({ code: 75 });
    await machine.act({ do: 'cancel' });
    await machine.leave('cancelled');
  });
}

function testUpdate(subject: () => Subject): void {
  test('an update that works: the new release serves, with everything that was', async () => {
    const { machine, packageFile } = subject();
    const { site } = machine;
    const next = machine.give(await makeRelease(packageFile, '9.0.1'), 'next.deb');
    const owed = await machine.obligations();
    const { code, out, err } = await site.spire('update', next, ...WITHIN);
    expect([code, out, err]).toEqual([0, expect.stringContaining('Release 9.0.1 has proven'), '']);
    expect(runningRelease(machine)).toBe('releases/9.0.1');
    expect((await site.spire('--version')).out.trim()).toBe('9.0.1');
    await machine.inService();
    expect(await entries(machine, 'update.proven')).toHaveLength(1);
    expect((await machine.obligations())?.length).toBe(owed?.length);
    await machine.deposit();
    expect(await site.spire('update', next)).toMatchObject({ code: 2 });
    expect(readdirSync(site.path('/opt/spire'))).not.toContain('update.json');
  });
}

function testDeafUpdate(subject: () => Subject): void {
  test('one that fails its handshake: the old release, the old state, nothing is lost', async () => {
    const { machine, packageFile } = subject();
    const deaf = machine.give(
      await makeRelease(packageFile, '9.0.2', (change) => change(...DEAF)),
      'deaf.deb',
    );
    const before = await machine.status();
    const { code, out } = await machine.site.spire('update', deaf, ...WITHIN);
    expect(out).toContain('Release 9.0.1 is back: 9.0.2 was not proven. the handshake fails');
    expect(out).toContain('The state is that of before');
    expect(code).toBe(1);
    expect(runningRelease(machine)).toBe('releases/9.0.1');
    await machine.inService();
    const after = await machine.status();
    expect(after?.accounts).toEqual(before?.accounts);
    expect(after?.openObligations).toBe(before?.openObligations);
    const returned = await bodies(machine, 'update.returned');
    expect(returned.at(-1)).toMatchObject({ state: 'putBack', to: '9.0.1' });
    expect(await bodies(machine, 'agent.started')).not.toContainEqual({ version: '9.0.2' });
    const kept = stateNames(machine).filter((name) => name.startsWith('state-replaced-'));
    expect(kept).toHaveLength(1);
    await machine.sell();
  });
}

function testBookedUpdate(subject: () => Subject): void {
  test('one that fails after it has booked money: the old release, the state stays', async () => {
    const { machine, packageFile } = subject();
    const bad = await makeRelease(packageFile, '9.0.3', (change) => {
      change(...DEAF);
      const started =
        'this.store.commit(() => ' +
        "this.store.journal.append('agent.started', { version: VERSION }));";
      const owed =
        "{ reference: 'ZZZZ-ZZZZ', kind: 'creditWithoutIntent', currency: 'USD', body: {} }";
      change(
        'agent/main.js',
        started,
        `${started} this.store.commit(() => { this.store.obligations.insert(${owed}); ` +
          "this.store.journal.append('obligation.opened', { kind: 'creditWithoutIntent' }); });",
      );
    });
    const before = await machine.status();
    const { code, out } = await machine.site.spire(
      'update',
      machine.give(bad, 'bad.deb'),
      ...WITHIN,
    );
    expect(out).toContain('Release 9.0.1 is back');
    expect(out).toContain('THE STATE STAYS');
    expect(out).toContain('obligation.opened was written down since the backup');
    expect(code).toBe(1);
    await machine.inService();
    const after = await machine.status();
    expect(after?.openObligations).toBe((before?.openObligations ?? 0) + 1);
    expect((await bodies(machine, 'update.returned')).at(-1)).toMatchObject({ state: 'stays' });
    expect(await bodies(machine, 'agent.started')).toContainEqual({ version: '9.0.3' });
    await machine.deposit();
  });
}
