/** `spire journal`: what was written down, for people and programs. */
import { type Command, Option } from 'commander';
import { z } from 'zod';
import { sleep, systemClock } from '#protocol/base/clock.ts';
import { type JournalEntryView, journalEntryView } from '../api/schemas.ts';
import { ask } from './client.ts';
import { exitCode, SaidError } from './exit.ts';
import { formatEntry } from './format.ts';
import { languageOption } from './language.ts';
import { type Common, jsonOption, socketOption, type Terminal } from './terminal.ts';

/** How often `--follow` asks, ms: soon for a person, nothing for the agent. */
const FOLLOW_MS = 1_000;
/** Most entries of one answer. Source: `journalQuery`. */
const LIMIT_MAX = 1_000;

interface JournalOptions extends Common {
  readonly follow?: true;
  readonly transaction?: string;
  readonly kind?: string;
  readonly limit?: number;
}

/** Adds the verb. */
export function addJournal(program: Command, terminal: Terminal): void {
  program
    .command('journal')
    .option('--follow')
    .option('--transaction <ref>')
    .option('--kind <kind>')
    .addOption(new Option('--limit <count>').argParser(limitOf))
    .addOption(languageOption())
    .addOption(jsonOption())
    .addOption(socketOption())
    .action(async (options: JournalOptions) => {
      if (!options.follow) {
        for (const entry of await readEntries(options)) printEntry(terminal, options, entry);
        return;
      }
      await follow(terminal, options);
    });
}

function limitOf(value: string): number {
  const limit = Number(value);
  if (/^\d+$/.test(value) && limit >= 1 && limit <= LIMIT_MAX) return limit;
  throw new SaidError(exitCode.usage, [
    ['usage.invalidArgument', { what: '--limit', value }],
    ['usage.range', { min: 1, max: LIMIT_MAX }],
  ]);
}

function printEntry(terminal: Terminal, options: JournalOptions, entry: JournalEntryView): void {
  terminal.out.write(`${options.json ? JSON.stringify(entry) : formatEntry(entry)}\n`);
}

async function readEntries(
  options: JournalOptions,
  after?: number,
  signal?: AbortSignal,
): Promise<readonly JournalEntryView[]> {
  const query = new URLSearchParams();
  for (const name of ['transaction', 'kind', 'limit'] as const) {
    const value = options[name];
    if (value !== undefined) query.set(name, String(value));
  }
  if (after !== undefined) query.set('after', String(after));
  const path = `/v1/journal?${query}`;
  return ask({ socketPath: options.socket, path, schema: z.array(journalEntryView), signal });
}

/** Shows the newest entries and then each new one, until the person stops it. */
async function follow(terminal: Terminal, options: JournalOptions): Promise<void> {
  const stop = new AbortController();
  terminal.onStop(() => stop.abort());
  let last: number | undefined;
  try {
    for (;;) {
      const entries = await readEntries(options, last, stop.signal);
      for (const entry of entries) {
        printEntry(terminal, options, entry);
        last = entry.seq;
      }
      await sleep(systemClock, FOLLOW_MS, stop.signal);
    }
  } catch (error) {
    if (!stop.signal.aborted) throw error;
  }
}
