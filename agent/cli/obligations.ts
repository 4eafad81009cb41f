/**
 * `spire obligations`, `spire settle`, `spire dispute`: what is owed or not known, its end, and
 * everything about one case.
 */
import { writeFileSync } from 'node:fs';
import type { Command } from 'commander';
import { z } from 'zod';
import { messageOf, systemCode } from '#protocol/base/errors.ts';
import { canonicalJson } from '#state/json.ts';
import { disputeBundle } from '../api/owed-schemas.ts';
import { type ObligationView, obligationView, settleResult } from '../api/schemas.ts';
import { commandVoice } from '../texts/command.ts';
import { ask } from './client.ts';
import { exitCode, SaidError } from './exit.ts';
import { formatObligations } from './format.ts';
import { languageOf, languageOption, type Speaking } from './language.ts';
import { jsonOption, print, read, socketOption, type Terminal } from './terminal.ts';

/** Readable by whoever made it alone: it names a customer's amounts and times. */
const FILE_MODE = 0o600;
/** The agent reads a stretch of its journal, and asks both devices. */
const DISPUTE_SILENCE_MS = 60_000;

interface SettleOptions extends Speaking {
  readonly by: string;
  readonly reason: string;
}

/** Adds the verbs. */
export function addObligations(program: Command, terminal: Terminal): void {
  program
    .command('obligations')
    .argument('[name]')
    .option('--all')
    .addOption(languageOption())
    .addOption(jsonOption())
    .addOption(socketOption())
    .action(async (name: string | undefined, options: Speaking & { readonly all?: true }) => {
      const which = options.all ? 'all' : 'open';
      const query = new URLSearchParams({ which, ...(name === undefined ? {} : { name }) });
      const obligations = await ask({
        socketPath: options.socket,
        path: `/v1/obligations?${query}`,
        schema: z.array(obligationView),
      });
      const language = await languageOf(options);
      print(terminal, options, obligations, () => formatObligations(obligations, language));
    });
  program
    .command('settle')
    .argument('<obligation>')
    .requiredOption('--by <name>')
    .requiredOption('--reason <words>')
    .addOption(languageOption())
    .addOption(jsonOption())
    .addOption(socketOption())
    .action((name: string, options: SettleOptions) => settle(terminal, name, options));
  program
    .command('dispute')
    .argument('<name>')
    .option('--out <file>')
    .addOption(languageOption())
    .addOption(socketOption())
    .action(async (name: string, options: Speaking & { readonly out?: string }) => {
      const bundle = await ask({
        socketPath: options.socket,
        path: `/v1/dispute?${new URLSearchParams({ name })}`,
        schema: disputeBundle,
        silenceMs: DISPUTE_SILENCE_MS,
      });
      const text = `${canonicalJson(bundle)}\n`;
      const { out: file } = options;
      if (file === undefined) {
        terminal.out.write(text);
        return;
      }
      writeNew(file, text);
      const say = commandVoice(await languageOf(options));
      terminal.err.write(`${say('dispute.written', { file })}\n`);
    });
}

/** Never over another one: it may be the only evidence of another day. @throws SaidError */
function writeNew(file: string, text: string): void {
  try {
    writeFileSync(file, text, { mode: FILE_MODE, flag: 'wx' });
  } catch (cause) {
    if (systemCode(cause) === 'EEXIST') {
      throw new SaidError(exitCode.usage, [['dispute.exists', { file }]], cause);
    }
    const why = messageOf(cause);
    throw new SaidError(exitCode.usage, [['file.unwritten', { file, why }]], cause);
  }
}

async function settle(terminal: Terminal, name: string, options: SettleOptions): Promise<void> {
  const open = await read(options, 'obligations', z.array(obligationView));
  const { by, reason } = options;
  const result = await ask({
    socketPath: options.socket,
    path: '/v1/settlements',
    schema: settleResult,
    body: { obligation: idOf(open, name), by, reason },
  });
  const say = commandVoice(await languageOf(options));
  print(terminal, options, result, () => say('owed.settled'));
}

/** The open obligation that a person names. @throws SaidError for none, and for several. */
function idOf(open: readonly ObligationView[], name: string): string {
  const found = open.filter(({ id, reference }) => id === name || reference === name.toUpperCase());
  const [one, ...others] = found;
  if (!one) throw new SaidError(exitCode.usage, [['owed.noneOf', { name }]]);
  if (others.length === 0) return one.id;
  const list = found.map(({ id, kind }) => `${id} (${kind})`).join('\n  ');
  throw new SaidError(exitCode.usage, [['owed.several', { name, list }]]);
}
