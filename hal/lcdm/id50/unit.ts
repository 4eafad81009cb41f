/**
 * An LCDM-1000 or -2000 (ID 50): one command for each bay, no memory of what was done, no number.
 * Notes of two bays go out by two commands, each sent once, and the second only if the first went
 * well.
 */
import type { Position } from '#protocol/base/ids.ts';
import type {
  DispenseBaseline,
  DispenseError,
  DispenseOutcome,
  LastResult,
  UnitResult,
} from '../../cash-dispenser.ts';
import { faultOf, hasNotesInside, movedOr } from '../answers.ts';
import type { LcdmMove } from '../dialect.ts';
import { errorWord } from '../errors.ts';
import type { LcdmLink, LcdmReply } from '../link.ts';
import type { Id50Model } from '../models.ts';
import type { InitialiseResult, LcdmTurn, LcdmUnit, UnitStatus } from '../unit.ts';
import {
  commands,
  decodeResult,
  decodeRomVersion,
  decodeStatus,
  encodeCount,
  id50Dialect,
} from './commands.ts';
import { dispenseError, id50Error, isRefusal, NO_REJECT_TRAY } from './errors.ts';

/** One command on one bay. */
interface Step {
  readonly position: Position;
  readonly command: LcdmMove;
  readonly body: readonly number[];
  readonly notes: number;
}

/** How one command ended. */
type StepOutcome =
  | { readonly kind: 'moved'; readonly presented: number; readonly rejected: number }
  | { readonly kind: 'notExecuted' }
  | { readonly kind: 'unknown' };

/** One unit's words. */
export class Id50Unit implements LcdmUnit {
  readonly dialect = id50Dialect;
  readonly model: Id50Model['name'];
  readonly positions: readonly Position[];
  readonly proves = { lastResult: false, sequenceNumber: false };
  readonly #model: Id50Model;

  constructor(model: Id50Model, positions: readonly Position[]) {
    this.model = model.name;
    this.positions = positions;
    this.#model = model;
  }

  decodeStatus(body: Uint8Array): UnitStatus {
    const { error: code, sensors, isRejectTrayOut, bays } = decodeStatus(this.#model, body);
    const error = id50Error(code);
    const isOut = isRejectTrayOut || code === NO_REJECT_TRAY;
    return {
      error: error && { code: errorWord(code), ...error },
      hasNotesOnPath: sensors.check || sensors.diverter || sensors.eject,
      hasNotesAtExit: sensors.exit,
      rejectTray: isOut ? 'missing' : 'ok',
      bays: this.positions.map((at) => {
        const { isNearEnd = false, isRemoved = false } = bays[at - 1] ?? {};
        return { position: at, status: isRemoved ? 'missing' : isNearEnd ? 'low' : 'ok' };
      }),
    };
  }

  async identify(link: LcdmLink): Promise<string | Error> {
    const reply = await link.ask(commands.romVersion);
    if (reply.kind !== 'answered') return new Error('it does not say its ROM version');
    const rom = decodeRomVersion(reply.frame.body);
    if (!rom) return new Error(`its ROM version cannot be read (${reply.evidence})`);
    const { letter, name, check } = rom;
    if (letter === this.#model.romLetter) return `${name} ${check}`;
    const other = letter === 'O' ? 'lcdm-1000' : letter === 'T' ? 'lcdm-2000' : 'another model';
    return new Error(`its ROM version ${name} is that of ${other}`);
  }

  /**
   * PURGE, only if notes stand inside or an error asks for it. It tells no counts, and takes notes
   * that stand between two sensors as well: where any went, nobody knows.
   */
  async initialise({ link, status, responseMs }: LcdmTurn): Promise<InitialiseResult> {
    const before = await status();
    if (!before) {
      const evidence = 'the dispenser did not answer STATUS; nothing was sent that moves notes';
      return { outcome: { kind: 'notExecuted', evidence }, isReady: false };
    }
    if (!hasNotesInside(before) && !faultOf(before)) {
      const units = this.positions.map((at) => ({ position: at, presented: 0, rejected: 0 }));
      const evidence = 'path and exit were clear, nothing was sent that moves notes';
      return { outcome: { kind: 'answered', units, error: undefined, evidence }, isReady: true };
    }
    const reply = await link.move(commands.purge, [], responseMs(0));
    const moved = movedOr(reply);
    const evidence = `PURGE ${reply.evidence}`;
    if (moved.kind !== 'answered')
      return { outcome: { kind: moved.kind, evidence }, isReady: false };
    const after = await status();
    const isClear = after !== undefined && !faultOf(after) && !hasNotesInside(after);
    const isReady = isClear && id50Error(moved.frame.body[0] ?? 0) === undefined;
    const words = `${evidence} (it tells no counts)`;
    return { outcome: { kind: 'unknown', evidence: words }, isReady };
  }

  async dispense(
    command: 'dispense' | 'testDispense',
    counts: readonly number[],
    turn: LcdmTurn,
  ): Promise<DispenseOutcome> {
    const units: UnitResult[] = this.positions.map((at) => ({
      position: at,
      presented: 0,
      rejected: 0,
    }));
    const trail: string[] = [];
    let sent = 0;
    const ended = (error: DispenseError | undefined): DispenseOutcome => {
      const evidence = trail.join('; ');
      return { kind: 'answered', units, error, evidence };
    };
    for (const step of stepsOf(command, counts, this.positions)) {
      const why = await turn.whyNot();
      if (why !== undefined) {
        trail.push(`${why}; nothing was sent`);
        return sent === 0 ? notExecuted(trail) : ended(stopped(why));
      }
      const reply = await turn.link.move(step.command, step.body, turn.responseMs(step.notes));
      trail.push(reply.evidence);
      const outcome = outcomeOf(reply);
      if (outcome.kind === 'unknown') return { kind: 'unknown', evidence: trail.join('; ') };
      if (outcome.kind === 'notExecuted') {
        return sent === 0 ? notExecuted(trail) : ended(stopped('the next command was refused'));
      }
      sent++;
      addTo(units, step.position, outcome);
      const error = errorOf(reply);
      if (error || outcome.presented + outcome.rejected === 0) return ended(error);
    }
    return ended(undefined);
  }

  /** There is nothing that a lost answer could be judged by. */
  async baseline(): Promise<DispenseBaseline> {
    return { lastResultHex: undefined, sequenceNumber: undefined };
  }

  async lastResult(): Promise<LastResult | undefined> {
    return undefined;
  }
}

/** The upper bay first. A test dispense is one command for each note. */
function stepsOf(
  command: 'dispense' | 'testDispense',
  counts: readonly number[],
  positions: readonly Position[],
): readonly Step[] {
  return positions.flatMap((at): readonly Step[] => {
    const count = counts[at - 1] ?? 0;
    const isUpper = at === 1;
    if (count === 0) return [];
    if (command === 'dispense') {
      const single = isUpper ? commands.upperDispense : commands.lowerDispense;
      return [{ position: at, command: single, body: encodeCount(count), notes: count }];
    }
    const test = isUpper ? commands.upperTestDispense : commands.lowerTestDispense;
    return Array.from({ length: count }, () => ({
      position: at,
      command: test,
      body: [],
      notes: 1,
    }));
  });
}

/** What one command has done, in the device's own words. */
function outcomeOf(reply: LcdmReply): StepOutcome {
  const moved = movedOr(reply);
  if (moved.kind !== 'answered') return { kind: moved.kind };
  const result = decodeResult(moved.frame.body);
  if (!result) return { kind: 'unknown' };
  const { error, counts } = result;
  const isNothing = !counts || counts.picked + counts.presented + counts.rejected === 0;
  if (isRefusal(error) && isNothing) return { kind: 'notExecuted' };
  // An error alone does not say what went before it.
  if (!counts) return { kind: 'unknown' };
  return { kind: 'moved', presented: counts.presented, rejected: counts.rejected };
}

function errorOf(reply: LcdmReply): DispenseError | undefined {
  const result = reply.kind === 'answered' ? decodeResult(reply.frame.body) : undefined;
  return result && dispenseError(result.error);
}

function addTo(
  units: UnitResult[],
  at: Position,
  { presented, rejected }: { readonly presented: number; readonly rejected: number },
): void {
  const index = units.findIndex(({ position }) => position === at);
  const before = units[index];
  if (!before) throw new Error(`there is no bay ${at} to count`);
  units[index] = {
    position: at,
    presented: before.presented + presented,
    rejected: before.rejected + rejected,
  };
}

function notExecuted(trail: readonly string[]): DispenseOutcome {
  return { kind: 'notExecuted', evidence: trail.join('; ') };
}

/** What was not asked any more is proven not to have moved. */
function stopped(why: string): DispenseError {
  return { code: 'stopped', text: `the rest was not asked for: ${why}`, countsTrusted: true };
}
