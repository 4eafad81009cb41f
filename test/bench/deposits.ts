/**
 * From a note in escrow to the command that deposits it, through the whole agent on real time: cap,
 * intent, fsync, command. The relay, the bunker and the wallet are real; the cable is in memory, so
 * that no byte waits for a line.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { CashInView, CustomerCommand, MachineView } from '#agent/api/schemas.ts';
import {
  type DemoDevices,
  demoConfig,
  type Hardware,
  openHardware,
  openWorld,
  pairOnce,
} from '#agent/demo/machine.ts';
import { makeAcceptor, makeDispenser } from '#agent/devices.ts';
import { type Agent, startAgent } from '#agent/main.ts';
import { BUS_REST_MS } from '#hal/ccnet/link.ts';
import { SimulatorError } from '#hal/simulator/device.ts';
import { sleep, systemClock, systemRandom, timedOut, withDeadline } from '#protocol/base/clock.ts';
import { silentLog } from '#protocol/base/log.ts';
import { failingDisk } from '#test/support/failing-disk.ts';
import { quickClock } from './quick-clock.ts';
import { BareFsync, nowMs, type Quantiles, quantiles } from './stopwatch.ts';
import { WatchedPort } from './watched-port.ts';

const context = { clock: systemClock, random: systemRandom, log: silentLog };
const DISPENSER = { protocol: 'lcdm', model: 'lcdm-4000' };
const STEP_LIMIT_MS = 60_000;
const PUSH_MS = 20;
/** Notes a session; the demo's operator lets 2,000,000 sats in, and a dollar is 1,029. */
const NOTES_A_SESSION = 50;
/**
 * Motors so many times as fast as real ones, as none of it is measured. More, and a note is in
 * escrow before a poll has seen it drawn in.
 */
const MOTORS_TIMES = 3;

/**
 * Pause after every note, for which a person takes longer: the slot is open again then, and the
 * disk has come to rest, as it has before every note. A disk at rest answers later, so a bare fsync
 * at once after the commits of a note would be no measure for the next one's.
 */
const REST_MS = 250;

/** What a protocol itself wants between the escrow frame and the deposit command. */
export interface DeviceRule {
  readonly ms: number;
  readonly source: string;
}

/** Every other protocol lets the command leave at once. */
export const deviceRules: Readonly<Record<string, DeviceRule>> = {
  ccnet: {
    ms: BUS_REST_MS,
    source: "CashCode NET: the bus rests after the host's ACK of ESCROW (cash-hardware.md 3.2)",
  },
};

/** Times of one protocol. */
export interface DepositTimes {
  /** Last byte of the escrow frame to first byte of the deposit command. */
  readonly decision: Quantiles;
  /** A page written and brought to the same disk, once after every note, when it has rested. */
  readonly fsync: Quantiles;
  /** The decision without the longer of the commit of the intent and the device's rule. */
  readonly own: Quantiles;
  /** How long after the escrow frame the command may leave at the earliest, ms. */
  readonly ruleMs: number;
  /** What both frames take on the line at the device's speed, ms. */
  readonly lineMs: number;
}

/** What a run measures, and where. */
export interface DepositRun {
  readonly validator: DemoDevices['validator'];
  readonly notes: number;
  /** A folder on the disk that is measured. */
  readonly base: string;
  /** Told of every note that is in. */
  readonly onNote?: (notes: number) => void;
}

/** Puts notes in, one after the other. */
export async function depositTimes(run: DepositRun): Promise<DepositTimes> {
  const folder = mkdtempSync(join(run.base, 'spire-bench-'));
  const devices = { validator: run.validator, dispenser: DISPENSER };
  const world = await openWorld(context, folder, devices);
  const motors = { ...context, clock: quickClock(systemClock, MOTORS_TIMES) };
  const hardware = await openHardware(motors, folder, devices, false);
  try {
    await pairOnce(context, world, join(folder, 'state'));
    return await measure(run, folder, hardware);
  } finally {
    hardware.stop();
    await world.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function measure(
  { validator, notes, onNote }: DepositRun,
  folder: string,
  hardware: Hardware,
): Promise<DepositTimes> {
  const { ports } = hardware;
  const config = demoConfig(folder, { validator, dispenser: DISPENSER }, ports, 0);
  const port = new WatchedPort(ports.validator);
  const acceptor = makeAcceptor({ ...context, currency: config.currency, ...validator, port });
  const dispenser = makeDispenser({ ...context, ...DISPENSER, port: ports.dispenser });
  const ruleMs = deviceRules[validator.protocol]?.ms ?? 0;
  const commit = { fromMs: 0, toMs: 0 };
  const decisions: number[] = [];
  const own: number[] = [];
  let frames = 0;
  const deposit = acceptor.deposit.bind(acceptor);
  acceptor.deposit = () => {
    const escrow = port.lastIn;
    const { fromMs, toMs } = commit;
    port.onNextOut = (command) => {
      const decision = command.atMs - escrow.atMs;
      decisions.push(decision);
      own.push(decision - Math.max(toMs - fromMs, ruleMs));
      frames = escrow.bytes + command.bytes;
    };
    return deposit();
  };
  const openDatabase = failingDisk({
    beforeCommit: () => Object.assign(commit, { fromMs: nowMs() }),
    afterCommit: () => Object.assign(commit, { toMs: nowMs() }),
  });
  const agent = startAgent({ ...context, config, acceptor, dispenser, openDatabase });
  const bare = new BareFsync(folder);
  const fsyncs: number[] = [];
  const insert = (denomination: number) =>
    hardware.validator.control({ do: 'insert', denomination });
  try {
    for (let done = 0; done < notes; done += NOTES_A_SESSION) {
      await session(agent, Math.min(NOTES_A_SESSION, notes - done), insert, () => {
        fsyncs.push(bare.measure());
        onNote?.(fsyncs.length);
      });
    }
  } finally {
    bare.close();
    await agent.stop();
  }
  return {
    decision: quantiles(decisions),
    fsync: quantiles(fsyncs),
    own: quantiles(own),
    ruleMs,
    lineMs: port.lineMs(frames) ?? 0,
  };
}

/** One customer with many small notes. */
async function session(
  agent: Agent,
  count: number,
  insert: (denomination: number) => void,
  afterNote: () => void,
): Promise<void> {
  await until(agent, 'in service', (view) => view.state === 'idle' && view.cashIn.open);
  const id = Buffer.from(systemRandom.bytes(16)).toString('hex');
  const step = () => agent.service.view().session?.step ?? 0;
  await give(agent, { do: 'startCashIn', session: id, step: 0 });
  for (let notes = 0; notes < count; notes += 1) {
    await untilCashIn(agent, 'the slot is open', (view) => {
      return view.phase === 'inserting' && view.notes === notes;
    });
    await push(() => insert(1));
    await untilCashIn(agent, 'the note is in', (view) => view.notes === notes + 1);
    await sleep(systemClock, REST_MS);
    afterNote();
  }
  await untilCashIn(agent, 'the customer may finish', (view) => view.phase === 'inserting');
  await give(agent, { do: 'finish', session: id, step: step() });
  await untilCashIn(agent, 'the link is there', (view) => view.lnurl !== null);
  await give(agent, { do: 'dismiss', session: id, step: step() });
  // The last screen stays for most of a minute when nobody dismisses it.
  await untilCashIn(agent, 'the last screen', (view) => view.phase === 'ended');
  await give(agent, { do: 'dismiss', session: id, step: step() });
  await until(agent, 'the next customer', (view) => view.session === null);
}

/** Pushes again and again while the slot is shut, as a person does. */
async function push(insert: () => void): Promise<void> {
  const end = nowMs() + STEP_LIMIT_MS;
  for (;;) {
    try {
      return insert();
    } catch (error) {
      if (!(error instanceof SimulatorError) || nowMs() > end) throw error;
      await sleep(systemClock, PUSH_MS);
    }
  }
}

async function give(agent: Agent, command: CustomerCommand): Promise<void> {
  const result = await agent.service.command(command);
  if (!result.ok) throw new Error(`${command.do}: ${result.reason}`);
}

function untilCashIn(
  agent: Agent,
  what: string,
  isSo: (view: CashInView) => boolean,
): Promise<void> {
  return until(agent, what, ({ session }) => session?.kind === 'cashIn' && isSo(session));
}

async function until(
  agent: Agent,
  what: string,
  isSo: (view: MachineView) => boolean,
): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const look = (view: MachineView) => {
    if (isSo(view)) resolve();
  };
  const off = agent.service.subscribe(look);
  look(agent.service.view());
  const end = await withDeadline(systemClock, STEP_LIMIT_MS, promise);
  off();
  if (end === timedOut) {
    throw new Error(`never: ${what}; it shows ${JSON.stringify(agent.service.view())}`);
  }
}
