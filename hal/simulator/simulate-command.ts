/** The command `simulate`: a simulated device on a pty or a port, with hands on a socket. */
import { Command, CommanderError, Option } from 'commander';
import { systemClock } from '#protocol/base/clock.ts';
import { AtmError, messageOf } from '#protocol/base/errors.ts';
import { Cable } from './cable.ts';
import { type ControlServer, serveControl } from './control.ts';
import { type SimulatedDevice, SimulatorError } from './device.ts';
import { makeSimulatedDevice, simulatedProtocols } from './models.ts';
import type { SimulatedCassette } from './protocol.ts';

const EXIT_USAGE = 2;
/** The port, or the socket's place, is not there or not free. */
const EXIT_UNAVAILABLE = 69;
/** Violations that are shown at the end; the first ones tell the most. */
const VIOLATIONS_SHOWN_MAX = 20;
const CASSETTES = '1:20:100,2:50:100';

interface SimulateOptions {
  readonly port?: string;
  readonly pty?: boolean;
  readonly model?: string;
  readonly control?: string;
  readonly pace?: boolean;
  readonly currency: string;
  readonly cassettes: Readonly<Record<string, SimulatedCassette>>;
  readonly json?: boolean;
}

/** The far end of a cable. */
interface TtyEnd {
  readonly path: string;
  /** Resolves with words when it is gone. */
  readonly gone: Promise<string>;
  close(): Promise<void>;
}

/** Where complaints go. */
type Complain = (words: string) => void;
const toStderr: Complain = (words) => {
  process.stderr.write(words);
};

/** Runs the command until a signal ends it; the result is the exit code. */
export async function runSimulate(
  args: readonly string[],
  write: Complain = toStderr,
): Promise<number> {
  let exitCode = 0;
  const complain = (error: Error, code: number): number => {
    write(`simulate: ${messageOf(error)}\n`);
    return code;
  };
  const command = simulateCommand(async (protocol, options) => {
    const why = await simulate(protocol, options, write);
    if (why !== undefined) exitCode = complain(new Error(why), EXIT_UNAVAILABLE);
  }).configureOutput({ writeErr: write });
  try {
    await command.parseAsync([...args], { from: 'user' });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_USAGE;
    if (error instanceof SimulatorError) return complain(error, EXIT_USAGE);
    if (error instanceof AtmError) return complain(error, EXIT_UNAVAILABLE);
    throw error;
  }
}

function simulateCommand(
  action: (protocol: string, options: SimulateOptions) => Promise<void>,
): Command {
  return new Command('simulate')
    .description('A simulated bill validator or dispenser that speaks bytes on a tty.')
    .argument('<protocol>', Object.keys(simulatedProtocols).join(' or '))
    .addOption(new Option('--port <tty>', 'open this tty').conflicts('pty'))
    .option('--pty', 'make a pseudo terminal, and print its name for the driver to open')
    .option('--model <model>', 'the model; the first of the list when left out')
    .option('--control <socket>', 'serve commands on this unix socket, one JSON object a line')
    .option('--pace', "let bytes take as long as at the line's speed")
    .option('--currency <code>', 'the notes that a validator knows', parseCurrency, 'USD')
    .addOption(
      new Option('--cassettes <list>', 'what a dispenser holds: position:denomination:count, ...')
        .argParser(parseCassettes)
        .default(parseCassettes(CASSETTES), CASSETTES),
    )
    .option('--json', 'print the first line as JSON')
    .addHelpText('after', helpText())
    .exitOverride()
    .action(async (protocol: string, options: SimulateOptions) => {
      if (options.port === undefined && !options.pty) {
        throw new SimulatorError('usage', 'say --pty, or --port with a tty');
      }
      await action(protocol, options);
    });
}

/** Until a signal, or until the tty is gone: why, in words. */
async function simulate(
  protocol: string,
  options: SimulateOptions,
  write: Complain,
): Promise<string | undefined> {
  const { currency, cassettes } = options;
  const contents = { currency, cassettes };
  const device = makeSimulatedDevice(protocol, options.model, systemClock, contents);
  const cable = new Cable({ clock: systemClock, device, paced: options.pace === true });
  // Signals are heard before anything is opened: whatever is open then is closed again.
  const signal = untilSignal();
  const tty =
    options.port === undefined ? await attachPty(cable) : await attachPort(cable, options.port);
  let control: ControlServer | undefined;
  try {
    if (options.control !== undefined) control = await serveControl(options.control, device);
    announce(protocol, tty.path, options);
    return await Promise.race([signal, tty.gone]);
  } finally {
    await control?.close();
    await tty.close();
    device.stop();
    showViolations(device, write);
  }
}

async function attachPty(cable: Cable): Promise<TtyEnd> {
  const { openPty } = await import('./pty.ts');
  const pty = await openPty();
  pty.onData((bytes) => cable.send(bytes));
  cable.attach({ data: (bytes) => pty.write(bytes), lost: () => undefined });
  return {
    path: pty.path,
    gone: new Promise(() => undefined),
    close: async () => pty.close(),
  };
}

/** @throws DeviceError as `Port.open` does. */
async function attachPort(cable: Cable, path: string): Promise<TtyEnd> {
  const { SystemPort } = await import('../serial-port.ts');
  const port = new SystemPort({ path, clock: systemClock });
  const gone = new Promise<string>((resolve) => {
    port.subscribe((event) => {
      if (event.kind === 'data') cable.send(event.bytes);
      else resolve(`${path}: ${event.reason}`);
    });
  });
  await port.open(cable.device.line);
  cable.attach({ data: (bytes) => port.write(bytes), lost: () => undefined });
  return { path, gone, close: () => port.close() };
}

function announce(protocol: string, path: string, { json, control }: SimulateOptions): void {
  const line = json ? JSON.stringify({ protocol, tty: path, control: control ?? null }) : path;
  process.stdout.write(`${line}\n`);
}

function untilSignal(): Promise<undefined> {
  return new Promise((resolve) => {
    for (const name of ['SIGINT', 'SIGTERM'] as const) {
      process.once(name, () => resolve(undefined));
    }
  });
}

/** What the driver did against the protocol is the reason to run this at all. */
function showViolations(device: SimulatedDevice, write: Complain): void {
  const violations = device.violations();
  if (violations.length === 0) return;
  const shown = violations.slice(0, VIOLATIONS_SHOWN_MAX).map((words) => `  ${words}\n`);
  write(`${violations.length} violations of the protocol:\n${shown.join('')}`);
}

function parseCurrency(text: string): string {
  if (/^[A-Z]{3}$/.test(text)) return text;
  throw new SimulatorError('usage', `a currency is three capital letters, not ${text}`);
}

function parseCassettes(text: string): Readonly<Record<string, SimulatedCassette>> {
  const cassettes: Record<string, SimulatedCassette> = {};
  for (const part of text.split(',')) {
    const [, position, denomination, count] =
      /^(\d{1,2}):(\d{1,7}):(\d{1,6})$/.exec(part.trim()) ?? [];
    if (position === undefined || Number(denomination) === 0 || position in cassettes) {
      throw new SimulatorError('usage', `cassettes are like 1:20:100,2:50:100, not ${text}`);
    }
    cassettes[position] = { denomination: Number(denomination), count: Number(count) };
  }
  return cassettes;
}

function helpText(): string {
  const parts = Object.entries(simulatedProtocols).map(([name, protocol]) => {
    const width = Math.max(...Object.keys(protocol.faults).map((fault) => fault.length));
    const faults = Object.entries(protocol.faults).map(
      ([fault, words]) => `    ${fault.padEnd(width)}  ${words}`,
    );
    const models = `  models: ${protocol.models.join(', ')}`;
    return [`${name}: ${protocol.summary}`, models, '  faults:', ...faults].join('\n');
  });
  const example = `On the control socket:
  {"do":"insert","denomination":20}
  {"do":"fault","name":"...","times":1,"value":0}
  {"do":"power","on":false}
  {"do":"cassette","position":1,"denomination":20,"count":100,"present":true}
  {"do":"cashbox","present":true,"empty":true}
  {"do":"take"}
  {"do":"state"}`;
  return `\n${[...parts, example].join('\n\n')}\n`;
}
