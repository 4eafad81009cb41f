/** SIO validators in the table of simulated devices. */
import { type SioModelName, sioModels } from '../../sio/models.ts';
import { SimulatorError } from '../device.ts';
import { denominationsOf } from '../notes.ts';
import type { SimulatedProtocol } from '../protocol.ts';
import { SioDevice } from './device.ts';
import { sioFaults } from './faults.ts';

/** SIO by model; the notes of the currency stand on the channels in rising order. */
export const simulatedSio: SimulatedProtocol = {
  summary: 'ITL NV9 and NV10 bill validators in simple serial mode',
  models: Object.keys(sioModels),
  faults: sioFaults,
  make: (model, clock, { currency }) => {
    if (!isSioModel(model)) throw new SimulatorError('usage', `no SIO device is called ${model}`);
    return new SioDevice({ clock, options: { model, channels: denominationsOf(currency) } });
  },
};

function isSioModel(name: string): name is SioModelName {
  return Object.hasOwn(sioModels, name);
}
