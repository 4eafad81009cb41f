/** `spire probe` on real pseudo terminals, and through the agent where that holds the port. */
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { z } from 'zod';
import { type DeviceView, deviceView } from '#agent/api/schemas.ts';
import { SystemPort } from '#hal/serial-port.ts';
import { makeSimulatedDevice } from '#hal/simulator/models.ts';
import { openPty } from '#hal/simulator/pty.ts';
import { systemClock, systemRandom } from '#protocol/base/clock.ts';
import { silentLog } from '#protocol/base/log.ts';
import { openDatabase } from '#state/database.ts';
import { openStore } from '#state/store.ts';
import { newFolder, startHarness } from '#test/agent/api/harness.ts';
import { KEY } from '#test/state/fixtures.ts';
import { inProcess } from './process.ts';

const result = z.object({
  source: z.enum(['line', 'agent']),
  device: deviceView.nullable(),
  attempts: z.array(z.object({ protocol: z.string(), outcome: z.string() })),
});

/** A simulated device behind a pty; gives the tty that a host opens. */
async function tty(protocol: string): Promise<string> {
  const cassettes = { '1': { denomination: 20, count: 10 } };
  const device = makeSimulatedDevice(protocol, undefined, systemClock, {
    currency: 'USD',
    cassettes,
  });
  const pty = await openPty();
  pty.onData((bytes) => device.receive(bytes));
  device.connect((bytes) => pty.write(bytes));
  onTestFinished(() => {
    device.stop();
    pty.close();
  });
  return pty.path;
}

const nowhere = () => ['--socket', join(newFolder(), 'no.sock'), '--state', newFolder()];

const held = (port: string): DeviceView => ({
  device: 'validator',
  protocol: 'id003',
  port,
  identity: { protocol: 'id003', model: 'UBA', firmware: 'U(USA)', serialNumber: null },
  condition: { code: 'ready', text: '' },
  status: { cashBox: 'ok', notes: [20, 50] },
  capabilities: { escrow: true },
  counters: { stacked: 12 },
});

describe('spire probe', () => {
  test('without a port it lists them, with who holds which', async () => {
    const { code, out } = await inProcess(['probe', '--json', ...nowhere()]);
    expect(code).toBe(0);
    expect(Array.isArray(JSON.parse(out))).toBe(true);
    const words = await inProcess(['probe', ...nowhere()]);
    expect([words.code, words.err]).toEqual([0, '']);
    expect(words.out.trim()).not.toBe('');
  });

  test('it finds a validator on a real tty, and lets go of it', async () => {
    const port = await tty('id003');
    const only = ['--protocol', 'id003'];
    const { code, out } = await inProcess([
      'probe',
      '--port',
      port,
      ...only,
      '--json',
      ...nowhere(),
    ]);
    expect(code).toBe(0);
    const found = result.parse(JSON.parse(out));
    expect(found).toMatchObject({ source: 'line', device: { port, protocol: 'id003' } });
    const words = await inProcess(['probe', '--port', port, ...only, ...nowhere()]);
    expect(words.code).toBe(0);
    expect(words.out).toMatch(/^Port {9}\/dev\/pts\/\d+$/m);
    expect(words.out).toMatch(/^Device {7}validator, /m);
    expect(words.err).toBe('trying id003\n');
    for (const line of words.out.split('\n')) expect(line.length).toBeLessThanOrEqual(80);
  });

  test('--watch tells what happens until it is stopped, and closes what it opened', async () => {
    const stop = (task: () => void) => task();
    const validator = ['--port', await tty('id003'), '--protocol', 'id003', '--watch', '--json'];
    const watched = await inProcess(['probe', ...validator, ...nowhere()], stop);
    expect(watched.code).toBe(0);
    expect(watched.out).toMatch(/slot\.opened.*slot\.closed/s);
    const dispenser = ['--port', await tty('lcdm'), '--protocol', 'lcdm', '--watch'];
    const ended = await inProcess(['probe', ...dispenser, ...nowhere()], stop);
    expect(ended.code).toBe(0);
    expect(ended.out).toContain('lcdm');
  });

  test('1 when nothing answers, with what was tried', async () => {
    const pty = await openPty();
    onTestFinished(() => pty.close());
    const words = ['probe', '--port', pty.path, '--protocol', 'f56', ...nowhere()];
    const { code, out } = await inProcess(words);
    expect(code).toBe(1);
    expect(out).toContain('Nothing that is known here answers');
    expect(out).toContain('silent');
  });

  test('69 for no port, 75 for one of another program, 2 for what cannot be', async () => {
    const missing = await inProcess(['probe', '--port', '/dev/no-such-tty', ...nowhere()]);
    expect([missing.code, missing.err]).toEqual([69, expect.stringContaining('spire probe lists')]);
    const path = await tty('id003');
    const other = new SystemPort({ path, clock: systemClock });
    await other.open({ baudRate: 9600, dataBits: 8, parity: 'none', stopBits: 1 });
    const locked = await inProcess(['probe', '--port', path, ...nowhere()]);
    await other.close();
    expect([locked.code, locked.err]).toEqual([75, expect.stringContaining('Another program')]);
    const unknown = ['probe', '--port', path, '--protocol', 'telepathy', ...nowhere()];
    expect((await inProcess(unknown)).code).toBe(2);
    expect((await inProcess(['probe', '--watch', ...nowhere()])).code).toBe(2);
    expect((await inProcess(['probe', '--currency', 'dollars'])).code).toBe(2);
  });

  test('1 when the state is no state: nobody knows whether an act is open', async () => {
    const port = await tty('id003');
    const where = nowhere();
    writeFileSync(join(where.at(-1) ?? '', 'state.sqlite'), 'no database');
    const words = ['probe', '--port', port, '--currency', 'EUR', ...where];
    const { code, out, err } = await inProcess(words);
    expect([code, out, err]).toEqual([1, '', expect.stringContaining('corrupt')]);
  });

  test('beside a running agent a port that it does not hold is asked all the same', async () => {
    await using harness = await startHarness();
    const port = await tty('id003');
    const words = ['probe', '--port', port, '--protocol', 'id003', '--currency', 'EUR', '--json'];
    const { code, out } = await inProcess([...words, '--socket', harness.socketPath]);
    expect(code).toBe(0);
    expect(result.parse(JSON.parse(out))).toMatchObject({ source: 'line' });
  });

  test('a port that the agent holds is asked through it, under any of its names', async () => {
    await using harness = await startHarness();
    const { service, socketPath } = harness;
    const folder = newFolder();
    const port = await tty('id003');
    const link = join(folder, 'by-id');
    symlinkSync(port, link);
    service.views = [held(link)];
    const words = ['probe', '--port', port, '--socket', socketPath];
    const { code, out } = await inProcess([...words, '--json']);
    expect(code).toBe(0);
    expect(result.parse(JSON.parse(out))).toMatchObject({ source: 'agent', device: held(link) });
    const shown = await inProcess(words);
    expect(shown.out).toContain('held by the agent');
    expect(shown.out).toContain('stacked: 12');
    const watched = await inProcess([...words, '--watch']);
    expect([watched.code, watched.err]).toEqual([75, expect.stringContaining('systemctl stop')]);
  });

  test('75 while the state is held, or an act on a device is open: its evidence is the agent’s', async () => {
    const port = await tty('id003');
    const state = newFolder();
    mkdirSync(state, { recursive: true });
    const path = join(state, 'state.sqlite');
    const common = { clock: systemClock, random: systemRandom, log: silentLog };
    const store = openStore({ ...common, path, sealingKey: KEY, bootId: 'boot' });
    const words = ['probe', '--port', port, '--protocol', 'id003', '--state', state];
    const probe = () => inProcess([...words, '--socket', join(state, 'no.sock')]);
    const locked = await probe();
    expect([locked.code, locked.err]).toEqual([75, expect.stringContaining('Another process')]);
    const intent = store.commit(() =>
      store.intents.open({ kind: 'deposit', device: 'acceptor', body: {} }),
    );
    store.close();
    const open = await probe();
    expect([open.code, open.out]).toEqual([75, '']);
    expect(open.err).toContain('A deposit on the acceptor was cut off');
    expect(open.err).not.toContain('trying');
    const again = openStore({ ...common, path, sealingKey: KEY, bootId: 'boot' });
    again.commit(() => again.intents.settle(intent.id, 'unknown', {}));
    again.close();
    expect((await probe()).code).toBe(0);
    openDatabase(path).close();
  });
});
