/** The `spire` command as a real process against the real API on a real socket. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { entry, FakeService } from '#test/agent/api/fake-service.ts';
import { newFolder, startHarness } from '#test/agent/api/harness.ts';
import { screens } from '#test/agent/api/views.ts';
import { inProcess, spire, start } from './process.ts';

/** Listens on a socket and does with each connection what is asked. */
async function listen(act: (server: Server) => void): Promise<string> {
  const path = join(newFolder(), 'other.sock');
  const server = createServer();
  act(server);
  server.unref();
  server.listen(path);
  await once(server, 'listening');
  return path;
}

describe.concurrent('reading verbs', () => {
  test.each(['status', 'journal', 'documents', 'obligations'])(
    '%s is plain text of 80 columns',
    async (verb) => {
      await using harness = await startHarness();
      const { code, out, err } = await inProcess([verb, '--socket', harness.socketPath]);
      expect([code, err]).toEqual([0, '']);
      expect(out.trimEnd()).not.toBe('');
      expect(out.endsWith('\n')).toBe(true);
      for (const line of out.split('\n')) {
        expect(line.length).toBeLessThanOrEqual(80);
        expect(line).toBe(line.trimEnd());
      }
      expect(out).not.toMatch(/undefined|NaN|\[object/);
    },
  );

  test('status says how the bays are used, what differed, and how old the documents are', async () => {
    await using harness = await startHarness();
    const { out } = await inProcess(['status', '--socket', harness.socketPath]);
    const text = out.replaceAll(/\n +/g, ' ');
    for (const words of [
      '1: 504 dispensed, 6 rejected in 28 d, 18.2 a day, empty in 12 d, 1 reject in 85',
      '2: 0 dispensed, 0 rejected in 0 d',
      '2026-11-20 bay:1: 3 of 20 USD short, Miscounted at the last refill: torn (K7Q4-9XMB)',
      '2026-11-19 cashbox: 1 of 50 USD over, Nobody knows (K7Q4-9XMC)',
      'from operator, bitspire-fees: 2 h old, a newer one was refused: schema_version 9',
      'from operator, bitspire-limits: never',
      'to operator, beacon: 0 s old, waits to be published',
    ]) {
      expect(text).toContain(words);
    }
  });

  test('status says what closes the machine, and what the devices say', async () => {
    const closed = screens.find(([name]) => name === 'outOfService');
    await using harness = await startHarness({ service: new FakeService(closed?.[1]) });
    const { out } = await inProcess(['status', '--socket', harness.socketPath]);
    for (const words of [
      'out of service',
      'cashBoxFull: The cash box is full.',
      'jam: Notes are jammed',
      '2: 88 notes of 50 USD, inaccurate, parked',
      'wss://second.example.org (connection refused)',
      'chain whole',
    ]) {
      expect(out).toContain(words);
    }
  });

  test('--json is what the API says', async () => {
    await using harness = await startHarness();
    const { service, socketPath } = harness;
    const json = async (verb: string) => {
      const { code, out } = await inProcess([verb, '--json', '--socket', socketPath]);
      expect(code).toBe(0);
      return out;
    };
    expect(JSON.parse(await json('status'))).toEqual(service.status());
    expect(JSON.parse(await json('documents'))).toEqual(service.documents());
    expect(JSON.parse(await json('obligations'))).toEqual(service.obligations());
    const lines = (await json('journal')).trimEnd().split('\n');
    expect(lines.map((line) => JSON.parse(line))).toEqual(service.entries);
  });

  test('what others wrote cannot steer the terminal', async () => {
    const service = new FakeService();
    service.entries = [
      { ...entry(1, 'note\u001b[2J'), body: { reason: '\u001b]0;x\u0007\u202e' } },
    ];
    await using harness = await startHarness({ service });
    const { out } = await inProcess(['journal', '--socket', harness.socketPath]);
    expect(out.replaceAll('\n', '')).not.toMatch(/\p{Cc}|\p{Cf}/u);
    expect(out).toContain('reason');
  });

  test('a broken chain is a fault found', async () => {
    const service = new FakeService();
    const status = service.status();
    service.status = () => ({ ...status, journal: { ...status.journal, chain: 'broken' } });
    await using harness = await startHarness({ service });
    const { code, out } = await inProcess(['status', '--socket', harness.socketPath]);
    expect(code).toBe(1);
    expect(out).toContain('chain BROKEN');
  });
});

describe.concurrent('settle', () => {
  const told = ['--by', 'Ana', '--reason', 'counted by hand'];

  test('by the reference that the customer has', async () => {
    await using harness = await startHarness();
    const { service, socketPath } = harness;
    const { code, out } = await inProcess([
      ...['settle', 'k7q4-9xmb', ...told, '--socket', socketPath],
    ]);
    expect([code, out]).toEqual([0, 'Settled. Its claim code is void.\n']);
    expect(service.settlements).toEqual([
      { obligationId: 'ee'.repeat(16), by: 'Ana', reason: 'counted by hand' },
    ]);
  });

  test('of nothing, and of a reference that has several, is wrong usage', async () => {
    await using harness = await startHarness();
    const { service, socketPath } = harness;
    const nothing = await inProcess(['settle', 'NOPE', ...told, '--socket', socketPath]);
    expect([nothing.code, nothing.err]).toEqual([2, 'spire: Nothing is open under NOPE.\n']);
    const [one] = service.obligations();
    if (!one) throw new Error('nothing is open');
    const other = { ...one, id: 'ff'.repeat(16), kind: 'remainder' };
    service.obligations = () => [one, other];
    const several = await inProcess(['settle', 'K7Q4-9XMB', ...told, '--socket', socketPath]);
    expect(several.code).toBe(2);
    expect(several.err).toContain(`${other.id} (remainder)`);
    const named = await inProcess(['settle', other.id, ...told, '--socket', socketPath]);
    expect(named.code).toBe(0);
    expect(service.settlements).toMatchObject([{ obligationId: other.id }]);
  });
});

describe.concurrent('journal', () => {
  test('asks for what it was told', async () => {
    await using harness = await startHarness();
    const told = ['--transaction', 'K7Q4-9XMB', '--kind', 'note.deposited', '--limit', '7'];
    const { code } = await inProcess(['journal', ...told, '--socket', harness.socketPath]);
    expect(code).toBe(0);
    expect(harness.service.journalQueries).toEqual([
      { transaction: 'K7Q4-9XMB', kind: 'note.deposited', limit: 7 },
    ]);
  });

  // What is polled beside other tests belongs to the test by its own `expect`.
  test.for(['SIGINT', 'SIGTERM'] as const)(
    '--follow shows what is new, each entry once, and %s ends it in order',
    async (signal, { expect }) => {
      await using harness = await startHarness();
      const { service, socketPath } = harness;
      const child = start(['journal', '--follow', '--json', '--socket', socketPath]);
      let out = '';
      child.stdout?.on('data', (chunk: Buffer) => {
        out += chunk.toString();
      });
      const ended = once(child, 'close');
      const seen = () =>
        out
          .split('\n')
          .filter((line) => line !== '')
          .map((line) => (JSON.parse(line) as { seq: number }).seq);
      await expect.poll(seen, { timeout: 10_000 }).toEqual([1, 2, 3]);
      service.entries = [...service.entries, entry(4), entry(5)];
      await expect.poll(seen, { timeout: 10_000 }).toEqual([1, 2, 3, 4, 5]);
      child.kill(signal);
      expect(await ended).toEqual([0, null]);
    },
  );

  test('--follow can be stopped in the middle of a question', async () => {
    let stop: () => void = () => undefined;
    const deaf = await listen((server) => server.on('connection', () => stop()));
    const ended = await inProcess(['journal', '--follow', '--socket', deaf], (task) => {
      stop = task;
    });
    expect(ended).toEqual({ code: 0, out: '', err: '' });
  });

  test('--follow ends with words when the agent goes', async ({ expect }) => {
    const harness = await startHarness();
    const ended = inProcess(['journal', '--follow', '--socket', harness.socketPath]);
    await expect.poll(() => harness.service.journalQueries.length, { timeout: 10_000 }).toBe(1);
    await harness.api.close();
    const { code, err } = await ended;
    expect(code).toBe(69);
    expect(err).toContain('not running');
  });

  test('a reader that has seen enough is no fault', async () => {
    const service = new FakeService();
    service.entries = Array.from({ length: 1_000 }, (_, index) => entry(index + 1));
    await using harness = await startHarness({ service });
    const child = start(['journal', '--limit', '1000', '--socket', harness.socketPath]);
    let err = '';
    child.stderr?.on('data', (chunk: Buffer) => {
      err += chunk.toString();
    });
    const ended = once(child, 'close');
    child.stdout?.once('data', () => child.stdout?.destroy());
    expect(await ended).toEqual([0, null]);
    expect(err).toBe('');
  });
});

describe.concurrent('how it ends', () => {
  test('69 when the agent is not running, with what to do next', async () => {
    const folder = newFolder();
    const path = join(folder, 'agent.sock');
    const { code, out, err } = await spire(['status', '--socket', path]);
    expect([code, out]).toEqual([69, '']);
    expect(err).toBe(`spire: The agent is not running: nobody listens on ${path}.\n`);
  });

  test('69 when what listens hangs up, 1 when it is something else', async () => {
    const dead = await listen((server) => server.on('connection', (socket) => socket.destroy()));
    expect((await inProcess(['status', '--socket', dead])).code).toBe(69);
    const web = await listen((server) =>
      server.on('connection', (socket) => socket.end('HTTP/1.1 200 OK\r\n\r\n<html>')),
    );
    for (const verb of ['status', 'doctor', 'probe']) {
      expect((await inProcess([verb, '--socket', web])).code).toBe(1);
    }
    const other = await listen((server) =>
      server.on('connection', (socket) => socket.end('HTTP/1.1 200 OK\r\n\r\n{"machine":1}')),
    );
    const { code, err } = await inProcess(['status', '--socket', other]);
    expect(code).toBe(1);
    expect(err).toContain('of two versions');
  });

  test('the refusals of the API have their exit codes', async () => {
    const codes = { usage: 2, notPermitted: 77, busy: 75, internal: 1 };
    for (const [code, exit] of Object.entries(codes)) {
      const body = JSON.stringify({ code, reason: 'Because of this.' });
      const path = await listen((server) =>
        server.on('connection', (socket) => socket.end(`HTTP/1.1 400 No\r\n\r\n${body}`)),
      );
      const ended = await inProcess(['status', '--socket', path]);
      expect(ended).toEqual({ code: exit, out: '', err: 'spire: Because of this.\n' });
    }
  });

  test.each([
    [['frobnicate']],
    [[]],
    [['status', '--nonsense']],
    [['status', 'too', 'many']],
    [['journal', '--limit', '0']],
    [['journal', '--limit', '1001']],
    [['journal', '--limit', 'x']],
    [['pair']],
    [['pair', 'seed', '--operator', 'x']],
  ])('2 for wrong usage: %j', async (words) => {
    const { code, out, err } = await inProcess(words);
    expect([code, out]).toEqual([2, '']);
    expect(err).not.toBe('');
    expect(err).not.toContain('    at ');
  });

  test('as a process it ends with the same codes', async () => {
    await using harness = await startHarness();
    const done = await spire(['status', '--json', '--socket', harness.socketPath]);
    expect([done.code, done.err]).toEqual([0, '']);
    expect(JSON.parse(done.out)).toEqual(harness.service.status());
    expect((await spire(['frobnicate'])).code).toBe(2);
    expect((await spire(['--version'])).out).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

  test('69 when an answer has no end', async () => {
    const zeros = Buffer.alloc(1024 * 1024, '0');
    const endless = await listen((server) =>
      server.on('connection', (socket) => {
        const more = () => {
          while (socket.writable && socket.write(zeros));
        };
        socket.on('drain', more);
        socket.on('error', () => undefined);
        socket.write('HTTP/1.1 200 OK\r\n\r\n');
        more();
      }),
    );
    const { code, err } = await inProcess(['status', '--socket', endless]);
    expect(code).toBe(69);
    expect(err).toContain('its answer has no end');
  });

  test('1 for a refusal in another shape', async () => {
    const path = await listen((server) =>
      server.on('connection', (socket) => socket.end('HTTP/1.1 418 No\r\n\r\n{}')),
    );
    const { code, err } = await inProcess(['status', '--socket', path]);
    expect([code, err]).toEqual([1, 'spire: The agent answered with HTTP status 418.\n']);
  });

  test('0 for help and version', async () => {
    for (const words of [['--help'], ['journal', '--help'], ['--version']]) {
      const { code, out, err } = await inProcess(words);
      expect([code, err]).toEqual([0, '']);
      expect(out).not.toBe('');
      for (const line of out.split('\n')) expect(line.length).toBeLessThanOrEqual(80);
    }
  });
});
