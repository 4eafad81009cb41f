/** Who may come: invites, sign-ins and permissions (design 11). Works without a network. */
import { createHash } from 'node:crypto';
import type { Clock, Random } from '#protocol/base/clock.ts';
import type { Secret } from '#protocol/base/secret.ts';
import type { Store } from '#state/store.ts';
import { type Invite, nameKey, type Technician } from '#state/technicians.ts';
import {
  type EndTechnicianResult,
  type InviteResult,
  type InviteView,
  type Permission,
  permission,
  type SignInResult,
  type TechniciansView,
  type TechnicianView,
} from '../api/visit-schemas.ts';
import { hashPin, isFitPin, isPin } from './pin.ts';
import { Refusal } from './refusal.ts';

/** An invite is good for so long, ms (design 11). */
export const INVITE_MS = 7 * 86_400_000;
/** Wrong PINs that are let pass in the window, and the window, ms; as with claim codes. */
export const WRONG_PINS_MAX = 5;
export const WRONG_PINS_MS = 600_000;
/** A sign-in ends after so long without a request, ms. */
export const IDLE_MS = 1_800_000;
/** Sign-ins at a time; the one that was used longest ago goes first. */
const SESSIONS_MAX = 16;
/** Open invites at a time: more are a mistake, and each is a way in. */
const OPEN_INVITES_MAX = 50;
const TOKEN_BYTES = 16;
const INVITE_BYTES = 32;
/** One scope for all names that nobody has, so that guesses at names do not fill the disk. */
const UNKNOWN_SCOPE = 'technician:unknown';

/** What came with a request: the owner's own file, a token, or nothing. */
export type Credential =
  | { readonly kind: 'owner' }
  | { readonly kind: 'token'; readonly token: string }
  | { readonly kind: 'nobody' };

/** Who acts, as it stands in the journal. */
export interface Actor {
  /** Undefined for the owner of the machine's own files. */
  readonly technician: Technician | undefined;
  readonly name: string;
}

/** What the technicians need. */
export interface TechniciansOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
  /** Keys the hashes of PINs. */
  readonly key: Secret<Uint8Array>;
}

/** SHA-256 of an invite's bytes; what the state and the operator's document keep of it. */
export function inviteHash(invite: string): string {
  return createHash('sha256').update(Buffer.from(invite, 'hex')).digest('hex');
}

/** How an invite stands at a moment. */
export function inviteState(invite: Invite, nowUnixMs: number): InviteView['state'] {
  return invite.state === 'open' && invite.expiresAtUnixMs <= nowUnixMs ? 'expired' : invite.state;
}

const notSignedIn = () =>
  new Refusal('notAuthorized', 'notSignedIn', 'Sign in first, with name and PIN.');

/** Invites, signs in, and says who may do what. */
export class TechnicianDesk {
  readonly #options: TechniciansOptions;
  readonly #sessions = new Map<string, { readonly id: string; usedMonotonicMs: number }>();
  /** One try at a time, so that many at once do not pass the lock-out together. */
  #trying: Promise<unknown> = Promise.resolve();

  constructor(options: TechniciansOptions) {
    this.#options = options;
  }

  /** Makes an invite; it is told once. @throws Refusal `nameTaken`, `tooManyInvites` */
  invite(request: {
    readonly name: string;
    readonly permissions: readonly Permission[];
    readonly expiresAtUnixMs: number | null;
  }): InviteResult {
    const { store, clock, random } = this.#options;
    const { name, expiresAtUnixMs } = request;
    this.#assertFree(name);
    const now = clock.now();
    const open = store.technicians.invites().filter((one) => inviteState(one, now) === 'open');
    if (open.length >= OPEN_INVITES_MAX) {
      const words = `There are ${OPEN_INVITES_MAX} open invites: revoke some first.`;
      throw new Refusal('sequenceError', 'tooManyInvites', words, { max: OPEN_INVITES_MAX });
    }
    const invite = Buffer.from(random.bytes(INVITE_BYTES)).toString('hex');
    const id = Buffer.from(random.bytes(16)).toString('hex');
    const permissions = [...new Set(request.permissions)];
    const inviteExpiresAtUnixMs = now + INVITE_MS;
    store.commit(() => {
      store.technicians.insertInvite({
        ...{ id, name, permissions, hash: inviteHash(invite), createdAtUnixMs: now },
        expiresAtUnixMs: inviteExpiresAtUnixMs,
        ...(expiresAtUnixMs === null ? {} : { technicianExpiresAtUnixMs: expiresAtUnixMs }),
      });
      store.journal.append('technician.invited', { invite: id, name, permissions, by: 'owner' });
    });
    return { id, invite, name, permissions, inviteExpiresAtUnixMs };
  }

  /**
   * Uses an invite up. It is looked at again inside the commit that uses it: of two at once one
   * gets it, and the other has made nothing. @throws Refusal
   */
  async redeem(invite: string, pin: string): Promise<SignInResult> {
    const { store, clock, random, key } = this.#options;
    const typed = invite.trim().toLowerCase();
    if (!/^[0-9a-f]{64}$/.test(typed)) throw badInvite();
    const hash = inviteHash(typed);
    this.#openInvite(hash);
    if (!isFitPin(pin)) {
      const words = 'A PIN has at least 6 digits, not all the same and not in a row.';
      throw new Refusal('usage', 'weakPin', words);
    }
    const kept = await hashPin(key, random, pin);
    const id = Buffer.from(random.bytes(16)).toString('hex');
    store.commit(() => {
      const found = this.#openInvite(hash);
      const { name, permissions, technicianExpiresAtUnixMs: expiresAtUnixMs } = found;
      this.#assertFree(name);
      const expires = expiresAtUnixMs === undefined ? {} : { expiresAtUnixMs };
      const technician = { id, name, permissions, createdAtUnixMs: clock.now(), ...expires };
      store.technicians.insert(technician, kept);
      store.technicians.useInvite(found.id, id);
      store.journal.append('technician.joined', { technician: id, name, invite: found.id });
    });
    return this.#begin(id);
  }

  /** Signs in by name and PIN. @throws Refusal `wrongPin`, `lockedOut`, `revoked`, `expired` */
  async signIn(name: string, pin: string): Promise<SignInResult> {
    const attempt = this.#trying.then(() => this.#signIn(name, pin));
    this.#trying = attempt.catch(() => undefined);
    return attempt;
  }

  async #signIn(name: string, pin: string): Promise<SignInResult> {
    const { store, clock, key } = this.#options;
    const technician = store.technicians.byName(name);
    const scope = technician ? `technician:${technician.id}` : UNKNOWN_SCOPE;
    const tries = this.#assertNotLocked(scope);
    // Written before the try is judged: pulling the plug makes no try undone.
    store.commit(() => store.wrongTries.add(scope, clock.now()));
    const kept = technician && store.technicians.pin(technician.id);
    if (!(await isPin(key, pin, kept)) || !technician) {
      const triesLeft = WRONG_PINS_MAX - tries - 1;
      const body = { name: nameKey(name).slice(0, 64), known: technician !== undefined };
      store.commit(() => store.journal.append('technician.wrongPin', body));
      throw new Refusal('notAuthorized', 'wrongPin', 'Name or PIN is wrong.', { triesLeft });
    }
    store.commit(() => store.wrongTries.clear(scope));
    return this.#begin(technician.id);
  }

  /** Tries so far. @throws Refusal `lockedOut` */
  #assertNotLocked(scope: string): number {
    const { store, clock } = this.#options;
    const since = clock.now() - WRONG_PINS_MS;
    const oldest = store.wrongTries.nthNewest(scope, since, WRONG_PINS_MAX);
    if (oldest === undefined) return store.wrongTries.countSince(scope, since);
    const waitMs = Math.min(WRONG_PINS_MS, Math.max(1_000, oldest - since));
    const minutes = Math.ceil(waitMs / 60_000);
    const words = `Too many wrong PINs. Please wait ${minutes} min.`;
    throw new Refusal('tooManyTries', 'lockedOut', words, { waitMs });
  }

  #begin(id: string): SignInResult {
    const { store, clock, random } = this.#options;
    const technician = this.#usable(id);
    const token = Buffer.from(random.bytes(TOKEN_BYTES)).toString('hex');
    store.commit(() => {
      store.technicians.signedIn(id, clock.now());
      const { name } = technician;
      store.journal.append('technician.signedIn', { technician: id, name });
    });
    this.#sessions.set(token, { id, usedMonotonicMs: clock.monotonic() });
    const byUse = [...this.#sessions].sort(
      ([, one], [, other]) => other.usedMonotonicMs - one.usedMonotonicMs,
    );
    for (const [oldest] of byUse.slice(SESSIONS_MAX)) this.#sessions.delete(oldest);
    const signedIn = technicianView(this.#usable(id), clock.now());
    return { token, technician: signedIn, idleMs: IDLE_MS };
  }

  /** Ends a sign-in. */
  signOut(credential: Credential): void {
    if (credential.kind === 'token') this.#sessions.delete(credential.token);
  }

  /**
   * Who acts. Looked up on every act, so that a revocation holds from its commit on.
   * @throws Refusal `notSignedIn`, `signInExpired`, `revoked`, `expired`
   */
  actor(credential: Credential): Actor {
    if (credential.kind === 'owner') return { technician: undefined, name: 'owner' };
    if (credential.kind === 'nobody') throw notSignedIn();
    const { clock } = this.#options;
    const session = this.#sessions.get(credential.token);
    if (!session || clock.monotonic() - session.usedMonotonicMs > IDLE_MS) {
      this.#sessions.delete(credential.token);
      const words = 'Your sign-in has ended. Sign in again; nothing that you answered is lost.';
      throw new Refusal('notAuthorized', 'signInExpired', words);
    }
    session.usedMonotonicMs = clock.monotonic();
    const technician = this.#usable(session.id);
    return { technician, name: technician.name };
  }

  /** The owner alone. @throws Refusal `ownerOnly`, or as `actor` does */
  owner(credential: Credential): Actor {
    const actor = this.actor(credential);
    if (actor.technician === undefined) return actor;
    const words = "This is for the machine's owner: root, or the service's own user.";
    throw new Refusal('notPermitted', 'ownerOnly', words);
  }

  /** Who acts, when they may. The owner may all that needs no name. @throws Refusal `permission` */
  permitted(credential: Credential, needed: Permission): Actor {
    const actor = this.actor(credential);
    if (actor.technician) assertPermitted(actor.technician, needed);
    return actor;
  }

  /** A technician who may: what is signed needs a name. @throws Refusal */
  technician(credential: Credential, needed: Permission): Technician {
    const { technician } = this.actor(credential);
    if (!technician) throw notSignedIn();
    assertPermitted(technician, needed);
    return technician;
  }

  /** Shuts out a technician, or ends an open invite, by id or name. @throws Refusal */
  end(who: string, state: 'revoked' | 'deleted', by: string): EndTechnicianResult {
    const { store, clock } = this.#options;
    const found = store.technicians.get(who) ?? store.technicians.byName(who);
    if (found) {
      const outcome = store.commit(() => endTechnician(store, found, state, by, clock.now()));
      return { outcome, ended: 'technician', id: found.id, name: found.name };
    }
    const matches = store.technicians
      .invites()
      .filter(({ id, name }) => id === who || nameKey(name) === nameKey(who));
    const invite = matches.find((one) => one.state === 'open') ?? matches.at(-1);
    if (!invite) {
      const words = `There is no technician and no invite ${JSON.stringify(who)}.`;
      throw new Refusal('notFound', 'noTechnician', words, { who });
    }
    const ended = store.commit(() => endInvite(store, invite, by));
    const { id, name } = invite;
    return { outcome: ended ? 'ended' : 'alreadyEnded', ended: 'invite', id, name };
  }

  /** Lets one in again whom a restore suspended. @throws Refusal `noTechnician` */
  confirm(who: string, by: string): EndTechnicianResult {
    const { store } = this.#options;
    const found = store.technicians.get(who) ?? store.technicians.byName(who);
    if (!found) {
      const words = `There is no technician ${JSON.stringify(who)}.`;
      throw new Refusal('notFound', 'noTechnician', words, { who });
    }
    const { id, name } = found;
    const confirmed = store.commit(() => {
      if (!store.technicians.confirm(id)) return false;
      store.journal.append('technician.confirmed', { technician: id, name, by });
      return true;
    });
    return { outcome: confirmed ? 'confirmed' : 'alreadyEnded', ended: 'technician', id, name };
  }

  /** All of them, with all invites. */
  view(): TechniciansView {
    const { store, clock } = this.#options;
    const now = clock.now();
    return {
      technicians: store.technicians.list().map((one) => technicianView(one, now)),
      invites: store.technicians.invites().map((one) => ({
        id: one.id,
        name: one.name,
        permissions: asPermissions(one.permissions),
        state: inviteState(one, now),
        createdAtUnixMs: one.createdAtUnixMs,
        inviteExpiresAtUnixMs: one.expiresAtUnixMs,
      })),
    };
  }

  /** The invite, when it can still be used. @throws Refusal */
  #openInvite(hash: string): Invite {
    const { store, clock } = this.#options;
    const invite = store.technicians.inviteByHash(hash);
    if (!invite) throw badInvite();
    const why = { used: 'inviteUsed', expired: 'inviteExpired', revoked: 'inviteRevoked' } as const;
    const state = inviteState(invite, clock.now());
    if (state === 'open') return invite;
    const words = { used: 'was used', expired: 'has expired', revoked: 'was revoked' }[state];
    throw new Refusal('notPermitted', why[state], `This invite ${words}. Ask for another one.`);
  }

  #assertFree(name: string): void {
    if (!this.#options.store.technicians.byName(name)) return;
    const words = `There is a technician ${name}; delete them first, or choose another name.`;
    throw new Refusal('sequenceError', 'nameTaken', words, { name });
  }

  /** The technician, when they are let in. @throws Refusal */
  #usable(id: string): Technician {
    const { store, clock } = this.#options;
    const technician = store.technicians.get(id);
    if (!technician || technician.state === 'revoked' || technician.state === 'deleted') {
      const words = 'Your access was ended. Speak to the operator.';
      throw new Refusal('notPermitted', 'revoked', words);
    }
    if (technician.state === 'suspended') {
      const words = 'The machine was restored from a backup: the operator has to confirm you.';
      throw new Refusal('notPermitted', 'suspended', words);
    }
    if (technician.expiresAtUnixMs !== undefined && technician.expiresAtUnixMs <= clock.now()) {
      throw new Refusal('notPermitted', 'expired', 'Your access has expired.');
    }
    return technician;
  }
}

const badInvite = () =>
  new Refusal('usage', 'badInvite', 'This is no invite of this machine: 64 digits from 0 to f.');

/** @throws Refusal `permission` */
export function assertPermitted(technician: Technician, needed: Permission): void {
  if (technician.permissions.includes(needed)) return;
  const words = `You may not do this: it needs the permission "${needed}".`;
  throw new Refusal('notPermitted', 'permission', words, { permission: needed });
}

/** Shuts one out, inside a commit. */
export function endTechnician(
  store: Store,
  { id, name }: Technician,
  state: 'revoked' | 'deleted',
  by: string,
  atUnixMs: number,
): 'ended' | 'alreadyEnded' {
  if (!store.technicians.end(id, state, by, atUnixMs)) return 'alreadyEnded';
  store.journal.append(`technician.${state}`, { technician: id, name, by });
  return 'ended';
}

/** Ends an open invite, inside a commit. */
export function endInvite(store: Store, { id, name }: Invite, by: string): boolean {
  if (!store.technicians.revokeInvite(id, by)) return false;
  store.journal.append('invite.revoked', { invite: id, name, by });
  return true;
}

/** Words of another version of this program permit nothing here. */
function asPermissions(words: readonly string[]): Permission[] {
  return permission.options.filter((known) => words.includes(known));
}

/** A technician for the API. */
export function technicianView(technician: Technician, nowUnixMs: number): TechnicianView {
  const { id, name, state, createdAtUnixMs, expiresAtUnixMs, lastSignInUnixMs } = technician;
  const isExpired = expiresAtUnixMs !== undefined && expiresAtUnixMs <= nowUnixMs;
  return {
    id,
    name,
    permissions: asPermissions(technician.permissions),
    state: state === 'active' && isExpired ? 'expired' : state,
    createdAtUnixMs,
    expiresAtUnixMs: expiresAtUnixMs ?? null,
    lastSignInUnixMs: lastSignInUnixMs ?? null,
    endedBy: technician.endedBy ?? null,
  };
}
