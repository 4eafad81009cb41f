/** ID-003 validators in the table of simulated devices. */
import { countryCurrencies } from '../../id003/models.ts';
import { SimulatorError } from '../device.ts';
import { denominationsOf } from '../notes.ts';
import type { SimulatedProtocol } from '../protocol.ts';
import { Id003Device } from './device.ts';
import { type Id003Note, id003Faults, US_NOTES } from './mechanism.ts';

/** ID-003 by model. */
export const simulatedId003: SimulatedProtocol = {
  summary: 'JCM bill validators',
  models: ['uba'],
  faults: id003Faults,
  make: (_model, clock, { currency }) =>
    new Id003Device({ clock, options: { notes: id003Notes(currency) } }),
};

const ESCROW_CODE_FIRST = 0x61;

function id003Notes(currency: string): readonly Id003Note[] {
  if (currency === 'USD') return US_NOTES;
  const denominations = denominationsOf(currency);
  const country = Object.keys(countryCurrencies).find(
    (code) => countryCurrencies[Number(code)] === currency,
  );
  if (country === undefined) {
    throw new SimulatorError('usage', `an ID-003 validator has no code for ${currency}`);
  }
  return denominations.map((denomination, at) => {
    const exponent = Math.min(Math.floor(Math.log10(denomination)), 2);
    const escrowCode = ESCROW_CODE_FIRST + at;
    return { escrowCode, country: Number(country), value: denomination / 10 ** exponent, exponent };
  });
}
