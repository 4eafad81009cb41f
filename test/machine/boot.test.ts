/**
 * A fresh Debian, booted, with the package installed and no network: money through the service, and
 * everything that may happen to a service. One machine goes through all of it, in this order.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, inject, test } from 'vitest';
import { until } from './container.ts';
import { Machine } from './machine.ts';
import { packageFor } from './package-file.ts';
import { makeRelease } from './release.ts';

const SERVICE = 'spire-agent.service';
const STATE = '/var/lib/spire';
/** Enough for a release that works; what does not work is found out of it in this time, seconds. */
const WITHIN = ['--within', '25'];

let machine: Machine;
let packageFile: string;
beforeAll(async () => {
  packageFile = packageFor('amd64', inject('packages'));
  machine = await Machine.installed(packageFile);
});
afterAll(async () => machine.stop());
// What went before tells why.
beforeEach(({ onTestFailed }) => {
  onTestFailed(() => {
    const { out } = machine.container.run('journalctl', '--no-pager', '--lines=60');
    process.stderr.write(out.replaceAll(/^(.{400}).*$/gm, '$1'));
  });
});

const pid = () => Number(machine.container.property(SERVICE, 'MainPID'));
const property = (name: string) => machine.container.property(SERVICE, name);
const signal = (name: string) =>
  machine.container.do('systemctl', 'kill', '--kill-whom=main', `--signal=${name}`, SERVICE);
const spire = (...words: readonly string[]) => machine.container.run('spire', ...words);
const stateNames = () => readdirSync(machine.container.path(STATE)).sort();
/** Journal entries of a kind, newest last. */
function entries(kind: string): { readonly seq: number; readonly body: object }[] {
  const { out } = spire('journal', '--json', '--kind', kind, '--limit', '1000');
  return out
    .trim()
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));
}
const runningRelease = () => machine.container.do('readlink', '/opt/spire/current').trim();

test('the service is active, watched over, without a network and without rights', async () => {
  expect(property('ActiveState')).toBe('active');
  expect(property('SubState')).toBe('running');
  // Said again with every sign of life.
  await until('its status', () => property('StatusText') === 'idle; cash-in open; cash-out open');
  expect(property('WatchdogUSec')).toBe('30s');
  const { container } = machine;
  expect(container.do('cat', '/proc/net/dev').match(/^ *\w+:/gm)).toEqual(['    lo:']);
  const status = container.do('cat', `/proc/${pid()}/status`);
  expect(status).toMatch(/^CapEff:\s+0{16}$/m);
  expect(status).toMatch(/^NoNewPrivs:\s+1$/m);
  expect(status).toMatch(/^Seccomp:\s+2$/m);
  expect(container.do('stat', '--format=%U %a', `${STATE}/state.sqlite`).trim()).toBe('spire 600');
});

test('a cash-in and a cash-out, and the books say what is in the boxes', async () => {
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

test('kill -9 with a sale open: it is back by itself, and what is paid then is owed', async () => {
  const bolt11 = await machine.invoice();
  const before = pid();
  signal('SIGKILL');
  await until('another process', () => pid() > 0 && pid() !== before);
  await machine.inService();
  expect(property('NRestarts')).toBe('1');
  await machine.hand({ to: 'pay', bolt11 });
  // It was paid with nobody at the machine: it is owed, once, and nothing was handed out for it.
  await until('it is owed', async () => {
    const owed = await machine.obligations();
    return (
      owed?.some(({ kind, amountMinor }) => kind === 'latePayment' && amountMinor === 4_000) ??
      false
    );
  });
  expect((await machine.look()).dispenser.customer).toEqual({ '20': 2 });
});

test('a program that stalls is ended by the watchdog, and started again', async () => {
  const before = pid();
  signal('SIGSTOP');
  await until('another process', () => pid() > 0 && pid() !== before, 90_000);
  await machine.inService();
  const log = machine.container.do('journalctl', '--no-pager', '--unit', SERVICE);
  expect(log).toContain('Watchdog timeout');
  expect(property('NRestarts')).toBe('2');
  await machine.sell();
});

test('the backup timer is armed; its service copies the state and proves the copy', async () => {
  const { container } = machine;
  expect(container.property('spire-backup.timer', 'ActiveState')).toBe('active');
  expect(container.property('spire-backup.timer', 'NextElapseUSecRealtime')).toMatch(/ 03:\d\d:/);
  container.do('systemctl', 'start', 'spire-backup.service');
  expect(container.property('spire-backup.service', 'Result')).toBe('success');
  const backups = readdirSync(container.path(`${STATE}/backups`));
  expect(backups).toHaveLength(1);
  expect(container.do('stat', '--format=%U', `${STATE}/backups/${backups[0]}`).trim()).toBe(
    'spire',
  );
  // Not while somebody is at the machine: it comes again later.
  await machine.act({ do: 'startCashIn' });
  expect(spire('backup')).toMatchObject({ code: 75 });
  await machine.act({ do: 'cancel' });
  await machine.leave('cancelled');
});

test('an update that works: the new release serves, with everything that was', async () => {
  const next = makeRelease(packageFile, '9.0.1');
  machine.give(next, 'next.deb');
  const owed = await machine.obligations();
  const { code, out, err } = spire('update', '/shared/next.deb', ...WITHIN);
  expect([code, out, err]).toEqual([0, expect.stringContaining('Release 9.0.1 has proven'), '']);
  expect(runningRelease()).toBe('releases/9.0.1');
  expect(spire('--version').out.trim()).toBe('9.0.1');
  await machine.inService();
  expect(entries('update.proven')).toHaveLength(1);
  expect((await machine.obligations())?.length).toBe(owed?.length);
  await machine.deposit();
  expect(spire('update', '/shared/next.deb')).toMatchObject({ code: 2 });
  expect(existsSync(machine.container.path('/opt/spire/update.json'))).toBe(false);
});

test('one that fails its handshake: the old release, the old state, nothing is lost', async () => {
  const deaf = makeRelease(packageFile, '9.0.2', (change) => {
    change('protocol/relay/socket.js', 'new WebSocket(url,', "new WebSocket('ws://127.0.0.1:9',");
  });
  machine.give(deaf, 'deaf.deb');
  const before = await machine.status();
  const { code, out } = spire('update', '/shared/deaf.deb', ...WITHIN);
  expect(out).toContain('Release 9.0.1 is back: 9.0.2 was not proven. the handshake fails');
  expect(out).toContain('The state is that of before');
  expect(code).toBe(1);
  expect(machine.container.property('spire-update.service', 'Result')).toBe('exit-code');
  expect(runningRelease()).toBe('releases/9.0.1');
  await machine.inService();
  const after = await machine.status();
  expect(after?.accounts).toEqual(before?.accounts);
  expect(after?.openObligations).toBe(before?.openObligations);
  expect(entries('update.returned').at(-1)?.body).toMatchObject({ state: 'putBack', to: '9.0.1' });
  expect(entries('agent.started').map(({ body }) => body)).not.toContainEqual({ version: '9.0.2' });
  expect(stateNames().filter((name) => name.startsWith('state-replaced-'))).toHaveLength(1);
  await machine.sell();
});

test('one that fails after it has booked money: the old release, and the state stays', async () => {
  const bad = makeRelease(packageFile, '9.0.3', (change) => {
    change('protocol/relay/socket.js', 'new WebSocket(url,', "new WebSocket('ws://127.0.0.1:9',");
    const started =
      "this.store.commit(() => this.store.journal.append('agent.started', { version: VERSION }));";
    const owed =
      "{ reference: 'ZZZZ-ZZZZ', kind: 'creditWithoutIntent', currency: 'USD', body: {} }";
    change(
      'agent/main.js',
      started,
      `${started} this.store.commit(() => { this.store.obligations.insert(${owed}); ` +
        "this.store.journal.append('obligation.opened', { kind: 'creditWithoutIntent' }); });",
    );
  });
  machine.give(bad, 'bad.deb');
  const before = await machine.status();
  const { code, out } = spire('update', '/shared/bad.deb', ...WITHIN);
  expect(out).toContain('Release 9.0.1 is back');
  expect(out).toContain('THE STATE STAYS');
  expect(out).toContain('obligation.opened was written down since the backup');
  expect(code).toBe(1);
  await machine.inService();
  const after = await machine.status();
  expect(after?.openObligations).toBe((before?.openObligations ?? 0) + 1);
  expect(entries('update.returned').at(-1)?.body).toMatchObject({ state: 'stays' });
  expect(entries('agent.started').map(({ body }) => body)).toContainEqual({ version: '9.0.3' });
  await machine.deposit();
});

test('a stop is an orderly end, and removing keeps state, pairing and configuration', async () => {
  const { container } = machine;
  const started = entries('agent.started').length;
  container.do('systemctl', 'stop', SERVICE);
  expect(property('Result')).toBe('success');
  expect(started).toBeGreaterThan(3);
  container.do('dpkg', '--purge', 'spire-agent');
  expect(existsSync(container.path('/opt/spire/releases'))).toBe(false);
  expect(stateNames()).toEqual(expect.arrayContaining(['backups', 'pairing.json', 'state.sqlite']));
  expect(readFileSync(container.path('/etc/spire/spire.json'), 'utf8')).toContain('id003');
  expect(existsSync(join(container.path('/usr/bin'), 'spire'))).toBe(false);
});
