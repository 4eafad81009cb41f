/**
 * The plan of an update, as it lies beside the releases while one is under way: the command that
 * carries it out goes on from it after a power cut, and the new release serves nobody while it is
 * there. Taking it away is what makes an update done.
 */
import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { z } from 'zod';
import { ConfigError, messageOf } from '#protocol/base/errors.ts';

/** A version is also the name of a release's folder. */
export const releaseVersion = z
  .string()
  .max(64)
  .regex(/^[0-9][0-9A-Za-z.+~-]*$/);

const schema = z.strictObject({
  from: releaseVersion,
  to: releaseVersion,
  /**
   * `accepted` by the person's command; `installed` once the release lies beside the one that runs;
   * `proving` once the state is at rest and backed up; `returning` once the release has failed.
   */
  phase: z.enum(['accepted', 'installed', 'proving', 'returning']),
  /** How long the new release has for the handshake. */
  proofLimitMs: z.int().positive(),
  /** The new release has been started so often: a power cut may come in between. */
  attempts: z.int().nonnegative(),
  /** What `spire doctor` found faulty before; null when the agent did not run. */
  faultsBefore: z.array(z.string()).readonly().nullable(),
  /** The state before, and where its journal and its note movements end. */
  backup: z
    .object({ path: z.string(), seq: z.int(), hash: z.string(), movements: z.int() })
    .nullable(),
  /** Why it goes back. */
  reason: z.string().nullable(),
});

/** What is to be done and how far it is. */
export type UpdatePlan = z.output<typeof schema>;

/** Others read it: the service, and whoever asks how far an update is. */
const MODE = 0o644;

/**
 * The plan of the update that is under way; undefined when there is none.
 * @throws ConfigError `invalidData` for what is no plan.
 */
export function readPlan(path: string): UpdatePlan | undefined {
  if (!existsSync(path)) return undefined;
  try {
    return schema.parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch (cause) {
    throw new ConfigError('invalidData', `${path} is no plan: ${messageOf(cause)}`, { cause });
  }
}

/** Writes the plan in one step, and to the disk. */
export function writePlan(path: string, plan: UpdatePlan): void {
  const file = openSync(`${path}.new`, 'w', MODE);
  try {
    writeSync(file, JSON.stringify(plan));
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(`${path}.new`, path);
  syncFolderOf(path);
}

/** Takes the plan away: the update is done, one way or the other. */
export function endPlan(path: string): void {
  rmSync(path, { force: true });
  syncFolderOf(path);
}

/** Brings the names in a file's folder to the disk. */
export function syncFolderOf(path: string): void {
  const folder = openSync(dirname(path), 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}
