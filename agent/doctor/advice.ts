/** What to do about each reason that closes the machine; a new reason has to say it here. */
import type { ReasonCode } from '../watch/reasons.ts';
import type { Level } from './findings.ts';

/** Where a reason belongs in a report, how bad it is, and what to do about it. */
export interface Advice {
  readonly subject: string;
  readonly level: Exclude<Level, 'ok'>;
  readonly next: string;
}

const fault = (subject: string, next: string): Advice => ({ subject, level: 'fault', next });
const warning = (subject: string, next: string): Advice => ({ subject, level: 'warning', next });

const LOG = 'Read its log: journalctl -u spire-agent.';

/** By the reason's code. */
export const advice: Readonly<Record<ReasonCode, Advice>> = {
  starting: warning('service', `Wait a minute and ask again. ${LOG}`),
  stopping: warning(
    'service',
    'Wait until it has stopped, then start it: systemctl start spire-agent.',
  ),
  exchangeActive: warning(
    'service',
    'Wait until the technician has closed the exchange: spire service shows it.',
  ),
  updating: warning('service', 'Wait: the new release is being proven, or the old one comes back.'),
  signerUnreachable: fault(
    'signer',
    'Look at the bunker and at the relays it listens on. The machine comes back by itself.',
  ),
  pairingRequired: fault(
    'signer',
    'Have the operator look at the grant, or make a new seed and pair again: spire pair.',
  ),
  signatures: warning(
    'signer',
    "Wait until the bunker's quota fills again, or have the operator raise it.",
  ),
  walletUnreachable: fault(
    'wallet',
    "See that the wallet's server runs and is on the same relays. It comes back by itself.",
  ),
  walletMismatch: fault(
    'wallet',
    'Have the operator bind this machine to its own wallet, or pair it with the right --wallet.',
  ),
  walletEmpty: fault('wallet', 'Have the operator fund the wallet.'),
  awaitingFees: fault('documents', "Have the operator publish the machine's fees once more."),
  capIsZero: warning(
    'documents',
    'Nothing, if it is meant so; else have the operator raise the cap.',
  ),
  noRate: fault('rate', "Look at the network, and at `rate` in the machine's configuration."),
  exposure: warning('exposure', 'Wait: the sums of the last hour and day fall by themselves.'),
  validator: fault('validator', 'Look at its cable, its power and its slot: spire probe.'),
  cashBox: fault('validator', 'Empty the cash box, or put it in.'),
  noteUnknown: fault('validator', 'Look for a note inside the validator and take it out.'),
  currencyMismatch: fault(
    'validator',
    "Compare the validator's notes with `currency` in the machine's configuration.",
  ),
  dispenser: fault(
    'dispenser',
    'Look at its cable, its power, its path and its slot: spire probe.',
  ),
  replugged: fault(
    'devices',
    'Look at cables and seals; then: spire service accept-device <validator|dispenser>.',
  ),
  noNotes: fault('dispenser', 'Fill the bays, and have the operator publish what is in them.'),
  openIntent: warning('obligations', 'Wait: the device is being asked. See that it answers.'),
  unsettled: fault('obligations', 'Find out what happened, then: spire settle <reference>.'),
  clock: fault('clock', 'Set the clock of this computer, and see to its time server.'),
  disk: fault('disk', 'Make room on the disk, or replace it; then restart the machine.'),
  twin: fault(
    'identity',
    'Find the other machine, stop it, and revoke its grant; then, on the right one: ' +
      'spire service accept-anchor.',
  ),
  rolledBack: fault(
    'identity',
    'Put the newest state back, or declare the restore of the newest backup: spire restore.',
  ),
};
