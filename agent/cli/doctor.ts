/** `spire doctor`: the agent's own report, or what can be said of a machine whose agent is away. */
import type { Command } from 'commander';
import { type DoctorReport, doctorReport } from '../api/schemas.ts';
import type { Language } from '../texts/fill.ts';
import { CommandError, exitCode, wordsOf } from './exit.ts';
import { formatReport } from './format.ts';
import { languageOf, languageOption, type Speaking } from './language.ts';
import {
  configOption,
  type End,
  jsonOption,
  print,
  read,
  socketOption,
  type Terminal,
} from './terminal.ts';

/** Longest silence, ms: a bunker and a wallet that do not answer take the agent a minute. */
const SILENCE_MS = 90_000;

interface DoctorOptions extends Speaking {
  readonly config: string;
}

/** Adds the verb. */
export function addDoctor(program: Command, terminal: Terminal, end: End): void {
  program
    .command('doctor')
    .addOption(configOption())
    .addOption(languageOption())
    .addOption(jsonOption())
    .addOption(socketOption())
    .action(async (options: DoctorOptions) => {
      const { report, language } = await examine(options);
      print(terminal, options, report, () => formatReport(report, language));
      if (report.agent === 'notRunning') end(exitCode.unavailable);
      else if (report.level === 'fault') end(exitCode.fault);
    });
}

async function examine(
  options: DoctorOptions,
): Promise<{ readonly report: DoctorReport; readonly language: Language }> {
  try {
    const report = await read(options, 'doctor', doctorReport, SILENCE_MS);
    return { report, language: await languageOf(options) };
  } catch (error) {
    if (!(error instanceof CommandError) || error.exit !== exitCode.unavailable) throw error;
    // Loaded only here: it opens what belongs to the agent, which is away.
    const { examineWithoutAgent } = await import('../doctor/without-agent.ts');
    const language = await languageOf(options);
    const why = wordsOf(error, language);
    return { report: examineWithoutAgent({ configPath: options.config, why }), language };
  }
}
