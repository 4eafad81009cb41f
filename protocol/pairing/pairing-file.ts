/**
 * `pairing.json` on disk, and `pairing.new.json` beside it while a pairing is under way. Whatever
 * is
 * cut at whatever moment, each of them is a whole old one, a whole new one, or not there.
 */
import * as nodeFs from 'node:fs';
import { dirname } from 'node:path';
import { z } from 'zod';
import type { Random } from '../base/clock.ts';
import { AtmError, ConfigError, messageOf, StoreError, systemCode } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { seal, unseal } from '../base/sealing.ts';
import type { Secret } from '../base/secret.ts';
import { parseJson } from '../signer/nip46-reply.ts';
import { formatPairing, type Pairing, parsePairing } from './pairing.ts';

/** The steps on disk, as an argument, so that a test can cut each of them. */
export type FileSteps = Pick<
  typeof nodeFs,
  | 'openSync'
  | 'writeFileSync'
  | 'fsyncSync'
  | 'closeSync'
  | 'renameSync'
  | 'rmSync'
  | 'readFileSync'
  | 'statSync'
  | 'fchownSync'
>;

/** What the file needs. */
export interface PairingFileOptions {
  /** `/var/lib/spire/pairing.json`; the folder must exist. */
  readonly path: string;
  /** 32 bytes from a systemd credential; without it the file is plain. */
  readonly sealingKey?: Secret<Uint8Array> | undefined;
  readonly random: Random;
  readonly log: Log;
  readonly steps?: FileSteps | undefined;
}

/** Which of the two files: the pairing in force, or the one that is being made. */
export type PairingSlot = 'current' | 'next';

/** Binds what is sealed to its place. */
const CONTEXT = 'spire pairing.json';
/** Only the owner reads it: the client key is in it. */
const MODE = 0o600;
/** Longest file that is read, bytes; a pairing has about 2 KB, with the longest lists 20. */
const FILE_BYTES_MAX = 65_536;

const sealedSchema = z.strictObject({ sealed: z.base64() });

/** Loads and saves the pairing. Synchronous: a save that returned is on the disk. */
export class PairingFile {
  readonly #options: PairingFileOptions;
  readonly #steps: FileSteps;

  constructor(options: PairingFileOptions) {
    this.#options = options;
    this.#steps = options.steps ?? nodeFs;
  }

  /**
   * The pairing, or undefined when there is none. A plain one is sealed as soon as there is a key,
   * and one that others may read is written anew, for its owner only.
   * @throws ConfigError `locked` when it is sealed and there is no key; `corrupt` when the key is
   * another one, or the contents are no pairing.
   * @throws StoreError `hardwareError` when the disk does not let it be read.
   */
  load(slot: PairingSlot = 'current'): Pairing | undefined {
    const path = this.#path(slot);
    const text = this.#read(path);
    if (text === undefined) return undefined;
    const sealed = sealedSchema.safeParse(parseJson(text));
    const { sealingKey } = this.#options;
    if (!sealed.success) {
      const pairing = parsePairing(text, path);
      if (sealingKey || this.#isOpenToOthers(path)) {
        this.#options.log.warn({ sealed: sealingKey !== undefined }, 'pairing lay open, secured');
        this.save(pairing, slot);
      }
      return pairing;
    }
    if (!sealingKey) {
      throw new ConfigError(
        'locked',
        `${path} is sealed, and this process was given no key for it. The service gets it from ` +
          'systemd; a command finds it as root, or by --sealing-key-file',
      );
    }
    return parsePairing(openSealed(sealed.data.sealed, sealingKey, path), path);
  }

  /** Writes it whole or not at all. @throws StoreError `hardwareError`. */
  save(pairing: Pairing, slot: PairingSlot = 'current'): void {
    const path = this.#path(slot);
    this.#guard(`write ${path}`, () => {
      const temporary = `${path}.tmp`;
      this.#steps.rmSync(temporary, { force: true });
      const file = this.#steps.openSync(temporary, 'wx', MODE);
      try {
        this.#giveToFolderOwner(file);
        this.#steps.writeFileSync(file, this.#format(pairing));
        this.#steps.fsyncSync(file);
      } finally {
        this.#steps.closeSync(file);
      }
      this.#steps.renameSync(temporary, path);
      this.#syncFolder();
    });
  }

  /** Puts the next pairing in the place of the current one. @throws StoreError `hardwareError`. */
  promote(): void {
    this.#guard(`replace ${this.#options.path}`, () => {
      this.#steps.renameSync(this.#path('next'), this.#path('current'));
      this.#syncFolder();
    });
  }

  /** Removes the next pairing, if there is one. @throws StoreError `hardwareError`. */
  discardNext(): void {
    this.#guard(`remove ${this.#path('next')}`, () => {
      this.#steps.rmSync(this.#path('next'), { force: true });
      this.#syncFolder();
    });
  }

  #path(slot: PairingSlot): string {
    const { path } = this.#options;
    return slot === 'current' ? path : `${path.replace(/\.json$/, '')}.new.json`;
  }

  #format(pairing: Pairing): string {
    const { sealingKey, random } = this.#options;
    const text = formatPairing(pairing);
    if (!sealingKey) return text;
    const sealed = Buffer.from(seal(sealingKey, random, CONTEXT, text)).toString('base64');
    return JSON.stringify({ sealed });
  }

  #read(path: string): string | undefined {
    try {
      if (this.#steps.statSync(path).size > FILE_BYTES_MAX) {
        throw new ConfigError('corrupt', `${path} is too large to be a pairing`);
      }
      return this.#steps.readFileSync(path, 'utf8');
    } catch (error) {
      if (error instanceof AtmError) throw error;
      if (systemCode(error) === 'ENOENT') return undefined;
      throw new StoreError('hardwareError', `cannot read ${path}: ${messageOf(error)}`, {
        cause: error,
      });
    }
  }

  #isOpenToOthers(path: string): boolean {
    return (this.#steps.statSync(path).mode & ~MODE & 0o777) !== 0;
  }

  /** Root pairs the machine, and the service that reads the file runs as the folder's owner. */
  #giveToFolderOwner(file: number): void {
    if (process.getuid?.() !== 0) return;
    const { uid, gid } = this.#steps.statSync(dirname(this.#options.path));
    this.#steps.fchownSync(file, uid, gid);
  }

  /** A rename is on the disk only when its folder is. */
  #syncFolder(): void {
    const folder = this.#steps.openSync(dirname(this.#options.path), 'r');
    try {
      this.#steps.fsyncSync(folder);
    } finally {
      this.#steps.closeSync(folder);
    }
  }

  #guard(what: string, act: () => void): void {
    try {
      act();
    } catch (cause) {
      throw new StoreError('hardwareError', `cannot ${what}: ${messageOf(cause)}`, { cause });
    }
  }
}

function openSealed(base64: string, key: Secret<Uint8Array>, path: string): string {
  try {
    return unseal(key, CONTEXT, Buffer.from(base64, 'base64'));
  } catch (cause) {
    if (!(cause instanceof AtmError)) throw cause;
    throw new ConfigError(
      'corrupt',
      `${path} does not open with the key that this process was given: it is damaged, or of ` +
        'another machine. Restore the credential, or pair this machine anew',
      { cause },
    );
  }
}
