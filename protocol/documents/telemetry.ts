/**
 * Telemetry, kind 30079: the newest snapshot of one machine, for its operator alone. Its payload is
 * not public and kept by the operator's server as it is: this one is ours. Source: bitspire-wire.md
 * 4.
 */
import { kinds } from '../event.ts';
import { TELEMETRY_NAME } from '../rpc/dialect.ts';
import type { OutgoingDocument } from './document.ts';

/** Whether a direction is open, and the codes of the reasons why not. */
export interface DirectionTelemetry {
  readonly open: boolean;
  readonly reasons: readonly string[];
}

/** One bay; days and notes are null while there is too little to tell them from. */
export interface BayTelemetry {
  readonly position: number;
  readonly denomination: number;
  readonly count: number;
  readonly accuracy: string;
  readonly parked: boolean;
  readonly daysToEmpty: number | null;
  readonly notesPerReject: number | null;
}

/** A machine at one moment. Nothing in it is a bearer value. */
export interface Telemetry {
  readonly version: string;
  readonly state: string;
  readonly cashIn: DirectionTelemetry;
  readonly cashOut: DirectionTelemetry;
  /** Conditions as codes, `ok` or `ready` when well. */
  readonly signer: string;
  readonly validator: string;
  readonly dispenser: string;
  /** The world's time less the machine's own, ms; null while nobody knows. */
  readonly clockOffsetMs: number | null;
  readonly bays: readonly BayTelemetry[];
  readonly openObligations: number;
  readonly journal: { readonly entries: number; readonly head: string; readonly chain: string };
}

/** The snapshot as it is published, encrypted to the operator. */
export function telemetryDocument(telemetry: Telemetry): OutgoingDocument {
  const { version, state, cashIn, cashOut, signer, validator, dispenser, journal } = telemetry;
  const text = JSON.stringify({
    ...{ schema_version: 1, version, state, cash_in: cashIn, cash_out: cashOut },
    ...{ signer, validator, dispenser, clock_offset_ms: telemetry.clockOffsetMs },
    bays: telemetry.bays.map(({ daysToEmpty, notesPerReject, ...bay }) => {
      return { ...bay, days_to_empty: daysToEmpty, notes_per_reject: notesPerReject };
    }),
    open_obligations: telemetry.openObligations,
    journal,
  });
  return { name: TELEMETRY_NAME, audience: 'operator', kind: kinds.telemetry, text };
}
