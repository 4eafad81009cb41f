/** `spire pair`: what it takes; the work is in `pair.ts`. */
import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { sealingKeyOption } from './operator.ts';
import { jsonOption, print, stateOption, type Terminal } from './terminal.ts';

interface PairOptions {
  readonly operator: string;
  readonly transport: string;
  readonly wallet: string;
  readonly allowPrivateRelays?: true;
  readonly sealingKeyFile?: string;
  readonly state: string;
  readonly json?: true;
}

/** Adds the verb. */
export function addPair(program: Command, terminal: Terminal): void {
  program
    .command('pair')
    .argument('<seed>', 'the seed as the wallet shows it; - to read it from standard input')
    .requiredOption('--operator <npub>', "the operator's public key")
    .requiredOption('--transport <npub>', "the public key that the wallet's server answers with")
    .requiredOption('--wallet <id>', 'the wallet that this machine works with')
    .option('--allow-private-relays', 'take relays on this computer and its networks')
    .addOption(stateOption())
    .addOption(sealingKeyOption())
    .addOption(jsonOption())
    .action(async (seed: string, options: PairOptions) => {
      // Loaded only here: no other verb needs relays and signatures.
      const { pairMachine } = await import('./pair.ts');
      const given = {
        ...options,
        seed: seed === '-' ? readFileSync(0, 'utf8') : seed,
        allowPrivateRelays: options.allowPrivateRelays ?? false,
        credential: {
          file: options.sealingKeyFile,
          credentialsFolder: terminal.credentialsFolder,
        },
      };
      const paired = await pairMachine(given, (text) => terminal.err.write(`${text}\n`));
      print(terminal, options, paired, () => `Paired as ${paired.spireNpub}.`);
    });
}
