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
  openHardware,
  openWorld,
  pairOnce,
} from '#agent/demo/machine.ts';
import { makeAcceptor, makeDispenser } from '#agent/devices.ts';
import { type Agent, startAgent } from '#agent/main.ts';
import { SimulatorError } from '#hal/simulator/device.ts';
import { sleep, systemClock, systemRandom, timedOut, withDeadline } from '#protocol/base/clock.ts';
import { silentLog } from '#protocol/base/log.ts';
import { BareFsync, nowMs, type Quantiles, quantiles } from './stopwatch.ts';
import { WatchedPort } from './watched-port.ts';

const context = { clock: systemClock, random: systemRandom, log: silentLog };
const DISPENSER = { protocol: 'lcdm', model: 'lcdm-4000' };
const STEP_LIMIT_MS = 60_000;
const PUSH_MS = 20;
/** Notes a session; the demo's operator lets 2,000,000 sats in, and a dollar is 1,029. */
const NOTES_A_SESSION = 50;

/** Times of one protocol. */
export interface DepositTimes {
  /** Last byte of the escrow frame to first byte of the deposit command. */
  readonly decision: Quantiles;
  /** A page written and brought to the same disk, once after every note. */
  readonly fsync: Quantiles;
  /** What both frames take on the line at the device's speed, ms. */
  readonly lineMs: number;
}

/** Puts notes in, one after the other. The folder is on the disk that is measured. */
export async function depositTimes(
  validator: DemoDevices['validator'],
  notes: number,
  base: string,
): Promise<DepositTimes> {
  const folder = mkdtempSync(join(base, 'spire-bench-'));
  const devices = { validator, dispenser: DISPENSER };
  const world = await openWorld(context, folder, devices);
  const hardware = await openHardware(context, folder, devices, false);
  try {
    await pairOnce(context, world, join(folder, 'state'));
    const port = new WatchedPort(hardware.ports.validator);
    const config = demoConfig(folder, devices, hardware.ports, 0);
    const common = { ...context, currency: config.currency };
    const acceptor = makeAcceptor({ ...common, ...validator, port });
    const decisions: number[] = [];
    let frames = 0;
    const deposit = acceptor.deposit.bind(acceptor);
    acceptor.deposit = () => {
      const escrow = port.lastIn;
      port.onNextOut = (command) => {
        decisions.push(command.atMs - escrow.atMs);
        frames = escrow.bytes + command.bytes;
      };
      return deposit();
    };
    const dispenser = makeDispenser({
      ...context,
      ...DISPENSER,
      port: hardware.ports.dispenser,
    });
    const agent = startAgent({ ...context, config, acceptor, dispenser });
    const bare = new BareFsync(folder);
    const fsyncs: number[] = [];
    const insert = (denomination: number) =>
      hardware.validator.control({ do: 'insert', denomination });
    try {
      for (let done = 0; done < notes; done += NOTES_A_SESSION) {
        const count = Math.min(NOTES_A_SESSION, notes - done);
        await session(agent, count, insert, () => fsyncs.push(bare.measure()));
      }
    } finally {
      bare.close();
      await agent.stop();
    }
    return {
      decision: quantiles(decisions),
      fsync: quantiles(fsyncs),
      lineMs: port.lineMs(frames) ?? 0,
    };
  } finally {
    hardware.stop();
    await world.stop();
    rmSync(folder, { recursive: true, force: true });
  }
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
  await give(agent, { do: 'startCashIn', session: id, step: 0 });
  for (let notes = 0; notes < count; notes += 1) {
    await untilCashIn(agent, 'the slot is open', (view) => {
      return view.phase === 'inserting' && view.notes === notes;
    });
    await push(() => insert(1));
    await untilCashIn(agent, 'the note is in', (view) => view.notes === notes + 1);
    afterNote();
  }
  const step = () => agent.service.view().session?.step ?? 0;
  await untilCashIn(agent, 'the customer may finish', (view) => view.phase === 'inserting');
  await give(agent, { do: 'finish', session: id, step: step() });
  await untilCashIn(agent, 'the link is there', (view) => view.lnurl !== null);
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
