/** The verbs of `spire`, what they take, and how each ends. */
import { readFileSync } from 'node:fs';
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { z } from 'zod';
import { sleep, systemClock } from '#protocol/base/clock.ts';
import {
  documentView,
  type JournalEntryView,
  journalEntryView,
  type ObligationView,
  obligationView,
  settleResult,
  statusView,
} from '../api/schemas.ts';
import { addBackup } from './backup.ts';
import { ask } from './client.ts';
import { addDoctor } from './doctor.ts';
import { CommandError, type ExitCode, exitCode, exitOf, wordsOf } from './exit.ts';
import { formatDocuments, formatEntry } from './format.ts';
import { formatStatus } from './format-status.ts';
import { languageOption, type Speaking } from './language.ts';
import { addObligations } from './obligations.ts';
import { addOperator, sealingKeyOption } from './operator.ts';
import { addProbe } from './probe.ts';
import { addRestore } from './restore.ts';
import { addService } from './service/commands.ts';
import { addTechnician } from './technician.ts';
import {
  type Common,
  jsonOption,
  print,
  read,
  socketOption,
  stateOption,
  type Terminal,
} from './terminal.ts';
import { addUpdate } from './update.ts';
import { addVerify } from './verify.ts';

/** How often `journal --follow` asks, ms: soon for a person, nothing for the agent. */
const FOLLOW_MS = 1_000;
/** Most entries of one answer. Source: `journalQuery`. */
const LIMIT_MAX = 1_000;

interface JournalOptions extends Common {
  readonly follow?: true;
  readonly transaction?: string;
  readonly kind?: string;
  readonly limit?: number;
}

interface SettleOptions extends Common {
  readonly by: string;
  readonly reason: string;
}

interface PairOptions {
  readonly operator: string;
  readonly transport: string;
  readonly wallet: string;
  readonly allowPrivateRelays?: true;
  readonly sealingKeyFile?: string;
  readonly state: string;
  readonly json?: true;
}

/** Runs one command line, without the name of the program. */
export async function run(words: readonly string[], terminal: Terminal): Promise<ExitCode> {
  let ended: ExitCode = exitCode.done;
  const program = createProgram(terminal, (code) => {
    ended = code;
  });
  try {
    await program.parseAsync([...words], { from: 'user' });
    return ended;
  } catch (error) {
    // Its words have been written by then.
    if (error instanceof CommanderError) {
      return error.exitCode === 0 ? exitCode.done : exitCode.usage;
    }
    terminal.err.write(`spire: ${wordsOf(error)}\n`);
    return exitOf(error);
  }
}

function createProgram(terminal: Terminal, end: (code: ExitCode) => void): Command {
  const program = new Command('spire');
  program
    .description('Looks after the spire agent, the program of this cash machine.')
    .version(version(), '--version')
    .exitOverride()
    // What stands behind a verb is the verb's.
    .enablePositionalOptions()
    .configureOutput({
      writeOut: (text) => terminal.out.write(text),
      writeErr: (text) => terminal.err.write(text),
    })
    .showHelpAfterError('(add --help for what there is)');
  program.addHelpText(
    'after',
    '\nExit codes: 0 done, 1 fault found, 2 wrong usage, 69 the agent is not running,\n' +
      '75 try again, 77 not permitted, 78 configuration.',
  );
  addReadingVerbs(program, terminal, end);
  addObligations(program, terminal);
  addDoctor(program, terminal, end);
  addSettle(program, terminal);
  addJournal(program, terminal);
  addProbe(program, terminal, end);
  addService(program, terminal, end);
  addTechnician(program, terminal);
  addVerify(program, terminal, end);
  addOperator(program, terminal);
  addPair(program, terminal);
  addBackup(program, terminal);
  addRestore(program, terminal);
  addUpdate(program, terminal, end);
  return program;
}

function version(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  const { version: found } = JSON.parse(text) as { version: string };
  return found;
}

function addReadingVerbs(
  program: Command,
  terminal: Terminal,
  end: (code: ExitCode) => void,
): void {
  const verb = (name: string, description: string) =>
    program
      .command(name)
      .description(description)
      .addOption(jsonOption())
      .addOption(socketOption());
  verb('status', 'how the machine is; exit code 1 when the journal is not whole')
    .addOption(languageOption())
    .action(async (options: Speaking) => {
      const status = await read(options, 'status', statusView);
      print(terminal, options, status, () => formatStatus(status, options.language));
      if (status.journal.chain !== 'ok') end(exitCode.fault);
    });
  verb('documents', 'what the operator has set, and what the machine has told him').action(
    async (options: Common) => {
      const documents = await read(options, 'documents', z.array(documentView));
      print(terminal, options, documents, () => formatDocuments(documents, systemClock.now()));
    },
  );
}

function addJournal(program: Command, terminal: Terminal): void {
  program
    .command('journal')
    .description('the newest journal entries, oldest first')
    .option('--follow', 'go on with what is new, until Ctrl-C')
    .option('--transaction <ref>', 'only of this reference or transaction id')
    .option('--kind <kind>', 'only of this kind')
    .option('--limit <count>', `how many, 1 to ${LIMIT_MAX}; 100 unless given`, limitOf)
    .addOption(new Option('--json', 'for programs: one JSON object a line'))
    .addOption(socketOption())
    .action(async (options: JournalOptions) => {
      if (!options.follow) {
        for (const entry of await readEntries(options)) printEntry(terminal, options, entry);
        return;
      }
      await follow(terminal, options);
    });
}

function limitOf(text: string): number {
  const limit = Number(text);
  if (/^\d+$/.test(text) && limit >= 1 && limit <= LIMIT_MAX) return limit;
  throw new InvalidArgumentError(`It has to be a number from 1 to ${LIMIT_MAX}.`);
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

function addSettle(program: Command, terminal: Terminal): void {
  program
    .command('settle')
    .description('says that something owed or not known was settled by hand; its code is void')
    .argument('<obligation>', 'its reference, or its id where a reference has several')
    .requiredOption('--by <name>', 'who settled it')
    .requiredOption('--reason <words>', 'what was found, or paid, and how')
    .addOption(jsonOption())
    .addOption(socketOption())
    .action(async (name: string, options: SettleOptions) => {
      const open = await read(options, 'obligations', z.array(obligationView));
      const { by, reason } = options;
      const result = await ask({
        socketPath: options.socket,
        path: '/v1/settlements',
        schema: settleResult,
        body: { obligation: idOf(open, name), by, reason },
      });
      print(terminal, options, result, () => 'Settled. Its claim code is void.');
    });
}

/** The open obligation that a person names. @throws CommandError for none, and for several. */
function idOf(open: readonly ObligationView[], name: string): string {
  const found = open.filter(({ id, reference }) => id === name || reference === name.toUpperCase());
  const [one, ...others] = found;
  if (!one) throw new CommandError(exitCode.usage, `Nothing is open under ${name}.`);
  if (others.length === 0) return one.id;
  const several = found.map(({ id, kind }) => `${id} (${kind})`).join('\n  ');
  throw new CommandError(exitCode.usage, `${name} has several; name one by its id:\n  ${several}`);
}

function addPair(program: Command, terminal: Terminal): void {
  program
    .command('pair')
    .description("binds this machine to its operator's bunker; the service must be stopped")
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
