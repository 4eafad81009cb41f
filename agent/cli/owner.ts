/** Files of the state belong to the service, also when root makes them. */
import { statSync } from 'node:fs';
import { ConfigError } from '#protocol/base/errors.ts';

/**
 * Does `work` as the owner of the state's folder when the caller is root, so that the service can
 * use what is made. `work` must not wait for anything: the whole process has that user meanwhile.
 * @throws ConfigError `notFound` when there is no such folder, or what `work` threw.
 */
export function asOwnerOf<T>(folder: string, work: () => T): T {
  const stat = statSync(folder, { throwIfNoEntry: false });
  if (!stat?.isDirectory()) {
    throw new ConfigError('notFound', `there is no folder ${folder} for the machine's state`);
  }
  const { seteuid, setegid, geteuid, getegid } = process;
  if (!seteuid || !setegid || !getegid || geteuid?.() !== 0) return work();
  const group = getegid();
  setegid(stat.gid);
  seteuid(stat.uid);
  try {
    return work();
  } finally {
    seteuid(0);
    setegid(group);
  }
}
