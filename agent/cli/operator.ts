/** `spire operator set`: through the running agent, or on its files while it is stopped. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type Command, Option } from 'commander';
import { type OperatorResult, operatorResult } from '../api/schemas.ts';
import type { OperatorChange } from '../identity/operator.ts';
import type { CredentialSources } from '../upkeep/sealing-key.ts';
import { ask } from './client.ts';
import { CommandError, exitCode } from './exit.ts';
import {
  type Common,
  jsonOption,
  print,
  socketOption,
  stateOption,
  type Terminal,
} from './terminal.ts';

interface SetOptions extends Common {
  readonly by: string;
  readonly reason: string;
  readonly yes?: true;
  readonly state: string;
  readonly sealingKeyFile?: string;
}

/** Names the key of a sealed pairing for commands that work on the machine's files. */
export const sealingKeyOption = (): Option =>
  new Option(
    '--sealing-key-file <file>',
    'the key that seals the pairing; found by itself as root',
  );

/** Adds the verb. */
export function addOperator(program: Command, terminal: Terminal): void {
  program
    .command('operator')
    .command('set')
    .description('the operator has another key: his documents are obeyed, ours encrypted to it')
    .argument('<npub>', "the operator's new public key")
    .requiredOption('--by <name>', 'who sets it')
    .requiredOption('--reason <words>', 'why the key is another one')
    .option('--yes', 'without asking')
    .addOption(stateOption())
    .addOption(sealingKeyOption())
    .addOption(jsonOption())
    .addOption(socketOption())
    .action(async (npub: string, options: SetOptions) => {
      const { parsePublicKey } = await import('#protocol/pairing/public-key.ts');
      const operator = parsePublicKey(npub, 'operator');
      if (!options.yes) await confirm(terminal, npub);
      const change = { operator, by: options.by, reason: options.reason };
      const result = await set(options, change, {
        file: options.sealingKeyFile,
        credentialsFolder: terminal.credentialsFolder,
      });
      print(terminal, options, result, () => wordsOf(result));
    });
}

/** @throws CommandError when there is nobody to ask, or the person says no. */
async function confirm(terminal: Terminal, npub: string): Promise<void> {
  if (!terminal.confirm) {
    throw new CommandError(exitCode.usage, 'There is nobody to ask here: add --yes to go on.');
  }
  const isSure = await terminal.confirm(
    `Whoever holds the key of ${npub} sets fees and counts of this machine from now on. Go on?`,
  );
  if (!isSure) throw new CommandError(exitCode.notPermitted, 'Nothing was changed.');
}

async function set(
  options: SetOptions,
  change: OperatorChange,
  credential: CredentialSources,
): Promise<OperatorResult> {
  const { socket: socketPath, state } = options;
  try {
    return await ask({ socketPath, path: '/v1/operator', schema: operatorResult, body: change });
  } catch (error) {
    if (!(error instanceof CommandError) || error.exit !== exitCode.unavailable) throw error;
    if (!existsSync(join(state, 'pairing.json'))) throw error;
    return setOnFiles(state, change, credential);
  }
}

/** Holds the lock that the agent holds, so that the two never write at once. */
async function setOnFiles(
  state: string,
  change: OperatorChange,
  credential: CredentialSources,
): Promise<OperatorResult> {
  // Loaded only here: with the agent running nothing of it is needed.
  const { setOperatorOfState } = await import('./state-files.ts');
  return setOperatorOfState(state, change, credential);
}

function wordsOf({ outcome, operatorPubkey }: OperatorResult): string {
  return outcome === 'set'
    ? `The operator is ${operatorPubkey} now. Have him publish his documents again.`
    : `Nothing was changed: the operator is ${operatorPubkey} already.`;
}
