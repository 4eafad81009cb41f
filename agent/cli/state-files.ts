/** The machine's own files, for commands that work on them while the service is stopped. */
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock, systemRandom } from '#protocol/base/clock.ts';
import { ConfigError, StoreError } from '#protocol/base/errors.ts';
import { silentLog } from '#protocol/base/log.ts';
import { SEALING_KEY_BYTES } from '#protocol/base/sealing.ts';
import { Secret } from '#protocol/base/secret.ts';
import { PairingFile } from '#protocol/pairing/pairing-file.ts';
import { openDatabase } from '#state/database.ts';
import { openStore, type Store } from '#state/store.ts';
import type { OperatorResult } from '../api/schemas.ts';
import {
  KeptPairing,
  noteOperator,
  type OperatorChange,
  setOperator,
} from '../identity/operator.ts';
import { type CredentialSources, findCredential } from '../upkeep/sealing-key.ts';
import { CommandError, exitCode } from './exit.ts';
import { asOwnerOf } from './owner.ts';

/** What keeps a second process from the state. */
export interface Lock {
  release(): void;
}

/** The pairing in a state folder; sealed when there is a key. */
export function pairingFileIn(
  folder: string,
  sealingKey: Secret<Uint8Array> | undefined,
): PairingFile {
  const path = join(folder, 'pairing.json');
  return new PairingFile({ path, sealingKey, random: systemRandom, log: silentLog });
}

/**
 * Holds the lock that the service holds while it runs. A machine without a database has no service
 * running; none is made here, because it would belong to whoever pairs and not to the service.
 */
export function lockState(folder: string): Lock {
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) {
    throw new ConfigError('notFound', `there is no folder ${folder} for the machine's state`);
  }
  const path = join(folder, 'state.sqlite');
  if (!existsSync(path)) return { release: () => undefined };
  const database = unlessRunning(path, () => openDatabase(path));
  return { release: () => database.close() };
}

/** Opens what the agent holds while it runs. @throws CommandError when it does. */
function unlessRunning<T>(path: string, open: () => T): T {
  try {
    return open();
  } catch (cause) {
    if (!(cause instanceof StoreError) || cause.code !== 'locked') throw cause;
    throw new CommandError(
      exitCode.tryAgain,
      `The agent is running and holds ${path}. Stop it first, and start it again afterwards.`,
      { cause },
    );
  }
}

/**
 * Sets the operator's key in a stopped machine's files; its agent publishes and hears at its start.
 * @throws CommandError when the agent runs; else as `setOperator` and `PairingFile.load`.
 */
export function setOperatorOfState(
  folder: string,
  change: OperatorChange,
  credential: CredentialSources,
): OperatorResult {
  // Found before anything else: systemd opens it for root alone.
  const file = pairingFileIn(folder, findCredential(credential));
  return asOwnerOf(folder, () => {
    const store = storeIn(folder);
    try {
      const pairing = file.load();
      if (!pairing) {
        throw new ConfigError('notFound', 'this machine is not paired: run `spire pair`');
      }
      if (store) noteOperator(store, systemClock, pairing.operatorPubkey);
      const kept = new KeptPairing(file, pairing);
      const parts = { store, clock: systemClock, pairing: kept, turnTo: () => undefined };
      return setOperator(parts, change);
    } finally {
      store?.close();
    }
  });
}

/** The books of a stopped machine. What is sealed in them stays so: the key is none of theirs. */
function storeIn(folder: string): Store | undefined {
  const path = join(folder, 'state.sqlite');
  if (!existsSync(path)) return undefined;
  return unlessRunning(path, () =>
    openStore({
      path,
      clock: systemClock,
      random: systemRandom,
      log: silentLog,
      sealingKey: new Secret(systemRandom.bytes(SEALING_KEY_BYTES)),
      bootId: 'command',
      backupFolder: join(folder, 'backups'),
    }),
  );
}
