/**
 * The whole machine on a laptop: simulated devices, a real relay, a real bunker, a wallet
 * stand-in.
 */
import { Command, CommanderError, InvalidArgumentError } from 'commander';
import { systemClock, systemRandom } from '#protocol/base/clock.ts';
import { messageOf } from '#protocol/base/errors.ts';
import { createLog } from '#protocol/base/log.ts';
import type { DemoDevices } from './demo/machine.ts';
import {
  runScript,
  type ScriptFault,
  type ScriptStep,
  scriptFaults,
  scriptSteps,
} from './demo/script.ts';
import { runTerminal, type Streams } from './demo/terminal.ts';

interface Options {
  readonly script?: readonly ScriptStep[];
  readonly fault?: ScriptFault;
  readonly json?: true;
  readonly pty?: true;
  readonly fresh?: true;
  readonly validator: DemoDevices['validator'];
  readonly dispenser: DemoDevices['dispenser'];
  readonly screenPort: number;
  readonly folder: string;
}

/** The dataset of the simulated validator that cannot be asked for it. */
const DOLLAR_CHANNELS = [1, 2, 5, 10, 20, 50, 100];
/** Names on the command line, with what they mean to the simulators. */
export const validators: Readonly<Record<string, DemoDevices['validator']>> = {
  ccnet: { protocol: 'ccnet', model: 'sm' },
  ebds: { protocol: 'ebds', model: 'cashflow-sc' },
  id003: { protocol: 'id003', model: undefined },
  sio: { protocol: 'sio', model: 'nv10', channels: DOLLAR_CHANNELS },
  'sio-no-escrow': { protocol: 'sio', model: 'nv10-no-escrow', channels: DOLLAR_CHANNELS },
  ssp: { protocol: 'ssp', model: 'ssp' },
  essp: { protocol: 'ssp', model: 'essp' },
};
export const dispensers: Readonly<Record<string, DemoDevices['dispenser']>> = {
  lcdm: { protocol: 'lcdm', model: 'lcdm-4000' },
  'lcdm-4000': { protocol: 'lcdm', model: 'lcdm-4000' },
  'lcdm-4000-lamassu': { protocol: 'lcdm', model: 'lcdm-4000-lamassu' },
  'lcdm-2000': { protocol: 'lcdm', model: 'lcdm-2000' },
  'lcdm-1000': { protocol: 'lcdm', model: 'lcdm-1000' },
  f56: { protocol: 'f56', model: 'f56' },
};

function oneOf<T>(table: Readonly<Record<string, T>>): (name: string) => T {
  return (name) => {
    const found = Object.hasOwn(table, name) ? table[name] : undefined;
    if (found !== undefined) return found;
    throw new InvalidArgumentError(`Known: ${Object.keys(table).join(', ')}.`);
  };
}

function parseSteps(text: string): readonly ScriptStep[] {
  return text.split(',').map((name) => {
    const step = scriptSteps.find((known) => known === name);
    if (step) return step;
    throw new InvalidArgumentError(`Known: ${scriptSteps.join(', ')}.`);
  });
}

function parseFault(name: string): ScriptFault {
  if (name === 'lose-note') return name;
  throw new InvalidArgumentError(`Known: ${Object.keys(scriptFaults).join(', ')}.`);
}

function parsePort(text: string): number {
  const port = Number(text);
  if (Number.isInteger(port) && port >= 0 && port <= 65_535) return port;
  throw new InvalidArgumentError('Must be 0 to 65535.');
}

function program(): Command {
  return new Command('npm start --')
    .description('The whole machine on simulators. With --config <file>: the machine itself.')
    .option('--script <steps>', 'run without a person: cash-in,cash-out', parseSteps)
    .option('--fault <name>', 'with --script: lose-note', parseFault)
    .option('--json', 'with --script: the result as one line of JSON at the end')
    .option('--pty', 'with --script: real serial ports (ptys) instead of memory')
    .option('--validator <name>', 'id003', oneOf(validators), validators.id003)
    .option('--dispenser <name>', 'lcdm-4000', oneOf(dispensers), dispensers.lcdm)
    .option('--fresh', 'forget the last demo and start anew')
    .option('--screen-port <port>', 'port of the screen on 127.0.0.1', parsePort, 8080)
    .option('--folder <folder>', 'where the demo is kept', '.demo')
    .exitOverride();
}

/** Runs the demo. Exit codes: 0, 1 when something is not conserved or failed, 2 for wrong usage. */
export async function run(argv: readonly string[], streams: Streams = process): Promise<number> {
  const { stdout, stderr } = streams;
  const command = program().configureOutput({
    writeOut: (text) => stdout.write(text),
    writeErr: (text) => stderr.write(text),
  });
  try {
    command.parse([...argv], { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    throw error;
  }
  const options = command.opts<Options>();
  const log = createLog(process.env.SPIRE_LOG ?? 'silent');
  const context = { clock: systemClock, random: systemRandom, log };
  const devices = { validator: options.validator, dispenser: options.dispenser };
  if (!options.script) {
    const { folder, fresh = false, screenPort } = options;
    return runTerminal(context, { folder, fresh, screenPort, devices, streams });
  }
  const say = (line: string) => (options.json ? stderr : stdout).write(`${line}\n`);
  try {
    const result = await runScript(context, {
      steps: options.script,
      fault: options.fault,
      devices,
      behindPtys: options.pty === true,
      say,
    });
    stdout.write(`${JSON.stringify(result, undefined, options.json ? 0 : 2)}\n`);
    return result.conserved ? 0 : 1;
  } catch (error) {
    stderr.write(`the script failed: ${messageOf(error)}\n`);
    return 1;
  }
}
