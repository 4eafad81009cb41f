/** SSP validators in the table of simulated devices. */
import { type Clock, systemRandom } from '#protocol/base/clock.ts';
import { denominationsOf } from '../notes.ts';
import type { SimulatedProtocol } from '../protocol.ts';
import { SspDevice } from './device.ts';
import { sspFaults } from './faults.ts';

/** SSP by model: plain words are understood, or nothing without keys. */
export const simulatedSsp: SimulatedProtocol = {
  summary: 'Innovative Technology bill validators, plain or encrypted (eSSP)',
  models: ['ssp', 'essp'],
  faults: sspFaults,
  make: (model: string, clock: Clock, { currency, random = systemRandom }) => {
    const denominations = denominationsOf(currency);
    const notes = denominations.map((denomination, at) => ({
      channel: at + 1,
      currency,
      denomination,
    }));
    const encryption = model === 'essp' ? 'required' : 'optional';
    return new SspDevice({ clock, options: { notes, encryption, random } });
  },
};
