/** `spire service`: a field visit, led by questions or by a file; and what a person on site says. */
import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { z } from 'zod';
import { type Clock, systemClock } from '#protocol/base/clock.ts';
import { messageOf } from '#protocol/base/errors.ts';
import type { ExchangeView, RecordView } from '../../api/visit-schemas.ts';
import type { Language } from '../../texts/fill.ts';
import { type Speak, speaker, whyText } from '../../texts/technician.ts';
import { CommandError, type ExitCode, exitCode, wordsOf } from '../exit.ts';
import { languageOf, languageOption, type Speaking } from '../language.ts';
import { type End, jsonOption, print, socketOption, type Terminal } from '../terminal.ts';
import { addAccepting } from './accept.ts';
import type { Wish } from './ask-question.ts';
import { countBags } from './bag-file.ts';
import { type Answerer, drive, pathOf } from './drive.ts';
import { addRecords } from './records.ts';
import { type BagFile, bagFile, type VisitFile, visitFile, wishOf } from './visit-file.ts';
import { VisitLine } from './visit-line.ts';
import { recordText, summaryLines } from './words.ts';

interface ServiceOptions extends Speaking {
  readonly invite?: true;
  readonly jsonFile?: string;
}

/** Adds the verb. */
export function addService(program: Command, terminal: Terminal, end: End): void {
  const service = program
    .command('service')
    // Both have a socket: that of a verb belongs to the verb.
    .enablePositionalOptions()
    .option('--invite')
    .option('--json-file <file>')
    .addOption(languageOption())
    .addOption(jsonOption())
    .addOption(socketOption())
    .action(async (options: ServiceOptions) => {
      end(await visit(terminal, options));
    });
  addAccepting(service, terminal);
  addRecords(service, terminal);
}

async function visit(terminal: Terminal, options: ServiceOptions): Promise<ExitCode> {
  const line = new VisitLine(options.socket);
  const language = await languageAt(line, options);
  const speak = speaker(language);
  try {
    if (options.jsonFile !== undefined) {
      return await visitByFile(terminal, options, line, speak, options.jsonFile);
    }
    return await visitByPerson(terminal, options, line, language);
  } catch (error) {
    throw inWordsOf(language, error);
  }
}

const clockOf = ({ clock }: Terminal): Clock => clock ?? systemClock;

async function languageAt(line: VisitLine, options: ServiceOptions): Promise<Language> {
  try {
    // Asked in any case: nobody types a PIN to find out that the agent is away.
    const { language } = await line.machine();
    return options.language ?? language;
  } catch (error) {
    throw inWordsOf(await languageOf(options), error);
  }
}

/** What is foreseen, in the technician's language; anything else as it is. */
function inWordsOf(language: Language, error: unknown): unknown {
  if (!(error instanceof CommandError)) return error;
  const speak = speaker(language);
  const { exit, refusal } = error;
  const own = whyText(speak, refusal?.why);
  if (own !== undefined) return new CommandError(exit, own, { cause: error }, refusal);
  if (refusal) return error;
  if (exit === exitCode.unavailable) {
    const words = `${speak('agent.gone')}\n${wordsOf(error, language)}`;
    return new CommandError(exit, words, { cause: error });
  }
  if (exit === exitCode.notPermitted) {
    return new CommandError(exit, speak('agent.socket'), { cause: error });
  }
  return error;
}

async function visitByPerson(
  terminal: Terminal,
  options: ServiceOptions,
  line: VisitLine,
  language: Language,
): Promise<ExitCode> {
  const { input, out } = terminal;
  const speak = speaker(language);
  if (!input) throw new CommandError(exitCode.usage, speak('file.noPerson'));
  // Loaded only here: no other verb asks so much.
  const [{ Guide }, { terminalPrompter }] = await Promise.all([
    import('./guide.ts'),
    import('./prompter.ts'),
  ]);
  const prompter = terminalPrompter(input, out);
  const isColoured = terminal.isColoured ?? false;
  const clock = clockOf(terminal);
  const guide = new Guide({ line, prompter, speak, language, clock, isColoured });
  return guide.run(options.invite ?? false);
}

async function visitByFile(
  terminal: Terminal,
  options: ServiceOptions,
  line: VisitLine,
  speak: Speak,
  path: string,
): Promise<ExitCode> {
  const file = readFile(path, speak);
  if ('bags' in file) {
    await countBags({ terminal, options, line, speak }, file);
    return exitCode.done;
  }
  await line.signIn(file.name, file.pin);
  const done = file.record === undefined ? null : await recordOf(line, speak, file.record);
  if (done) {
    await line.signOut();
    print(terminal, options, { exchange: null, record: done }, () =>
      [speak('file.done', { number: done.number }), recordText(done)].join('\n'),
    );
    return exitCode.done;
  }
  const begun = await line.begin();
  const { exchange, record } = await drive(line, answererOf(file, speak), clockOf(terminal), begun);
  await line.signOut();
  print(terminal, options, { exchange, record }, () =>
    [...summaryLines(speak, exchange), ...(record === null ? [] : [recordText(record)])].join('\n'),
  );
  return exitCode.done;
}

/**
 * The record of a visit that was done already, so that a file that is run again, after a cut in the
 * moment of closing, counts nothing twice. @throws CommandError when it can be no next one
 */
async function recordOf(
  line: VisitLine,
  speak: Speak,
  number: number,
): Promise<RecordView | undefined> {
  const found = await line.records(Math.max(0, number - 2), 2);
  const own = found.find((one) => one.number === number);
  if (own || number === 1 || found.some((one) => one.number === number - 1)) return own;
  throw new CommandError(exitCode.usage, speak('file.recordAhead', { number }));
}

function readFile(path: string, speak: Speak): VisitFile | BagFile {
  const unusable = (why: string, cause?: unknown) => {
    const words = speak('file.unreadable', { file: path, why });
    return new CommandError(exitCode.usage, words, { cause });
  };
  let input: unknown;
  try {
    input = JSON.parse(readFileSync(path === '-' ? 0 : path, 'utf8'));
  } catch (cause) {
    throw unusable(messageOf(cause), cause);
  }
  const isOfBags = typeof input === 'object' && input !== null && 'bags' in input;
  const parsed = (isOfBags ? bagFile : visitFile).safeParse(input);
  if (!parsed.success) throw unusable(z.prettifyError(parsed.error));
  return parsed.data;
}

/** A file cannot be asked again: whatever is missing or refused ends it, and all stands as it is. */
function answererOf(file: VisitFile, speak: Speak): Answerer {
  return {
    wish: async (view): Promise<Wish> => {
      const { asks, reference } = view;
      const wish = wishOf(file, asks);
      if (wish) return wish;
      const what = pathOf(asks);
      throw new CommandError(exitCode.usage, speak('file.missing', { what, reference }));
    },
    whyAbandon: async () => (typeof file.end === 'object' ? file.end.abandon : null),
    waiting: () => undefined,
    taken: () => undefined,
    recover: async (error, view) => {
      throw aboutAnswer(error, view, speak);
    },
  };
}

function aboutAnswer(error: unknown, { asks, reference }: ExchangeView, speak: Speak): unknown {
  if (!(error instanceof CommandError) || !error.refusal || !asks) return error;
  const why = whyText(speak, error.refusal.why) ?? error.message;
  const words = speak('file.refused', { what: pathOf(asks), why, reference });
  return new CommandError(error.exit, words, { cause: error });
}
