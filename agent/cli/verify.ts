/** `spire verify`: proves records of field visits, offline, on any computer. */
import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { ConfigError, messageOf } from '#protocol/base/errors.ts';
import { commandVoice, type SayCommand } from '../texts/command.ts';
import type { Language } from '../texts/fill.ts';
import { exitCode, SaidError } from './exit.ts';
import { languageOf, languageOption } from './language.ts';
import { type End, jsonOption, print, type Terminal } from './terminal.ts';

interface VerifyOptions {
  readonly spire?: string;
  readonly language?: Language;
  readonly json?: true;
}

/** Adds the verb. */
export function addVerify(program: Command, terminal: Terminal, end: End): void {
  program
    .command('verify')
    .argument('<file>')
    .option('--spire <npub>')
    .addOption(languageOption())
    .addOption(jsonOption())
    .action(async (file: string, options: VerifyOptions) => {
      // Loaded only here: no other verb needs signatures.
      const [{ verifyRecords }, { parsePublicKey }] = await Promise.all([
        import('../exchange/verify-record.ts'),
        import('#protocol/pairing/public-key.ts'),
      ]);
      const { spire } = options;
      const pubkey = spire === undefined ? undefined : keyOf(spire, parsePublicKey);
      const say = commandVoice(await languageOf(options));
      const verdict = verifyRecords(textOf(file), { pubkey, say });
      print(terminal, options, verdict, () => wordsOf(verdict, say));
      if (verdict.outcome !== 'ok') end(exitCode.fault);
    });
}

/** The machine's key as it was typed. @throws SaidError for what is none */
function keyOf(typed: string, parse: (key: string, whose: string) => string): string {
  try {
    return parse(typed, 'spire');
  } catch (cause) {
    if (!(cause instanceof ConfigError)) throw cause;
    throw new SaidError(exitCode.configuration, [['verify.noKey', { typed }]], cause);
  }
}

function textOf(file: string): string {
  try {
    return readFileSync(file === '-' ? 0 : file, 'utf8');
  } catch (cause) {
    const why = messageOf(cause);
    throw new SaidError(exitCode.usage, [['file.unread', { file, why }]], cause);
  }
}

type Verdict = ReturnType<typeof import('../exchange/verify-record.ts').verifyRecords>;

function wordsOf(verdict: Verdict, say: SayCommand): string {
  if (verdict.outcome === 'bad') {
    const { code, reason } = verdict;
    return say('verify.bad', { code, reason });
  }
  const { records, from, to, pubkey } = verdict;
  return say(records === 1 ? 'verify.one' : 'verify.several', { from, to, pubkey });
}
