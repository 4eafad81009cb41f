/** Puloon LCDM dispensers in the table of simulated devices. */
import { type LcdmModelName, lcdmModels } from '../../lcdm/models.ts';
import { SimulatorError } from '../device.ts';
import type { SimulatedProtocol } from '../protocol.ts';
import { LcdmDevice } from './device.ts';
import { lcdmFaults } from './faults.ts';

/** LCDM by model. */
export const simulatedLcdm: SimulatedProtocol = {
  summary: 'Puloon dispensers: LCDM-4000 (ID 30), LCDM-1000 and -2000 (ID 50)',
  models: Object.keys(lcdmModels),
  faults: lcdmFaults,
  make: (model, clock, { cassettes }) => {
    if (!isLcdmModel(model)) throw new SimulatorError('usage', `no LCDM is called ${model}`);
    return new LcdmDevice({ clock, options: { model, cassettes } });
  },
};

function isLcdmModel(name: string): name is LcdmModelName {
  return Object.hasOwn(lcdmModels, name);
}
