/** Processes that share the runs out among them. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { tracedWrites, tracing } from './disk.ts';
import type { RunOptions } from './run.ts';
import { type Done, type Job, MARKS } from './worker.ts';

const COMMAND = [process.execPath, join(import.meta.dirname, 'worker.ts')] as const;

/** Does all runs, so many at a time, and gives what came of each in their order. */
export async function runAll(
  runs: readonly RunOptions[],
  workers: number,
  onDone: (done: number) => void,
): Promise<readonly Done[]> {
  const results: Done[] = [];
  let next = 0;
  let count = 0;
  const work = async () => {
    const child = start(COMMAND);
    try {
      for (let number = next++; number < runs.length; number = next++) {
        const options = runs[number];
        if (!options) break;
        results[number] = await ask(child, { number, options, isRecorded: false });
        onDone(++count);
      }
    } finally {
      child.kill();
    }
  };
  await Promise.all(Array.from({ length: Math.min(workers, runs.length) }, work));
  return results;
}

/** One recorded run in a process of its own, with the writes that the disk saw. */
export async function runRecorded(
  options: RunOptions,
  isTraced: boolean,
): Promise<{ readonly done: Done; readonly writesOnDisk: number }> {
  const folder = mkdtempSync(join(tmpdir(), 'spire-crash-'));
  const output = join(folder, 'trace');
  const child = start(isTraced ? tracing(output, COMMAND) : COMMAND);
  try {
    const done = await ask(child, { number: 0, options, isRecorded: true });
    child.disconnect();
    await new Promise((resolve) => child.once('exit', resolve));
    const { begin, end } = MARKS;
    const isKnown = isTraced && done.recorded !== undefined;
    const traced = () => tracedWrites(readFileSync(output, 'utf8'), begin, end);
    return { done, writesOnDisk: isKnown ? traced() : done.logged };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function start([program = '', ...script]: readonly string[]): ChildProcess {
  return spawn(program, script, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
}

/** @throws Error when the process ends before it has answered. */
function ask(child: ChildProcess, job: Job): Promise<Done> {
  return new Promise((resolve, reject) => {
    const ended = (code: number | null) => reject(new Error(`a worker ended with ${code}`));
    child.once('exit', ended);
    child.once('message', (done) => {
      child.off('exit', ended);
      resolve(done as Done);
    });
    child.send(job);
  });
}
