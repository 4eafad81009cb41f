/**
 * The independent recorder at the disk. With strace(1) it is the kernel that counts the fsyncs of
 * the log; without it, the commits that the log itself has are counted.
 */
import { spawnSync } from 'node:child_process';
import { closeSync, existsSync, fsyncSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** SQLite's log beside the state. */
const LOG = 'state.sqlite-wal';
/** Sizes in a log. Source: sqlite.org/fileformat2.html, "The Write-Ahead Log". */
const HEADER_BYTES = 32;
const FRAME_HEADER_BYTES = 24;
const PAGE_SIZE_AT = 8;
const SALTS_AT = 16;
const SALTS_BYTES = 8;
/** In a frame: size of the database after a commit, 0 in all other frames; then the salts. */
const COMMIT_AT = 4;
const FRAME_SALTS_AT = 8;

/** True where processes can be traced. */
export function hasStrace(): boolean {
  const trial = spawnSync('strace', ['-qq', '-e', 'trace=fsync', 'true'], { stdio: 'ignore' });
  return trial.status === 0;
}

/** The command that runs another one and writes its fsyncs, with their paths, to a file. */
export function tracing(output: string, command: readonly string[]): readonly string[] {
  const what = ['-f', '-qq', '-y', '--seccomp-bpf', '-e', 'trace=fsync,fdatasync', '-o', output];
  return ['strace', ...what, ...command];
}

/** Puts a mark between the fsyncs that are traced: one of a file of this name. */
export function markTrace(name: string): void {
  const path = join(tmpdir(), `${name}-${process.pid}`);
  const file = openSync(path, 'w');
  fsyncSync(file);
  closeSync(file);
  rmSync(path);
}

/** Fsyncs of the log between two marks of a trace. @throws Error when a mark is missing. */
export function tracedWrites(trace: string, begin: string, end: string): number {
  const lines = trace.split('\n').filter((line) => /\bf(data)?sync\(/.test(line));
  const from = lines.findIndex((line) => line.includes(`/${begin}-`));
  const to = lines.findIndex((line) => line.includes(`/${end}-`));
  if (from < 0 || to < from) throw new Error('the trace has no marks');
  return lines.slice(from, to).filter((line) => line.includes(`/${LOG}>`)).length;
}

/** Commits in the log of a state folder since it was last begun anew. */
export function loggedCommits(stateFolder: string): number {
  const path = join(stateFolder, LOG);
  if (!existsSync(path)) return 0;
  const log = readFileSync(path);
  if (log.length < HEADER_BYTES) return 0;
  const frameBytes = FRAME_HEADER_BYTES + log.readUInt32BE(PAGE_SIZE_AT);
  const salts = log.subarray(SALTS_AT, SALTS_AT + SALTS_BYTES);
  let commits = 0;
  for (let at = HEADER_BYTES; at + frameBytes <= log.length; at += frameBytes) {
    const own = log.subarray(at + FRAME_SALTS_AT, at + FRAME_SALTS_AT + SALTS_BYTES);
    if (!own.equals(salts)) break;
    if (log.readUInt32BE(at + COMMIT_AT) !== 0) commits += 1;
  }
  return commits;
}
