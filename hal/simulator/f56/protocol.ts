/** Fujitsu F53 and F56 dispensers in the table of simulated devices. */
import { type F56ModelName, f56Models } from '../../f56/models.ts';
import { SimulatorError } from '../device.ts';
import type { SimulatedProtocol } from '../protocol.ts';
import { F56Device } from './device.ts';
import { f56Faults } from './faults.ts';

/** F53 and F56 by model. */
export const simulatedF56: SimulatedProtocol = {
  summary: 'Fujitsu F53 and F56 dispensers',
  models: Object.keys(f56Models),
  faults: f56Faults,
  make: (model, clock, { currency, cassettes }) => {
    if (!isF56Model(model)) throw new SimulatorError('usage', `no F56 is called ${model}`);
    return new F56Device({ clock, options: { model, currency, cassettes } });
  },
};

function isF56Model(name: string): name is F56ModelName {
  return Object.hasOwn(f56Models, name);
}
