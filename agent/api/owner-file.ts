/**
 * How the owner of the machine is told from others that may use the socket: a file beside it that
 * only root and the service's own user can read, with a token that is new at every start.
 */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { Random } from '#protocol/base/clock.ts';
import { systemCode } from '#protocol/base/errors.ts';
import { Secret } from '#protocol/base/secret.ts';

/** 128 bits. */
const TOKEN_BYTES = 16;
const TOKEN = /^[0-9a-f]{32}$/;

/** Faults of reading it that mean: whoever asks is not the owner, or nobody listens. */
const NOT_FOR_US: ReadonlySet<unknown> = new Set(['ENOENT', 'EACCES', 'EPERM']);

const fileOf = (socketPath: string): string => `${socketPath}.owner`;

/** Writes a new token beside the socket, mode 0600. */
export function writeOwnerToken(socketPath: string, random: Random): Secret<string> {
  const token = Buffer.from(random.bytes(TOKEN_BYTES)).toString('hex');
  removeOwnerToken(socketPath);
  // A new file, so that the mode is ours and not that of something that was there before.
  writeFileSync(fileOf(socketPath), token, { mode: 0o600, flag: 'wx' });
  return new Secret(token);
}

/** Removes it: nobody listens any more. */
export function removeOwnerToken(socketPath: string): void {
  rmSync(fileOf(socketPath), { force: true });
}

/** The token; undefined when there is none, or when it may not be read. */
export function ownerToken(socketPath: string): string | undefined {
  try {
    const token = readFileSync(fileOf(socketPath), 'utf8');
    return TOKEN.test(token) ? token : undefined;
  } catch (error) {
    if (NOT_FOR_US.has(systemCode(error))) return undefined;
    throw error;
  }
}
