/** The agent of the demo as a process of its own, so that its power can really be cut. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { request } from 'node:http';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import {
  type CommandResult,
  type CustomerCommand,
  commandResult,
  type MachineView,
  machineView,
  type ObligationView,
  obligationView,
} from '../api/schemas.ts';

const ready = z.object({ screen: z.string() });

/** The running agent and its local API on the unix socket. */
export class AgentProcess {
  readonly #configFile: string;
  readonly #socketPath: string;
  #child: ChildProcess | undefined;

  constructor(configFile: string, socketPath: string) {
    this.#configFile = configFile;
    this.#socketPath = socketPath;
  }

  /** Starts it; resolves with the screen's address. @throws Error with what it said at its end. */
  async start(): Promise<string> {
    const entry = join(import.meta.dirname, '../start.ts');
    const child = spawn(process.execPath, [entry, '--config', this.#configFile], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child = child;
    const said: string[] = [];
    child.stderr?.setEncoding('utf8').on('data', (text: string) => said.push(text));
    const lines = createInterface({ input: child.stdout });
    for await (const line of lines) {
      const parsed = ready.safeParse(parse(line));
      if (!parsed.success) continue;
      // Nobody reads on: the log of the demo is not for the person at the terminal.
      child.stdout?.resume();
      return parsed.data.screen;
    }
    throw new Error(`the agent did not start: ${said.join('').trim()}`);
  }

  /** Cuts its power: no signal is caught, no file is closed. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  /** Lets it end in order. */
  async stop(): Promise<void> {
    await this.#end('SIGTERM');
  }

  async #end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill(signal);
    await ended;
  }

  /** The machine as the customer sees it; undefined while the agent is down. */
  async view(): Promise<MachineView | undefined> {
    const parsed = machineView.safeParse(await this.#call('GET', '/v1/machine'));
    return parsed.success ? parsed.data : undefined;
  }

  /** A customer's command; undefined while the agent is down. */
  async command(command: CustomerCommand): Promise<CommandResult | undefined> {
    const parsed = commandResult.safeParse(await this.#call('POST', '/v1/commands', command));
    return parsed.success ? parsed.data : undefined;
  }

  /** What the machine owes or does not know; empty while the agent is down. */
  async obligations(): Promise<readonly ObligationView[]> {
    const parsed = z.array(obligationView).safeParse(await this.#call('GET', '/v1/obligations'));
    return parsed.success ? parsed.data : [];
  }

  #call(method: string, path: string, body?: object): Promise<unknown> {
    return new Promise((resolve) => {
      const headers = { 'content-type': 'application/json' };
      const call = request({ socketPath: this.#socketPath, method, path, headers }, (answer) => {
        const chunks: Buffer[] = [];
        answer.on('data', (chunk: Buffer) => chunks.push(chunk));
        answer.on('end', () => resolve(parse(Buffer.concat(chunks).toString())));
        answer.on('error', () => resolve(undefined));
      });
      // A machine without power does not answer; that is what the demo shows.
      call.on('error', () => resolve(undefined));
      call.end(body && JSON.stringify(body));
    });
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
