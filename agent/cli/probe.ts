/** `spire probe`: which ports there are, and who is on one of them. */
import { type Command, Option } from 'commander';
import { z } from 'zod';
import type { SerialPortEntry } from '#hal/serial-ports.ts';
import { type DeviceView, deviceView } from '../api/schemas.ts';
import type { Attempt } from '../probe/probe.ts';
import { ask } from './client.ts';
import { CommandError, exitCode, SaidError } from './exit.ts';
import { plain } from './format.ts';
import { formatDevice, formatPorts } from './format-probe.ts';
import { languageOf, languageOption, type Speaking } from './language.ts';
import {
  type Common,
  configOption,
  type End,
  jsonOption,
  print,
  socketOption,
  stateOption,
  type Terminal,
} from './terminal.ts';

interface ProbeCommandOptions extends Speaking {
  readonly port?: string;
  readonly protocol?: string;
  readonly currency: string;
  readonly watch?: true;
  readonly state: string;
  readonly config: string;
}

/** A port, and which device of the running agent is on it. */
export interface ListedPort extends SerialPortEntry {
  readonly heldBy: DeviceView['device'] | null;
}

/** What was found on a port, by whom. `agent`: the running one holds it, and has told. */
export interface ProbeResult {
  readonly port: string;
  readonly source: 'line' | 'agent';
  readonly device: DeviceView | null;
  readonly attempts: readonly Attempt[];
}

/** Adds the verb. */
export function addProbe(program: Command, terminal: Terminal, end: End): void {
  program
    .command('probe')
    .option('--port <tty>')
    .option('--protocol <name>')
    .addOption(new Option('--currency <code>').argParser(currencyOf).default('USD'))
    .option('--watch')
    .addOption(stateOption())
    .addOption(configOption())
    .addOption(languageOption())
    .addOption(jsonOption())
    .addOption(socketOption())
    .action(async (options: ProbeCommandOptions) => {
      const held = await heldByAgent(options);
      if (options.port === undefined) {
        if (options.watch) throw new SaidError(exitCode.usage, [['probe.whichPort']]);
        await list(terminal, options, held);
        return;
      }
      const found = await probe(terminal, options, options.port, held);
      if (!found) end(exitCode.fault);
    });
}

function currencyOf(value: string): string {
  if (/^[A-Z]{3}$/.test(value)) return value;
  throw new SaidError(exitCode.usage, [
    ['usage.invalidArgument', { what: '--currency', value }],
    ['usage.currency'],
  ]);
}

/** What the running agent holds; undefined when none answers. */
async function heldByAgent({ socket }: Common): Promise<readonly DeviceView[] | undefined> {
  try {
    const path = '/v1/devices';
    return await ask({ socketPath: socket, path, schema: z.array(deviceView) });
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    // Whoever may not ask the agent still cannot take its ports: they are locked.
    if (error.exit === exitCode.unavailable || error.exit === exitCode.notPermitted)
      return undefined;
    throw error;
  }
}

async function list(
  terminal: Terminal,
  options: ProbeCommandOptions,
  held: readonly DeviceView[] | undefined,
): Promise<void> {
  const { listSerialPorts, realPort } = await import('#hal/serial-ports.ts');
  const ports = listSerialPorts().map((entry): ListedPort => {
    const holder = held?.find(({ port }) => realPort(port) === realPort(entry.path));
    return { ...entry, heldBy: holder?.device ?? null };
  });
  const language = await languageOf(options);
  print(terminal, options, ports, () => formatPorts(ports, language));
}

/** True when a device was found. */
async function probe(
  terminal: Terminal,
  options: ProbeCommandOptions,
  port: string,
  held: readonly DeviceView[] | undefined,
): Promise<boolean> {
  const { realPort } = await import('#hal/serial-ports.ts');
  const language = await languageOf(options);
  const show = (result: ProbeResult) =>
    print(terminal, options, result, () => formatDevice(result, language));
  const holder = held?.find((one) => realPort(one.port) === realPort(port));
  if (holder) {
    if (options.watch) {
      throw new SaidError(exitCode.tryAgain, [['probe.heldPort', { port }]]);
    }
    show({ port, source: 'agent', device: holder, attempts: [] });
    return true;
  }
  // Loaded only here: no other verb needs the drivers.
  const { onQuietLine } = await import('./quiet-line.ts');
  const tell = (text: string) => terminal.err.write(`${plain(text)}\n`);
  return onQuietLine({ ...options, port, isAgentAway: held === undefined }, async (line) => {
    const { device, attempts } = await line.probe(tell);
    show({ port, source: 'line', device, attempts });
    if (!device || !options.watch) return device !== null;
    const stop = new AbortController();
    terminal.onStop(() => stop.abort());
    await line.watch(attempts, stop.signal, (event) =>
      terminal.out.write(`${plain(JSON.stringify(event))}\n`),
    );
    return true;
  });
}
