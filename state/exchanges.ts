/** Exchanges: every answer of a technician as a row, so that a power cut loses none of them. */
import { StoreError } from '#protocol/base/errors.ts';
import type { Reference } from '#protocol/base/ids.ts';
import type { Connection } from './connection.ts';
import {
  canonicalJson,
  type JsonObject,
  type JsonValue,
  parseJson,
  parseJsonObject,
} from './json.ts';

/** One exchange. At most one is open. */
export interface Exchange {
  /** 32 hex digits. */
  readonly id: string;
  readonly reference: Reference;
  /** Who began it. */
  readonly technicianId: string;
  readonly state: 'open' | 'closed' | 'abandoned';
  /** What was expected where when the machine had come to rest; written once, then. */
  readonly setup?: JsonObject;
  /** What it has moved in the note ledger, in sum. */
  readonly booked: readonly JsonValue[];
  readonly openedAtUnixMs: number;
  readonly endedAtUnixMs?: number;
}

/** One answer. */
export interface ExchangeStep {
  /** 1, 2, 3 ... */
  readonly ordinal: number;
  readonly technicianId: string;
  readonly atUnixMs: number;
  readonly question: JsonObject;
  readonly answer: JsonObject;
  /** What the books said at that moment. */
  readonly facts: JsonObject;
  /** What came of an act; written once. */
  readonly outcome?: JsonObject;
  /** When it was taken back. */
  readonly undoneAtUnixMs?: number;
}

interface Row {
  readonly id: string;
  readonly reference: Reference;
  readonly technicianId: string;
  readonly state: Exchange['state'];
  readonly setup: string | null;
  readonly booked: string;
  readonly openedAtUnixMs: number;
  readonly endedAtUnixMs: number | null;
}

interface StepRow {
  readonly ordinal: number;
  readonly technicianId: string;
  readonly atUnixMs: number;
  readonly question: string;
  readonly answer: string;
  readonly facts: string;
  readonly outcome: string | null;
  readonly undoneAtUnixMs: number | null;
}

const SELECT = `SELECT id, reference, technician_id AS technicianId, state, setup, booked,
  opened_at_unix_ms AS openedAtUnixMs, ended_at_unix_ms AS endedAtUnixMs FROM exchange`;

function toExchange({ setup, booked, endedAtUnixMs, ...row }: Row): Exchange {
  const moves = parseJson(booked);
  return {
    ...row,
    booked: Array.isArray(moves) ? moves : [],
    ...(setup === null ? {} : { setup: parseJsonObject(setup) }),
    ...(endedAtUnixMs === null ? {} : { endedAtUnixMs }),
  };
}

function toStep({ question, answer, facts, outcome, undoneAtUnixMs, ...row }: StepRow) {
  return {
    ...row,
    question: parseJsonObject(question),
    answer: parseJsonObject(answer),
    facts: parseJsonObject(facts),
    ...(outcome === null ? {} : { outcome: parseJsonObject(outcome) }),
    ...(undoneAtUnixMs === null ? {} : { undoneAtUnixMs }),
  } satisfies ExchangeStep;
}

/** Reads and writes exchanges and their steps. */
export class Exchanges {
  readonly #insert;
  readonly #setUp;
  readonly #book;
  readonly #end;
  readonly #open;
  readonly #byId;
  readonly #insertStep;
  readonly #setOutcome;
  readonly #undo;
  readonly #steps;

  constructor(connection: Connection) {
    this.#insert = connection.command<Record<string, string | number>>(
      `INSERT INTO exchange (id, reference, technician_id, state, booked, opened_at_unix_ms)
       VALUES (:id, :reference, :technicianId, 'open', '[]', :openedAtUnixMs)`,
    );
    this.#setUp = connection.command<{ id: string; setup: string }>(
      'UPDATE exchange SET setup = :setup WHERE id = :id AND setup IS NULL',
    );
    this.#book = connection.command<{ id: string; booked: string }>(
      'UPDATE exchange SET booked = :booked WHERE id = :id',
    );
    this.#end = connection.command<{ id: string; state: string; atUnixMs: number }>(
      `UPDATE exchange SET state = :state, ended_at_unix_ms = :atUnixMs
       WHERE id = :id AND state = 'open'`,
    );
    this.#open = connection.query<Record<string, never>, Row>(`${SELECT} WHERE state = 'open'`);
    this.#byId = connection.query<{ id: string }, Row>(`${SELECT} WHERE id = :id`);
    this.#insertStep = connection.command<Record<string, string | number>>(
      `INSERT INTO exchange_step (exchange_id, ordinal, technician_id, at_unix_ms, question,
         answer, facts)
       VALUES (:exchangeId, :ordinal, :technicianId, :atUnixMs, :question, :answer, :facts)`,
    );
    this.#setOutcome = connection.command<{ exchangeId: string; ordinal: number; outcome: string }>(
      `UPDATE exchange_step SET outcome = :outcome
       WHERE exchange_id = :exchangeId AND ordinal = :ordinal AND outcome IS NULL`,
    );
    this.#undo = connection.command<{ exchangeId: string; ordinal: number; atUnixMs: number }>(
      `UPDATE exchange_step SET undone_at_unix_ms = :atUnixMs
       WHERE exchange_id = :exchangeId AND ordinal = :ordinal AND undone_at_unix_ms IS NULL`,
    );
    this.#steps = connection.query<{ exchangeId: string }, StepRow>(
      `SELECT ordinal, technician_id AS technicianId, at_unix_ms AS atUnixMs, question, answer,
         facts, outcome, undone_at_unix_ms AS undoneAtUnixMs FROM exchange_step
       WHERE exchange_id = :exchangeId ORDER BY ordinal`,
    );
  }

  /** Begins one. @throws StoreError `exists` while another is open. */
  insert(exchange: Pick<Exchange, 'id' | 'reference' | 'technicianId' | 'openedAtUnixMs'>): void {
    this.#insert({ ...exchange });
  }

  /** Writes what is expected; once. @throws StoreError `sequenceError` the second time. */
  setUp(id: string, setup: JsonObject): void {
    if (this.#setUp({ id, setup: canonicalJson(setup) }) === 1) return;
    throw new StoreError('sequenceError', `exchange ${id} is set up already`);
  }

  /** Writes what it has moved by now, in sum. */
  book(id: string, booked: readonly JsonValue[]): void {
    this.#book({ id, booked: canonicalJson(booked) });
  }

  /** Ends it, once. @throws StoreError `sequenceError` when it has ended. */
  end(id: string, state: 'closed' | 'abandoned', atUnixMs: number): void {
    if (this.#end({ id, state, atUnixMs }) === 1) return;
    throw new StoreError('sequenceError', `exchange ${id} is not open`);
  }

  /** The one that is open. */
  open(): Exchange | undefined {
    const row = this.#open.get({});
    return row && toExchange(row);
  }

  /** By id. */
  get(id: string): Exchange | undefined {
    const row = this.#byId.get({ id });
    return row && toExchange(row);
  }

  /** Adds an answer. @throws StoreError `exists` for a number that is taken. */
  insertStep(exchangeId: string, step: Omit<ExchangeStep, 'outcome' | 'undoneAtUnixMs'>): void {
    const { ordinal, technicianId, atUnixMs } = step;
    this.#insertStep({
      ...{ exchangeId, ordinal, technicianId, atUnixMs },
      question: canonicalJson(step.question),
      answer: canonicalJson(step.answer),
      facts: canonicalJson(step.facts),
    });
  }

  /** Writes what came of the act; once. @throws StoreError `sequenceError` the second time. */
  setOutcome(exchangeId: string, ordinal: number, outcome: JsonObject): void {
    const text = canonicalJson(outcome);
    if (this.#setOutcome({ exchangeId, ordinal, outcome: text }) === 1) return;
    throw new StoreError('sequenceError', `step ${ordinal} has its outcome already`);
  }

  /** Takes an answer back; it stays as a row. @throws StoreError `sequenceError` when it is. */
  undo(exchangeId: string, ordinal: number, atUnixMs: number): void {
    if (this.#undo({ exchangeId, ordinal, atUnixMs }) === 1) return;
    throw new StoreError('sequenceError', `there is no step ${ordinal} to take back`);
  }

  /** All answers, those taken back among them, in the order they were given. */
  steps(exchangeId: string): ExchangeStep[] {
    return this.#steps.all({ exchangeId }).map(toStep);
  }
}
