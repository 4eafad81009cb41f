/** One port that is nobody else's while a technician works on it. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { SystemPort } from '#hal/serial-port.ts';
import { systemClock, systemRandom } from '#protocol/base/clock.ts';
import { type AtmErrorCode, DeviceError, StoreError } from '#protocol/base/errors.ts';
import { silentLog } from '#protocol/base/log.ts';
import { Connection } from '#state/connection.ts';
import { openDatabase } from '#state/database.ts';
import { Intents } from '#state/intents.ts';
import { Journal } from '#state/journal.ts';
import { makeAcceptor, makeDispenser, probedProtocols } from '../devices.ts';
import { type Attempt, type Probed, probePort } from '../probe/probe.ts';
import { type WatchedEvent, watchAcceptor, watchDispenser } from '../probe/watch.ts';
import type { CommandKey } from '../texts/command.ts';
import { CommandError, type ExitCode, exitCode, SaidError } from './exit.ts';

/** What is worked on. */
export interface LineOptions {
  readonly port: string;
  readonly protocol?: string;
  readonly currency: string;
  /** The machine's state folder. */
  readonly state: string;
  /** No agent answers: then its lock is held, so that none starts meanwhile. */
  readonly isAgentAway: boolean;
}

/** What can be done on the line. */
export interface QuietLine {
  probe(tell: (text: string) => void): Promise<Probed>;
  /** Watches the device that the attempts found, until the signal is aborted. */
  watch(
    attempts: readonly Attempt[],
    signal: AbortSignal,
    tell: (event: WatchedEvent) => void,
  ): Promise<void>;
}

/**
 * Works on a line while no agent can take it.
 * @throws CommandError when an agent holds the state without answering, when an act on a device is
 * open of which the agent has to ask first, for an unknown protocol, and for a port that is not
 * there or not free.
 */
export async function onQuietLine<T>(
  options: LineOptions,
  work: (line: QuietLine) => Promise<T>,
): Promise<T> {
  const release = options.isAgentAway ? holdState(options.state) : () => undefined;
  try {
    return await work(lineOf(options));
  } catch (error) {
    throw error instanceof DeviceError ? wordsOf(error) : error;
  } finally {
    release();
  }
}

function lineOf(options: LineOptions): QuietLine {
  const { port: path, currency, protocol } = options;
  const common = { clock: systemClock, random: systemRandom, log: silentLog };
  const makePort = () => new SystemPort({ path, clock: systemClock });
  const protocols = probedProtocols.filter(
    (entry) => protocol === undefined || entry.protocol === protocol,
  );
  if (protocols.length === 0) {
    const known = [...new Set(probedProtocols.map((entry) => entry.protocol))].join(', ');
    throw new SaidError(exitCode.usage, [['probe.noProtocol', { protocol: `${protocol}`, known }]]);
  }
  return {
    probe: (tell) => probePort({ ...common, path, makePort, currency, protocols, tell }),
    watch: async (attempts, signal, tell) => {
      const found = attempts.find(({ outcome }) => outcome === 'found');
      const entry = protocols.find((one) => one.protocol === found?.protocol);
      if (!found || !entry) return;
      const driver = { ...common, protocol: found.protocol, model: found.model ?? undefined };
      // A validator whose channels cannot be asked for has to have one to be watched.
      const made = { ...driver, port: makePort(), currency, channels: [1] };
      const watching = { clock: systemClock, tell, signal };
      if (entry.device === 'validator') await watchAcceptor(makeAcceptor(made), watching);
      else await watchDispenser(makeDispenser(made), watching);
    },
  };
}

/**
 * Holds the state's lock, after a look whether an act on a device is open: what a device says of it
 * is evidence, some of it said once, and the agent's to ask for.
 */
function holdState(folder: string): () => void {
  const path = join(folder, 'state.sqlite');
  if (!existsSync(path)) return () => undefined;
  const connection = new Connection(opened(path), silentLog);
  const journal = new Journal(connection, systemClock, 'probe');
  const intents = new Intents(connection, systemClock, systemRandom, journal);
  const open = intents.listOpen().find(({ device }) => device !== undefined);
  if (!open) return () => connection.close();
  connection.close();
  const { kind: act, device = '' } = open;
  throw new SaidError(exitCode.tryAgain, [['probe.openAct', { act, device }]]);
}

function opened(path: string): ReturnType<typeof openDatabase> {
  try {
    return openDatabase(path);
  } catch (cause) {
    if (!(cause instanceof StoreError) || cause.code !== 'locked') throw cause;
    throw new SaidError(exitCode.tryAgain, [['probe.stateHeld', { path }]], cause);
  }
}

const PORT_FAULTS: Partial<Record<AtmErrorCode, readonly [ExitCode, CommandKey?]>> = {
  locked: [exitCode.tryAgain, 'probe.portHeld'],
  notFound: [exitCode.unavailable, 'probe.portMissing'],
  refused: [exitCode.notPermitted],
};

/** A port's own faults in the exit codes of the command line. */
function wordsOf(error: DeviceError): CommandError {
  const said = error.message.replace(/ \(\w+\)$/, '.');
  const [exit, key] = PORT_FAULTS[error.code] ?? [exitCode.fault];
  return key
    ? new SaidError(exit, [[key, { said }]], error)
    : new CommandError(exit, said, { cause: error });
}
