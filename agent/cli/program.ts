/** The verbs of `spire`, and how each ends. */
import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { z } from 'zod';
import { systemClock } from '#protocol/base/clock.ts';
import { documentView, statusView } from '../api/schemas.ts';
import type { Language } from '../texts/fill.ts';
import { addBackup } from './backup.ts';
import { addDoctor } from './doctor.ts';
import { type ExitCode, exitCode, exitOf, wordsOf } from './exit.ts';
import { formatDocuments } from './format.ts';
import { formatStatus } from './format-status.ts';
import { describe, speakHelp, usageText } from './help.ts';
import { addJournal } from './journal.ts';
import { languageOf, languageOption, type Speaking, spokenIn } from './language.ts';
import { addObligations } from './obligations.ts';
import { addOperator } from './operator.ts';
import { addPair } from './pair-verb.ts';
import { addProbe } from './probe.ts';
import { addRestore } from './restore.ts';
import { addService } from './service/commands.ts';
import { addTechnician } from './technician.ts';
import { type End, jsonOption, print, read, socketOption, type Terminal } from './terminal.ts';
import { addUpdate } from './update.ts';
import { addVerify } from './verify.ts';

/** Runs one command line, without the name of the program. */
export async function run(words: readonly string[], terminal: Terminal): Promise<ExitCode> {
  const spoken = spokenIn(words);
  let ended: ExitCode = exitCode.done;
  // Nobody is asked for a language before something is to be said in it.
  const language = isForHelp(words) ? await languageOf(spoken) : 'en';
  const program = createProgram(terminal, language, (code) => {
    ended = code;
  });
  try {
    await program.parseAsync([...words], { from: 'user' });
    return ended;
  } catch (error) {
    if (!(error instanceof CommanderError)) {
      terminal.err.write(`spire: ${wordsOf(error, await languageOf(spoken))}\n`);
      return exitOf(error);
    }
    if (error.exitCode === 0) return exitCode.done;
    // What help has said is enough.
    if (error.code !== 'commander.help') {
      terminal.err.write(`${usageText(error, await languageOf(spoken))}\n`);
    }
    return exitCode.usage;
  }
}

const isForHelp = (words: readonly string[]): boolean =>
  words.every((word) => groups.includes(word)) ||
  words.some((word) => ['-h', '--help', 'help'].includes(word));
/** Verbs that do nothing by themselves: alone they show their help. */
const groups = ['technician', 'operator'];

function createProgram(terminal: Terminal, language: Language, end: End): Command {
  const program = new Command('spire');
  program
    .version(version(), '--version')
    .exitOverride()
    // What stands behind a verb is the verb's.
    .enablePositionalOptions()
    .configureOutput({
      writeOut: (text) => terminal.out.write(text),
      writeErr: (text) => terminal.err.write(text),
      // Said when the language is known.
      outputError: () => undefined,
    });
  speakHelp(program, language);
  addReadingVerbs(program, terminal, end);
  addObligations(program, terminal);
  addDoctor(program, terminal, end);
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
  describe(program, language);
  return program;
}

function version(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  const { version: found } = JSON.parse(text) as { version: string };
  return found;
}

function addReadingVerbs(program: Command, terminal: Terminal, end: End): void {
  const verb = (name: string) =>
    program
      .command(name)
      .addOption(jsonOption())
      .addOption(socketOption())
      .addOption(languageOption());
  verb('status').action(async (options: Speaking) => {
    const status = await read(options, 'status', statusView);
    print(terminal, options, status, () => formatStatus(status, options.language));
    if (status.journal.chain !== 'ok') end(exitCode.fault);
  });
  verb('documents').action(async (options: Speaking) => {
    const documents = await read(options, 'documents', z.array(documentView));
    const language = await languageOf(options);
    print(terminal, options, documents, () => {
      return formatDocuments(documents, systemClock.now(), language);
    });
  });
}
