/** A machine as it stands in a shop: the real agent as a process, whose power can be cut. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type StatusView, statusView } from '#agent/api/schemas.ts';
import { ask } from '#agent/cli/client.ts';
import { AgentProcess } from '#agent/demo/agent-process.ts';
import {
  type DemoDevices,
  demoConfig,
  type Hardware,
  openHardware,
  openWorld,
  pairOnce,
} from '#agent/demo/machine.ts';
import { systemClock, systemRandom } from '#protocol/base/clock.ts';
import { silentLog } from '#protocol/base/log.ts';
import type { World } from '#protocol/simulator/world.ts';
import { spire } from '#test/agent/cli/process.ts';

const CONTEXT = { clock: systemClock, random: systemRandom, log: silentLog };
/** A dispenser of two bays. */
const DEVICES: DemoDevices = {
  validator: { protocol: 'id003', model: undefined },
  dispenser: { protocol: 'lcdm', model: 'lcdm-2000' },
};
const SERVICE_LIMIT_MS = 60_000;
const LOOK_MS = 100;

/** The machine, its world, and the technician's hands on its cassettes. */
export class FieldMachine implements AsyncDisposable {
  readonly socketPath: string;
  readonly hardware: Hardware;
  readonly agent: AgentProcess;
  readonly #folder: string;
  readonly #world: World;

  constructor(folder: string, world: World, hardware: Hardware, language: string) {
    const config = { ...demoConfig(folder, DEVICES, hardware.ports, 0), language };
    const file = join(folder, 'spire.json');
    writeFileSync(file, JSON.stringify(config));
    this.socketPath = config.paths.socket;
    this.agent = new AgentProcess(file, this.socketPath);
    this.hardware = hardware;
    this.#folder = folder;
    this.#world = world;
  }

  /** Paired, with documents, in service. */
  static async inService(language = 'en'): Promise<FieldMachine> {
    const folder = mkdtempSync(join(tmpdir(), 'spire-field-'));
    const world = await openWorld(CONTEXT, folder, DEVICES);
    const hardware = await openHardware(CONTEXT, folder, DEVICES, true);
    await pairOnce(CONTEXT, world, join(folder, 'state'));
    const machine = new FieldMachine(folder, world, hardware, language);
    await machine.powerOn();
    return machine;
  }

  /** Starts the agent and waits until it is ready for somebody. */
  async powerOn(): Promise<void> {
    await this.agent.start();
    for (let waitedMs = 0; waitedMs < SERVICE_LIMIT_MS; waitedMs += LOOK_MS) {
      const view = await this.agent.view();
      if (view && view.state !== 'recovering' && view.state !== 'starting') {
        if (
          view.cashOut.open ||
          view.cashOut.reasons.some(({ code }) => code === 'exchangeActive')
        ) {
          return;
        }
      }
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
    throw new Error(`it does not come in service: ${JSON.stringify(await this.agent.view())}`);
  }

  /** Pulls the plug and puts it in again. */
  async cutPower(): Promise<void> {
    await this.agent.kill();
    await this.powerOn();
  }

  /** A technician's invite, made by the owner. */
  async invite(name: string): Promise<string> {
    const made = await spire(['technician', 'invite', name, '--json', '--socket', this.socketPath]);
    const { invite } = JSON.parse(made.out) as { invite: string };
    return invite;
  }

  /** Puts other notes into a cassette. */
  fill(position: number, denomination: number, count: number): void {
    this.hardware.dispenser.control({ do: 'cassette', position, denomination, count });
  }

  /** Notes by bay, and those in the reject tray, in truth. */
  truth() {
    const { units, reject } = this.hardware.dispenser.truth();
    return { units, reject };
  }

  /** Notes that are inside the dispenser's path. */
  path() {
    return this.hardware.dispenser.truth().path;
  }

  /** The machine's own word. */
  status(): Promise<StatusView> {
    return ask({ socketPath: this.socketPath, path: '/v1/status', schema: statusView });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.agent.kill();
    this.hardware.stop();
    await this.#world.stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
