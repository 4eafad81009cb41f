/**
 * The key that seals what is at rest: never in the database, so that a copy of it yields
 * nothing.
 */
import { spawnSync } from 'node:child_process';
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
import { ConfigError, messageOf } from '#protocol/base/errors.ts';
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

function parse(path: string, text = readFileSync(path, 'utf8')): Secret<Uint8Array> {
  const digits = text.trim();
  if (!new RegExp(`^[0-9a-f]{${SEALING_KEY_BYTES * 2}}$`).test(digits)) {
    throw new ConfigError('invalidData', `${path} must hold ${SEALING_KEY_BYTES * 2} hex digits`);
  }
  return new Secret(new Uint8Array(Buffer.from(digits, 'hex')));
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

/** Where a command that a person runs looks for the key that the service is given. */
export interface CredentialSources {
  /** A file of 64 hex digits that the person names; it goes before all else. */
  readonly file?: string | undefined;
  /** systemd's credentials folder, when systemd started the command. */
  readonly credentialsFolder?: string | undefined;
  /** Where encrypted credentials lie; systemd's own places unless given. */
  readonly encryptedFolders?: readonly string[];
  /** The program that decrypts them. */
  readonly decrypt?: string;
}

/** Where `LoadCredentialEncrypted=` looks. Source: systemd.exec(5). */
const ENCRYPTED_FOLDERS = [
  '/etc/credstore.encrypted',
  '/run/credstore.encrypted',
  '/usr/lib/credstore.encrypted',
];
/** Longest that a TPM may take, ms. */
const DECRYPT_LIMIT_MS = 30_000;

/**
 * The key of the service's credential; undefined where the service has none, and then what lies
 * beside the state is not sealed. systemd decrypts only for root.
 * @throws ConfigError `notFound` for a named file that is not there, `locked` for a credential that
 * does not open here, `invalidData` for one that is no key.
 */
export function findCredential(sources: CredentialSources): Secret<Uint8Array> | undefined {
  const { file, credentialsFolder, encryptedFolders = ENCRYPTED_FOLDERS } = sources;
  if (file !== undefined) return parse(file, readNamed(file));
  if (credentialsFolder !== undefined) {
    const credential = join(credentialsFolder, CREDENTIAL);
    if (existsSync(credential)) return parse(credential);
  }
  const encrypted = encryptedFolders
    .map((folder) => join(folder, CREDENTIAL))
    .find((path) => existsSync(path));
  if (encrypted === undefined) return undefined;
  return parse(encrypted, decrypted(encrypted, sources.decrypt ?? 'systemd-creds'));
}

function readNamed(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw new ConfigError('notFound', `cannot read the key: ${messageOf(cause)}`, { cause });
  }
}

function decrypted(path: string, program: string): string {
  const words = ['decrypt', `--name=${CREDENTIAL}`, path, '-'];
  const ended = spawnSync(program, words, { encoding: 'utf8', timeout: DECRYPT_LIMIT_MS });
  if (ended.status === 0) return ended.stdout;
  const why = ended.error ? messageOf(ended.error) : ended.stderr.trim();
  throw new ConfigError(
    'locked',
    `the credential ${path} does not open here: ${why}. Do this as root on the machine that it ` +
      'was made for, or give its key with --sealing-key-file',
  );
}
