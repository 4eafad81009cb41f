/** How somebody on site is told no: a code that the API knows, and a stable word with its values. */
import type { ApiErrorCode } from '../api/errors.ts';

/** Why, as a word that every language has a sentence for. */
export type RefusalWhy =
  | 'wrongKind'
  | 'notAChoice'
  | 'tooMany'
  | 'fewerThanTested'
  | 'weakPin'
  | 'denominationNotHeld'
  | 'denominationTwice'
  | 'sealInUse'
  | 'noteNeeded'
  | 'reasonNeeded'
  | 'badInvite'
  | 'notSignedIn'
  | 'wrongPin'
  | 'signInExpired'
  | 'permission'
  | 'ownerOnly'
  | 'suspended'
  | 'revoked'
  | 'expired'
  | 'inviteUsed'
  | 'inviteExpired'
  | 'inviteRevoked'
  | 'noExchange'
  | 'noTechnician'
  | 'noBag'
  | 'step'
  | 'nothingToUndo'
  | 'notAsking'
  | 'exchangeOpen'
  | 'nameTaken'
  | 'notDone'
  | 'tooManyInvites'
  | 'lockedOut'
  | 'updating'
  | 'stopping'
  | 'noTransaction'
  | 'noObligation'
  | 'codeBusy'
  | 'deviceWaitsNot'
  | 'deviceAway'
  | 'noTwin'
  | 'oldState';

/** Values for the sentence's places. */
export type RefusalValues = Readonly<Record<string, string | number>>;

/** An act that is refused. Nothing was changed by it. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly code: ApiErrorCode;
  readonly why: RefusalWhy;
  readonly values: RefusalValues;
  constructor(code: ApiErrorCode, why: RefusalWhy, reason: string, values: RefusalValues = {}) {
    super(reason);
    this.code = code;
    this.why = why;
    this.values = values;
  }
}
