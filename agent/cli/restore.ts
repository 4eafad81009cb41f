/**
 * `spire restore`: a backup becomes the state of a machine whose own is lost or broken. It works on
 * the files themselves, so the service must not run; what was there is kept beside.
 */
import { type Command, Option } from 'commander';
import { z } from 'zod';
import { confirmResult, obligationView } from '../api/schemas.ts';
import { ask } from './client.ts';
import { CommandError, exitCode } from './exit.ts';
import type { Restored } from './offline.ts';
import {
  type Common,
  jsonOption,
  print,
  read,
  socketOption,
  stateOption,
  type Terminal,
} from './terminal.ts';

interface RestoreOptions extends Common {
  readonly state: string;
  readonly yes?: true;
  readonly confirm?: string;
  readonly by?: string;
  readonly reason?: string;
}

const QUESTION =
  'Everything that happened after this backup was made is lost to the machine, and it stays out ' +
  'of service until claims are confirmed and bays are counted. Restore it?';

/** Adds the verb. */
export function addRestore(program: Command, terminal: Terminal): void {
  program
    .command('restore')
    .argument('[file]', 'the backup')
    .option('--yes', 'without a question')
    .addOption(stateOption())
    .addOption(
      new Option(
        '--confirm <reference>',
        'afterwards, with the service running: this claim was not paid since, its code is good',
      ).conflicts('yes'),
    )
    .option('--by <name>', 'who confirms it')
    .option('--reason <words>', 'how it is known')
    .addOption(jsonOption())
    .addOption(socketOption())
    .action(async (file: string | undefined, options: RestoreOptions) => {
      if (options.confirm !== undefined) return confirm(terminal, options, options.confirm);
      if (file === undefined) throw new CommandError(exitCode.usage, 'Say which backup.');
      if (!options.yes && !(await terminal.confirm?.(QUESTION))) {
        throw new CommandError(exitCode.usage, 'Nothing was restored: say --yes, or answer yes.');
      }
      // Loaded only here: no other verb opens the state itself.
      const { restore } = await import('./offline.ts');
      const restored = restore(file, options.state);
      print(terminal, options, restored, () => wordsOf(restored));
    });
}

function wordsOf(restored: Restored): string {
  const { epoch, from, replaced, reference, suspendedClaims, openTransactions, lost } = restored;
  return [
    `Restored to journal entry ${from.seq}; epoch ${epoch} begins.`,
    replaced === null ? 'There was no state before.' : `The replaced state is kept: ${replaced}`,
    ...(lost === null ? [] : [`What it knew last could not be read: ${lost}`]),
    `${suspendedClaims} claims are suspended, ${openTransactions} transactions are in doubt.`,
    'Next: start the service; for each claim that was not paid since, spire restore --confirm',
    `<reference>; then spire settle ${reference}, and count the bays.`,
  ].join('\n');
}

async function confirm(
  terminal: Terminal,
  options: RestoreOptions,
  reference: string,
): Promise<void> {
  const { by, reason } = options;
  if (by === undefined || reason === undefined) {
    throw new CommandError(exitCode.usage, 'Say with --by who confirms it, and with --reason how.');
  }
  const open = await read(options, 'obligations', z.array(obligationView));
  const found = open.filter(
    (one) =>
      (one.id === reference || one.reference === reference.toUpperCase()) &&
      one.state === 'unknown',
  );
  const [one] = found;
  if (!one || found.length > 1) {
    const words = one ? `${reference} has several; name one by its id.` : 'No such claim waits.';
    throw new CommandError(exitCode.usage, words);
  }
  const result = await ask({
    socketPath: options.socket,
    path: '/v1/confirmations',
    schema: confirmResult,
    body: { obligation: one.id, by, reason },
  });
  print(terminal, options, result, () => 'Confirmed. Its claim code is good again.');
}
