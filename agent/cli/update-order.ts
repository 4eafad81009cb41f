/** Orders an update and waits for it, or carries it out as the unit does. */
import { execFile, spawnSync } from 'node:child_process';
import { copyFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { systemClock } from '#protocol/base/clock.ts';
import { ConfigError, messageOf } from '#protocol/base/errors.ts';
import { doctorReport, machineView } from '../api/schemas.ts';
import { readPlan, releaseVersion, writePlan } from '../upkeep/update-plan.ts';
import { ask } from './client.ts';
import { CommandError, exitCode } from './exit.ts';
import {
  currentLink,
  faultsAgainst,
  packageFile,
  planFile,
  pointTo,
  readResult,
  resultFile,
  type UpdatePlaces,
  type UpdateResult,
  UpdateRun,
  updaterLink,
} from './update-run.ts';

/** Where and how an update is to be done. */
export interface UpdateOrder extends UpdatePlaces {
  /** Seconds that the new release has for the handshake. */
  readonly within: number;
}

/** Carries the plan out, also when the person's session ends. */
const UNIT = 'spire-update.service';
const PACKAGE = 'spire-agent';
/** Longest silence of the examination before the update, ms. */
const SILENCE_MS = 90_000;

/**
 * Goes on with the plan that lies there, and leaves what came of it for whoever asked; null when no
 * update is under way. @throws ConfigError for a plan that cannot be read.
 */
export async function carryOut(
  places: UpdatePlaces,
  say: (text: string) => void,
): Promise<UpdateResult | null> {
  const result = await new UpdateRun(places, systemClock, say).run();
  if (!result) return null;
  writeFileSync(resultFile(places.root), JSON.stringify(result));
  return result;
}

/**
 * Checks what can be checked, writes the plan, and waits for the unit that carries it out.
 * @throws CommandError for what is no package, no time for an update, or already the release.
 */
export async function order(deb: string, options: UpdateOrder): Promise<UpdateResult> {
  const { root, systemctl } = options;
  if (readPlan(planFile(root))) {
    const words = `An update is under way: journalctl -fu ${UNIT}`;
    throw new CommandError(exitCode.tryAgain, words);
  }
  const from = runningRelease(root);
  const to = releaseOf(deb, options);
  if (from === to) throw new CommandError(exitCode.usage, `Release ${to} is the one that runs.`);
  const faultsBefore = await faultsNow(options);
  // It may lie on a disk that is taken out meanwhile.
  copyFileSync(deb, packageFile(root));
  rmSync(resultFile(root), { force: true });
  pointTo(updaterLink(root), from);
  writePlan(planFile(root), {
    ...{ from, to, phase: 'accepted', attempts: 0, backup: null, reason: null, faultsBefore },
    proofLimitMs: options.within * 1_000,
  });
  const why = await faultOf(systemctl, ['start', UNIT]);
  const result = readResult(root);
  if (result) return result;
  throw new CommandError(exitCode.fault, `${UNIT} has not ended the update: ${why}`);
}

/** Runs a program to its end. Its words, or why it did not run, when it fails; else nothing. */
function faultOf(program: string, words: readonly string[]): Promise<string> {
  return new Promise((resolve) => {
    execFile(program, words, (error, _stdout, stderr) => {
      resolve(error ? stderr.trim() || messageOf(error) : '');
    });
  });
}

function runningRelease(root: string): string {
  try {
    return releaseVersion.parse(basename(readlinkSync(currentLink(root))));
  } catch (cause) {
    const words = `there is no release in ${root}: this machine was not installed by the package`;
    throw new ConfigError('notFound', words, { cause });
  }
}

/** The release in a package for this machine. @throws CommandError for any other file. */
function releaseOf(deb: string, { dpkg }: UpdatePlaces): string {
  const told = (program: string, ...words: readonly string[]): string => {
    const { status, stdout, stderr } = spawnSync(program, words, { encoding: 'utf8' });
    if (status === 0) return stdout.trim();
    throw new CommandError(exitCode.usage, `${deb} is no package: ${stderr.trim()}`);
  };
  const field = (name: string) => told(`${dpkg}-deb`, '--field', deb, name);
  const architecture = told(dpkg, '--print-architecture');
  if (field('Package') !== PACKAGE || field('Architecture') !== architecture) {
    throw new CommandError(exitCode.usage, `${deb} is no ${PACKAGE} for ${architecture}.`);
  }
  const version = releaseVersion.safeParse(field('Version'));
  if (version.success) return version.data;
  throw new CommandError(exitCode.usage, `${deb} has a version that is no release's.`);
}

/**
 * What is faulty before; null when the agent does not run, which an update may be meant to mend.
 * @throws CommandError while a customer is there, or when no handshake could be told from a failed
 * one.
 */
async function faultsNow({ socket }: UpdatePlaces): Promise<readonly string[] | null> {
  try {
    const { session } = await ask({ socketPath: socket, path: '/v1/machine', schema: machineView });
    if (session) throw new CommandError(exitCode.tryAgain, 'A customer is at the machine.');
    const report = await ask({
      socketPath: socket,
      path: '/v1/doctor',
      schema: doctorReport,
      silenceMs: SILENCE_MS,
    });
    const faults = report.findings.filter(({ level }) => level === 'fault');
    const subjects = faults.map(({ subject }) => subject);
    const against = faultsAgainst(report, subjects);
    if (against.length === 0) return subjects;
    const words = 'The handshake fails already, so that nobody could tell whether a release works';
    throw new CommandError(exitCode.tryAgain, `${words}: ${against.join(' ')}`);
  } catch (error) {
    if (!(error instanceof CommandError) || error.exit !== exitCode.unavailable) throw error;
    return null;
  }
}
