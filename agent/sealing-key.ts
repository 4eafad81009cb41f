/**
 * The key that seals what is at rest: never in the database, so that a copy of it yields
 * nothing.
 */
import {
  chmodSync,
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import type { Random } from '#protocol/base/clock.ts';
import { ConfigError } from '#protocol/base/errors.ts';
import { SEALING_KEY_BYTES } from '#protocol/base/sealing.ts';
import { Secret } from '#protocol/base/secret.ts';

/** Name of the systemd credential; its file holds 64 hex digits. */
const CREDENTIAL = 'spire-sealing-key';
/** Without a credential the key lies beside the state, readable by its owner alone. */
const FILE = 'sealing.key';

/** A key, and whether the disk alone is enough to have it (then `doctor` warns, design 1.6). */
export interface SealingKey {
  readonly key: Secret<Uint8Array>;
  readonly origin: 'credential' | 'file';
}

function parse(path: string): Secret<Uint8Array> {
  const text = readFileSync(path, 'utf8').trim();
  if (!new RegExp(`^[0-9a-f]{${SEALING_KEY_BYTES * 2}}$`).test(text)) {
    throw new ConfigError('invalidData', `${path} must hold ${SEALING_KEY_BYTES * 2} hex digits`);
  }
  return new Secret(new Uint8Array(Buffer.from(text, 'hex')));
}

/**
 * Reads the key from systemd's credentials, else from the state folder, where it is made once.
 * @throws ConfigError `invalidData` for a file that holds no key; it is never made anew over it.
 */
export function openSealingKey(
  stateFolder: string,
  credentialsFolder: string | undefined,
  random: Random,
): SealingKey {
  if (credentialsFolder !== undefined) {
    const credential = join(credentialsFolder, CREDENTIAL);
    if (existsSync(credential)) return { key: parse(credential), origin: 'credential' };
  }
  const path = join(stateFolder, FILE);
  if (!existsSync(path)) {
    const file = openSync(path, 'wx', 0o600);
    try {
      writeSync(file, `${Buffer.from(random.bytes(SEALING_KEY_BYTES)).toString('hex')}\n`);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    chmodSync(path, 0o600);
  }
  return { key: parse(path), origin: 'file' };
}
