/** `spire backup`: by the running agent, or on the state itself while none runs. */
import type { Command } from 'commander';
import { type BackupResult, backupResult } from '../api/schemas.ts';
import { ask } from './client.ts';
import { CommandError, exitCode } from './exit.ts';
import {
  type Common,
  jsonOption,
  print,
  socketOption,
  stateOption,
  type Terminal,
} from './terminal.ts';

/** Longest silence, ms: the copying and its proof (design 4). */
const SILENCE_MS = 600_000;

interface BackupOptions extends Common {
  readonly to?: string;
  readonly state: string;
}

/** Adds the verb. */
export function addBackup(program: Command, terminal: Terminal): void {
  program
    .command('backup')
    .option('--to <folder>', 'puts a second copy there, on another disk, and proves that too')
    .addOption(stateOption())
    .addOption(jsonOption())
    .addOption(socketOption())
    .action(async (options: BackupOptions) => {
      const made = await backUp(options);
      const copy = options.to === undefined ? undefined : await copyOf(made, options.to);
      const result = { ...made, ...(copy ? { copy: copy.path } : {}) };
      print(terminal, options, result, () => wordsOf(made, copy));
    });
}

async function backUp({ socket, state }: BackupOptions): Promise<BackupResult> {
  try {
    return await ask({
      socketPath: socket,
      path: '/v1/backups',
      schema: backupResult,
      body: {},
      silenceMs: SILENCE_MS,
    });
  } catch (error) {
    if (!(error instanceof CommandError) || error.exit !== exitCode.unavailable) throw error;
    // Loaded only here: no other verb opens the state itself.
    const { backUpStopped } = await import('./offline.ts');
    return backUpStopped(state);
  }
}

async function copyOf({ path }: BackupResult, folder: string): Promise<BackupResult> {
  const { copyOfBackup } = await import('./offline.ts');
  return copyOfBackup(path, folder);
}

function wordsOf({ path, bytes, entries }: BackupResult, copy: BackupResult | undefined): string {
  const size = (bytes / 1_000_000).toFixed(1);
  const lines = [`${path}: ${entries} journal entries, ${size} MB, proven.`];
  return [...lines, ...(copy ? [`${copy.path}: the same, proven.`] : [])].join('\n');
}
