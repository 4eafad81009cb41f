/** Technicians and their invites: who may come, and how they prove it. Decides nothing. */
import { StoreError } from '#protocol/base/errors.ts';
import type { Connection } from './connection.ts';
import { canonicalJson, parseJson } from './json.ts';

/**
 * `suspended` waits for the operator's word after a restore; `revoked` and `deleted` are shut out
 * for good, and only the deleted one's name is free again.
 */
export type TechnicianState = 'active' | 'suspended' | 'revoked' | 'deleted';

/** One technician. */
export interface Technician {
  /** 32 hex digits. */
  readonly id: string;
  readonly name: string;
  readonly permissions: readonly string[];
  readonly state: TechnicianState;
  readonly createdAtUnixMs: number;
  /** Not there for one who does not expire. */
  readonly expiresAtUnixMs?: number;
  readonly lastSignInUnixMs?: number;
  readonly endedAtUnixMs?: number;
  /** Who revoked or deleted, and why. */
  readonly endedBy?: string;
}

/** What a PIN is checked against; gone when the technician is deleted. */
export interface PinHash {
  /** 16 bytes. */
  readonly salt: Uint8Array;
  /** 32 bytes. */
  readonly hash: Uint8Array;
}

/** An invite as the state keeps it: its hash, never itself. */
export interface Invite {
  /** 32 hex digits. */
  readonly id: string;
  /** SHA-256 of the invite's 32 bytes, hex. */
  readonly hash: string;
  readonly name: string;
  readonly permissions: readonly string[];
  readonly technicianExpiresAtUnixMs?: number;
  readonly createdAtUnixMs: number;
  readonly expiresAtUnixMs: number;
  readonly state: 'open' | 'used' | 'revoked';
  readonly technicianId?: string;
  readonly endedBy?: string;
}

/** What an invite is written with. */
export type NewInvite = Omit<Invite, 'state' | 'technicianId' | 'endedBy'>;

interface TechnicianRow {
  readonly id: string;
  readonly name: string;
  readonly permissions: string;
  readonly state: TechnicianState;
  readonly createdAtUnixMs: number;
  readonly expiresAtUnixMs: number | null;
  readonly lastSignInUnixMs: number | null;
  readonly endedAtUnixMs: number | null;
  readonly endedBy: string | null;
}

interface InviteRow {
  readonly id: string;
  readonly hash: string;
  readonly name: string;
  readonly permissions: string;
  readonly technicianExpiresAtUnixMs: number | null;
  readonly createdAtUnixMs: number;
  readonly expiresAtUnixMs: number;
  readonly state: Invite['state'];
  readonly technicianId: string | null;
  readonly endedBy: string | null;
}

const TECHNICIAN = `SELECT id, name, permissions, state, created_at_unix_ms AS createdAtUnixMs,
  expires_at_unix_ms AS expiresAtUnixMs, last_sign_in_unix_ms AS lastSignInUnixMs,
  ended_at_unix_ms AS endedAtUnixMs, ended_by AS endedBy FROM technician`;
const INVITE = `SELECT id, hash, name, permissions, state, technician_id AS technicianId,
  technician_expires_at_unix_ms AS technicianExpiresAtUnixMs,
  created_at_unix_ms AS createdAtUnixMs, expires_at_unix_ms AS expiresAtUnixMs,
  ended_by AS endedBy FROM invite`;

function toWords(text: string): readonly string[] {
  const value = parseJson(text);
  return Array.isArray(value) ? value.map(String) : [];
}

function toTechnician({ permissions, ...row }: TechnicianRow): Technician {
  const { expiresAtUnixMs, lastSignInUnixMs, endedAtUnixMs, endedBy, ...rest } = row;
  return {
    ...rest,
    permissions: toWords(permissions),
    ...(expiresAtUnixMs === null ? {} : { expiresAtUnixMs }),
    ...(lastSignInUnixMs === null ? {} : { lastSignInUnixMs }),
    ...(endedAtUnixMs === null ? {} : { endedAtUnixMs }),
    ...(endedBy === null ? {} : { endedBy }),
  };
}

function toInvite({ permissions, ...row }: InviteRow): Invite {
  const { technicianExpiresAtUnixMs, technicianId, endedBy, ...rest } = row;
  return {
    ...rest,
    permissions: toWords(permissions),
    ...(technicianExpiresAtUnixMs === null ? {} : { technicianExpiresAtUnixMs }),
    ...(technicianId === null ? {} : { technicianId }),
    ...(endedBy === null ? {} : { endedBy }),
  };
}

/** One name for all the ways to type it: case, width and doubled spaces do not count. */
export function nameKey(name: string): string {
  return name.normalize('NFKC').trim().replace(/\s+/gu, ' ').toLowerCase();
}

/** Reads and writes technicians and invites. */
export class Technicians {
  readonly #insert;
  readonly #end;
  readonly #confirm;
  readonly #suspendAll;
  readonly #signedIn;
  readonly #byId;
  readonly #byName;
  readonly #pin;
  readonly #list;
  readonly #insertInvite;
  readonly #use;
  readonly #revokeInvite;
  readonly #inviteByHash;
  readonly #invites;

  constructor(connection: Connection) {
    this.#insert = connection.command<Record<string, string | number | null | Uint8Array>>(
      `INSERT INTO technician (id, name, name_key, permissions, pin_salt, pin_hash, state,
         created_at_unix_ms, expires_at_unix_ms)
       VALUES (:id, :name, :nameKey, :permissions, :salt, :hash, 'active', :createdAtUnixMs,
         :expiresAtUnixMs)`,
    );
    this.#end = connection.command<Record<string, string | number | null>>(
      `UPDATE technician SET state = :state, ended_at_unix_ms = :atUnixMs, ended_by = :by,
         pin_salt = iif(:state = 'deleted', NULL, pin_salt),
         pin_hash = iif(:state = 'deleted', NULL, pin_hash)
       WHERE id = :id AND state <> 'deleted' AND state <> :state`,
    );
    this.#confirm = connection.command<{ id: string }>(
      `UPDATE technician SET state = 'active' WHERE id = :id AND state = 'suspended'`,
    );
    this.#suspendAll = connection.command<Record<string, never>>(
      `UPDATE technician SET state = 'suspended' WHERE state = 'active'`,
    );
    this.#signedIn = connection.command<{ id: string; atUnixMs: number }>(
      'UPDATE technician SET last_sign_in_unix_ms = :atUnixMs WHERE id = :id',
    );
    this.#byId = connection.query<{ id: string }, TechnicianRow>(`${TECHNICIAN} WHERE id = :id`);
    this.#byName = connection.query<{ key: string }, TechnicianRow>(
      `${TECHNICIAN} WHERE name_key = :key AND state <> 'deleted'`,
    );
    this.#pin = connection.query<{ id: string }, { salt: Uint8Array; hash: Uint8Array }>(
      `SELECT pin_salt AS salt, pin_hash AS hash FROM technician
       WHERE id = :id AND pin_hash IS NOT NULL`,
    );
    const order = 'ORDER BY created_at_unix_ms, rowid';
    this.#list = connection.query<Record<string, never>, TechnicianRow>(`${TECHNICIAN} ${order}`);
    this.#insertInvite = connection.command<Record<string, string | number | null>>(
      `INSERT INTO invite (id, hash, name, permissions, technician_expires_at_unix_ms,
         created_at_unix_ms, expires_at_unix_ms, state)
       VALUES (:id, :hash, :name, :permissions, :technicianExpiresAtUnixMs, :createdAtUnixMs,
         :expiresAtUnixMs, 'open')`,
    );
    this.#use = connection.command<{ id: string; technicianId: string }>(
      `UPDATE invite SET state = 'used', technician_id = :technicianId
       WHERE id = :id AND state = 'open'`,
    );
    this.#revokeInvite = connection.command<{ id: string; by: string }>(
      `UPDATE invite SET state = 'revoked', ended_by = :by WHERE id = :id AND state = 'open'`,
    );
    this.#inviteByHash = connection.query<{ hash: string }, InviteRow>(
      `${INVITE} WHERE hash = :hash`,
    );
    this.#invites = connection.query<Record<string, never>, InviteRow>(`${INVITE} ${order}`);
  }

  /** Writes a new one. @throws StoreError `exists` while somebody who is not deleted is so called. */
  insert(
    technician: Pick<
      Technician,
      'id' | 'name' | 'permissions' | 'createdAtUnixMs' | 'expiresAtUnixMs'
    >,
    { salt, hash }: PinHash,
  ): void {
    const { id, name, permissions, createdAtUnixMs, expiresAtUnixMs } = technician;
    this.#insert({
      ...{ id, name, createdAtUnixMs, salt, hash },
      nameKey: nameKey(name),
      permissions: canonicalJson(permissions),
      expiresAtUnixMs: expiresAtUnixMs ?? null,
    });
  }

  /** Shuts one out; a deleted one's PIN is erased. False when that is so already. */
  end(id: string, state: 'revoked' | 'deleted', by: string, atUnixMs: number): boolean {
    return this.#end({ id, state, by, atUnixMs }) === 1;
  }

  /** Lets one in again that a restore suspended; false for any other. */
  confirm(id: string): boolean {
    return this.#confirm({ id }) === 1;
  }

  /** Suspends all that are active; returns how many. */
  suspendAll(): number {
    return this.#suspendAll({});
  }

  /** Notes a sign-in. */
  signedIn(id: string, atUnixMs: number): void {
    this.#signedIn({ id, atUnixMs });
  }

  /** By id, deleted or not. */
  get(id: string): Technician | undefined {
    const row = this.#byId.get({ id });
    return row && toTechnician(row);
  }

  /** The one who is called so now; a deleted one is not. */
  byName(name: string): Technician | undefined {
    const row = this.#byName.get({ key: nameKey(name) });
    return row && toTechnician(row);
  }

  /** What the PIN is checked against. */
  pin(id: string): PinHash | undefined {
    return this.#pin.get({ id });
  }

  /** All that ever were, oldest first. */
  list(): Technician[] {
    return this.#list.all({}).map(toTechnician);
  }

  /** Writes a new invite. @throws StoreError `exists` for a hash that is there. */
  insertInvite(invite: NewInvite): void {
    const { id, hash, name, createdAtUnixMs, expiresAtUnixMs } = invite;
    this.#insertInvite({
      ...{ id, hash, name, createdAtUnixMs, expiresAtUnixMs },
      permissions: canonicalJson(invite.permissions),
      technicianExpiresAtUnixMs: invite.technicianExpiresAtUnixMs ?? null,
    });
  }

  /**
   * Compares and sets: of two who would use one invite, one gets it.
   * @throws StoreError `sequenceError` when it is not open any more.
   */
  useInvite(id: string, technicianId: string): void {
    if (this.#use({ id, technicianId }) === 1) return;
    throw new StoreError('sequenceError', `invite ${id} is not open`);
  }

  /** Ends an open invite; false when it is used or ended. */
  revokeInvite(id: string, by: string): boolean {
    return this.#revokeInvite({ id, by }) === 1;
  }

  /** By the SHA-256 of what was handed out, hex. */
  inviteByHash(hash: string): Invite | undefined {
    const row = this.#inviteByHash.get({ hash });
    return row && toInvite(row);
  }

  /** All that ever were, oldest first. */
  invites(): Invite[] {
    return this.#invites.all({}).map(toInvite);
  }
}
