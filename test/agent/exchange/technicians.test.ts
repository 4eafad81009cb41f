/** Invites, PINs, sign-ins and permissions, on a store on disk; every refusal by its word. */
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Permission } from '#agent/api/visit-schemas.ts';
import { hashPin, isFitPin, isPin } from '#agent/exchange/pin.ts';
import {
  type Credential,
  IDLE_MS,
  INVITE_MS,
  inviteHash,
  TechnicianDesk,
  technicianView,
  WRONG_PINS_MS,
} from '#agent/exchange/technicians.ts';
import { systemRandom } from '#protocol/base/clock.ts';
import type { Store } from '#state/store.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';
import { KEY, newFolder, newStore } from '../../state/fixtures.ts';
import { NOBODY, OWNER, PIN, whyOf } from './visit-rig.ts';

function newDesk(path = join(newFolder(), 'state.sqlite')) {
  const clock = new VirtualClock();
  const store = newStore({ path, clock });
  const desk = deskOn(store, clock);
  return { clock, store, desk, path };
}

const deskOn = (store: Store, clock: VirtualClock) =>
  new TechnicianDesk({ store, clock, random: systemRandom, key: KEY });

const invited = (desk: TechnicianDesk, name = 'Ana', permissions: Permission[] = ['counts']) =>
  desk.invite({ name, permissions, expiresAtUnixMs: null });

const token = (of: { readonly token: string }): Credential => ({ kind: 'token', token: of.token });

/** How many rows there are of each; a refusal leaves them as they are. */
const rows = ({ technicians, journal }: Store) =>
  [technicians.list().length, technicians.invites().length, journal.count()] as const;

describe('an invite', () => {
  it('makes one technician with a PIN of their own, who is signed in', async () => {
    const { desk, store } = newDesk();
    const made = invited(desk, 'Ana Lucía', ['counts', 'exchange', 'counts']);
    expect(made.invite).toMatch(/^[0-9a-f]{64}$/);
    expect(made.permissions).toEqual(['counts', 'exchange']);
    expect(store.technicians.invites()[0]?.hash).toBe(inviteHash(made.invite));
    const typed = ` ${made.invite.toUpperCase()} `;
    const signedIn = await desk.redeem(typed, PIN);
    expect(signedIn.technician).toMatchObject({ name: 'Ana Lucía', state: 'active' });
    expect(desk.actor(token(signedIn)).name).toBe('Ana Lucía');
    expect(desk.view().invites.map(({ state }) => state)).toEqual(['used']);
  });

  it('used, expired, revoked, malformed or strange is refused, and nothing is made', async () => {
    const { desk, store, clock } = newDesk();
    const used = invited(desk, 'Ana');
    await desk.redeem(used.invite, PIN);
    const revoked = invited(desk, 'Eva');
    expect(desk.end('eva', 'revoked', 'owner: lost').ended).toBe('invite');
    expect(desk.end('Eva', 'revoked', 'owner: lost').outcome).toBe('alreadyEnded');
    const expired = invited(desk, 'Leo');
    const before = rows(store);
    expect(await whyOf(() => desk.redeem(used.invite, PIN))).toBe('inviteUsed');
    expect(await whyOf(() => desk.redeem(revoked.invite, PIN))).toBe('inviteRevoked');
    expect(await whyOf(() => desk.redeem('cafe', PIN))).toBe('badInvite');
    expect(await whyOf(() => desk.redeem(`${expired.invite}00`, PIN))).toBe('badInvite');
    expect(await whyOf(() => desk.redeem('0'.repeat(64), PIN))).toBe('badInvite');
    await clock.advance(INVITE_MS);
    expect(await whyOf(() => desk.redeem(expired.invite, PIN))).toBe('inviteExpired');
    expect(rows(store)).toEqual(before);
    expect(desk.view().invites.map(({ state }) => state)).toEqual(['used', 'revoked', 'expired']);
  });

  it('is used by one of two who try at once', async () => {
    const { desk, store } = newDesk();
    const { invite } = invited(desk);
    const tries = await Promise.all([1, 2, 3].map(() => whyOf(() => desk.redeem(invite, PIN))));
    expect(tries.sort()).toEqual(['done', 'inviteUsed', 'inviteUsed']);
    expect(store.technicians.list()).toHaveLength(1);
  });

  it('wants a PIN that is not guessed first, and a name that nobody has', async () => {
    const { desk, store } = newDesk();
    const { invite } = invited(desk);
    for (const weak of ['12345', '111111', '123456', '987654', '90123456', '48291x', '']) {
      expect(await whyOf(() => desk.redeem(invite, weak))).toBe('weakPin');
    }
    const second = invited(desk, 'ana');
    await desk.redeem(invite, PIN);
    expect(await whyOf(() => desk.redeem(second.invite, PIN))).toBe('nameTaken');
    expect(await whyOf(() => invited(desk, 'ANA'))).toBe('nameTaken');
    expect(store.technicians.list()).toHaveLength(1);
  });

  it('there are at most 50 open ones', async () => {
    const { desk, clock } = newDesk();
    for (let made = 0; made < 50; made++) invited(desk, `T${made}`);
    expect(await whyOf(() => invited(desk, 'One more'))).toBe('tooManyInvites');
    await clock.advance(INVITE_MS);
    expect(await whyOf(() => invited(desk, 'One more'))).toBe('done');
  });
});

describe('a PIN', () => {
  it('is kept as a keyed hash: the file alone does not tell whether a guess is right', async () => {
    const kept = await hashPin(KEY, systemRandom, PIN);
    expect(await isPin(KEY, PIN, kept)).toBe(true);
    expect(await isPin(KEY, '482916', kept)).toBe(false);
    expect(await isPin(KEY, PIN, undefined)).toBe(false);
    const { Secret } = await import('#protocol/base/secret.ts');
    const other = new Secret(new Uint8Array(32).fill(8));
    expect(await isPin(other, PIN, kept)).toBe(false);
    expect(isFitPin('0'.repeat(33))).toBe(false);
  });

  it('five wrong ones lock out for ten minutes, also over a restart and all at once', async () => {
    const { desk, store, clock } = newDesk();
    await desk.redeem(invited(desk).invite, PIN);
    const wrong = () => whyOf(() => desk.signIn('Ana', '000001'));
    const all = await Promise.all([1, 2, 3, 4, 5, 6, 7].map(wrong));
    expect(all).toEqual([...Array(5).fill('wrongPin'), 'lockedOut', 'lockedOut']);
    // A new process knows of it, and so does the right PIN.
    const again = deskOn(store, clock);
    expect(await whyOf(() => again.signIn('Ana', PIN))).toBe('lockedOut');
    await clock.advance(WRONG_PINS_MS / 2);
    expect(await whyOf(() => again.signIn('ana', PIN))).toBe('lockedOut');
    await clock.advance(WRONG_PINS_MS / 2 + 1);
    expect(await whyOf(() => again.signIn('ana', PIN))).toBe('done');
    // The right one clears what was wrong before.
    expect(await whyOf(() => again.signIn('ana', '000001'))).toBe('wrongPin');
    expect(store.journal.read({ kind: 'technician.wrongPin' })).toHaveLength(6);
  });

  it('says how many tries are left, and locks names that nobody has together', async () => {
    const { desk } = newDesk();
    const left: unknown[] = [];
    for (const name of ['Eve', 'Mallory', 'Trent', 'Peggy', 'Victor']) {
      await desk.signIn(name, PIN).catch((error: { values?: unknown }) => left.push(error.values));
    }
    expect(left).toEqual([4, 3, 2, 1, 0].map((triesLeft) => ({ triesLeft })));
    expect(await whyOf(() => desk.signIn('Walter', PIN))).toBe('lockedOut');
  });
});

describe('a sign-in', () => {
  it('ends when idle, by signing out, and with the program', async () => {
    const { desk, store, clock } = newDesk();
    const first = token(await desk.redeem(invited(desk).invite, PIN));
    await clock.advance(IDLE_MS - 1);
    expect(desk.actor(first).name).toBe('Ana');
    await clock.advance(IDLE_MS);
    expect(desk.actor(first).name).toBe('Ana');
    await clock.advance(IDLE_MS + 1);
    expect(await whyOf(() => desk.actor(first))).toBe('signInExpired');
    const second = token(await desk.signIn('Ana', PIN));
    desk.signOut(second);
    desk.signOut(OWNER);
    expect(await whyOf(() => desk.actor(second))).toBe('signInExpired');
    const third = token(await desk.signIn('Ana', PIN));
    expect(await whyOf(() => deskOn(store, clock).actor(third))).toBe('signInExpired');
    expect(await whyOf(() => desk.actor(NOBODY))).toBe('notSignedIn');
  });

  it('of those at a time the one used longest ago goes first', async () => {
    const { desk, clock } = newDesk();
    const tokens = [token(await desk.redeem(invited(desk).invite, PIN))];
    for (let made = 0; made < 16; made++) {
      await clock.advance(10);
      tokens.push(token(await desk.signIn('Ana', PIN)));
    }
    const words = await Promise.all(tokens.map((one) => whyOf(() => desk.actor(one))));
    expect(words).toEqual(['signInExpired', ...Array(16).fill('done')]);
  });

  it('is refused to the revoked, the deleted, the suspended and the expired, at once', async () => {
    const { desk, store, clock } = newDesk();
    const join = async (name: string, expiresAtUnixMs: number | null = null) => {
      const { invite } = desk.invite({ name, permissions: ['counts'], expiresAtUnixMs });
      return token(await desk.redeem(invite, PIN));
    };
    const [ana, eva, leo] = [
      await join('Ana'),
      await join('Eva'),
      await join('Leo', clock.now() + 5_000),
    ];
    expect(desk.end('Ana', 'revoked', 'owner: lost phone').outcome).toBe('ended');
    expect(desk.end('Ana', 'revoked', 'owner: again').outcome).toBe('alreadyEnded');
    expect(await whyOf(() => desk.actor(ana))).toBe('revoked');
    expect(await whyOf(() => desk.signIn('Ana', PIN))).toBe('revoked');
    desk.end('Eva', 'deleted', 'owner: left');
    expect(await whyOf(() => desk.actor(eva))).toBe('revoked');
    // The name is free again, and means nobody until it is given anew.
    expect(await whyOf(() => desk.signIn('Eva', PIN))).toBe('wrongPin');
    expect(await whyOf(() => invited(desk, 'Eva'))).toBe('done');
    expect(await whyOf(() => desk.actor(leo))).toBe('done');
    await clock.advance(5_000);
    expect(await whyOf(() => desk.actor(leo))).toBe('expired');
    const states = desk
      .view()
      .technicians.map(({ name, state, endedBy }) => [name, state, endedBy]);
    expect(states).toEqual([
      ['Ana', 'revoked', 'owner: lost phone'],
      ['Eva', 'deleted', 'owner: left'],
      ['Leo', 'expired', null],
    ]);
    store.commit(() => store.technicians.suspendAll());
    expect(await whyOf(() => desk.signIn('Leo', PIN))).toBe('suspended');
    expect(desk.confirm('leo', 'owner: known').outcome).toBe('confirmed');
    expect(desk.confirm('leo', 'owner: known').outcome).toBe('alreadyEnded');
    expect(await whyOf(() => desk.confirm('Nobody', 'owner'))).toBe('noTechnician');
    expect(await whyOf(() => desk.end('Nobody', 'revoked', 'owner'))).toBe('noTechnician');
  });
});

it('who may do what: the owner all, a technician what was granted, nobody nothing', async () => {
  const { desk } = newDesk();
  const ana = token(await desk.redeem(invited(desk, 'Ana', ['counts']).invite, PIN));
  expect(desk.permitted(OWNER, 'settle').technician).toBeUndefined();
  expect(desk.owner(OWNER).name).toBe('owner');
  expect(desk.permitted(ana, 'counts').name).toBe('Ana');
  expect(await whyOf(() => desk.permitted(ana, 'settle'))).toBe('permission');
  expect(await whyOf(() => desk.permitted(NOBODY, 'counts'))).toBe('notSignedIn');
  expect(await whyOf(() => desk.owner(ana))).toBe('ownerOnly');
  expect(await whyOf(() => desk.owner(NOBODY))).toBe('notSignedIn');
  // What is signed needs a name, which the owner has not given.
  expect(await whyOf(() => desk.technician(OWNER, 'exchange'))).toBe('notSignedIn');
  expect(await whyOf(() => desk.technician(ana, 'exchange'))).toBe('permission');
  expect(desk.technician(ana, 'counts').name).toBe('Ana');
});

it('a technician of another version: words that are not known here permit nothing', () => {
  const { store } = newDesk();
  const permissions = ['dance', 'exchange', 'counts'];
  const pin = { salt: new Uint8Array(16), hash: new Uint8Array(32) };
  const made = { id: 'ab'.repeat(16), name: 'Eva', permissions, createdAtUnixMs: 1 };
  store.commit(() => store.technicians.insert(made, pin));
  const [eva] = store.technicians.list();
  if (!eva) throw new Error('she is not there');
  expect(technicianView(eva, 2)).toMatchObject({
    permissions: ['counts', 'exchange'],
    lastSignInUnixMs: null,
  });
});
