/** Acts of the service scope that are refused: each with its status, its code and a reason. */
import { expect, test } from 'vitest';
import { apiErrorBody } from '#agent/api/errors.ts';
import { StoreError } from '#protocol/base/errors.ts';
import { FakeService } from './fake-service.ts';
import { call, startHarness } from './harness.ts';

const said = { by: 'Ana', reason: 'looked at it' };
const aDevice = { device: 'validator', ...said };
const aClaim = { obligation: '00000000000000000000000000000000', ...said };

test.each<[string, object, (service: FakeService) => void, number, string, RegExp]>([
  [
    '/v1/devices/acceptances',
    aDevice,
    (one) => {
      one.deviceAccepted = 'nothingFound';
    },
    404,
    'notFound',
    /waits for nobody/,
  ],
  [
    '/v1/devices/acceptances',
    aDevice,
    (one) => {
      one.deviceAccepted = 'notThere';
    },
    503,
    'busy',
    /does not answer now/,
  ],
  [
    '/v1/anchor',
    said,
    (one) => {
      one.accepted = 'nothingFound';
    },
    404,
    'notFound',
    /Nobody else/,
  ],
  [
    '/v1/anchor',
    said,
    (one) => {
      one.accepted = 'restoreFirst';
    },
    403,
    'notPermitted',
    /spire restore/,
  ],
  ['/v1/operator', { operator: 'nobody', ...said }, () => undefined, 400, 'usage', /operator/],
  [
    '/v1/confirmations',
    aClaim,
    (one) => {
      one.confirmed = 'notFound';
    },
    404,
    'notFound',
    /no such obligation/,
  ],
  [
    '/v1/confirmations',
    aClaim,
    (one) => {
      one.confirmed = 'notSuspended';
    },
    404,
    'notFound',
    /No restore suspended it/,
  ],
  [
    '/v1/backups',
    {},
    (one) => {
      one.backupFault = new StoreError('locked', 'a customer is at the machine');
    },
    503,
    'busy',
    /a customer is at the machine/,
  ],
  [
    '/v1/backups',
    {},
    (one) => {
      one.backupFault = new StoreError('hardwareError', 'the disk is full');
    },
    500,
    'internal',
    /the disk is full/,
  ],
  [
    '/v1/backups',
    {},
    (one) => {
      one.backupFault = new Error('a mistake of ours');
    },
    500,
    'internal',
    /^(?!.*a mistake of ours)/,
  ],
])('POST %s %o', async (path, body, set, status, code, words) => {
  const service = new FakeService();
  set(service);
  await using harness = await startHarness({ service });
  const answer = await call({
    ...{ socketPath: harness.socketPath, method: 'POST', path, body: JSON.stringify(body) },
  });
  const refusal = apiErrorBody.parse(JSON.parse(answer.text));
  expect([answer.status, refusal.code]).toEqual([status, code]);
  expect(refusal.reason).toMatch(words);
});

test('a dispute about nothing that is known is not found', async () => {
  await using harness = await startHarness();
  const answer = await call({ socketPath: harness.socketPath, path: '/v1/dispute?name=0000-0000' });
  expect(answer.status).toBe(404);
  expect(answer.text).toContain('There is no transaction 0000-0000');
});
