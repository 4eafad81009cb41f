/**
 * The service: the agent on real ports, by a configuration file. It never falls back to the
 * demo.
 */
import { join } from 'node:path';
import type { Writable } from 'node:stream';
import { parseArgs } from 'node:util';
import type { CashAcceptor } from '#hal/cash-acceptor.ts';
import type { CashDispenser } from '#hal/cash-dispenser.ts';
import { SystemPort } from '#hal/serial-port.ts';
import { systemClock, systemRandom, withDeadline } from '#protocol/base/clock.ts';
import { ConfigError, messageOf, StoreError } from '#protocol/base/errors.ts';
import { createLog } from '#protocol/base/log.ts';
import { BACKUP_LIMIT_MS } from '#state/backup.ts';
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
  readonly updatePlan: string | undefined;
}

const USAGE = `Usage: spire-agent --config <file> [--update-plan <file>]

The agent of a bitSpire cash machine, on its real ports.

  --config <file>       configuration file
  --update-plan <file>  where the plan of an update lies while one is under way
  --help                these lines
`;

/** Longest the ending may take, ms; then the process ends as it is, and the next start recovers. */
const STOP_LIMIT_MS = 20_000;
/** Longest that screens and commands wait for devices to be found, ms: they may be out of order. */
const FOUND_LIMIT_MS = 500;

/**
 * Runs the agent until it is told to stop. Exit codes as design 15: 0 after a stop, 2 for wrong
 * usage, 78 for a configuration or pairing that cannot be used, 75 when the state is locked or
 * full.
 */
export async function run(argv: readonly string[], streams: Output = process): Promise<number> {
  const { stdout, stderr } = streams;
  let options: ServeOptions | undefined;
  try {
    options = readArguments(argv);
  } catch (error) {
    stderr.write(`${messageOf(error)}\n`);
    return 2;
  }
  if (!options) {
    stdout.write(USAGE);
    return 0;
  }
  try {
    return await serve(options, stdout);
  } catch (error) {
    if (!(error instanceof ConfigError) && !(error instanceof StoreError)) throw error;
    stderr.write(`${messageOf(error)}\n`);
    return error instanceof ConfigError ? 78 : 75;
  }
}

/**
 * What is on the command line, by Node's own parser: commander would be loaded for two words.
 * Undefined for the question what may be there.
 * @throws TypeError for anything else
 */
function readArguments(argv: readonly string[]): ServeOptions | undefined {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      config: { type: 'string' },
      'update-plan': { type: 'string' },
      help: { type: 'boolean', short: 'h' },
    },
  });
  const { config, 'update-plan': updatePlan, help } = values;
  if (help) return undefined;
  if (config === undefined) throw new TypeError("required option '--config <file>' is missing");
  return { config, updatePlan };
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
  const { validator, currency } = config;
  // Heard from before anything is open: from then on the end is an ordered one.
  const told = untilTold();
  const acceptor = makeAcceptor({
    ...hal,
    ...modelOf(validator),
    channels: validator.channels,
    port: port(validator),
    currency,
  });
  const dispenser = makeDispenser({
    ...hal,
    ...modelOf(config.dispenser),
    port: port(config.dispenser),
  });
  const found = Promise.all([firstNews(acceptor), firstNews(dispenser)]);
  const agent = startAgent({
    config,
    clock,
    random: systemRandom,
    log,
    credentialsFolder: process.env.CREDENTIALS_DIRECTORY,
    bootId: process.env.SPIRE_BOOT_ID,
    hold: new UpdateHold({ planFile, version: VERSION, clock }),
    acceptor,
    dispenser,
  });
  // Loaded while the devices make themselves ready, which takes them longer; not while they say who
  // they are, for a program that loads does not hear them.
  await withDeadline(clock, FOUND_LIMIT_MS, found);
  const { startApi } = await import('./api/server.ts');
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

/** Resolves when a device tells anything: it was found, or it was not. */
const firstNews = (device: CashAcceptor | CashDispenser): Promise<void> =>
  new Promise((resolve) => {
    const off = device.subscribe(() => {
      off();
      resolve();
    });
  });

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
