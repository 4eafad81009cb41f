/** What systemd is told, through a helper that is a real program and writes down what it got. */
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { MachineView } from '#agent/api/schemas.ts';
import { proveLife, Watchdog, type WatchdogOptions } from '#agent/watch/watchdog.ts';
import { type Clock, systemClock } from '#protocol/base/clock.ts';
import { silentLog } from '#protocol/base/log.ts';
import { newFolder, newStore } from '#test/state/fixtures.ts';
import { diskFailure, failingDisk } from '#test/support/failing-disk.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';
import { idleView } from '../api/views.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'spire-watchdog-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const toldFile = () => join(folder, 'told');
const told = () =>
  existsSync(toldFile()) ? readFileSync(toldFile(), 'utf8').trimEnd().split('\n') : [];
const feeds = () => told().filter((line) => line.includes('WATCHDOG=1')).length;

/** A helper that writes down the socket and every message; its end can be made to wait. */
function helper(end = ''): string {
  const path = join(folder, `helper${end === '' ? '' : '-slow'}`);
  writeFileSync(path, `#!/bin/sh\necho "$NOTIFY_SOCKET|$*" >> ${toldFile()}\n${end}\n`);
  chmodSync(path, 0o755);
  return path;
}

const SOCKET = '/run/systemd/notify';

function watchdog(
  environment: Partial<WatchdogOptions['environment']>,
  options: { readonly clock?: Clock; readonly helper?: string } = {},
): Watchdog {
  const none = { socket: undefined, watchdogUsec: undefined, watchdogPid: undefined };
  return new Watchdog({
    environment: { ...none, ...environment },
    clock: systemClock,
    log: silentLog,
    helper: helper(),
    ...options,
  });
}

const lives = () => 'idle';

describe('what systemd is told', () => {
  test('nothing, without its socket', async () => {
    const none = watchdog({ watchdogUsec: '3000' });
    await none.ready(lives);
    expect(await none.patiently(1_000, async () => 7)).toBe(7);
    expect(await watchdog({}).patiently(1_000, async () => 8)).toBe(8);
    await none.stopping('bye');
    expect(told()).toEqual([]);
  });

  test('that it is ready, how it is, and that it ends; no sign of life is asked for', async () => {
    const one = watchdog({ socket: SOCKET });
    await one.ready(() => 'idle;\ncash-in open');
    await one.stopping('The end.');
    expect(told()).toEqual([
      `${SOCKET}|READY=1 STATUS=idle; cash-in open`,
      `${SOCKET}|STOPPING=1 STATUS=The end.`,
    ]);
  });

  test('that it lives, every third of the time, only while that is proven', async () => {
    const clock = new VirtualClock();
    const one = watchdog({ socket: SOCKET, watchdogUsec: '30000000' }, { clock });
    let fault: string | undefined;
    await one.ready(() => {
      if (fault !== undefined) throw new Error(fault);
      return 'idle';
    });
    await clock.advance(9_999);
    expect(feeds()).toBe(0);
    await clock.advance(1);
    await expect.poll(feeds).toBe(1);
    fault = 'the disk failed';
    await clock.advance(10_000);
    await expect.poll(() => told().at(-1)).toContain('STATUS=Not alive: the disk failed');
    expect(feeds()).toBe(1);
    fault = undefined;
    for (const count of [2, 3]) {
      await clock.advance(10_000);
      await expect.poll(feeds).toBe(count);
    }
    await one.stopping('The end.');
    await clock.advance(60_000);
    expect(told().at(-1)).toContain('STOPPING=1');
    expect(feeds()).toBe(3);
  });

  test("nothing of life when the watchdog is another process's, or is none", async () => {
    const clock = new VirtualClock();
    for (const environment of [
      { watchdogUsec: '3000000', watchdogPid: '1' },
      { watchdogUsec: 'soon' },
      { watchdogUsec: '0' },
    ]) {
      await watchdog({ socket: SOCKET, ...environment }, { clock }).ready(lives);
    }
    const ours = { watchdogUsec: '3000000', watchdogPid: String(process.pid) };
    await watchdog({ socket: SOCKET, ...ours }, { clock }).ready(lives);
    await clock.advance(1_000);
    await expect.poll(feeds).toBe(1);
  });

  test('a helper that hangs is ended, and one that is not there does no harm', async () => {
    const clock = new VirtualClock();
    const slow = watchdog({ socket: SOCKET }, { clock, helper: helper('exec sleep 600') });
    const ready = slow.ready(lives);
    await expect.poll(told).toHaveLength(1);
    await clock.advance(5_000);
    await ready;
    await watchdog({ socket: SOCKET }, { helper: join(folder, 'nowhere') }).ready(lives);
    expect(told()).toHaveLength(1);
  });

  test('to wait longer for what blocks, and as before when it is over or has failed', async () => {
    const one = watchdog(
      { socket: SOCKET, watchdogUsec: '30000000' },
      { clock: new VirtualClock() },
    );
    const failed = one.patiently(600_000, async () => {
      expect(told().at(-1)).toContain('WATCHDOG=1 WATCHDOG_USEC=630000000');
      throw new Error('no room');
    });
    await expect(failed).rejects.toThrow('no room');
    expect(told().at(-1)).toContain('WATCHDOG=1 WATCHDOG_USEC=30000000');
  });
});

describe('the proof of life', () => {
  const clock = new VirtualClock();
  const view = (): MachineView => ({
    ...idleView,
    cashOut: {
      ...idleView.cashOut,
      open: false,
      reasons: [{ code: 'noNotes', text: 'There are no notes.' }],
    },
  });

  test('is a write on the disk, and says how the machine is', () => {
    let commits = 0;
    const openDatabase = failingDisk({
      afterCommit: () => {
        commits++;
      },
    });
    const store = newStore({ openDatabase });
    const before = commits;
    expect(proveLife(store, clock, view)).toBe('idle; cash-in open; cash-out closed (noNotes)');
    expect(commits).toBe(before + 1);
    expect(store.facts.get('alive')?.atUnixMs).toBe(clock.now());
    expect(store.journal.count()).toBe(0);
  });

  test('fails with the disk, and goes on failing until the file is opened anew', () => {
    const faults: Error[] = [];
    const openDatabase = failingDisk({
      beforeCommit: () => {
        const [fault] = faults;
        if (fault) throw fault;
      },
    });
    const store = newStore({ openDatabase });
    proveLife(store, clock, view);
    faults.push(diskFailure());
    expect(() => proveLife(store, clock, view)).toThrow('the disk failed');
    faults.pop();
    expect(() => proveLife(store, clock, view)).toThrow('until a restart checked it');
  });

  test('a full disk is alive: a restart would make no room', () => {
    const openDatabase = failingDisk({
      beforeCommit: () => {
        throw new Sqlite.SqliteError('database or disk is full', 'SQLITE_FULL');
      },
    });
    const store = newStore({ openDatabase });
    expect(proveLife(store, clock, view)).toMatch(/; the disk is full$/);
  });

  test('fails when the end of the journal was changed', () => {
    const path = join(newFolder(), 'state.sqlite');
    const store = newStore({ path });
    store.commit(() => {
      for (let index = 0; index < 40; index++) store.journal.append('agent.started', { index });
    });
    expect(proveLife(store, clock, view)).toContain('idle');
    store.close();
    const raw = new Sqlite(path);
    raw.exec('DROP TRIGGER journal_no_update');
    raw.exec(`UPDATE journal SET body = '{"index":99}' WHERE seq = 38`);
    raw.close();
    const changed = newStore({ path });
    expect(() => proveLife(changed, clock, view)).toThrow('journal entry 38 was changed');
  });

  test('fails when the machines do not answer', () => {
    const silent = () => {
      throw new Error('no machine');
    };
    expect(() => proveLife(newStore(), clock, silent)).toThrow('no machine');
  });
});
