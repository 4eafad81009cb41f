/** What can be said of a machine whose agent does not run: its files, its state, its ports. */
import { accessSync, constants, existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '#protocol/base/clock.ts';
import { ConfigError, messageOf, StoreError, systemCode } from '#protocol/base/errors.ts';
import { silentLog } from '#protocol/base/log.ts';
import { Connection } from '#state/connection.ts';
import { openDatabase } from '#state/database.ts';
import { finish } from '#state/journal.ts';
import { walkAll } from '#state/verify.ts';
import type { DoctorReport } from '../api/schemas.ts';
import { type Config, readConfig } from '../config.ts';
import { type Finding, fault, reportOf, warning, well } from './findings.ts';
import { examineBackups, freeSpace } from './machine.ts';

/** Where to look, and why the agent could not be asked. */
export interface AgentAway {
  readonly configPath: string;
  readonly why: string;
}

const LOG = 'see why it ended: journalctl -u spire-agent -n 50';

/** Looks at what there is without the agent. Writes nothing. */
export function examineWithoutAgent({ configPath, why }: AgentAway): DoctorReport {
  const [config, configured] = configuration(configPath);
  const found = config
    ? [...state(config), port('validator', config), port('dispenser', config)]
    : [];
  const findings = [configured, ...found];
  const first = findings.find(({ level, next }) => level === 'fault' && next !== null);
  const next = first?.next ?? `Start it: systemctl start spire-agent; ${LOG}.`;
  const away = fault('service', why.replace(/[.\s]*$/, '.'), next);
  return reportOf('notRunning', [away, ...findings], systemClock.now());
}

function configuration(path: string): readonly [Config | undefined, Finding] {
  try {
    return [readConfig(path), well('configuration', `${path} can be used.`)];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const next = `Write or correct ${path} (runbook install.md, step 3).`;
    return [undefined, fault('configuration', error.message, next)];
  }
}

function state({ paths }: Config): readonly Finding[] {
  const folder = paths.state;
  let names: readonly string[];
  try {
    names = readdirSync(folder);
  } catch (error) {
    const isRefused = systemCode(error) === 'EACCES';
    const text = `The state in ${folder} cannot be looked at: ${messageOf(error)}.`;
    const next = isRefused ? 'Ask again as root.' : 'Install the package, which makes the folder.';
    return [isRefused ? warning('state', text, next) : fault('state', text, next)];
  }
  const now = systemClock.now();
  return [
    pairing(folder, names),
    proven(folder),
    freeSpace(folder),
    ...examineBackups(folder, now),
  ];
}

/** Only whether it is there: the client key in it is nobody's to read here. */
function pairing(folder: string, names: readonly string[]): Finding {
  if (names.includes('pairing.json')) {
    return well('pairing', 'There is a pairing. Whether the bunker signs, the agent can tell.');
  }
  const begun = names.includes('pairing.new.json');
  return fault(
    'pairing',
    begun
      ? 'A pairing was begun and did not come to its end.'
      : `This machine is not paired: there is no pairing.json in ${folder}.`,
    begun ? 'Run spire pair again with the same seed.' : 'Pair it: spire pair (runbook pair.md).',
  );
}

/** Proves pages, hash chain and ledger, and lets go of the state again. */
function proven(folder: string): Finding {
  const path = join(folder, 'state.sqlite');
  if (!existsSync(path)) {
    return well('journal', 'There is no journal yet: the agent makes it at its first start.');
  }
  try {
    const connection = new Connection(openDatabase(path), silentLog);
    try {
      const { problems, entries } = finish(walkAll(connection));
      if (problems.length === 0) return well('journal', `All ${entries} entries are whole.`);
      const next = 'Keep the disk as it is, and call who looks after this machine.';
      return fault('journal', `The state is damaged: ${problems.join('; ')}.`, next);
    } finally {
      connection.close();
    }
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    if (error.code !== 'locked') {
      const next = 'Keep the disk as it is, and call who looks after this machine.';
      return fault('journal', `The state cannot be opened: ${error.message}.`, next);
    }
    const text = 'Another process holds the state, and does not answer on the socket.';
    return warning('journal', text, 'Wait a minute and ask again; then look for that process.');
  }
}

function port(device: 'validator' | 'dispenser', config: Config): Finding {
  const { port: path } = config[device];
  const next = 'Look at the cable, and find the port: spire probe.';
  if (!statSync(path, { throwIfNoEntry: false })) {
    return fault(device, `There is no port ${path}.`, next);
  }
  try {
    accessSync(path, constants.R_OK | constants.W_OK);
    return well(device, `The port ${path} is there. Who is on it: spire probe --port ${path}`);
  } catch {
    return warning(device, `The port ${path} is there, and not for this user.`, 'Ask as root.');
  }
}
