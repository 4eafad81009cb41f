/**
 * The service: the agent on real ports, by a configuration file. It never falls back to the
 * demo.
 */
import { join } from 'node:path';
import type { Writable } from 'node:stream';
import { Command, CommanderError } from 'commander';
import { SystemPort } from '#hal/serial-port.ts';
import { systemClock, systemRandom } from '#protocol/base/clock.ts';
import { ConfigError, messageOf, StoreError } from '#protocol/base/errors.ts';
import { createLog } from '#protocol/base/log.ts';
import { BACKUP_LIMIT_MS } from '#state/backup.ts';
import { startApi } from './api/server.ts';
import { readConfig } from './config.ts';
import { makeAcceptor, makeDispenser } from './devices.ts';
import { type Agent, startAgent } from './main.ts';
import { UpdateHold } from './upkeep/update-hold.ts';
import { VERSION } from './version.ts';
import { proveLife, Watchdog } from './watch/watchdog.ts';

/** Where the service's own lines go. */
interface Output {
  readonly stdout: Writable;
  readonly stderr: Writable;
}

interface ServeOptions {
  readonly config: string;
  readonly updatePlan?: string;
}

/** Longest the ending may take, ms; then the process ends as it is, and the next start recovers. */
const STOP_LIMIT_MS = 20_000;

/**
 * Runs the agent until it is told to stop. Exit codes as design 15: 0 after a stop, 2 for wrong
 * usage, 78 for a configuration or pairing that cannot be used, 75 when the state is locked or
 * full.
 */
export async function run(argv: readonly string[], streams: Output = process): Promise<number> {
  const { stdout, stderr } = streams;
  const program = new Command('spire-agent')
    .description('The agent of a bitSpire cash machine, on its real ports.')
    .requiredOption('--config <file>', 'configuration file')
    .option('--update-plan <file>', 'where the plan of an update lies while one is under way')
    .configureOutput({
      writeOut: (text) => stdout.write(text),
      writeErr: (text) => stderr.write(text),
    })
    .exitOverride();
  try {
    program.parse([...argv], { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    throw error;
  }
  try {
    return await serve(program.opts<ServeOptions>(), stdout);
  } catch (error) {
    if (!(error instanceof ConfigError) && !(error instanceof StoreError)) throw error;
    stderr.write(`${messageOf(error)}\n`);
    return error instanceof ConfigError ? 78 : 75;
  }
}

async function serve(
  { config: path, updatePlan: planFile }: ServeOptions,
  stdout: Writable,
): Promise<number> {
  const config = readConfig(path);
  const log = createLog(config.log.level);
  const clock = systemClock;
  const watchdog = new Watchdog({ environment: systemdEnvironment(), clock, log });
  const hal = { clock, random: systemRandom, log: log.child({ room: 'hal' }) };
  const port = (device: { readonly port: string }) => new SystemPort({ path: device.port, clock });
  const { validator, dispenser, currency } = config;
  // Heard from before anything is open: from then on the end is an ordered one.
  const told = untilTold();
  const agent = startAgent({
    config,
    clock,
    random: systemRandom,
    log,
    credentialsFolder: process.env.CREDENTIALS_DIRECTORY,
    bootId: process.env.SPIRE_BOOT_ID,
    hold: new UpdateHold({ planFile, version: VERSION, clock }),
    acceptor: makeAcceptor({
      ...hal,
      ...modelOf(validator),
      channels: validator.channels,
      port: port(validator),
      currency,
    }),
    dispenser: makeDispenser({ ...hal, ...modelOf(dispenser), port: port(dispenser) }),
  });
  const api = await startApi({
    service: { ...agent.service, backup: patientBackup(agent, watchdog) },
    log: log.child({ room: 'agent' }),
    clock,
    random: systemRandom,
    socketPath: config.paths.socket,
    screen: { host: '127.0.0.1', port: config.screen.port },
    screenFile: join(import.meta.dirname, 'screen/index.html'),
    language: config.language,
  });
  // The screen's browser is started with this line; whoever has it acts as the customer.
  stdout.write(`${JSON.stringify({ screen: api.screenUrl })}\n`);
  await watchdog.ready(() => proveLife(agent.store, clock, agent.service.view));
  log.info({ signal: await told }, 'stopping');
  const cancel = clock.after(STOP_LIMIT_MS, () => process.exit(0));
  await watchdog.stopping('Money in flight comes to rest.');
  await api.close();
  await agent.stop();
  cancel();
  return 0;
}

const modelOf = ({ protocol, model }: { protocol: string; model?: string | undefined }) => ({
  protocol,
  model,
});

/** A backup for which systemd waits as long as it may take: the copying blocks. */
const patientBackup =
  ({ service }: Agent, watchdog: Watchdog) =>
  () =>
    watchdog.patiently(BACKUP_LIMIT_MS, () => service.backup());

/** Resolves with the signal that ends the service. */
function untilTold(): Promise<string> {
  return new Promise((resolve) => {
    for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => resolve(name));
  });
}

/** What systemd gives a service that it watches over. */
const systemdEnvironment = () => ({
  socket: process.env.NOTIFY_SOCKET,
  watchdogUsec: process.env.WATCHDOG_USEC,
  watchdogPid: process.env.WATCHDOG_PID,
});
