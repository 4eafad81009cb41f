import { once } from 'node:events';
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type ApiErrorBody, apiErrorBody, codeOfStatus } from '#agent/api/errors.ts';
import { answeringRoutes, type Scope, schemas } from '#agent/api/routes.ts';
import { commandResult } from '#agent/api/schemas.ts';
import { BODY_BYTES_MAX, startApi } from '#agent/api/server.ts';
import { systemClock, systemRandom } from '#protocol/base/clock.ts';
import { silentLog } from '#protocol/base/log.ts';
import { FakeService } from './fake-service.ts';
import {
  type Answer,
  call,
  type Harness,
  newFolder,
  SCREEN_FILE,
  startHarness,
} from './harness.ts';
import { BOLT11, cashIn, cashOut, LNURL, SESSION, screens } from './views.ts';

const bearer = (harness: Harness) => ({ authorization: `Bearer ${harness.token}` });
const customer = (harness: Harness, path: string) =>
  call({ port: harness.port, path, headers: bearer(harness) });
const service = (harness: Harness, path: string) => call({ socketPath: harness.socketPath, path });
const start = { session: SESSION, step: 0, do: 'startCashIn' };

function expectRefusal(answer: Answer, status: number, code: string): void {
  expect(answer.status).toBe(status);
  const body = apiErrorBody.parse(JSON.parse(answer.text));
  expect(body.code).toBe(code);
  expect(body.reason).not.toBe('');
}

const post = (harness: Harness, body: unknown, headers: Record<string, string> = {}) =>
  call({
    socketPath: harness.socketPath,
    method: 'POST',
    path: '/v1/commands',
    body: typeof body === 'string' ? body : JSON.stringify(body),
    headers,
  });

describe('a settlement', () => {
  const ID = 'ee'.repeat(16);
  const send = (harness: Harness, body: unknown) =>
    call({
      socketPath: harness.socketPath,
      method: 'POST',
      path: '/v1/settlements',
      body: JSON.stringify(body),
    });

  test('is passed on as it is said, by the service scope', async () => {
    await using harness = await startHarness();
    const answer = await send(harness, { obligation: ID, by: ' Ana ', reason: 'counted' });
    expect([answer.status, JSON.parse(answer.text)]).toEqual([200, { outcome: 'settled' }]);
    expect(harness.service.settlements).toEqual([
      { obligationId: ID, by: 'Ana', reason: 'counted' },
    ]);
  });

  test('of nothing, of what is being redeemed, or without a name is refused', async () => {
    await using harness = await startHarness();
    const good = { obligation: ID, by: 'Ana', reason: 'counted' };
    harness.service.settled = 'notFound';
    expectRefusal(await send(harness, good), 404, 'notFound');
    harness.service.settled = 'busy';
    expectRefusal(await send(harness, good), 503, 'busy');
    expectRefusal(await send(harness, { ...good, by: ' ' }), 400, 'usage');
    expect(harness.service.settlements).toHaveLength(2);
  });
});

describe('scopes', () => {
  const cases: [Scope, string[]][] = [
    [
      'service',
      ['machine', 'status', 'journal', 'documents', 'obligations', 'openapi.json', 'events'],
    ],
    ['customer', ['machine', 'qr.svg', 'openapi.json', 'events']],
  ];
  const all = [...new Set(cases.flatMap(([, names]) => names))];

  test.each(cases)('%s scope has its own paths and no more', async (scope, names) => {
    await using harness = await startHarness({
      service: new FakeService(cashIn({ lnurl: LNURL })),
    });
    const get = scope === 'service' ? service : customer;
    for (const name of all.filter((one) => one !== 'events')) {
      const answer = await get(harness, `/v1/${name}`);
      expect([name, answer.status]).toEqual([name, names.includes(name) ? 200 : 404]);
    }
  });

  test('every answer is what its schema says, for every screen', async () => {
    await using harness = await startHarness();
    const json = answeringRoutes.filter(
      ({ method, query, answer }) =>
        method === 'GET' && answer.schema && query.safeParse({}).success,
    );
    for (const [, view] of screens) {
      harness.service.show(view);
      for (const route of json) {
        const answer = await service(harness, route.path);
        expect(answer.headers['content-type']).toContain('application/json');
        const schema = schemas[route.answer.schema ?? 'Error'];
        expect(schema.safeParse(JSON.parse(answer.text)).error).toBeUndefined();
      }
    }
  });

  test('no answer is kept by a cache, framed or guessed at', async () => {
    await using harness = await startHarness();
    for (const answer of [
      await customer(harness, '/'),
      await customer(harness, '/v1/machine'),
      await customer(harness, '/nothing'),
      await service(harness, '/v1/status'),
    ]) {
      expect(answer.headers).toMatchObject({
        'cache-control': 'no-store',
        'x-content-type-options': 'nosniff',
        'referrer-policy': 'no-referrer',
      });
      expect(answer.headers['content-security-policy']).toContain("frame-ancestors 'none'");
      expect(answer.headers['access-control-allow-origin']).toBeUndefined();
    }
  });
});

describe('the customer scope is for the screen alone', () => {
  const paths = ['/v1/machine', '/v1/events', '/v1/qr.svg', '/v1/openapi.json', '/v1/nothing'];

  test.each(paths)('%s wants the token', async (path) => {
    await using harness = await startHarness();
    const { port, token } = harness;
    const wrong = [`Bearer ${'0'.repeat(32)}`, `Basic ${token}`, token, `Bearer ${token} `];
    expectRefusal(await call({ port, path }), 401, 'notAuthorized');
    for (const authorization of wrong.slice(0, 3)) {
      expectRefusal(await call({ port, path, headers: { authorization } }), 401, 'notAuthorized');
    }
  });

  test('a command without the token does not reach the service', async () => {
    await using harness = await startHarness();
    const body = JSON.stringify(start);
    const sent = { port: harness.port, path: '/v1/commands', method: 'POST', body };
    expectRefusal(await call(sent), 401, 'notAuthorized');
    expect(harness.service.commands).toEqual([]);
    expect((await call({ ...sent, headers: bearer(harness) })).status).toBe(200);
    expect(harness.service.commands).toEqual([start]);
  });

  test('the page needs no token, and only its address carries it', async () => {
    await using harness = await startHarness();
    const page = await call({ port: harness.port, path: '/' });
    expect(page.status).toBe(200);
    expect(page.headers['content-type']).toBe('text/html; charset=utf-8');
    expect(page.text).not.toContain(harness.token);
    expect(harness.api.screenUrl).toBe(`http://127.0.0.1:${harness.port}/#token=${harness.token}`);
    expect(harness.token).toMatch(/^[0-9a-f]{32}$/);
  });

  test.each(['/', '/v1/machine'])('%s is refused under a foreign name', async (path) => {
    await using harness = await startHarness();
    const { port } = harness;
    for (const host of ['evil.example', `evil.example:${port}`, '127.0.0.1', 'localhost:1']) {
      const answer = await call({ port, path, headers: { ...bearer(harness), host } });
      expectRefusal(answer, 403, 'notPermitted');
    }
    for (const host of [`127.0.0.1:${port}`, `localhost:${port}`]) {
      const answer = await call({ port, path, headers: { ...bearer(harness), host } });
      expect(answer.status).toBe(200);
    }
  });

  test('pages of another origin are refused, also before a request of theirs', async () => {
    await using harness = await startHarness();
    const { port } = harness;
    const own = `http://localhost:${port}`;
    for (const origin of ['https://evil.example', 'null', `https://localhost:${port}`, own]) {
      const headers = { ...bearer(harness), origin };
      const answer = await call({ port, path: '/v1/machine', headers });
      if (origin === own) expect(answer.status).toBe(200);
      else expectRefusal(answer, 403, 'notPermitted');
      const preflight = await call({ port, path: '/v1/commands', method: 'OPTIONS', headers });
      expect(preflight.status).toBeGreaterThanOrEqual(400);
      expect(preflight.headers['access-control-allow-methods']).toBeUndefined();
    }
  });

  test('the token of a boot outlives the agent when it has a file', async () => {
    const tokenFile = join(newFolder(), 'token');
    const options = {
      service: new FakeService(),
      log: silentLog,
      clock: systemClock,
      random: systemRandom,
      screen: { host: '127.0.0.1', port: 0, tokenFile },
      screenFile: SCREEN_FILE,
    } as const;
    const tokens: (string | undefined)[] = [];
    for (const spoil of ['', 'no token']) {
      for (let runs = 0; runs < 2; runs++) {
        const api = await startApi(options);
        tokens.push(api.token);
        await api.close();
      }
      expect(statSync(tokenFile).mode & 0o777).toBe(0o600);
      expect(readFileSync(tokenFile, 'utf8')).toBe(tokens.at(-1));
      writeFileSync(tokenFile, spoil);
    }
    const [first, second, third, fourth] = tokens;
    expect(second).toBe(first);
    expect(third).not.toBe(first);
    expect(fourth).toBe(third);
    const folder = { ...options, screen: { ...options.screen, tokenFile: newFolder() } };
    await expect(startApi(folder)).rejects.toMatchObject({ code: 'EISDIR' });
  });
});

describe('commands', () => {
  test('a repeat is passed on as it is and gives the first result', async () => {
    await using harness = await startHarness();
    const first = await post(harness, start);
    harness.service.answer = () => ({ ok: false, code: 'busy', reason: 'Too late.', step: 9 });
    const again = await post(harness, start);
    expect(again.text).toBe(first.text);
    expect(commandResult.parse(JSON.parse(first.text))).toEqual({
      ok: true,
      session: SESSION,
      step: 1,
    });
    expect(harness.service.commands).toEqual([start, start]);
  });

  test('a refused command is a result with its reason, not an HTTP error', async () => {
    await using harness = await startHarness();
    const refused = {
      ok: false,
      code: 'closed',
      reason: 'The cash box is full.',
      step: 0,
    } as const;
    harness.service.answer = () => refused;
    const answer = await post(harness, start);
    expect(answer.status).toBe(200);
    expect(commandResult.parse(JSON.parse(answer.text))).toEqual(refused);
  });

  test.each([
    ['an unknown field', { ...start, amountMinor: 100 }],
    ['an unknown command', { ...start, do: 'dispense' }],
    ['a short session', { ...start, session: '00' }],
    ['a fractional step', { ...start, step: 0.5 }],
    ['no amount', { ...start, do: 'chooseAmount' }],
    ['an amount of nothing', { ...start, do: 'chooseAmount', amountMinor: 0 }],
    ['an endless code', { ...start, do: 'redeem', code: 'a'.repeat(201) }],
    ['no object', []],
    ['broken JSON', '{"session":'],
    ['a poisoned prototype', '{"__proto__":{"ok":true}}'],
    ['nothing', ''],
  ])('%s is refused with its reason', async (_name, body) => {
    await using harness = await startHarness();
    expectRefusal(await post(harness, body), 400, 'usage');
    expect(harness.service.commands).toEqual([]);
  });

  test('a body that is not JSON is refused, as a form of a foreign page would send', async () => {
    await using harness = await startHarness();
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data']) {
      const answer = await post(harness, start, { 'content-type': type });
      expectRefusal(answer, 400, 'usage');
      expect(answer.text).toMatch(/media type/i);
    }
    expect(harness.service.commands).toEqual([]);
  });

  test('a body of 16 KiB is read, one byte more is not', async () => {
    await using harness = await startHarness();
    const fill = (bytes: number) => JSON.stringify(start).padEnd(bytes, ' ');
    expect((await post(harness, fill(BODY_BYTES_MAX))).status).toBe(200);
    expectRefusal(await post(harness, fill(BODY_BYTES_MAX + 1)), 413, 'tooLarge');
    expect(harness.service.commands).toHaveLength(1);
  });

  test('a fault of the service is an error that tells nothing of the inside', async () => {
    await using harness = await startHarness();
    harness.service.answer = () => Promise.reject(new Error('row 7 of the ledger'));
    const answer = await post(harness, start);
    expectRefusal(answer, 500, 'internal');
    expect(answer.text).not.toContain('ledger');
  });
});

describe('queries', () => {
  test('the journal gets what was asked for', async () => {
    await using harness = await startHarness();
    const answer = await service(harness, '/v1/journal?after=1&kind=note.deposited&limit=1');
    expect(JSON.parse(answer.text)).toMatchObject([{ seq: 2 }]);
    expect(harness.service.journalQueries).toEqual([
      { after: 1, kind: 'note.deposited', limit: 1 },
    ]);
  });

  test.each([
    '/v1/journal?limit=0',
    '/v1/journal?limit=1001',
    '/v1/journal?after=-1',
    '/v1/journal?after=x',
    '/v1/journal?since=1',
    '/v1/journal?kind=a&kind=b',
    '/v1/machine?x=1',
    '/v1/events?x=1',
    '/v1/openapi.json?x=1',
  ])('%s is refused', async (path) => {
    await using harness = await startHarness();
    expectRefusal(await service(harness, path), 400, 'usage');
  });

  test('a path or method that is not there is a plain refusal', async () => {
    await using harness = await startHarness();
    expectRefusal(await service(harness, '/v1/none'), 404, 'notFound');
    expectRefusal(await service(harness, '/'), 404, 'notFound');
    const deleted = { socketPath: harness.socketPath, path: '/v1/machine', method: 'DELETE' };
    expectRefusal(await call(deleted), 404, 'notFound');
    expectRefusal(await service(harness, '/v1/%zz'), 400, 'usage');
  });

  test('bytes that are no HTTP are answered in the same shape and closed', async () => {
    await using harness = await startHarness();
    const received = await exchange(connect(harness.socketPath), 'hello\r\n\r\n');
    expect(received).toMatch(/^HTTP\/1\.1 400 /);
    expect(bodyOf(received).code).toBe('usage');
  });

  test('a request that names no host is not from the screen', async () => {
    await using harness = await startHarness();
    const socket = connect(harness.port, '127.0.0.1');
    const received = await exchange(socket, 'GET / HTTP/1.0\r\n\r\n');
    expect(received).toMatch(/^HTTP\/1\.1 403 /);
    expect(bodyOf(received).code).toBe('notPermitted');
  });
});

test('a caller that breaks off in the middle of a request does no harm', async () => {
  await using harness = await startHarness();
  for (let count = 0; count < 20; count++) {
    const socket = connect(harness.port, '127.0.0.1');
    await once(socket, 'connect');
    socket.write('POST /v1/commands HTTP/1.1\r\ncontent-le', () => socket.resetAndDestroy());
    await once(socket, 'close');
  }
  expect((await customer(harness, '/v1/machine')).status).toBe(200);
});

describe('QR code', () => {
  test('it is the one of the session on the screen, and there is none otherwise', async () => {
    await using harness = await startHarness();
    expectRefusal(await customer(harness, '/v1/qr.svg'), 404, 'notFound');
    const drawn: string[] = [];
    for (const view of [cashIn({ lnurl: LNURL }), cashOut({ bolt11: BOLT11 })]) {
      harness.service.show(view);
      const answer = await customer(harness, '/v1/qr.svg');
      expect(answer.headers['content-type']).toContain('image/svg+xml');
      expect(answer.text).toMatch(/^<svg /);
      drawn.push(answer.text);
    }
    expect(drawn[0]).not.toBe(drawn[1]);
    expectRefusal(await customer(harness, '/v1/qr.svg?data=x'), 400, 'usage');
    harness.service.show(cashIn({ lnurl: null }));
    expectRefusal(await customer(harness, '/v1/qr.svg'), 404, 'notFound');
    harness.service.show(cashOut({ bolt11: null }));
    expectRefusal(await customer(harness, '/v1/qr.svg'), 404, 'notFound');
  });
});

describe('the unix socket', () => {
  const options = (socketPath: string) => ({
    service: new FakeService(),
    log: silentLog,
    clock: systemClock,
    random: systemRandom,
    socketPath,
    screenFile: SCREEN_FILE,
  });

  test('owner and group may use it, and it goes when the agent goes', async () => {
    const harness = await startHarness();
    const found = statSync(harness.socketPath);
    expect(found.isSocket()).toBe(true);
    expect(found.mode & 0o777).toBe(0o660);
    await harness.api.close();
    expect(statSync(harness.socketPath, { throwIfNoEntry: false })).toBeUndefined();
  });

  test('a second agent is refused and the first goes on', async () => {
    await using harness = await startHarness();
    await expect(startApi(options(harness.socketPath))).rejects.toMatchObject({ code: 'locked' });
    expect((await service(harness, '/v1/machine')).status).toBe(200);
  });

  test('what a killed agent left behind is made new', async () => {
    const path = join(newFolder(), 'agent.sock');
    await leaveSocketBehind(path);
    expect(statSync(path).isSocket()).toBe(true);
    const api = await startApi(options(path));
    expect((await call({ socketPath: path, path: '/v1/machine' })).status).toBe(200);
    await api.close();
  });

  test('a file or folder in its place is left alone', async () => {
    const folder = newFolder();
    const file = join(folder, 'file');
    writeFileSync(file, 'precious');
    mkdirSync(join(folder, 'folder'));
    for (const path of [file, join(folder, 'folder')]) {
      await expect(startApi(options(path))).rejects.toMatchObject({ code: 'exists' });
    }
    expect(readFileSync(file, 'utf8')).toBe('precious');
  });

  test('a taken port is named, and the socket is given back', async () => {
    await using harness = await startHarness();
    const path = join(dirname(harness.socketPath), 'other.sock');
    const screen = { host: '127.0.0.1', port: harness.port } as const;
    await expect(startApi({ ...options(path), screen })).rejects.toMatchObject({
      code: 'locked',
      message: expect.stringContaining(`127.0.0.1:${harness.port}`),
    });
    expect(statSync(path, { throwIfNoEntry: false })).toBeUndefined();
  });
});

/** Sends bytes and reads until the other side closes. */
function exchange(socket: Socket, bytes: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString();
    });
    socket.on('error', reject);
    socket.on('close', () => resolve(text));
    socket.write(bytes);
  });
}

/** The refusal in a raw answer. */
function bodyOf(received: string): ApiErrorBody {
  const body: unknown = JSON.parse(received.slice(received.indexOf('\r\n\r\n') + 4));
  return apiErrorBody.parse(body);
}

/** Leaves a socket file that nobody listens on, as a killed process does. */
async function leaveSocketBehind(path: string): Promise<void> {
  const { execFileSync } = await import('node:child_process');
  const program = `require('node:net').createServer().listen(${JSON.stringify(path)}, () => {
    process.kill(process.pid, 'SIGKILL');
  });`;
  try {
    execFileSync(process.execPath, ['-e', program], { stdio: 'ignore' });
  } catch (error) {
    expect(error).toMatchObject({ signal: 'SIGKILL' });
  }
}

test('a status that the HTTP library chose is the fault of whoever it says', () => {
  expect([400, 413, 503].map(codeOfStatus)).toEqual(['usage', 'tooLarge', 'internal']);
});
