/**
 * The service as it is shipped, compiled and in a process of its own, beside a real relay, bunker
 * and wallet and two devices on ptys in this one: how soon it serves, and what it takes while
 * nobody is there.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { type MachineView, machineView } from '#agent/api/schemas.ts';
import {
  demoConfig,
  type Hardware,
  openHardware,
  openWorld,
  pairOnce,
} from '#agent/demo/machine.ts';
import { makeAcceptor, makeDispenser } from '#agent/devices.ts';
import { SystemPort } from '#hal/serial-port.ts';
import { type Clock, sleep, systemClock, systemRandom } from '#protocol/base/clock.ts';
import { silentLog } from '#protocol/base/log.ts';
import { call } from '#test/agent/api/harness.ts';
import { appendHistory } from './history.ts';
import { quickClock } from './quick-clock.ts';
import { nowMs } from './stopwatch.ts';

const ROOT = join(import.meta.dirname, '../..');
const context = { clock: systemClock, random: systemRandom, log: silentLog };
const DEVICES = {
  validator: { protocol: 'id003', model: undefined },
  dispenser: { protocol: 'lcdm', model: 'lcdm-4000' },
};
/** Devices whose mechanics are done almost at once: what is left of a start is the service. */
const QUICK = {
  validator: { protocol: 'id003', model: undefined },
  dispenser: { protocol: 'f56', model: undefined },
};
/** More, and the gaps between chunks on a pty would be as long as a device waits inside a frame. */
const QUICK_TIMES = 10;
const LOOK_MS = 5;
const START_LIMIT_MS = 60_000;
/** Long enough for a hundred polls of each device and a sign of life. */
const IDLE_MS = 20_000;
/** Pages of the kernel's statistics. Source: proc(5); `getconf PAGESIZE` on x86-64 and arm64. */
const TICKS_PER_SECOND = 100;

/** How long it took, and what it takes. */
export interface ServiceNumbers {
  /** From the start of the process to both directions open: middle of three. */
  readonly start: StartTimes;
  /** The same beside devices that need next to no time. */
  readonly quick: StartTimes;
  /** What the two devices take for their own initialising, ms, which nobody can shorten. */
  readonly devicesMs: number;
  /** The same with so many old transactions. */
  readonly history: number;
  readonly startWithHistory: StartTimes;
  readonly residentBytes: number;
  /** The same of a Node that does nothing. */
  readonly bareNodeBytes: number;
  /** Of one core, both devices polled and watched over as in service. */
  readonly idlePercent: number;
  /** The same of a process that polls the validator and does nothing else. */
  readonly barePollsPercent: number;
}

/** When each step of a start was done, ms after the start of the process. */
export interface StartTimes {
  /** Everything is loaded, the state is open: the journal says `agent.started`. */
  readonly openMs: number;
  /** Both devices have said who they are. */
  readonly identifiedMs: number;
  /** Both devices are initialised. */
  readonly initialisedMs: number;
  /** Both directions are open. */
  readonly inServiceMs: number;
  /** What the process took of a core until then, ms; hardly depends on what else runs. */
  readonly processorMs: number;
}

/** Measures the service. The folder is on the disk that is measured. */
export async function measureService(base: string, history: number): Promise<ServiceNumbers> {
  const folder = mkdtempSync(join(base, 'service-'));
  const program = compile(folder);
  try {
    const quick = await beside(
      program,
      folder,
      QUICK,
      quickClock(systemClock, QUICK_TIMES),
      (one) => threeStarts(one.start, one.state),
    );
    return await beside(program, folder, DEVICES, systemClock, async ({ start, state, ports }) => {
      const devicesMs = await devicesAlone(ports);
      const fresh = await threeStarts(start, state);
      const last = await start();
      const idlePercent = await processorPercent(last.pid);
      const idle = { idlePercent, residentBytes: residentBytes(last.pid) };
      await last.end();
      const barePollsPercent = await barePolls(ports.validator.path);
      appendHistory(state, history, systemClock.now());
      const old = await threeStarts(start, state);
      const bareNodeBytes = await bareNode();
      const starts = { start: fresh, quick, startWithHistory: old };
      return { ...starts, devicesMs, history, bareNodeBytes, ...idle, barePollsPercent };
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** What a service is started beside, and how. */
interface Beside {
  readonly start: () => Promise<Running>;
  readonly state: string;
  readonly ports: Hardware['ports'];
}

/** Does something with a service that has devices and peers of its own; motors run by the clock. */
async function beside<Result>(
  program: string,
  base: string,
  devices: typeof DEVICES | typeof QUICK,
  motors: Clock,
  work: (one: Beside) => Promise<Result>,
): Promise<Result> {
  const folder = mkdtempSync(join(base, 'machine-'));
  const world = await openWorld(context, folder, devices);
  const hardware = await openHardware({ ...context, clock: motors }, folder, devices, true);
  const { ports } = hardware;
  try {
    await pairOnce(context, world, join(folder, 'state'));
    const config = demoConfig(folder, devices, ports, 0);
    const configFile = join(folder, 'config.json');
    writeFileSync(configFile, JSON.stringify(config));
    const start = () => startService(program, configFile, config.paths.socket);
    // The first one fills the devices' and the disk's caches, and is not counted.
    await (await start()).end();
    return await work({ start, state: join(config.paths.state, 'state.sqlite'), ports });
  } finally {
    hardware.stop();
    await world.stop();
  }
}

/** Compiles as the package does. Returns the program. */
function compile(folder: string): string {
  const into = join(folder, 'program');
  const project = join(ROOT, 'systemd/packaging/tsconfig.json');
  execFileSync(join(ROOT, 'node_modules/.bin/tsc'), ['-p', project, '--outDir', into]);
  const { version, imports } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  const compiled = JSON.stringify(imports)
    .replaceAll('.ts"}', '.js"}')
    .replaceAll('.ts",', '.js",');
  const manifest = { version, type: 'module', imports: JSON.parse(compiled) };
  writeFileSync(join(into, 'package.json'), JSON.stringify(manifest));
  symlinkSync(join(ROOT, 'node_modules'), join(into, 'node_modules'));
  symlinkSync(join(ROOT, 'agent/screen'), join(into, 'agent/screen'));
  return join(into, 'agent/start.js');
}

/** A service that serves. */
interface Running {
  readonly startUnixMs: number;
  readonly inServiceMs: number;
  readonly processorMs: number;
  readonly pid: number;
  end(): Promise<void>;
}

async function startService(
  program: string,
  configFile: string,
  socketPath: string,
): Promise<Running> {
  const [startUnixMs, startMs] = [systemClock.now(), nowMs()];
  const { flags, env } = unitOfNode();
  const child = spawn(process.execPath, [...flags, program, '--config', configFile], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env,
  });
  for (;;) {
    const answer = await call({ socketPath, path: '/v1/machine' }).catch(() => undefined);
    if (answer?.status === 200 && serves(machineView.parse(JSON.parse(answer.text)))) break;
    const isLate = nowMs() - startMs > START_LIMIT_MS;
    if (isLate || child.exitCode !== null) throw new Error(`not in service: ${answer?.text}`);
    await sleep(systemClock, LOOK_MS);
  }
  const [inServiceMs, pid] = [nowMs() - startMs, child.pid ?? 0];
  const processorMs = processorSeconds(pid) * 1_000;
  return { startUnixMs, inServiceMs, processorMs, pid, end: () => endOf(child) };
}

/** How the unit starts Node: its flags, and what it sets around it. */
export function unitOfNode(): {
  readonly flags: readonly string[];
  readonly env: Readonly<Record<string, string>>;
} {
  const unit = readFileSync(join(ROOT, 'systemd/spire-agent.service'), 'utf8');
  const words = /^ExecStart=\S+ (.*)$/m.exec(unit)?.[1]?.split(' ') ?? [];
  const flags = words.slice(
    0,
    words.findIndex((word) => !word.startsWith('--')),
  );
  const set = [...unit.matchAll(/^Environment=([A-Z_]+)=(\w+)$/gm)];
  const env = Object.fromEntries(set.map(([, name = '', value = '']) => [name, value]));
  return { flags, env };
}

const serves = ({ cashIn, cashOut }: MachineView): boolean => cashIn.open && cashOut.open;

async function endOf(child: ChildProcess): Promise<void> {
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  await ended;
}

/** Middle of three. */
async function threeStarts(start: () => Promise<Running>, state: string): Promise<StartTimes> {
  const times: StartTimes[] = [];
  for (let count = 0; count < 3; count += 1) {
    const running = await start();
    await running.end();
    times.push(stepsOf(running, state));
  }
  const [, middle] = times.sort((one, other) => one.inServiceMs - other.inServiceMs);
  if (!middle) throw new RangeError('there were no three starts');
  return middle;
}

/** The steps, by the journal that the service has kept of its own start. */
function stepsOf(running: Running, state: string): StartTimes {
  const { startUnixMs, inServiceMs, processorMs } = running;
  const database = new Sqlite(state, { readonly: true });
  try {
    const last = database.prepare<[string, number], { at: number | null }>(
      'SELECT max(at_unix_ms) AS at FROM journal WHERE kind LIKE ? AND at_unix_ms >= ?',
    );
    const after = (kind: string) => (last.get(kind, startUnixMs)?.at ?? Number.NaN) - startUnixMs;
    const [openMs, identifiedMs] = [after('agent.started'), after('%.opened')];
    const initialisedMs = after('initialise.settled');
    return { openMs, identifiedMs, initialisedMs, inServiceMs, processorMs };
  } finally {
    database.close();
  }
}

/** Both devices opened and initialised at once, with nothing else to do. */
async function devicesAlone(ports: {
  readonly validator: { readonly path: string };
  readonly dispenser: { readonly path: string };
}): Promise<number> {
  const port = ({ path }: { readonly path: string }) =>
    new SystemPort({ path, clock: systemClock });
  const validator = port(ports.validator);
  const acceptor = makeAcceptor({
    ...{ ...context, ...DEVICES.validator, port: validator },
    currency: 'USD',
  });
  const dispenser = makeDispenser({
    ...{ ...context, ...DEVICES.dispenser, port: port(ports.dispenser) },
  });
  const startMs = nowMs();
  await Promise.all(
    [acceptor, dispenser].map(async (device) => {
      await device.open();
      await device.initialise();
    }),
  );
  const tookMs = nowMs() - startMs;
  await acceptor.close();
  await dispenser.close();
  return tookMs;
}

/** What a process takes of one core while nobody is there. */
async function processorPercent(pid: number): Promise<number> {
  await sleep(systemClock, IDLE_MS / 4);
  const [startMs, before] = [nowMs(), processorSeconds(pid)];
  await sleep(systemClock, IDLE_MS);
  const seconds = (nowMs() - startMs) / 1_000;
  return ((processorSeconds(pid) - before) / seconds) * 100;
}

/** What a Node takes of one core that polls the validator and does nothing else. */
async function barePolls(path: string): Promise<number> {
  const { flags, env } = unitOfNode();
  const program = join(import.meta.dirname, 'bare-polls.ts');
  const child = spawn(process.execPath, [...flags, program, path], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...env },
  });
  await once(child.stdout, 'data');
  const percent = await processorPercent(child.pid ?? 0);
  await endOf(child);
  return percent;
}

/** What a Node takes that waits for nothing. */
async function bareNode(): Promise<number> {
  const child = spawn(process.execPath, ['-e', 'process.stdin.resume(); console.log(1)'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  const bytes = residentBytes(child.pid ?? 0);
  child.kill();
  return bytes;
}

function residentBytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1_024;
}

/** Source: proc(5), fields 14 and 15 of `stat`, counted after the name in brackets. */
function processorSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}
