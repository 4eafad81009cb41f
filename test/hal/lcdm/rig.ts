/** An LCDM driver with a simulated unit on virtual time; and what left the driver. */
import { LcdmDispenser, type LcdmOptions } from '#hal/lcdm/driver.ts';
import { ID30, type LcdmId } from '#hal/lcdm/wire.ts';
import { LcdmDevice, type LcdmDeviceOptions } from '#hal/simulator/lcdm/device.ts';
import { silentLog as log } from '#protocol/base/log.ts';
import * as common from '../dispenser-rig.ts';

export { asked, CASSETTES, dispense, gone, inBays, total } from '../dispenser-rig.ts';

/** What a rig is made of. */
export type RigOptions = common.RigOptions<LcdmDeviceOptions, LcdmOptions>;
/** Everything on the bench. */
export type Rig = common.Rig<LcdmDispenser>;

/** Puts a rig together; nothing is open yet. */
export function makeRig({ device, driver, cable, other }: RigOptions = {}): Rig {
  const options = { model: device?.model ?? 'lcdm-4000', ...driver };
  return common.rigOf(
    (clock) =>
      other?.(clock) ??
      new LcdmDevice({ clock, options: { cassettes: common.CASSETTES, ...device } }),
    (parts) => new LcdmDispenser({ ...parts, log, options }),
    cable,
  );
}

/** A rig that is open and initialised. */
export async function readyRig(options: RigOptions = {}): Promise<Rig> {
  const rig = makeRig(options);
  await rig.clock.resolve(rig.dispenser.open());
  await rig.clock.resolve(rig.dispenser.initialise());
  return rig;
}

/** Commands of a code that left the driver, with ID 30 unless another is said. */
export function sentCommands(rig: Rig, code: number, id: LcdmId = ID30): string[] {
  const start = `04${id.toString(16)}02${code.toString(16)}`;
  return rig.port.sent.filter((hex) => hex.startsWith(start));
}
