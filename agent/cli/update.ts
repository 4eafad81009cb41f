/** `spire update`: another release with a way back, carried out by a unit of its own. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { CommandError, type ExitCode, exitCode } from './exit.ts';
import {
  type End,
  jsonOption,
  print,
  socketOption,
  stateOption,
  type Terminal,
} from './terminal.ts';
import type { UpdateOrder } from './update-order.ts';
import type { UpdateResult } from './update-run.ts';

interface UpdateOptions extends UpdateOrder {
  readonly continue?: true;
  readonly json?: true;
}

/** Relays, bunker, wallet and devices come up in this time also when all start at once. */
const PROOF_LIMIT_S = 180;
const PROOF_LIMIT_MAX_S = 3_600;

const EXITS: Readonly<Record<UpdateResult['outcome'], ExitCode>> = {
  updated: exitCode.done,
  refused: exitCode.tryAgain,
  returned: exitCode.fault,
  stuck: exitCode.fault,
};

/** Adds the verb. */
export function addUpdate(program: Command, terminal: Terminal, end: End): void {
  program
    .command('update')
    .argument('[deb]', 'the package')
    .option('--continue', 'goes on with an update that was cut; the unit does so at a boot')
    .addOption(
      new Option('--within <seconds>', 'what the new release has for the handshake')
        .argParser(secondsOf)
        .default(PROOF_LIMIT_S),
    )
    .addOption(stateOption())
    .addOption(socketOption())
    .addOption(jsonOption())
    .addOption(new Option('--root <folder>', 'where the releases are').default('/opt/spire'))
    .addOption(new Option('--system <folder>', 'where units go').default('/').hideHelp())
    .addOption(new Option('--systemctl <program>').default('systemctl').hideHelp())
    .addOption(new Option('--dpkg <program>').default('dpkg').hideHelp())
    .action(async (deb: string | undefined, options: UpdateOptions) => {
      // Loaded only here: no other verb changes what runs.
      const { carryOut, order } = await import('./update-order.ts');
      const say = (text: string) => terminal.err.write(`${text}\n`);
      const result = options.continue
        ? await carryOut(options, say)
        : await order(required(deb), options);
      print(terminal, options, result, () => wordsOf(result));
      if (result) end(EXITS[result.outcome]);
    });
}

function secondsOf(text: string): number {
  const seconds = Number(text);
  if (Number.isInteger(seconds) && seconds > 0 && seconds <= PROOF_LIMIT_MAX_S) return seconds;
  throw new InvalidArgumentError(`It has to be a number from 1 to ${PROOF_LIMIT_MAX_S}.`);
}

function required(deb: string | undefined): string {
  if (deb !== undefined) return deb;
  throw new CommandError(exitCode.usage, 'Say which package.');
}

function wordsOf(result: UpdateResult | null): string {
  if (!result) return 'No update is under way.';
  const { outcome, from, to, reason, state } = result;
  const lines = {
    updated: `Release ${to} has proven itself and serves. ${from} stays beside it.`,
    refused: `Nothing was changed: ${reason}`,
    returned: `Release ${from} is back: ${to} was not proven. ${reason}`,
    stuck: `Release ${from} was put back and DOES NOT START: ${to} was not proven. ${reason}`,
  };
  const what =
    state?.state === 'putBack'
      ? ['The state is that of before; the other one is kept beside it.']
      : state
        ? [`THE STATE STAYS AS THE NEW RELEASE LEFT IT: ${state.why}.`]
        : [];
  return [lines[outcome], ...what].join('\n');
}
