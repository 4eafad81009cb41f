/** `spire backup` and `spire restore`: through a running agent, and on the files themselves. */
import { chownSync, existsSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { systemClock, systemRandom } from '#protocol/base/clock.ts';
import { AtmError, StoreError } from '#protocol/base/errors.ts';
import { silentLog } from '#protocol/base/log.ts';
import { openStore, type Store } from '#state/store.ts';
import { FakeService } from '#test/agent/api/fake-service.ts';
import { newFolder, startHarness } from '#test/agent/api/harness.ts';
import { KEY } from '#test/state/fixtures.ts';
import { inProcess, spire } from './process.ts';

/** A user who is neither root nor anybody else. */
const SERVICE = 61_234;
const isRoot = process.getuid?.() === 0;

function openState(folder: string): Store {
  const path = join(folder, 'state.sqlite');
  const options = { clock: systemClock, random: systemRandom, log: silentLog, sealingKey: KEY };
  return openStore({ path, ...options, bootId: 'boot' });
}

/** A folder with a state of so many entries, as its service leaves it. */
function stateFolder(entries: number): string {
  const folder = newFolder();
  const store = openState(folder);
  store.commit(() => {
    for (let index = 0; index < entries; index++) store.journal.append('agent.started', { index });
  });
  store.close();
  if (isRoot)
    for (const name of ['.', 'state.sqlite']) chownSync(join(folder, name), SERVICE, SERVICE);
  return folder;
}

/** Who owns everything below a folder. */
function owners(folder: string): ReadonlySet<number> {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  return new Set(names.map((name) => statSync(join(folder, name)).uid));
}
const mine = new Set([isRoot ? SERVICE : process.getuid?.()]);
const nobody = () => ['--socket', join(newFolder(), 'no.sock')];

describe.concurrent('spire backup', () => {
  test('asks the agent that runs, and says what it made', async () => {
    await using harness = await startHarness();
    const words = ['backup', '--socket', harness.socketPath];
    expect(await inProcess(words)).toEqual({
      code: 0,
      out: '/var/lib/spire/backups/state-000001.sqlite: 3 journal entries, 0.0 MB, proven.\n',
      err: '',
    });
    expect(JSON.parse((await inProcess([...words, '--json'])).out)).toMatchObject({ entries: 3 });
  });

  test('75 while a customer is there, 1 with the reason when the copy does not verify', async () => {
    const service = new FakeService();
    await using harness = await startHarness({ service });
    const words = ['backup', '--socket', harness.socketPath];
    service.backupFault = new AtmError('locked', 'a customer is at the machine');
    expect(await inProcess(words)).toMatchObject({
      code: 75,
      err: expect.stringMatching(/a customer is at the machine/),
    });
    service.backupFault = new StoreError('corrupt', 'the backup does not verify: cashbox');
    expect(await inProcess(words)).toMatchObject({
      code: 1,
      err: expect.stringMatching(/does not verify: cashbox/),
    });
  });

  test('of a machine at rest is made by the command, and belongs to the service', async () => {
    const state = stateFolder(5);
    const words = ['backup', '--state', state, ...nobody()];
    const { code, out, err } = await spire([...words, '--json']);
    expect([code, err]).toEqual([0, '']);
    const made: unknown = JSON.parse(out);
    expect(made).toMatchObject({ entries: 5 });
    expect(readdirSync(join(state, 'backups'))).toHaveLength(1);
    expect(owners(state)).toEqual(mine);
  });

  test('--to proves a second copy, and overwrites nothing', async () => {
    const state = stateFolder(5);
    const to = join(newFolder(), 'disk');
    const { code, out } = await inProcess(['backup', '--state', state, '--to', to, ...nobody()]);
    expect([code, out]).toEqual([0, expect.stringContaining(`${to}/state-000001-`)]);
    const [name = ''] = readdirSync(to);
    expect(statSync(join(to, name)).mode & 0o777).toBe(0o600);
    expect(readdirSync(to)).toHaveLength(1);
    // The numbers begin anew; the same second gives the same name.
    rmSync(join(state, 'backups'), { recursive: true });
    writeFileSync(join(to, 'state-000002-20260101T000000Z.sqlite'), 'of another machine');
    await inProcess(['backup', '--state', state, '--to', to, ...nobody()]);
    expect(readdirSync(to)).toContain('state-000002-20260101T000000Z.sqlite');
  });

  test('without an agent and without a state there is nothing to back up', async () => {
    const empty = await inProcess(['backup', '--state', newFolder(), ...nobody()]);
    expect(empty).toMatchObject({ code: 78, err: expect.stringMatching(/there is no state in/) });
    const nowhere = await inProcess(['backup', '--state', '/nowhere', ...nobody()]);
    expect(nowhere).toMatchObject({
      code: 78,
      err: expect.stringMatching(/there is no folder \/nowhere/),
    });
  });

  test('75 when another program holds the state without answering', async () => {
    const state = stateFolder(1);
    const store = openState(state);
    const { code, err } = await inProcess(['backup', '--state', state, ...nobody()]);
    store.close();
    expect([code, err]).toEqual([75, expect.stringContaining('another agent or tool holds')]);
  });
});

describe.concurrent('spire restore', () => {
  /** A state with five entries, its backup, and then two entries more. */
  async function backedUp(): Promise<{ readonly state: string; readonly file: string }> {
    const state = stateFolder(5);
    const { out } = await inProcess(['backup', '--state', state, '--json', ...nobody()]);
    const { path }: { path: string } = JSON.parse(out);
    const store = openState(state);
    store.commit(() => store.journal.append('agent.started', {}));
    store.commit(() => store.journal.append('agent.started', {}));
    store.close();
    return { state, file: path };
  }

  test('makes the backup the state, keeps the old one, and says what comes next', async () => {
    const { state, file } = await backedUp();
    const { code, out } = await spire(['restore', file, '--state', state, '--yes']);
    expect(code).toBe(0);
    expect(out).toMatch(/Restored to journal entry 5; epoch 2 begins\./);
    expect(out).toMatch(/then spire settle \S+, and count the bays/);
    expect(owners(state)).toEqual(mine);
    const names = readdirSync(state).sort();
    expect(names).toEqual(['backups', expect.stringMatching(/^state-replaced-/), 'state.sqlite']);
    const store = openState(state);
    expect(store.journal.head()).toMatchObject({ seq: 6, epoch: 2 });
    expect(store.journal.read({ kind: 'state.restored' })[0]?.body.replaced).toMatchObject({
      seq: 7,
    });
    store.close();
    expect(existsSync(file)).toBe(true);
  });

  test('asks first, and without an answer changes nothing', async () => {
    const { state, file } = await backedUp();
    const before = readdirSync(state);
    const { code, err } = await inProcess(['restore', file, '--state', state]);
    expect([code, err]).toEqual([2, expect.stringContaining('Nothing was restored')]);
    expect(await inProcess(['restore', '--state', state, '--yes'])).toMatchObject({ code: 2 });
    expect(readdirSync(state)).toEqual(before);
  });

  test('75 while the service holds the state; a damaged backup is 1; none is 78', async () => {
    const { state, file } = await backedUp();
    const store = openState(state);
    const held = await inProcess(['restore', file, '--state', state, '--yes']);
    expect(held).toMatchObject({
      code: 75,
      err: expect.stringMatching(/systemctl stop spire-agent/),
    });
    expect(store.journal.count()).toBe(7);
    store.close();
    const damaged = join(newFolder(), 'damaged.sqlite');
    writeFileSync(damaged, 'no database');
    expect(await inProcess(['restore', damaged, '--state', state, '--yes'])).toMatchObject({
      code: 1,
    });
    const missing = await inProcess(['restore', '/nowhere', '--state', state, '--yes']);
    expect(missing).toMatchObject({
      code: 78,
      err: expect.stringMatching(/cannot read \/nowhere/),
    });
    const after = openState(state);
    expect(after.journal.count()).toBe(7);
    after.close();
  });

  test('onto a new computer, and over a state that nobody can open', async () => {
    const { file } = await backedUp();
    const box = newFolder();
    const fresh = await inProcess(['restore', file, '--state', box, '--yes', '--json']);
    expect(JSON.parse(fresh.out)).toMatchObject({ replaced: null, epoch: 2 });
    const words = await inProcess(['restore', file, '--state', newFolder(), '--yes']);
    expect(words.out).toContain('There was no state before.');
    writeFileSync(join(box, 'state.sqlite'), 'no database');
    const over = await inProcess(['restore', file, '--state', box, '--yes']);
    expect(over).toMatchObject({
      code: 0,
      out: expect.stringMatching(/there was none that could be opened/),
    });
    expect(readdirSync(box).filter((name) => name.startsWith('state-replaced-'))).toHaveLength(1);
  });

  test('--confirm makes a suspended claim good again, by name and reason', async () => {
    const service = new FakeService();
    await using harness = await startHarness({ service });
    const words = ['restore', '--confirm', 'k7q4-9xmb', '--socket', harness.socketPath];
    expect(await inProcess(words)).toMatchObject({
      code: 2,
      err: expect.stringMatching(/--by who confirms it/),
    });
    const by = ['--by', 'Ana', '--reason', 'asked the customer'];
    expect(await inProcess([...words, ...by])).toMatchObject({
      code: 2,
      err: expect.stringMatching(/No such claim/),
    });
    service.obligationState = 'unknown';
    expect(await inProcess([...words, ...by])).toMatchObject({
      code: 0,
      out: expect.stringMatching(/is good again/),
    });
    expect(service.confirmations).toEqual([
      { obligationId: 'ee'.repeat(16), by: 'Ana', reason: 'asked the customer' },
    ]);
    service.confirmed = 'notSuspended';
    const refused = await inProcess([...words, ...by]);
    expect(refused).toMatchObject({
      code: 1,
      err: expect.stringMatching(/No restore suspended it/),
    });
  });
});
