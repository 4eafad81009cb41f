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
import { sentence } from '../texts/doctor.ts';
import type { Language } from '../texts/fill.ts';
import { type Finding, fault, reportOf, warning, well } from './findings.ts';
import { examineBackups, freeSpace } from './machine.ts';

/** Where to look, and why the agent could not be asked. */
export interface AgentAway {
  readonly configPath: string;
  readonly why: string;
}

/** Looks at what there is without the agent. Writes nothing. */
export function examineWithoutAgent({ configPath, why }: AgentAway): DoctorReport {
  const [config, configured] = configuration(configPath);
  const found = config
    ? [...state(config), port('validator', config), port('dispenser', config)]
    : [];
  const findings = [configured, ...found];
  const first = findings.find(({ level, next }) => level === 'fault' && next !== null);
  const away = fault('service', why.replace(/[.\s]*$/, '.'), sentence('next.start'));
  // What keeps it from being started comes first.
  const { next = away.next, nextSaid = away.nextSaid } = first ?? {};
  return reportOf('notRunning', [{ ...away, next, nextSaid }, ...findings], systemClock.now());
}

/** The language of a machine whose agent is away: English while its configuration cannot be read. */
export const languageWithoutAgent = (configPath: string): Language =>
  configuration(configPath)[0]?.language ?? 'en';

function configuration(path: string): readonly [Config | undefined, Finding] {
  try {
    return [readConfig(path), well('configuration', sentence('configuration.usable', { path }))];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const next = sentence('next.configuration', { path });
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
    const text = sentence('state.unread', { folder, why: messageOf(error) });
    const next = sentence(isRefused ? 'next.asRoot' : 'next.package');
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
    return well('pairing', sentence('pairing.there'));
  }
  const begun = names.includes('pairing.new.json');
  return fault(
    'pairing',
    begun ? sentence('pairing.begun') : sentence('pairing.none', { folder }),
    sentence(begun ? 'next.pairAgain' : 'next.pair'),
  );
}

/** Proves pages, hash chain and ledger, and lets go of the state again. */
function proven(folder: string): Finding {
  const path = join(folder, 'state.sqlite');
  if (!existsSync(path)) {
    return well('journal', sentence('journal.none'));
  }
  try {
    const connection = new Connection(openDatabase(path), silentLog);
    try {
      const { problems, entries } = finish(walkAll(connection));
      if (problems.length === 0) return well('journal', sentence('journal.all', { entries }));
      const text = sentence('journal.damaged', { why: problems.join('; ') });
      return fault('journal', text, sentence('next.keepDisk'));
    } finally {
      connection.close();
    }
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    if (error.code !== 'locked') {
      const text = sentence('journal.unopened', { why: error.message });
      return fault('journal', text, sentence('next.keepDisk'));
    }
    return warning('journal', sentence('journal.held'), sentence('next.heldState'));
  }
}

function port(device: 'validator' | 'dispenser', config: Config): Finding {
  const { port: path } = config[device];
  if (!statSync(path, { throwIfNoEntry: false })) {
    return fault(device, sentence('port.none', { path }), sentence('next.findPort'));
  }
  try {
    accessSync(path, constants.R_OK | constants.W_OK);
    return well(device, sentence('port.there', { path }));
  } catch {
    return warning(device, sentence('port.refused', { path }), sentence('next.portAsRoot'));
  }
}
