/** Every simulated device by protocol and model: a further protocol is one entry here. */
import type { Clock } from '#protocol/base/clock.ts';
import { simulatedCcnet } from './ccnet/protocol.ts';
import { type SimulatedDevice, SimulatorError } from './device.ts';
import { simulatedEbds } from './ebds/protocol.ts';
import { simulatedF56 } from './f56/protocol.ts';
import { simulatedId003 } from './id003/protocol.ts';
import { simulatedLcdm } from './lcdm/protocol.ts';
import type { SimulatedContents, SimulatedProtocol } from './protocol.ts';
import { simulatedSio } from './sio/protocol.ts';
import { simulatedSsp } from './ssp/protocol.ts';

/** The protocols by name. */
export const simulatedProtocols: Readonly<Record<string, SimulatedProtocol>> = {
  ccnet: simulatedCcnet,
  ebds: simulatedEbds,
  f56: simulatedF56,
  id003: simulatedId003,
  lcdm: simulatedLcdm,
  sio: simulatedSio,
  ssp: simulatedSsp,
};

/** Makes a device by name. @throws SimulatorError `usage` for names or contents that cannot be. */
export function makeSimulatedDevice(
  protocolName: string,
  modelName: string | undefined,
  clock: Clock,
  contents: SimulatedContents,
): SimulatedDevice {
  const protocol = Object.hasOwn(simulatedProtocols, protocolName)
    ? simulatedProtocols[protocolName]
    : undefined;
  if (!protocol) throw new SimulatorError('usage', `there is no protocol ${protocolName}`);
  const model = modelName ?? protocol.models[0] ?? '';
  if (!protocol.models.includes(model)) {
    throw new SimulatorError(
      'usage',
      `${protocolName} has the models ${protocol.models.join(', ')}`,
    );
  }
  return protocol.make(model, clock, contents);
}
