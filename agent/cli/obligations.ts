/** `spire obligations`, `spire dispute`: what is owed or not known, and everything about one case. */
import { writeFileSync } from 'node:fs';
import { type Command, Option } from 'commander';
import { z } from 'zod';
import { canonicalJson } from '#state/json.ts';
import { disputeBundle } from '../api/owed-schemas.ts';
import { obligationView } from '../api/schemas.ts';
import { ask } from './client.ts';
import { formatObligations } from './format.ts';
import { type Common, jsonOption, print, socketOption, type Terminal } from './terminal.ts';

/** Readable by whoever made it alone: it names a customer's amounts and times. */
const FILE_MODE = 0o600;
/** The agent reads a stretch of its journal, and asks both devices. */
const DISPUTE_SILENCE_MS = 60_000;

/** Adds both verbs. */
export function addObligations(program: Command, terminal: Terminal): void {
  program
    .command('obligations')
    .description('what is owed or not known, with its evidence; close one with `spire settle`')
    .argument('[name]', 'only this reference, or this id')
    .option('--all', 'also what is closed')
    .addOption(jsonOption())
    .addOption(socketOption())
    .action(async (name: string | undefined, options: Common & { readonly all?: true }) => {
      const which = options.all ? 'all' : 'open';
      const query = new URLSearchParams({ which, ...(name === undefined ? {} : { name }) });
      const obligations = await ask({
        socketPath: options.socket,
        path: `/v1/obligations?${query}`,
        schema: z.array(obligationView),
      });
      print(terminal, options, obligations, () => formatObligations(obligations));
    });
  program
    .command('dispute')
    .description('writes all that is known of one transaction, without a bearer value')
    .argument('<name>', 'its reference, or its id')
    .addOption(new Option('--out <file>', 'where to; to standard output unless given'))
    .addOption(socketOption())
    .action(async (name: string, { out, socket }: Common & { readonly out?: string }) => {
      const bundle = await ask({
        socketPath: socket,
        path: `/v1/dispute?${new URLSearchParams({ name })}`,
        schema: disputeBundle,
        silenceMs: DISPUTE_SILENCE_MS,
      });
      const text = `${canonicalJson(bundle)}\n`;
      if (out === undefined) terminal.out.write(text);
      else {
        // Never over another one: it may be the only evidence of another day.
        writeFileSync(out, text, { mode: FILE_MODE, flag: 'wx' });
        terminal.err.write(`Written to ${out}.\n`);
      }
    });
}
