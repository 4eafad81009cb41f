/** `spire doctor`: the agent's own report, or what can be said of a machine whose agent is away. */
import type { Command } from 'commander';
import { type DoctorReport, doctorReport, machineView } from '../api/schemas.ts';
import type { Language } from '../texts/fill.ts';
import { CommandError, exitCode } from './exit.ts';
import { formatReport } from './format.ts';
import {
  type Common,
  type End,
  jsonOption,
  languageOption,
  print,
  read,
  socketOption,
  type Terminal,
} from './terminal.ts';

/** Longest silence, ms: a bunker and a wallet that do not answer take the agent a minute. */
const SILENCE_MS = 90_000;

interface DoctorOptions extends Common {
  readonly config: string;
  readonly language?: Language;
}

/** Adds the verb. */
export function addDoctor(program: Command, terminal: Terminal, end: End): void {
  program
    .command('doctor')
    .description('the real handshake with everything: what is wrong, why, and what to do next')
    .option('--config <file>', 'looked at when the agent is not running', '/etc/spire/spire.json')
    .addOption(languageOption())
    .addOption(jsonOption())
    .addOption(socketOption())
    .action(async (options: DoctorOptions) => {
      const { report, language } = await examine(options);
      print(terminal, options, report, () => formatReport(report, options.language ?? language));
      if (report.agent === 'notRunning') end(exitCode.unavailable);
      else if (report.level === 'fault') end(exitCode.fault);
    });
}

interface Examined {
  readonly report: DoctorReport;
  /** The machine's own. */
  readonly language: Language;
}

async function examine(options: DoctorOptions): Promise<Examined> {
  try {
    const report = await read(options, 'doctor', doctorReport, SILENCE_MS);
    return { report, language: (await read(options, 'machine', machineView)).language };
  } catch (error) {
    if (!(error instanceof CommandError) || error.exit !== exitCode.unavailable) throw error;
    // Loaded only here: it opens what belongs to the agent, which is away.
    const { examineWithoutAgent, languageWithoutAgent } = await import(
      '../doctor/without-agent.ts'
    );
    const report = examineWithoutAgent({ configPath: options.config, why: error.message });
    return { report, language: languageWithoutAgent(options.config) };
  }
}
