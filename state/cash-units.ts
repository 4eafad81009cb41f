/** The dispenser's bays by position. Their counts live in the note ledger alone. */
import { type Position, position } from '#protocol/base/ids.ts';
import { type MinorUnits, minorUnits } from '#protocol/base/money.ts';
import type { Connection } from './connection.ts';

/**
 * How far a bay's count can be trusted: counted and followed since, set by a remote document,
 * doubtful after a fault, or not known at all. Source: XFS4IoT cash management.
 */
export type Accuracy = 'accurate' | 'set' | 'inaccurate' | 'unknown';

/** One bay. Several may hold the same value. */
export interface CashUnit {
  readonly position: Position;
  readonly currency: string;
  /** Face value of its notes. */
  readonly value: MinorUnits;
  /** Out of use until someone confirms on site what it holds. */
  readonly parked: boolean;
  readonly accuracy: Accuracy;
  /** When its notes were last counted by hand. */
  readonly countedAtUnixMs?: number;
}

interface Row {
  readonly position: number;
  readonly currency: string;
  readonly value: number;
  readonly parked: 0 | 1;
  readonly accuracy: Accuracy;
  readonly countedAtUnixMs: number | null;
}

const SELECT = `SELECT position, currency, value_minor AS value, parked, accuracy,
  counted_at_unix_ms AS countedAtUnixMs FROM cash_unit`;

function toCashUnit({ countedAtUnixMs, ...row }: Row): CashUnit {
  const unit = {
    ...row,
    position: position(row.position),
    value: minorUnits(row.value),
    parked: row.parked === 1,
  };
  return countedAtUnixMs === null ? unit : { ...unit, countedAtUnixMs };
}

/** Reads and writes the bays. */
export class CashUnits {
  readonly #put;
  readonly #get;
  readonly #list;

  constructor(connection: Connection) {
    this.#put = connection.command<Record<keyof Row, string | number | null>>(
      `INSERT INTO cash_unit (position, currency, value_minor, parked, accuracy, counted_at_unix_ms)
       VALUES (:position, :currency, :value, :parked, :accuracy, :countedAtUnixMs)
       ON CONFLICT (position) DO UPDATE SET currency = excluded.currency,
         value_minor = excluded.value_minor, parked = excluded.parked,
         accuracy = excluded.accuracy, counted_at_unix_ms = excluded.counted_at_unix_ms`,
    );
    this.#get = connection.query<{ position: number }, Row>(`${SELECT} WHERE position = :position`);
    this.#list = connection.query<Record<string, never>, Row>(`${SELECT} ORDER BY position`);
  }

  /** Writes a bay whole, new or not. @throws StoreError `invalidData` beyond its bounds. */
  put(unit: CashUnit): void {
    this.#put({
      ...unit,
      parked: unit.parked ? 1 : 0,
      countedAtUnixMs: unit.countedAtUnixMs ?? null,
    });
  }

  /** The bay at a position. */
  get(position: Position): CashUnit | undefined {
    const row = this.#get.get({ position });
    return row && toCashUnit(row);
  }

  /** All bays, from the top. */
  list(): CashUnit[] {
    return this.#list.all({}).map(toCashUnit);
  }
}
