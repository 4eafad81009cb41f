/** `spire verify`: proves records of field visits, offline, on any computer. */
import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { messageOf } from '#protocol/base/errors.ts';
import { CommandError, exitCode } from './exit.ts';
import { type End, jsonOption, print, type Terminal } from './terminal.ts';

interface VerifyOptions {
  readonly spire?: string;
  readonly json?: true;
}

/** Adds the verb. */
export function addVerify(program: Command, terminal: Terminal, end: End): void {
  program
    .command('verify')
    .description('proves records of visits offline: whole, in order, signed; exit code 1 when not')
    .argument('<file>', 'one record, a list, or one a line, as the API gives them; - to read them')
    .option('--spire <npub>', 'the machine that must have signed; else all must be of one')
    .addOption(jsonOption())
    .action(async (file: string, options: VerifyOptions) => {
      // Loaded only here: no other verb needs signatures.
      const [{ verifyRecords }, { parsePublicKey }] = await Promise.all([
        import('../exchange/verify-record.ts'),
        import('#protocol/pairing/public-key.ts'),
      ]);
      const { spire } = options;
      const pubkey = spire === undefined ? undefined : parsePublicKey(spire, 'spire');
      const verdict = verifyRecords(textOf(file), { pubkey });
      print(terminal, options, verdict, () => wordsOf(verdict));
      if (verdict.outcome !== 'ok') end(exitCode.fault);
    });
}

function textOf(file: string): string {
  try {
    return readFileSync(file === '-' ? 0 : file, 'utf8');
  } catch (cause) {
    throw new CommandError(exitCode.usage, `Cannot read ${file}: ${messageOf(cause)}`, { cause });
  }
}

type Verdict = ReturnType<typeof import('../exchange/verify-record.ts').verifyRecords>;

function wordsOf(verdict: Verdict): string {
  if (verdict.outcome === 'bad') return `NOT PROVEN (${verdict.code}): ${verdict.reason}`;
  const { records, from, to, pubkey } = verdict;
  const which = records === 1 ? `Record ${from} is` : `Records ${from} to ${to} are`;
  return `${which} whole, in order, and signed by ${pubkey}.`;
}
