/** Runs the `spire` command: as a real process, or in this one where no process is the point. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { run } from '#agent/cli/program.ts';
import { newFolder } from '#test/agent/api/harness.ts';

const SPIRE = new URL('../../../agent/cli/spire.ts', import.meta.url).pathname;

/** How a command ended, and what it wrote. */
export interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** What a command is run with. */
export interface Setting {
  readonly cwd?: string;
  readonly uid?: number;
  readonly gid?: number;
  /** What it reads from standard input; nothing unless given. */
  readonly input?: string;
}

/** Starts a command. */
export function start(words: readonly string[], setting: Setting = {}): ChildProcess {
  const { input, ...rest } = setting;
  const child = spawn(process.execPath, [SPIRE, ...words], { cwd: newFolder(), ...rest });
  child.stdin.end(input);
  return child;
}

/** Waits for its end and what it wrote. */
export async function end(child: ChildProcess): Promise<Ended> {
  const written = { out: '', err: '' };
  child.stdout?.on('data', (chunk: Buffer) => {
    written.out += chunk.toString();
  });
  child.stderr?.on('data', (chunk: Buffer) => {
    written.err += chunk.toString();
  });
  const [code] = await once(child, 'close');
  return { code: typeof code === 'number' ? code : null, ...written };
}

/** Runs a command to its end, as a process. */
export const spire = (words: readonly string[], setting?: Setting): Promise<Ended> =>
  end(start(words, setting));

/** Runs a command to its end in this process; `onStop` gets what Ctrl-C would call. */
export async function inProcess(
  words: readonly string[],
  onStop: (task: () => void) => void = () => undefined,
): Promise<Ended> {
  const [out, err] = [new PassThrough(), new PassThrough()];
  const written = Promise.all([text(out), text(err)]);
  const code = await run(words, { out, err, onStop });
  out.end();
  err.end();
  const [outText, errText] = await written;
  return { code, out: outText, err: errText };
}
