/**
 * A fresh Debian, booted, with the package installed and no network: money through the service, and
 * everything that may happen to a service. One machine goes through all of it, in this order.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, expect, inject, test } from 'vitest';
import { type BootedSite, bootMachine, SERVICE } from './booted.ts';
import { tryCuts } from './cuts.ts';
import { ARCHITECTURE, IS_EMULATED } from './debian.ts';
import type { Machine } from './machine.ts';
import { packageFor } from './package-file.ts';
import { entries, STATE, tryEverything } from './scenarios.ts';
import { until } from './until.ts';

let site: BootedSite;
let machine: Machine;
let packageFile: string;
beforeAll(async () => {
  packageFile = packageFor(ARCHITECTURE, inject('packages'));
  ({ site, machine } = await bootMachine(packageFile));
});
afterAll(() => site?.stop());
// What went before tells why.
beforeEach(({ onTestFailed }) => {
  onTestFailed(() => {
    const lines = site.log().split('\n').slice(-60);
    process.stderr.write(lines.map((line) => `${line.slice(0, 400)}\n`).join(''));
  });
});

const backups = () => readdirSync(site.path(`${STATE}/backups`));

test('the service is active, watched over, without a network and without rights', async () => {
  const { container } = site;
  expect(site.property('ActiveState')).toBe('active');
  expect(site.property('SubState')).toBe('running');
  // Said again with every sign of life.
  const open = 'idle; cash-in open; cash-out open';
  await until('its status', () => site.property('StatusText') === open);
  expect(site.property('WatchdogUSec')).toBe('30s');
  expect(container.do('cat', '/proc/net/dev').match(/^ *\w+:/gm)).toEqual(['    lo:']);
  const status = container.do('cat', `/proc/${site.pid()}/status`);
  expect(status).toMatch(/^CapEff:\s+0{16}$/m);
  expect(status).toMatch(/^NoNewPrivs:\s+1$/m);
  if (!IS_EMULATED) expect(status).toMatch(/^Seccomp:\s+2$/m);
  const owner = container.do('stat', '--format=%U %a', `${STATE}/state.sqlite`).trim();
  expect(owner).toBe('spire 600');
  // The key that seals the pairing comes from systemd, and does not lie beside what it seals.
  expect(existsSync(site.path(`${STATE}/pairing.json`))).toBe(true);
  expect(existsSync(site.path(`${STATE}/sealing.key`))).toBe(IS_EMULATED);
});

test('the backup timer is armed for the night; when it is due the state is copied', async () => {
  const { container } = site;
  const timer = 'spire-backup.timer';
  expect(container.property(timer, 'ActiveState')).toBe('active');
  expect(container.property(timer, 'NextElapseUSecRealtime')).toMatch(/ 03:\d\d:/);
  // The night comes at once.
  const soon = 'OnCalendar=\nOnActiveSec=1s\nRandomizedDelaySec=0\nAccuracySec=100ms\n';
  container.write(`/run/systemd/system/${timer}.d/soon.conf`, `[Timer]\n${soon}`);
  container.do('systemctl', 'daemon-reload');
  container.do('systemctl', 'restart', timer);
  const ended = () => container.property('spire-backup.service', 'ExecMainExitTimestampMonotonic');
  await until('a backup', () => Number(ended()) > 0);
  expect(container.property('spire-backup.service', 'Result')).toBe('success');
  expect(container.property(timer, 'LastTriggerUSec')).not.toBe('');
  expect(backups()).toHaveLength(1);
  const owner = container.do('stat', '--format=%U', `${STATE}/backups/${backups()[0]}`).trim();
  expect(owner).toBe('spire');
});

tryEverything(() => ({ machine, packageFile }));

test('what an update that went back leaves is a unit that failed, for whoever watches', () => {
  expect(site.container.property('spire-update.service', 'Result')).toBe('exit-code');
});

tryCuts(() => ({ site, machine, packageFile }));

test('a stop is an orderly end, and removing keeps state, pairing and configuration', async () => {
  const { container } = site;
  const started = await entries(machine, 'agent.started');
  expect(started.length).toBeGreaterThan(3);
  container.do('systemctl', 'stop', SERVICE);
  expect(site.property('Result')).toBe('success');
  expect(site.log()).not.toContain('systemd not told');
  container.do('dpkg', '--purge', 'spire-agent');
  expect(existsSync(site.path('/opt/spire/releases'))).toBe(false);
  const kept = readdirSync(site.path(STATE));
  expect(kept).toEqual(expect.arrayContaining(['backups', 'pairing.json', 'state.sqlite']));
  expect(readFileSync(site.path('/etc/spire/spire.json'), 'utf8')).toContain('id003');
  expect(existsSync(site.path('/usr/bin/spire'))).toBe(false);
});
