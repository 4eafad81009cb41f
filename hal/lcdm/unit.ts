/** What the driver asks of a unit, whichever its ID: the words behind the framing. */
import type { Position } from '#protocol/base/ids.ts';
import type {
  CashDispenserCapabilities,
  CashDispenserStatus,
  DispenseBaseline,
  DispenseOutcome,
  LastResult,
} from '../cash-dispenser.ts';
import type { LcdmDialect, LcdmQuestion } from './dialect.ts';
import type { LcdmError } from './errors.ts';
import type { LcdmLink, LcdmReply } from './link.ts';
import type { LcdmModelName } from './models.ts';

/** STATUS in words that both IDs share. */
export interface UnitStatus {
  /** What the unit says is wrong; undefined for nothing. */
  readonly error: (LcdmError & { readonly code: string }) | undefined;
  /** A sensor between the cassettes and the exit is covered. */
  readonly hasNotesOnPath: boolean;
  readonly hasNotesAtExit: boolean;
  readonly rejectTray: CashDispenserStatus['rejectTray'];
  readonly bays: CashDispenserStatus['units'];
}

/** An exchange with a response. */
export type LcdmAnswer = Extract<LcdmReply, { readonly kind: 'answered' }>;

/**
 * Asks something by which nothing moves, and reads the answer.
 * @throws DeviceError `timeOut` without an answer, `hardwareError` when it cannot be read.
 */
export type LcdmAsk = <Read>(
  question: LcdmQuestion,
  name: string,
  read: (body: Uint8Array) => Read | undefined,
) => Promise<Read>;

/** The line while the driver lets notes be moved. */
export interface LcdmTurn {
  readonly link: LcdmLink;
  /** Asks STATUS now; undefined when the unit is out of touch. */
  readonly status: () => Promise<UnitStatus | undefined>;
  /**
   * Makes sure, by questions only, that the unit is there, initialised, idle, empty inside, and has
   * nothing left to say of an earlier command; else why a command may not leave.
   */
  readonly whyNot: () => Promise<string | undefined>;
  /** Longest wait for the response to a command that moves so many notes. */
  readonly responseMs: (notes: number) => number;
}

/** How initialising ended. */
export interface InitialiseResult {
  readonly outcome: DispenseOutcome;
  /** The next command may be sent. */
  readonly isReady: boolean;
}

/** One unit's words. Everything that may move a note is sent once. */
export interface LcdmUnit {
  readonly model: LcdmModelName;
  readonly positions: readonly Position[];
  readonly dialect: LcdmDialect;
  readonly proves: Pick<CashDispenserCapabilities, 'lastResult' | 'sequenceNumber'>;
  /** STATUS in words; undefined when it cannot be read. */
  decodeStatus(body: Uint8Array): UnitStatus | undefined;
  /**
   * Tells the model from others with its ID, after its STATUS and by questions only. The words are
   * its firmware; an Error's message says why it is another.
   */
  identify(link: LcdmLink, statusBody: Uint8Array): Promise<string | Error>;
  /** Makes the unit ready. */
  initialise(turn: LcdmTurn): Promise<InitialiseResult>;
  /** Hands out notes, or takes them to the reject tray. `counts` are by bay, top first. */
  dispense(
    command: 'dispense' | 'testDispense',
    counts: readonly number[],
    turn: LcdmTurn,
  ): Promise<DispenseOutcome>;
  /** What a lost answer will be judged by. @throws DeviceError as `ask` does. */
  baseline(ask: LcdmAsk): Promise<DispenseBaseline>;
  /** Its last result; undefined where it remembers none. @throws DeviceError as `ask` does. */
  lastResult(ask: LcdmAsk): Promise<LastResult | undefined>;
}
