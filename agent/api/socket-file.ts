/** The unix socket's place in the file system: taken only when nobody listens there. */
import { lstatSync, unlinkSync } from 'node:fs';
import { connect } from 'node:net';
import { AtmError } from '#protocol/base/errors.ts';

/**
 * Clears the way for a socket: removes what a stopped agent left behind.
 * @throws AtmError `locked` when somebody listens there, `exists` when it is no socket.
 */
export async function clearSocketPath(path: string): Promise<void> {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (!found) return;
  if (!found.isSocket()) throw new AtmError('exists', `${path} is there and is no socket`);
  if (await answers(path)) throw new AtmError('locked', `another agent listens on ${path}`);
  unlinkSync(path);
}

/** Nobody listens, or what was left behind has gone meanwhile. */
const NOBODY: ReadonlySet<string | undefined> = new Set(['ECONNREFUSED', 'ENOENT']);

/** Whether somebody accepts a connection; a local socket answers at once or refuses at once. */
function answers(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    socket.on('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (NOBODY.has(error.code)) resolve(false);
      else reject(error);
    });
  });
}
