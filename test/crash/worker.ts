/** A process that runs what its parent sends it, one run after another. */
import { join } from 'node:path';
import { loggedCommits, markTrace } from './disk.ts';
import { type RunOptions, type RunResult, runCrashes } from './run.ts';

/** One run to do. */
export interface Job {
  readonly number: number;
  readonly options: RunOptions;
  readonly isRecorded: boolean;
}

/** What came of it. */
export interface Done extends RunResult {
  readonly number: number;
  /** Commits that the log got between the marks, by its own bytes. */
  readonly logged: number;
  /** What happened, of a run that broke a promise. */
  readonly history: readonly string[];
}

/** Marks in the trace of the file system. */
export const MARKS = { begin: 'spire-crash-begin', end: 'spire-crash-end' } as const;

async function run({ number, options, isRecorded }: Job): Promise<Done> {
  let logged = 0;
  const mark: Parameters<typeof runCrashes>[1] = (which, machine) => {
    markTrace(MARKS[which]);
    const commits = loggedCommits(join(machine.folder, 'state'));
    logged = which === 'begin' ? -commits : logged + commits;
  };
  const result = isRecorded ? await runCrashes(options, mark) : await runCrashes(options);
  const history: string[] = [];
  // The same run again, and told this time.
  if (result.violation) await runCrashes({ ...options, tell: (line) => history.push(line) });
  return { ...result, number, logged, history };
}

if (process.send) {
  process.on('message', (job: Job) => {
    void run(job).then((done) => process.send?.(done));
  });
}
