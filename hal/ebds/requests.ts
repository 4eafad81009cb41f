/** What the driver wants of the device beside polls: settings, a note moved, a new start. */
import { extendedCommands, has, SOFT_RESET } from './commands.ts';
import { isStatus } from './identify.ts';
import type { EbdsAnswer, EbdsLink, EbdsRequest } from './link.ts';
import { type EbdsModelName, ebdsModels, inhibitMask } from './models.ts';
import { type EbdsSettings, type EnabledNotes, omnibusBytes, settingsFor } from './settings.ts';

/** How often settings are sent anew when it stayed open whether the device had heard them. */
const SETTINGS_ATTEMPTS = 3;

/** Whether settings hold now. */
export type SettingsTaken = 'taken' | 'refused' | 'silent';

/**
 * Sends which notes are taken, until the device has confirmed it or a few attempts are over.
 * `onTaken` is called before anything else leaves: a poll that waits must say the new settings.
 */
export async function sendSettings(
  link: EbdsLink,
  model: EbdsModelName,
  enabled: EnabledNotes,
  onTaken: () => void = () => undefined,
): Promise<SettingsTaken> {
  const settings = settingsFor(model, enabled);
  const poll: EbdsRequest = {
    command: 'poll',
    data: () => omnibusBytes(settings),
    accepts: isStatus,
  };
  const { notes } = ebdsModels[model];
  const request: EbdsRequest =
    notes.kind === 'channels'
      ? poll
      : {
          command: 'noteInhibits',
          data: () => [
            extendedCommands.noteInhibits,
            ...omnibusBytes(settings),
            ...inhibitMask(enabled, notes.inhibitBytes),
          ],
          accepts: isStatus,
        };
  for (let attempt = 0; attempt < SETTINGS_ATTEMPTS; attempt++) {
    const answer = await link.exchange(request);
    if (typeof answer !== 'string' && answer.performed) {
      const taken = takenBy(answer);
      if (taken === 'taken') onTaken();
      return taken;
    }
    // Only a poll may leave until one is answered; then it is said anew.
    if (request !== poll) await link.exchange(poll);
  }
  return 'silent';
}

/**
 * Sends the bit that moves the note in escrow, as one command. Gives what became of the command,
 * for the evidence; undefined when it was held back.
 */
export async function sendMove(
  link: EbdsLink,
  command: 'stack' | 'return',
  settings: () => EbdsSettings,
  mayLeave: () => boolean,
): Promise<string | undefined> {
  const answer = await link.exchange({
    command,
    data: () => omnibusBytes(settings(), command),
    accepts: isStatus,
    beforeSend: mayLeave,
  });
  if (answer === 'unsent') return undefined;
  if (answer === 'silent') return 'no answer';
  const isRefused = answer.reply.kind === 'status' && has(answer.reply.status, 'invalidCommand');
  return isRefused ? 'invalid command' : 'answered';
}

/** Starts the device again. It need not answer, and nothing that it says within a second counts. */
export async function sendReset(link: EbdsLink): Promise<void> {
  await link.exchange({
    command: 'softReset',
    data: () => [SOFT_RESET, SOFT_RESET, SOFT_RESET],
    accepts: () => false,
  });
}

function takenBy({ reply }: Exclude<EbdsAnswer, string>): SettingsTaken {
  return reply.kind === 'status' && has(reply.status, 'invalidCommand') ? 'refused' : 'taken';
}
