/** What is signed of a visit: who did what, what was there, what was put in, what moved. */
import assert from 'node:assert';
import { createHash } from 'node:crypto';
import { recordName } from '#protocol/documents/visit-record.ts';
import type { Exchange } from '#state/exchanges.ts';
import { canonicalJson, type JsonObject } from '#state/json.ts';
import type { Store } from '#state/store.ts';
import type { Technician } from '#state/technicians.ts';
import type { VisitRecord } from '#state/visit-records.ts';
import { anyJson, jsonObject } from '../api/schemas.ts';
import type { RecordView } from '../api/visit-schemas.ts';
import type { Parts } from '../parts.ts';
import { bookedOf } from './bookings.ts';
import { faceOf } from './faces.ts';
import {
  type BayStanding,
  type BoxStanding,
  differencesOf,
  type Pile,
  type Setup,
  type Standing,
  takenBack,
} from './standing.ts';

/** SHA-256 of what was expected: told to the journal before anything is counted. */
export function expectedHash(setup: JsonObject): string {
  return createHash('sha256').update(canonicalJson(setup)).digest('hex');
}

/**
 * Appends a record, linked to the one before and to the journal's head, and makes it wait for the
 * signer; inside a commit.
 */
export function appendRecord(
  parts: Pick<Parts, 'store' | 'clock' | 'signer'>,
  record: Pick<VisitRecord, 'kind' | 'reference'> & { readonly body: JsonObject },
): VisitRecord {
  const { store, clock, signer } = parts;
  const { kind, reference } = record;
  const atUnixMs = clock.now();
  const { number, hash } = store.visitRecords.head();
  const made = store.visitRecords.append({
    ...{ kind, reference, atUnixMs },
    body: {
      schema_version: 1,
      number: number + 1,
      previousHash: hash,
      spire: signer.pubkey,
      kind,
      reference,
      atUnixMs,
      journal: { ...store.journal.head() },
      ...record.body,
    },
  });
  queueRecord(store, made);
  return made;
}

/** Makes a record wait to be signed and published. */
function queueRecord(store: Store, { number, body }: VisitRecord): void {
  store.outbox.put(recordName(number), canonicalJson(body));
}

/** Records that were dropped from the outbox unsigned, by a restore say, wait again. */
export function queueUnsigned(store: Store): void {
  const waiting = new Set(store.outbox.pending().map(({ type }) => type));
  const lost = store.visitRecords.unsigned().filter(({ number }) => {
    return !waiting.has(recordName(number));
  });
  if (lost.length === 0) return;
  store.commit(() => {
    for (const record of lost) queueRecord(store, record);
  });
}

const pilesFor = (piles: readonly Pile[], currency: string) =>
  piles.map(({ value, count }) => ({ denomination: faceOf(value, currency), count }));

function countedFor(one: BayStanding | BoxStanding, currency: string): JsonObject {
  return {
    choice: one.choice,
    seal: one.seal,
    expected: pilesFor(one.expected, currency),
    counted: one.counted === null ? null : pilesFor(one.counted, currency),
    overShort: pilesFor(differencesOf(one), currency),
    reason: one.reason,
    note: one.note,
  };
}

/** Whoever has done something here: nobody is ever forgotten. */
export function technicianOf(store: Store, id: string): Technician {
  const technician = store.technicians.get(id);
  assert(technician, 'who has acted is known');
  return technician;
}

/** What a record says of an exchange that ends. */
export function exchangeBody(
  store: Store,
  ended: {
    readonly exchange: Exchange;
    readonly outcome: 'closed' | 'abandoned';
    readonly reason: string | null;
    readonly currency: string;
    /** Undefined when it ended before the machine had come to rest. */
    readonly running: { readonly setup: Setup; readonly standing: Standing } | undefined;
  },
): JsonObject {
  const { exchange, outcome, reason, currency, running } = ended;
  const steps = store.exchanges.steps(exchange.id);
  const { bays = [], boxes = [], tests = [] } = running?.standing ?? {};
  const ids = new Set([exchange.technicianId, ...steps.map((step) => step.technicianId)]);
  const technicians = [...ids].map((id) => ({ id, name: technicianOf(store, id).name }));
  const back = takenBack(steps);
  return {
    outcome,
    outcomeReason: reason,
    openedAtUnixMs: exchange.openedAtUnixMs,
    technicians,
    currency,
    expectedHash: exchange.setup === undefined ? null : expectedHash(exchange.setup),
    bays: bays.map((bay) => {
      const position = bay.before.position;
      return {
        ...{ position, ...countedFor(bay, currency), ...bayBefore(bay, currency) },
        denomination: bay.value === null ? null : faceOf(bay.value, currency),
        count: bay.count,
        test: bay.test,
        accuracy: store.cashUnits.get(position)?.accuracy ?? null,
      };
    }),
    boxes: boxes.map((box) => ({ place: box.place, ...countedFor(box, currency) })),
    tests: tests.map(({ value, ...test }) => ({
      ...test,
      denomination: faceOf(value, currency),
    })),
    takenBack: back.map(({ place, piles }) => ({ place, counted: pilesFor(piles, currency) })),
    moves: bookedOf(exchange.booked).map(({ from, to, value, count }) => ({
      from,
      to,
      denomination: faceOf(value, currency),
      count,
    })),
  };
}

function bayBefore({ before }: BayStanding, currency: string): JsonObject {
  return {
    before: {
      denomination: before.value === null ? null : faceOf(before.value, currency),
      parked: before.parked,
      accuracy: before.accuracy,
    },
  };
}

/** A record for the API. */
export function recordView(record: VisitRecord): RecordView {
  const { number, hash, kind, reference, atUnixMs, body, event } = record;
  return {
    ...{ number, hash, kind, reference, atUnixMs },
    body: jsonObject.parse(JSON.parse(canonicalJson(body))),
    signature: event === undefined ? 'queued' : 'signed',
    event: event === undefined ? null : anyJson.parse(JSON.parse(canonicalJson(event))),
  };
}
