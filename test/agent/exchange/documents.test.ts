/** The operator far away: `bitspire-technicians` and cassettes, as they arrive at a whole machine. */
import { afterEach, expect, test } from 'vitest';
import { INVITE_MS, inviteHash } from '#agent/exchange/technicians.ts';
import { F56Device } from '#hal/simulator/f56/device.ts';
import { Id003Device } from '#hal/simulator/id003/device.ts';
import type { Clock } from '#protocol/base/clock.ts';
import { OWNER, PIN, Visit, whyOf } from './visit-rig.ts';

let visit: Visit;
afterEach(async () => {
  await visit.machine.stop();
});

const INVITE = 'ab'.repeat(32);
const NAME = 'bitspire-technicians';

/** Publishes a document of technicians, and waits until its verdict stands. */
async function say(fields: object): Promise<void> {
  const { clock, keeper } = visit.machine;
  // Times of documents are whole seconds.
  await clock.advance(2_000);
  const before = visit.store.journal.count();
  await clock.resolve(keeper.publishDocument(NAME, { schema_version: 1, ...fields }));
  await clock.until(() => visit.store.journal.count() > before, 30_000);
}

const results = () => {
  const [last] = visit.store.journal.read({ kind: 'document.applied' }).slice(-1);
  const { technicians } = last?.body ?? {};
  const list = Array.isArray(technicians) ? technicians : [];
  return list.map((one) => (typeof one === 'object' && one && 'result' in one ? one.result : one));
};

const states = () =>
  visit.service.technicians(OWNER).technicians.map(({ name, state }) => `${name} ${state}`);

test('a lost phone is shut out from afar, in the middle of an exchange', async () => {
  visit = await Visit.begin();
  await visit.open();
  const ana = visit.who;
  await visit.join('Eva');
  await say({ revoked: ['ana', 'Nobody'] });
  expect(results()).toEqual(['ended', 'notFound']);
  expect(await whyOf(() => visit.service.exchange(ana))).toBe('revoked');
  expect(states()).toEqual(['Ana revoked', 'Eva active']);
  // Another one goes on where she was.
  await visit.walk({});
  expect(visit.close().record.body.technicians).toMatchObject([{ name: 'Ana' }, { name: 'Eva' }]);
  await say({ revoked: ['ana'], deleted: ['Eva'] });
  expect(results()).toEqual(['alreadyEnded', 'ended']);
  expect(states()).toEqual(['Ana revoked', 'Eva deleted']);
  expect(visit.service.records(OWNER, { after: 0, limit: 9 })).toHaveLength(1);
});

test('who signed up by a clock that was hours fast, before the time was known, is shut out all the same', async () => {
  visit = await Visit.begin();
  const { machine } = visit;
  machine.cutPower();
  machine.skewMs = 6 * 3_600_000;
  await machine.clock.advance(5_000);
  await machine.powerOn();
  await visit.join('Eva');
  machine.skewMs = 0;
  await machine.until(({ cashIn }) => cashIn.open, 'the time is known');
  await say({ revoked: ['Eva'] });
  expect(results()).toEqual(['ended']);
  expect(states()).toContain('Eva revoked');
});

test('an invite of which only the hash was told: once, for what is known, for seven days', async () => {
  visit = await Visit.begin();
  const invite = (fields: object = {}) => {
    return { hash: inviteHash(INVITE), name: 'Leo', permissions: ['counts', 'fly'], ...fields };
  };
  await say({
    invites: [
      invite(),
      invite({ hash: '1'.repeat(64), name: 'Eva', permissions: ['fly'] }),
      invite({ hash: '2'.repeat(64), name: 'Ana' }),
    ],
  });
  expect(results()).toEqual(['added', 'permitsNothing', 'nameTaken']);
  const leo = await visit.service.redeem(INVITE, PIN);
  expect(leo.technician).toMatchObject({
    name: 'Leo',
    permissions: ['counts'],
    expiresAtUnixMs: null,
  });
  // Said again it does not come back, and a person who is deleted is not invited by it.
  await say({ invites: [invite()], deleted: ['Leo'] });
  expect(results()).toEqual(['ended', 'known']);
  expect(await whyOf(() => visit.service.redeem(INVITE, PIN))).toBe('inviteUsed');
  // An invite that waits is ended by its hash or its name.
  const [one, two] = ['3'.repeat(64), '4'.repeat(64)];
  await say({
    invites: [invite({ hash: one, expires_at: 1 }), invite({ hash: two, name: 'Eva' })],
  });
  expect(results()).toEqual(['added', 'added']);
  await say({ revoked: [one, 'eva'] });
  const invites = visit.service.technicians(OWNER).invites.map(({ state }) => state);
  expect(invites).toEqual(['used', 'used', 'revoked', 'revoked']);
});

test('a document too old invites nobody; one that came before them ends nobody', async () => {
  visit = await Visit.begin();
  const { clock, keeper } = visit.machine;
  const nowSec = Math.floor(clock.now() / 1_000);
  const old = { schema_version: 1, revoked: ['Ana'], invites: [] as object[] };
  old.invites.push({ hash: inviteHash(INVITE), name: 'Leo', permissions: ['counts'] });
  const before = visit.store.journal.count();
  const weekAgo = nowSec - INVITE_MS / 1_000;
  await clock.resolve(keeper.publishDocument(NAME, old, weekAgo));
  await clock.until(() => visit.store.journal.count() > before, 30_000);
  expect(results()).toEqual(['notFound', 'expired']);
  expect(states()).toEqual(['Ana active']);
});

test('one that is no document is refused, and takes no place', async () => {
  visit = await Visit.begin();
  await say({ invites: [{ hash: 'ab', name: 'Leo', permissions: ['counts'] }] });
  const [refused] = visit.store.journal.read({ kind: 'document.refused' });
  expect(refused?.body.reason).toContain('SHA-256');
  expect(states()).toEqual(['Ana active']);
});

test('notes that the hardware cannot hold are refused, with the reason', async () => {
  const cassettes = { '1': { denomination: 20, count: 10 }, '2': { denomination: 50, count: 10 } };
  const make = (clock: Clock) => new F56Device({ clock, options: { cassettes } });
  const validator = (clock: Clock) => new Id003Device({ clock, options: {} });
  visit = await Visit.begin({
    cassettes,
    devices: {
      validator: { protocol: 'id003', make: validator },
      dispenser: { protocol: 'f56', model: 'f56', make },
    },
  });
  const { clock, keeper } = visit.machine;
  await clock.advance(2_000);
  const changed = { '1': { denomination: 3, count: 10 } };
  await clock.resolve(keeper.publishCassettes(changed));
  await clock.until(
    () => visit.store.journal.read({ kind: 'document.refused' }).length > 0,
    30_000,
  );
  const [refused] = visit.store.journal.read({ kind: 'document.refused' });
  expect(refused?.body.reason).toBe('the dispenser cannot hold notes of 3 USD in position 1');
  expect(visit.store.cashUnits.list()[0]?.parked).toBe(false);
});
