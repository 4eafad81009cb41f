/** An F56 driver with a simulated unit on virtual time; and what left the driver. */
import { type CommandName, commands } from '#hal/f56/commands.ts';
import { F56Dispenser, type F56Options } from '#hal/f56/driver.ts';
import { encodeControl } from '#hal/f56/wire.ts';
import { F56Device, type F56DeviceOptions } from '#hal/simulator/f56/device.ts';
import { silentLog as log } from '#protocol/base/log.ts';
import * as common from '../dispenser-rig.ts';

export { asked, CASSETTES, dispense, gone, held, inBays, total } from '../dispenser-rig.ts';

/** What a rig is made of. */
export type RigOptions = common.RigOptions<F56DeviceOptions, F56Options>;
/** Everything on the bench. */
export type Rig = common.Rig<F56Dispenser>;

/** Puts a rig together; nothing is open yet. */
export function makeRig({ device, driver, cable, other }: RigOptions = {}): Rig {
  const options = { model: device?.model ?? 'f56', ...driver };
  return common.rigOf(
    (clock) =>
      other?.(clock) ??
      new F56Device({ clock, options: { cassettes: common.CASSETTES, ...device } }),
    (parts) => new F56Dispenser({ ...parts, log, options }),
    cable,
  );
}

/** A rig that is open and initialised. */
export async function readyRig(options: RigOptions = {}): Promise<Rig> {
  const rig = makeRig(options);
  rig.dispenser.setNotes(common.held({ 1: 20, 2: 50 }));
  await rig.clock.resolve(rig.dispenser.open());
  await rig.clock.resolve(rig.dispenser.initialise());
  return rig;
}

/** Hands take what lies at the exit. */
export function take(rig: Rig): void {
  rig.device.control({ do: 'take' });
}

/** Commands that left the driver, as frames in hex: their data begins behind 4 bytes. */
export function sentCommands(rig: Rig, name: CommandName): string[] {
  const code = Buffer.from(commands[name].code).toString('hex');
  return rig.port.sent.filter((hex) => hex.startsWith('1002') && hex.startsWith(code, 8));
}

/** ENQs that left the driver. */
export function bids(rig: Rig): number {
  const enq = Buffer.from(encodeControl('enq')).toString('hex');
  return rig.port.sent.filter((hex) => hex === enq).length;
}
