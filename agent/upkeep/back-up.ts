/** A backup of the running machine (design 4), taken between customers. */
import { join } from 'node:path';
import { AtmError } from '#protocol/base/errors.ts';
import { backup } from '#state/backup.ts';
import type { BackupResult } from '../api/schemas.ts';
import type { Parts } from '../parts.ts';

/** Folder of the backups inside that of the state. */
export const BACKUPS = 'backups';

/**
 * Copies the state and proves the copy. The copying blocks for as long as the disk takes, so nobody
 * may be waiting for a note.
 * @throws AtmError `locked` while a session or another backup is on, StoreError for the disk.
 */
export async function backUp(
  { store, config, clock, log }: Parts,
  isIdle: () => boolean,
): Promise<BackupResult> {
  if (!isIdle()) throw new AtmError('locked', 'a customer is at the machine');
  const made = await backup(store, { folder: join(config.paths.state, BACKUPS), clock });
  log.info({ path: made.path, entries: made.entries }, 'state backed up');
  return { path: made.path, bytes: made.bytes, entries: made.entries };
}
