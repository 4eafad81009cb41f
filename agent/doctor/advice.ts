/** What to do about each reason that closes the machine; a new reason has to say it here. */
import { type Sentence, sentence } from '../texts/doctor.ts';
import type { ReasonCode } from '../watch/reasons.ts';
import type { Level } from './findings.ts';

/** Where a reason belongs in a report, how bad it is, and what to do about it. */
export interface Advice {
  readonly subject: string;
  readonly level: Exclude<Level, 'ok'>;
  readonly next: Sentence;
}

const fault = (subject: string): Omit<Advice, 'next'> => ({ subject, level: 'fault' });
const warning = (subject: string): Omit<Advice, 'next'> => ({ subject, level: 'warning' });

const places: Readonly<Record<ReasonCode, Omit<Advice, 'next'>>> = {
  starting: warning('service'),
  stopping: warning('service'),
  exchangeActive: warning('service'),
  updating: warning('service'),
  signerUnreachable: fault('signer'),
  pairingRequired: fault('signer'),
  signatures: warning('signer'),
  walletUnreachable: fault('wallet'),
  walletMismatch: fault('wallet'),
  walletEmpty: fault('wallet'),
  awaitingFees: fault('documents'),
  capIsZero: warning('documents'),
  noRate: fault('rate'),
  exposure: warning('exposure'),
  validator: fault('validator'),
  cashBox: fault('validator'),
  noteUnknown: fault('validator'),
  currencyMismatch: fault('validator'),
  dispenser: fault('dispenser'),
  replugged: fault('devices'),
  noNotes: fault('dispenser'),
  openIntent: warning('obligations'),
  unsettled: fault('obligations'),
  clock: fault('clock'),
  disk: fault('disk'),
  twin: fault('identity'),
  rolledBack: fault('identity'),
};

/** What is said of a reason by its code. */
export const adviceOn = (code: ReasonCode): Advice => ({
  ...places[code],
  next: sentence(`advice.${code}`),
});
