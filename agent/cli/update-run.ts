/**
 * Carries out the plan of an update, from wherever it is: a power cut in between, or the end of the
 * person's session, changes nothing but the time. It runs in the release that goes, for the one
 * that
 * comes may not run at all.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { type Clock, sleep } from '#protocol/base/clock.ts';
import { messageOf } from '#protocol/base/errors.ts';
import type { Backup } from '#state/backup.ts';
import { type DoctorReport, doctorReport, machineView } from '../api/schemas.ts';
import {
  endPlan,
  readPlan,
  syncFolderOf,
  type UpdatePlan,
  writePlan,
} from '../upkeep/update-plan.ts';
import { ask } from './client.ts';
import { CommandError } from './exit.ts';
import { backUpStopped } from './offline.ts';
import {
  type RestingState,
  restingState,
  returnState,
  type StateReturned,
} from './update-state.ts';

/** Where everything of an update lies, and the programs that it uses. */
export interface UpdatePlaces {
  /** Releases and the plan, usually `/opt/spire`. */
  readonly root: string;
  /** Where the units of the release that runs go, usually `/`. */
  readonly system: string;
  readonly state: string;
  readonly socket: string;
  readonly systemctl: string;
  readonly dpkg: string;
}

/** How an update ended. */
export interface UpdateResult {
  readonly outcome: 'updated' | 'refused' | 'returned' | 'stuck';
  readonly from: string;
  readonly to: string;
  /** Why it was refused or went back; null for one that is done. */
  readonly reason: string | null;
  /** What became of the state; null when nothing was in doubt. */
  readonly state: StateReturned | null;
}

const resultSchema = z.object({
  outcome: z.enum(['updated', 'refused', 'returned', 'stuck']),
  from: z.string(),
  to: z.string(),
  reason: z.string().nullable(),
  state: z.object({ state: z.enum(['putBack', 'stays']), why: z.string().nullable() }).nullable(),
});

/** How the last update ended; undefined while it has not. */
export function readResult(root: string): UpdateResult | undefined {
  const path = resultFile(root);
  if (!existsSync(path)) return undefined;
  return resultSchema.parse(JSON.parse(readFileSync(path, 'utf8')));
}

/** Where the plan of an update lies, below the root. */
export const planFile = (root: string): string => join(root, 'update.json');
const releaseFolder = (root: string, version: string): string => join(root, 'releases', version);
/** Where its package lies. */
export const packageFile = (root: string): string => join(root, 'update.deb');
/** What came of the last one. */
export const resultFile = (root: string): string => join(root, 'update-result.json');
/** The release that runs. */
export const currentLink = (root: string): string => join(root, 'current');
/** The release that carries the update out. */
export const updaterLink = (root: string): string => join(root, 'updater');

const SERVICE = 'spire-agent.service';
/** Longest one examination takes, ms. */
const EXAMINATION_LIMIT_MS = 90_000;
/** The last one has so long, ms, also when less is left: silence on a busy box is no fault yet. */
const EXAMINATION_LEAST_MS = 20_000;
const PAUSE_MS = 2_000;
/** Longest that customers, one after another, are waited for, ms. */
const CUSTOMERS_LIMIT_MS = 600_000;
/** Starts of a new release that a power cut may have ended; then it goes back. */
const ATTEMPTS_MAX = 2;
/** Longest a unit may take to start, ms: the state is copied before a migration. */
const SYSTEMCTL_LIMIT_MS = 1_200_000;

/**
 * Subjects of `spire doctor` without which there is no handshake, however they were before; in all
 * others a new release must not find a fault that was not there.
 */
export const HANDSHAKE: ReadonlySet<string> = new Set([
  'relay',
  'signer',
  'wallet',
  'journal',
  'disk',
]);

/** Faults that speak against a release. */
export function faultsAgainst(
  report: Pick<DoctorReport, 'findings'>,
  before: readonly string[] | null,
): readonly string[] {
  return report.findings
    .filter(({ level }) => level === 'fault')
    .filter(({ subject }) => HANDSHAKE.has(subject) || !before?.includes(subject))
    .map(({ subject, text }) => `${subject}: ${text}`);
}

/** See the head of the file. */
export class UpdateRun {
  readonly #places: UpdatePlaces;
  readonly #clock: Clock;
  readonly #say: (text: string) => void;

  constructor(places: UpdatePlaces, clock: Clock, say: (text: string) => void) {
    this.#places = places;
    this.#clock = clock;
    this.#say = say;
  }

  /**
   * Goes on to the end; undefined when no update is under way. @throws ConfigError for its
   * plan.
   */
  async run(): Promise<UpdateResult | undefined> {
    for (;;) {
      const plan = readPlan(planFile(this.#places.root));
      if (!plan) return undefined;
      this.#say(`${plan.phase}: ${plan.from} to ${plan.to}`);
      const result = await this.#step(plan);
      if (result) return result;
    }
  }

  async #step(plan: UpdatePlan): Promise<UpdateResult | undefined> {
    switch (plan.phase) {
      case 'accepted':
        return this.#install(plan);
      case 'installed':
        return this.#bringToRest(plan);
      case 'proving':
        return this.#prove(plan);
      case 'returning':
        return this.#goBack(plan);
    }
  }

  /** Puts the release beside the one that runs, which goes on meanwhile. */
  #install(plan: UpdatePlan): UpdateResult | undefined {
    const { root, dpkg } = this.#places;
    const { said, isDone } = runProgram(dpkg, ['--install', packageFile(root)]);
    if (!isDone) return this.#refuse(plan, `dpkg does not take the package: ${said}`);
    if (!existsSync(releaseFolder(root, plan.to))) {
      return this.#refuse(plan, `the package holds no release ${plan.to}`);
    }
    this.#next({ ...plan, phase: 'installed' });
    return undefined;
  }

  /** Brings the machine to rest and its state to safety, or lets it go on as it was. */
  async #bringToRest(plan: UpdatePlan): Promise<UpdateResult | undefined> {
    const { state } = this.#places;
    if (!(await this.#isLeftAlone())) return this.#refuse(plan, 'there is always a customer');
    this.#systemctl('stop', SERVICE);
    try {
      const resting = restingState(state);
      if (resting.openActs.length > 0) return this.#refuse(plan, openWords(resting));
      const backup = backedUp(backUpStopped(state), resting);
      this.#next({ ...plan, phase: 'proving', backup });
      return undefined;
    } catch (error) {
      return this.#refuse(plan, `the state cannot be backed up: ${messageOf(error)}`);
    }
  }

  /**
   * Waits until no customer is there, or no agent answers; false when one is there all the
   * time.
   */
  async #isLeftAlone(): Promise<boolean> {
    const deadlineMs = this.#clock.monotonic() + CUSTOMERS_LIMIT_MS;
    while (this.#clock.monotonic() < deadlineMs) {
      const { socket: socketPath } = this.#places;
      const view = await ask({ socketPath, path: '/v1/machine', schema: machineView }).catch(away);
      if (!view?.session) return true;
      await sleep(this.#clock, PAUSE_MS);
    }
    return false;
  }

  #refuse(plan: UpdatePlan, reason: string): UpdateResult {
    this.#end();
    this.#systemctl('start', SERVICE);
    return { outcome: 'refused', ...ends(plan), reason, state: null };
  }

  /** Starts the new release and demands the real handshake of it. */
  async #prove(plan: UpdatePlan): Promise<UpdateResult | undefined> {
    const next = { ...plan, attempts: plan.attempts + 1 };
    if (next.attempts > ATTEMPTS_MAX) {
      return this.#turnBack(plan, `it was cut ${plan.attempts} times before it was proven`);
    }
    this.#next(next);
    this.#systemctl('stop', SERVICE);
    const failed = await this.#tryOut(next);
    if (failed !== undefined) return this.#turnBack(next, failed);
    // From here on it serves, and there is no way back that forgets nothing.
    this.#end();
    this.#removeOthers(plan);
    return { outcome: 'updated', ...ends(plan), reason: null, state: null };
  }

  /** Why the new release cannot stay; undefined when it can. */
  async #tryOut(plan: UpdatePlan): Promise<string | undefined> {
    const switched = this.#switchTo(plan.to);
    if (!switched.isDone) return `it cannot be put in place: ${switched.said}`;
    this.#systemctl('reset-failed', SERVICE);
    if (!this.#systemctl('start', SERVICE).isDone) return 'it does not start';
    return this.#handshake(plan);
  }

  /** Undefined when it passes in time; else why it does not. */
  async #handshake(plan: UpdatePlan): Promise<string | undefined> {
    const deadlineMs = this.#clock.monotonic() + plan.proofLimitMs;
    for (;;) {
      const wrong = await this.#examine(plan, deadlineMs - this.#clock.monotonic());
      if (wrong === undefined) return undefined;
      if (this.#clock.monotonic() + PAUSE_MS > deadlineMs) return wrong;
      await sleep(this.#clock, PAUSE_MS);
    }
  }

  async #examine({ to, faultsBefore }: UpdatePlan, leftMs: number): Promise<string | undefined> {
    try {
      const report = await ask({
        socketPath: this.#places.socket,
        path: '/v1/doctor',
        schema: doctorReport,
        silenceMs: Math.max(EXAMINATION_LEAST_MS, Math.min(EXAMINATION_LIMIT_MS, leftMs)),
      });
      if (report.version !== to) return `release ${report.version} answers`;
      const faults = faultsAgainst(report, faultsBefore);
      return faults.length === 0 ? undefined : `the handshake fails: ${faults.join(' ')}`;
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      return `the handshake fails: ${error.message}`;
    }
  }

  #turnBack(plan: UpdatePlan, reason: string): undefined {
    this.#say(`going back: ${reason}`);
    this.#next({ ...plan, phase: 'returning', reason });
  }

  /** The old release, and the old state when nothing has happened that must be kept. */
  #goBack(plan: UpdatePlan): UpdateResult {
    this.#systemctl('stop', SERVICE);
    const switched = this.#switchTo(plan.from);
    const state = this.#returnState(plan);
    // What could not be put in place is tried again at the next boot.
    if (switched.isDone) this.#end();
    this.#systemctl('reset-failed', SERVICE);
    const isBack = this.#systemctl('start', SERVICE).isDone && switched.isDone;
    return { outcome: isBack ? 'returned' : 'stuck', ...ends(plan), reason: plan.reason, state };
  }

  #returnState(plan: UpdatePlan): StateReturned {
    try {
      return returnState(this.#places.state, plan);
    } catch (error) {
      return { state: 'stays', why: `it could not be put back: ${messageOf(error)}` };
    }
  }

  /** The link that names the release, and its own units and rules. */
  #switchTo(version: string): Ran {
    const { root, system } = this.#places;
    pointTo(currentLink(root), version);
    const own = join(releaseFolder(root, version), 'system');
    // Not --archive: the folders that are there already keep their owners and rights.
    const how = ['--recursive', '--no-dereference', '--remove-destination'];
    const copied = runProgram('cp', [...how, `${own}/.`, system]);
    this.#systemctl('daemon-reload');
    return copied;
  }

  /** Two releases stay: the one that runs, and the one before. */
  #removeOthers({ from, to }: UpdatePlan): void {
    const releases = join(this.#places.root, 'releases');
    for (const name of readdirSync(releases)) {
      if (name !== from && name !== to) rmSync(join(releases, name), { recursive: true });
    }
  }

  #next(plan: UpdatePlan): void {
    writePlan(planFile(this.#places.root), plan);
  }

  #end(): void {
    const { root } = this.#places;
    endPlan(planFile(root));
    rmSync(packageFile(root), { force: true });
  }

  #systemctl(...words: readonly string[]): Ran {
    const ran = runProgram(this.#places.systemctl, words);
    if (!ran.isDone) this.#say(`systemctl ${words.join(' ')}: ${ran.said}`);
    return ran;
  }
}

/** Lets a link name a release, in one step. */
export function pointTo(link: string, release: string): void {
  rmSync(`${link}.new`, { force: true });
  symlinkSync(join('releases', release), `${link}.new`);
  renameSync(`${link}.new`, link);
  syncFolderOf(link);
}

/** No agent answers: nobody can be at the machine. */
function away(error: unknown): undefined {
  if (!(error instanceof CommandError)) throw error;
}

interface Ran {
  readonly isDone: boolean;
  readonly said: string;
}

function runProgram(program: string, words: readonly string[]): Ran {
  const { status, stdout, stderr, error } = spawnSync(program, words, {
    encoding: 'utf8',
    timeout: SYSTEMCTL_LIMIT_MS,
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', DEBIAN_FRONTEND: 'noninteractive' },
  });
  const said = error ? messageOf(error) : `${stdout}${stderr}`.trim();
  return { isDone: status === 0, said };
}

const ends = ({ from, to }: UpdatePlan) => ({ from, to });
const backedUp = ({ path }: Backup, { head, movements }: RestingState) => {
  const { seq, hash } = head;
  return { path, seq, hash, movements };
};

function openWords({ openActs }: RestingState): string {
  return `something is under way (${[...new Set(openActs)].join(', ')}): try again in some minutes`;
}
