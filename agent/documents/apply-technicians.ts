/** What a technician document does (design 10, 11). Runs inside the caller's commit. */
import type { InviteStatement, TechniciansDocument } from '#protocol/documents/technicians.ts';
import type { JsonObject } from '#state/json.ts';
import type { Store } from '#state/store.ts';
import { nameKey, type Technician } from '#state/technicians.ts';
import { permission } from '../api/visit-schemas.ts';
import { endInvite, endTechnician, INVITE_MS } from '../exchange/technicians.ts';
import { type AsOf, isWrittenAfter } from './as-of.ts';

/** A document with the moment that it is about. */
export interface TechniciansStatement extends AsOf {
  readonly document: TechniciansDocument;
  /** Of the event, which also makes the ids of its invites. */
  readonly eventId: string;
}

const BY = 'operatorDocument';
const ID_DIGITS = 32;

/** Shuts out, lets in again, adds invites. Returns what was done, for the journal. */
export function applyTechnicians(store: Store, statement: TechniciansStatement): JsonObject[] {
  const { revoked, deleted, confirmed, invites } = statement.document;
  return [
    ...revoked.map((who) => shutOut(store, who, 'revoked', statement)),
    ...deleted.map((who) => shutOut(store, who, 'deleted', statement)),
    ...confirmed.map((who) => confirm(store, who, statement)),
    ...invites.map((invite) => addInvite(store, invite, statement)),
  ];
}

/** Who is meant: a later bearer of a name is another person. */
function meant(store: Store, who: string, statement: AsOf): Technician | undefined {
  const found = store.technicians.get(who) ?? store.technicians.byName(who);
  return found && !isWrittenAfter(statement, found.createdAtUnixMs) ? found : undefined;
}

function shutOut(
  store: Store,
  who: string,
  state: 'revoked' | 'deleted',
  statement: TechniciansStatement,
): JsonObject {
  const found = meant(store, who, statement);
  const ended = found && endTechnician(store, found, state, BY, statement.nowUnixMs);
  const invites = store.technicians
    .invites()
    .filter((one) => one.state === 'open' && !isWrittenAfter(statement, one.createdAtUnixMs))
    .filter(({ id, hash, name }) => id === who || hash === who || nameKey(name) === nameKey(who))
    .filter((invite) => endInvite(store, invite, BY));
  return { who, result: ended ?? 'notFound', wanted: state, invitesEnded: invites.length };
}

/** A word from before the restore does not know of it. */
function confirm(store: Store, who: string, statement: TechniciansStatement): JsonObject {
  const found = meant(store, who, statement);
  if (!found) return { who, result: 'notFound', wanted: 'confirmed' };
  const isRestoredSince = store.obligations
    .list()
    .some(
      ({ kind, createdAtUnixMs }) =>
        kind === 'restored' && isWrittenAfter(statement, createdAtUnixMs),
    );
  if (isRestoredSince || !store.technicians.confirm(found.id)) {
    return { who, result: 'unchanged', wanted: 'confirmed' };
  }
  const { id, name } = found;
  store.journal.append('technician.confirmed', { technician: id, name, by: BY });
  return { who, result: 'confirmed', wanted: 'confirmed' };
}

function addInvite(
  store: Store,
  { hash, name, permissions: words, expiresAtSec }: InviteStatement,
  { asOfUnixMs, nowUnixMs, eventId }: TechniciansStatement,
): JsonObject {
  const permissions = [...new Set(words.flatMap((word) => permission.safeParse(word).data ?? []))];
  const expiresAtUnixMs = asOfUnixMs + INVITE_MS;
  const told = (result: string) => ({ invite: hash, name, result });
  if (store.technicians.inviteByHash(hash)) return told('known');
  if (permissions.length === 0) return told('permitsNothing');
  if (expiresAtUnixMs <= nowUnixMs) return told('expired');
  if (store.technicians.byName(name)) return told('nameTaken');
  const id = hash.slice(0, ID_DIGITS);
  const expires = expiresAtSec === null ? {} : { technicianExpiresAtUnixMs: expiresAtSec * 1_000 };
  const createdAtUnixMs = Math.max(0, asOfUnixMs);
  store.technicians.insertInvite({
    ...{ id, hash, name, permissions, createdAtUnixMs, expiresAtUnixMs },
    ...expires,
  });
  const by = { by: BY, event: eventId };
  store.journal.append('technician.invited', { invite: id, name, permissions, ...by });
  return told('added');
}
