/**
 * A unit of the LCDM-4000 family (ID 30): one command for all bays, and a memory of the last
 * one.
 */
import { type Position, position } from '#protocol/base/ids.ts';
import type {
  DispenseBaseline,
  DispenseOutcome,
  LastResult,
  UnitResult,
} from '../../cash-dispenser.ts';
import { movedOr } from '../answers.ts';
import { errorWord } from '../errors.ts';
import type { LcdmLink, LcdmReply } from '../link.ts';
import { type Id30Model, LONG_STATUS_BODY_BYTES } from '../models.ts';
import type { InitialiseResult, LcdmAsk, LcdmTurn, LcdmUnit, UnitStatus } from '../unit.ts';
import {
  type BayStatus,
  commands,
  decodeLastStatus,
  decodeResult,
  decodeSequence,
  decodeStatus,
  encodeDispense,
  type Id30Result,
  id30Dialect,
  memoryOfLast,
  sequenceAfter,
} from './commands.ts';
import { dispenseError, id30Error, isRefusal, NO_ERROR, NO_REJECT_TRAY } from './errors.ts';
import { initialiseId30 } from './initialise.ts';

/** One unit's words. */
export class Id30Unit implements LcdmUnit {
  readonly dialect = id30Dialect;
  readonly model: Id30Model['name'];
  readonly positions: readonly Position[];
  readonly proves: LcdmUnit['proves'];
  readonly #model: Id30Model;
  readonly #lengthMmByPosition: Readonly<Record<number, number>>;

  constructor(
    model: Id30Model,
    positions: readonly Position[],
    lengthMmByPosition: Readonly<Record<number, number>>,
  ) {
    this.model = model.name;
    this.positions = positions;
    this.proves = { lastResult: true, sequenceNumber: model.sequenceNumber };
    this.#model = model;
    this.#lengthMmByPosition = lengthMmByPosition;
  }

  decodeStatus(body: Uint8Array): UnitStatus | undefined {
    const status = decodeStatus(body);
    if (!status) return undefined;
    const { error, sensors, bays } = status;
    return {
      error: error === NO_ERROR ? undefined : { code: errorWord(error), ...id30Error(error) },
      hasNotesOnPath:
        sensors.diverterLeft || sensors.diverterRight || sensors.eject || sensors.reject,
      hasNotesAtExit: sensors.exit,
      rejectTray: error === NO_REJECT_TRAY ? 'missing' : 'unknown',
      bays: this.positions.map((at) => ({ position: at, ...bayStatus(bays[at - 1]) })),
    };
  }

  async identify(link: LcdmLink, statusBody: Uint8Array): Promise<string | Error> {
    const { statusBodySizes, sequenceNumber } = this.#model;
    if (!statusBodySizes.includes(statusBody.length)) {
      const isLong = statusBody.length === LONG_STATUS_BODY_BYTES;
      return new Error(`its status is that of ${isLong ? 'lcdm-4000-lamassu' : 'another model'}`);
    }
    if (sequenceNumber) {
      const sequence = await link.ask(commands.getSequence);
      if (sequence.kind !== 'answered' || decodeSequence(sequence.frame.body) === undefined) {
        return new Error('it has no sequence number');
      }
    }
    // The family has no word for its firmware that all of its units know.
    return 'not reported';
  }

  initialise(turn: LcdmTurn): Promise<InitialiseResult> {
    const { resetResponses } = this.#model;
    const lengthMmByPosition = this.#lengthMmByPosition;
    return initialiseId30({ unit: this, turn, resetResponses, lengthMmByPosition });
  }

  async dispense(
    command: 'dispense' | 'testDispense',
    counts: readonly number[],
    turn: LcdmTurn,
  ): Promise<DispenseOutcome> {
    const why = await turn.whyNot();
    if (why !== undefined) return notSent(why);
    let sequence = 0;
    if (this.#model.sequenceNumber) {
      const reply = await turn.link.ask(commands.getSequence);
      const isAnswered = reply.kind === 'answered' && reply.isEnded;
      const last = isAnswered ? decodeSequence(reply.frame.body) : undefined;
      if (last === undefined) return notSent('the dispenser did not tell its sequence number');
      sequence = sequenceAfter(last);
    }
    const body = encodeDispense(this.#model, counts, sequence);
    const asked = counts.reduce((sum, count) => sum + count, 0);
    return this.moved(await turn.link.move(commands[command], body, turn.responseMs(asked)));
  }

  async baseline(ask: LcdmAsk): Promise<DispenseBaseline> {
    const lastResultHex = await ask(commands.lastStatus, 'LAST STATUS', memoryOfLast);
    const sequenceNumber = this.#model.sequenceNumber
      ? await ask(commands.getSequence, 'GET SEQUENCE NUMBER', decodeSequence)
      : undefined;
    return { lastResultHex, sequenceNumber };
  }

  async lastResult(ask: LcdmAsk): Promise<LastResult | undefined> {
    const body = await ask(commands.lastStatus, 'LAST STATUS', (bytes) => bytes);
    const last = decodeLastStatus(body);
    const isDispense = last?.command === 'dispense' || last?.command === 'testDispense';
    if (!last || !isDispense) return { hex: memoryOfLast(body), dispense: undefined };
    const units = this.#unitResults(last.result);
    return {
      hex: memoryOfLast(body),
      dispense: { units, error: dispenseError(last.result.error) },
    };
  }

  /** What a command that moves notes has done, in the device's own words. */
  moved(reply: LcdmReply): DispenseOutcome {
    const moved = movedOr(reply);
    if (moved.kind !== 'answered') return moved;
    const { evidence, frame } = moved;
    const result = decodeResult(frame.body);
    if (!result) return { kind: 'unknown', evidence: `${evidence} (counts that cannot be)` };
    const units = this.#unitResults(result);
    const isNothing = units.every((unit) => unit.presented + unit.rejected === 0);
    if (isRefusal(result.error) && isNothing) return { kind: 'notExecuted', evidence };
    return { kind: 'answered', units, error: dispenseError(result.error), evidence };
  }

  /** What each bay did: those that are fitted, and any other that the unit gives a count for. */
  #unitResults(result: Id30Result): readonly UnitResult[] {
    return result.bays.flatMap(({ presented, rejected }, bay) => {
      const at = position(bay + 1);
      if (!this.positions.includes(at) && presented + rejected === 0) return [];
      return [{ position: at, presented, rejected }];
    });
  }
}

function notSent(why: string): DispenseOutcome {
  return { kind: 'notExecuted', evidence: `${why}; nothing was sent` };
}

function bayStatus(bay: BayStatus | undefined): Omit<UnitStatus['bays'][number], 'position'> {
  if (!bay) return { status: 'unknown' };
  if (bay.cassette === 'removed') return { status: 'missing' };
  const cassette = String(bay.code);
  // A cassette coded for another place may hold anything.
  if (bay.cassette !== 'present') return { status: 'unknown', cassette };
  return { status: bay.isNearEnd ? 'low' : 'ok', cassette };
}
