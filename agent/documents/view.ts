/** The documents as the local API shows them. */
import { ANCHOR_NAME } from '#protocol/documents/anchor.ts';
import { CASSETTES_STATE_NAME } from '#protocol/documents/cassettes-state.ts';
import { supersedes } from '#protocol/documents/document.ts';
import { OBLIGATIONS_NAME } from '#protocol/documents/obligations.ts';
import { incomingTypeNames, incomingTypes } from '#protocol/documents/registry.ts';
import { BEACON_NAME, TELEMETRY_NAME } from '#protocol/rpc/dialect.ts';
import type { Store } from '#state/store.ts';
import { anyJson, type DocumentView } from '../api/schemas.ts';
import type { Sight } from '../service/service.ts';
import { landedOf, relayReportsOf } from './outgoing.ts';

const OUTGOING = [CASSETTES_STATE_NAME, OBLIGATIONS_NAME, BEACON_NAME, TELEMETRY_NAME, ANCHOR_NAME];

/** Those that say how many notes are where. */
const COUNTS: readonly string[] = [
  CASSETTES_STATE_NAME,
  TELEMETRY_NAME,
  incomingTypes.cassettes.name,
];

const asJson = (text: string): DocumentView['content'] => anyJson.parse(JSON.parse(text));

/** Hands count without knowing the books: until it is over nothing says what is expected. */
export const isBlind = (store: Store, sight: Sight): boolean =>
  sight === 'blind' && store.exchanges.open() !== undefined;

/** All that the operator may send, also when it never came, and all that we have to say. */
export function documentsView(store: Store, sight: Sight = 'blind'): DocumentView[] {
  const incoming = incomingTypeNames.map((type) => incomingView(store, type));
  const all = [...incoming, ...OUTGOING.flatMap((name) => outgoingView(store, name))];
  if (!isBlind(store, sight)) return all;
  return all.map((view) => (COUNTS.includes(view.type) ? { ...view, content: null } : view));
}

function incomingView(store: Store, type: (typeof incomingTypeNames)[number]): DocumentView {
  const applied = store.documents.applied(type);
  const refused = store.documents.lastRefused(type);
  const isNewer = refused !== undefined && supersedes(refused, applied);
  return {
    type: incomingTypes[type].name,
    direction: 'in',
    appliedAtUnixMs: applied?.receivedAtUnixMs ?? null,
    createdAtUnixMs: applied ? applied.createdAt * 1000 : null,
    eventId: applied?.eventId ?? null,
    content: applied ? asJson(applied.content) : null,
    refused: isNewer ? (refused.reason ?? null) : null,
    pending: false,
    relays: [],
  };
}

function outgoingView(store: Store, name: string): DocumentView[] {
  const waiting = store.outbox.pending().find(({ type }) => type === name);
  const landed = landedOf(store, name);
  const text = waiting?.content ?? landed?.text;
  if (text === undefined) return [];
  return [
    {
      type: name,
      direction: 'out',
      appliedAtUnixMs: landed?.atUnixMs ?? null,
      createdAtUnixMs: landed ? landed.createdAtSec * 1000 : null,
      eventId: landed?.eventId ?? null,
      content: asJson(text),
      refused: null,
      pending: waiting !== undefined,
      relays: relayReportsOf(store, name),
    },
  ];
}
