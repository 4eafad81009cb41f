/**
 * All temporary files of one run of the tests lie in one folder, which goes when the run ends: once
 * it was searched for the secrets of that run.
 */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beginRegister, searchRun } from './secret-register.ts';

/** Called by Vitest before the workers begin, which inherit the environment; gives the end. */
export function setup(): () => void {
  // A short name: unix sockets lie in it, whose paths hold 107 characters.
  const folder = mkdtempSync(join(tmpdir(), 'spire-'));
  // Some tests go on as another user, who has to find the way to what is his.
  chmodSync(folder, 0o755);
  process.env.TMPDIR = folder;
  const register = join(folder, 'secrets.jsonl');
  beginRegister(register);
  return () => {
    const found = searchRun(folder, register);
    rmSync(folder, { recursive: true, force: true });
    // The run has failed: what is written in clear may be printed, mailed, or put into a ticket.
    if (found.length > 0) throw new Error(`secrets in clear:\n${found.join('\n')}`);
  };
}
