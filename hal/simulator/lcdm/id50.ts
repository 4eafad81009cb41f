/** ID 50: the words of a simulated LCDM-1000 or -2000. Source: cash-hardware.md 7.2. */
import {
  type CommandName,
  commands,
  decodeCount,
  encodeCount,
  id50Dialect,
  NOTES_MAX,
  ROM_CHECKS,
  SENSOR0,
  SENSOR0_BASE,
  ZERO,
} from '../../lcdm/id50/commands.ts';
import type { Id50Model } from '../../lcdm/models.ts';
import type { LcdmFrame } from '../../lcdm/wire.ts';
import type { BayTally, MechanismResult, Trouble } from './mechanism.ts';
import type { LcdmDeviceParts, LcdmDeviceWords } from './words.ts';

const BAD_COMMAND = 0x37;
const BAD_REQUEST = 0x3b;
const NEAR_END = 0x31;
/**
 * Errors as they stand on the line. A bay that has run out, or is not there, has one by its
 * place.
 */
const CODES: Readonly<Record<Trouble, number>> = {
  none: 0x30,
  pickUp: 0x32,
  empty: 0x38,
  jamBeforeDiverter: 0x36,
  jamBeforeEject: 0x43,
  jamBeforeExit: 0x48,
  noteInExit: 0x35,
  countMismatch: 0x3d,
  notesOnPath: 0x36,
  tooManyNotes: 0x34,
  tooManyRejects: 0x44,
  purge: 0x4e,
  noCassette: 0x45,
  nearEnd: 0x38,
  noRejectTray: 0x3f,
  wrongCassette: 0x4f,
  other: 0x47,
};
const LOWER_EMPTY = 0x40;
const LOWER_NO_CASSETTE = 0x46;

/** What an LCDM-1000 or -2000 calls a trouble. */
export function id50Code(trouble: Trouble, bay: number): number {
  if (trouble === 'empty' && bay > 0) return LOWER_EMPTY;
  if (trouble === 'noCassette' && bay > 0) return LOWER_NO_CASSETTE;
  return CODES[trouble];
}

/** One unit's words. */
export class Id50Words implements LcdmDeviceWords {
  readonly dialect = id50Dialect;
  readonly #model: Id50Model;
  readonly #parts: LcdmDeviceParts;

  constructor(model: Id50Model, parts: LcdmDeviceParts) {
    this.#model = model;
    this.#parts = parts;
  }

  acknowledges(_frame: LcdmFrame): boolean {
    return true;
  }

  onCommand(frame: LcdmFrame): void {
    const name = this.#known(frame.command);
    if (name === undefined) {
      const code = frame.command.toString(16);
      this.#parts.onViolation(`command ${code}, which this model does not know`);
      this.#answer(frame, [BAD_COMMAND]);
    } else if (frame.body.length !== commands[name].requestBytes) {
      this.#parts.onViolation(`${name} with ${frame.body.length} bytes`);
      this.#answer(frame, [BAD_COMMAND]);
    } else this.#carryOut(name, frame);
  }

  /** The LCDM-1000 has no lower bay, and no words for one. */
  #known(code: number): CommandName | undefined {
    const names = Object.keys(commands).filter((name): name is CommandName => name in commands);
    const name = names.find((one) => commands[one].code === code);
    const isLower = name?.startsWith('lower') === true || name === 'bothDispense';
    return isLower && this.#model.positions.length < 2 ? undefined : name;
  }

  #carryOut(name: CommandName, frame: LcdmFrame): void {
    switch (name) {
      case 'purge':
        this.#parts.mechanism.purge(({ error }) => this.#respond(frame, [error]));
        return;
      case 'status':
        this.#answer(frame, this.#status());
        return;
      case 'romVersion':
        this.#answer(frame, this.#romVersion());
        return;
      case 'upperDispense':
        this.#dispense(frame, [0]);
        return;
      case 'lowerDispense':
        this.#dispense(frame, [1]);
        return;
      case 'bothDispense':
        this.#dispense(frame, [0, 1]);
        return;
      case 'upperTestDispense':
        this.#run(frame, 'testDispense', [1, 0], [0]);
        return;
      case 'lowerTestDispense':
        this.#run(frame, 'testDispense', [0, 1], [1]);
        return;
    }
  }

  #dispense(frame: LcdmFrame, bays: readonly number[]): void {
    const counts = [0, 0];
    let isAskable = true;
    for (const [at, bay] of bays.entries()) {
      const count = decodeCount(frame.body[at * 2], frame.body[at * 2 + 1]);
      isAskable &&= count !== undefined && count <= NOTES_MAX;
      counts[bay] = count ?? 0;
    }
    const sum = counts.reduce((total, count) => total + count, 0);
    if (isAskable && sum > 0) this.#run(frame, 'dispense', counts, bays);
    else {
      this.#parts.onViolation('a dispense of a number that cannot be');
      this.#answer(frame, this.#result({ error: BAD_REQUEST, bays: [] }, bays));
    }
  }

  #run(
    frame: LcdmFrame,
    command: 'dispense' | 'testDispense',
    counts: readonly number[],
    bays: readonly number[],
  ): void {
    this.#parts.mechanism.run(command, counts, (result) => {
      const isNothing = result.bays.every(({ picked }) => picked === 0);
      const isError = result.error !== CODES.none;
      const isAlone = isError && isNothing && this.#parts.switches.strikes('errorAlone');
      this.#respond(frame, isAlone ? [result.error] : this.#result(result, bays));
    });
  }

  /**
   * One bay: CHK EXIT error status reject. Two: CHK and EXIT of both, error, both status, both
   * reject.
   */
  #result(
    { error, bays: tallies }: Pick<MechanismResult, 'error' | 'bays'>,
    bays: readonly number[],
  ): readonly number[] {
    const count = (bay: number, what: keyof BayTally) => encodeCount(tallies[bay]?.[what] ?? 0);
    const isByBay = bays.length > 1 && this.#parts.switches.strikes('countsByBay');
    const counts = isByBay
      ? bays.flatMap((bay) => [...count(bay, 'picked'), ...count(bay, 'presented')])
      : [
          ...bays.flatMap((bay) => count(bay, 'picked')),
          ...bays.flatMap((bay) => count(bay, 'presented')),
        ];
    const status = bays.map((bay) => (this.#isNearEnd(bay) ? NEAR_END : ZERO));
    return [...counts, error, ...status, ...bays.flatMap((bay) => count(bay, 'rejected'))];
  }

  #isNearEnd(bay: number): boolean {
    return this.#parts.mechanism.bay(bay).isNearEnd;
  }

  #status(): readonly number[] {
    const { mechanism } = this.#parts;
    const { positions, sensors } = this.#model;
    const isTrayOut = mechanism.standingError === CODES.noRejectTray;
    const first = bits([
      [SENSOR0.diverter1, mechanism.isCovered('diverter')],
      [SENSOR0.diverter2, mechanism.isCovered('diverter')],
      [SENSOR0.eject, mechanism.isCovered('eject')],
      [SENSOR0.exit, mechanism.isCovered('exit')],
      [SENSOR0.nearEndUpper, this.#isNearEnd(0)],
    ]);
    const second = bits([
      ...positions.map((_, bay): Bit => [sensors.cassettes[bay], !mechanism.bay(bay).isPresent]),
      [sensors.nearEndLower, this.#isNearEnd(1)],
      [sensors.rejectTray, isTrayOut],
    ]);
    return [ZERO, mechanism.standingError, SENSOR0_BASE | first, second];
  }

  #romVersion(): readonly number[] {
    const name = this.#model.romLetter === 'O' ? 'O16T' : 'T20T';
    return [...Buffer.from(`${name}${ROM_CHECKS[name]}`, 'latin1')];
  }

  // What is said

  #answer(frame: LcdmFrame, body: readonly number[]): void {
    this.#parts.link.after(this.#parts.timings.answerMs, () => this.#respond(frame, body));
  }

  #respond(frame: LcdmFrame, body: readonly number[]): void {
    this.#parts.link.respond(frame.command, body);
  }
}

type Bit = readonly [place: number | undefined, isSet: boolean];

function bits(set: readonly Bit[]): number {
  return set.reduce(
    (byte, [place, isSet]) => byte | (isSet && place !== undefined ? 1 << place : 0),
    0,
  );
}
