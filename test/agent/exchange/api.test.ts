/** The field visit as a terminal meets it: over the socket, with tokens, codes and words of a no. */
import { existsSync, statSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { z } from 'zod';
import { ownerToken } from '#agent/api/owner-file.ts';
import { settleResult, statusView } from '#agent/api/schemas.ts';
import { type RunningApi, startApi } from '#agent/api/server.ts';
import {
  endTechnicianResult,
  exchangeEndResult,
  exchangeState,
  exchangeView,
  inviteResult,
  signInResult,
  signOutResult,
  techniciansView,
  totalsView,
} from '#agent/api/visit-schemas.ts';
import { ask } from '#agent/cli/client.ts';
import { CommandError } from '#agent/cli/exit.ts';
import { systemClock, systemRandom } from '#protocol/base/clock.ts';
import { silentLog } from '#protocol/base/log.ts';
import { call, SCREEN_FILE } from '../api/harness.ts';
import { PIN, Visit } from './visit-rig.ts';

let visit: Visit;
let api: RunningApi;
let socketPath: string;
beforeEach(async () => {
  visit = await Visit.begin();
  socketPath = `${visit.machine.folder}/agent.sock`;
  api = await startApi({
    ...{ service: visit.machine.running.service, log: silentLog, screenFile: SCREEN_FILE },
    ...{ clock: systemClock, random: systemRandom, socketPath },
  });
});
afterEach(async () => {
  await api.close();
  await visit.machine.stop();
});

const question = <Value>(path: string, schema: z.ZodType<Value>, more: object = {}) =>
  ask({ socketPath, path: `/v1/service/${path}`, schema, ...more });

/** How a question was refused: exit code, code, word. */
const refused = (asked: Promise<unknown>) =>
  asked.then(
    () => 'done',
    (error: unknown) => {
      if (!(error instanceof CommandError)) throw error;
      return [error.exit, error.refusal?.code, error.refusal?.why?.code];
    },
  );

/** An invite by the owner, redeemed by its bearer. */
async function join(name: string, permissions: readonly string[]): Promise<string> {
  const body = { name, permissions, expiresAtUnixMs: null };
  const { invite } = await question('invites', inviteResult, { body });
  const joined = await question('technicians', signInResult, { body: { invite, pin: PIN } });
  return joined.token;
}

test('owner and technicians: who may ask what, and what a no says', async () => {
  const token = await join('Eva', ['exchange', 'counts']);
  const owner = ownerToken(socketPath);
  expect(owner).toMatch(/^[0-9a-f]{32}$/);
  expect(statSync(`${socketPath}.owner`).mode & 0o777).toBe(0o600);
  const list = await question('technicians', techniciansView, { token });
  expect(list.technicians.map(({ name }) => name)).toEqual(['Ana', 'Eva']);
  const body = { name: 'Leo', permissions: ['counts'], expiresAtUnixMs: null };
  expect(await refused(question('invites', inviteResult, { body, token }))).toEqual([
    ...[77, 'notPermitted', 'ownerOnly'],
  ]);
  expect(await refused(question('totals', totalsView, { token: 'f'.repeat(32) }))).toEqual([
    ...[77, 'notAuthorized', 'signInExpired'],
  ]);
  const nobody = await call({ socketPath, path: '/v1/service/technicians' });
  expect([nobody.status, JSON.parse(nobody.text)]).toMatchObject([
    401,
    { code: 'notAuthorized', why: { code: 'notSignedIn', values: {} } },
  ]);
  expect((await question('totals', totalsView, { token })).accounts).not.toEqual([]);
  expect(await refused(question('bags', z.unknown(), { token }))).toEqual([
    ...[77, 'notPermitted', 'permission'],
  ]);
  const wrong = { name: 'Eva', pin: '000001' };
  for (let tries = 0; tries < 5; tries++) {
    expect(await refused(question('sign-ins', signInResult, { body: wrong }))).toEqual([
      ...[77, 'notAuthorized', 'wrongPin'],
    ]);
  }
  expect(await refused(question('sign-ins', signInResult, { body: wrong }))).toEqual([
    ...[75, 'tooManyTries', 'lockedOut'],
  ]);
  expect(await refused(question('sign-ins', signInResult, { body: {} }))).toEqual([
    ...[2, 'usage', 'malformed'],
  ]);
  await question('sign-outs', signOutResult, { body: {}, token });
  expect(await refused(question('exchange', exchangeState, { token }))).toEqual([
    ...[77, 'notAuthorized', 'signInExpired'],
  ]);
  const end = { who: 'eva', reason: 'lost her phone' };
  const ended = (path: string) =>
    question(`technicians/${path}`, endTechnicianResult, { body: end });
  expect((await ended('revocations')).outcome).toBe('ended');
  expect((await ended('deletions')).outcome).toBe('ended');
  expect(await refused(ended('confirmations'))).toEqual([1, 'notFound', 'noTechnician']);
});

test('a whole exchange over the socket', async () => {
  const token = await join('Eva', ['exchange', 'collect', 'test']);
  expect(await question('exchange', exchangeState, { token })).toEqual({ exchange: null });
  let view = await question('exchange', exchangeView, { body: {}, token });
  const post = <Value>(path: string, schema: z.ZodType<Value>, more: object = {}) =>
    question(`exchange/${path}`, schema, {
      token,
      body: { exchange: view.id, step: view.step, ...more },
    });
  visit.who = { kind: 'token', token };
  view = await post('answers', exchangeView, { answer: { kind: 'bay', choice: 'count' } });
  view = await post('undo', exchangeView);
  const lie = { kind: 'bay', choice: 'everything' };
  expect(await refused(post('answers', exchangeView, { answer: lie }))).toEqual([
    2,
    'usage',
    'malformed',
  ]);
  const old = { exchange: view.id, step: 99 };
  expect(await refused(question('exchange/undo', exchangeView, { body: old, token }))).toEqual([
    ...[75, 'sequenceError', 'step'],
  ]);
  while (view.asks?.kind !== 'close') {
    const answer = visit.answerOf({ bays: { 2: { out: 10, load: 20 } } });
    view = await post('answers', exchangeView, { answer });
  }
  const { record, exchange } = await post('close', exchangeEndResult);
  expect([exchange.state, record.reference]).toEqual(['closed', view.reference]);
  const records = await question('records?after=0&limit=5', z.array(z.unknown()), { token });
  expect(records).toHaveLength(1);
  view = await question('exchange', exchangeView, { body: {}, token });
  const abandoned = await post('abandon', exchangeEndResult, { reason: 'rain' });
  expect(abandoned.exchange.state).toBe('abandoned');
  const body = { seal: 'X', counts: [], reason: null, note: '' };
  expect(await refused(question('bags', z.unknown(), { body, token }))).toEqual([
    ...[1, 'notFound', 'noBag'],
  ]);
});

test('settling: by the owner, and by a technician who may, in their own name', async () => {
  const { store } = visit;
  const owe = () =>
    store.commit(() => {
      const reference = visit.machine.keeper.walletId.slice(0, 9);
      const row = { kind: 'remainder', currency: 'USD', body: {} } as const;
      return store.obligations.insert({ ...row, reference: reference as never });
    }).id;
  const settle = (token: string | undefined, obligation: string) =>
    ask({
      ...{ socketPath, token, path: '/v1/settlements', schema: settleResult },
      body: { obligation, by: 'somebody else', reason: 'paid in cash' },
    });
  const [one, two] = [owe(), owe()];
  expect(await refused(settle(await join('Eva', ['exchange']), one))).toEqual([
    ...[77, 'notPermitted', 'permission'],
  ]);
  expect(await settle(await join('Leo', ['settle']), one)).toEqual({ outcome: 'settled' });
  expect(await settle(undefined, two)).toEqual({ outcome: 'settled' });
  const by = store.journal.read({ kind: 'obligation.settled' }).map(({ body }) => body.by);
  expect(by).toEqual(['Leo', 'somebody else']);
  const bare = { obligation: two, by: 'x', reason: 'x' };
  const nobody = await call({
    ...{ socketPath, path: '/v1/settlements', method: 'POST', body: JSON.stringify(bare) },
  });
  expect(nobody.status).toBe(401);
});

test('the owner’s token is another one at each start, and gone when nobody listens', async () => {
  const first = ownerToken(socketPath);
  await api.close();
  expect(existsSync(`${socketPath}.owner`)).toBe(false);
  expect(ownerToken(socketPath)).toBeUndefined();
  api = await startApi({
    ...{ service: visit.machine.running.service, log: silentLog, screenFile: SCREEN_FILE },
    ...{ clock: systemClock, random: systemRandom, socketPath },
  });
  expect(ownerToken(socketPath)).toMatch(/^[0-9a-f]{32}$/);
  expect(ownerToken(socketPath)).not.toBe(first);
});

test('while hands count: journal, disputes and counts are for the owner, and a no says why', async () => {
  const token = await join('Eva', ['exchange', 'counts', 'test', 'collect', 'settle']);
  const everyone = [token, 'f'.repeat(32), ownerToken(socketPath) ?? ''];
  const reads = (path: string) =>
    Promise.all(
      everyone.map((one) => {
        const headers = { authorization: `Bearer ${one}` };
        return call({ socketPath, path: `/v1/${path}`, headers });
      }),
    );
  const statuses = async (path: string) => (await reads(path)).map(({ status }) => status);
  const bays = async () => {
    const texts = (await reads('status')).map(({ text }) => statusView.parse(JSON.parse(text)));
    return texts.map(
      ({ cashUnits, accounts, bayUse }) => [cashUnits, accounts, bayUse].flat().length,
    );
  };
  const before = await bays();
  expect(before).toEqual([before[2], before[2], before[2]]);
  expect(await statuses('journal')).toEqual([200, 200, 200]);
  await question('exchange', exchangeView, { body: {}, token });
  expect(await statuses('journal?kind=exchange.opened')).toEqual([409, 409, 200]);
  expect(await statuses('dispute?name=ABC')).toEqual([409, 409, 404]);
  expect(await bays()).toEqual([0, 0, before[2]]);
  const bare = await call({ socketPath, path: '/v1/journal' });
  const reference = visit.store.exchanges.open()?.reference;
  expect([bare.status, JSON.parse(bare.text)]).toEqual([
    409,
    {
      code: 'sequenceError',
      reason: `Exchange ${reference} is open, and counts are made without knowing the books.`,
      why: { code: 'exchangeOpen', values: { reference } },
    },
  ]);
  visit.who = { kind: 'token', token };
  visit.abandon();
  expect(await statuses('journal')).toEqual([200, 200, 200]);
  expect(await bays()).toEqual(before);
});
