/** CCNET validators in the table of simulated devices. */
import { countryCurrencies } from '../../ccnet/models.ts';
import { denominationsOf } from '../notes.ts';
import type { SimulatedProtocol } from '../protocol.ts';
import { CcnetDevice } from './device.ts';
import { ccnetFaults } from './faults.ts';
import type { CcnetNote } from './mechanism.ts';

/** What each model says that it is. */
const PART_NUMBERS: Readonly<Record<string, string>> = {
  sm: 'SM-US1234',
  msm: 'MSM-US1107',
  mvu: 'MVU-US1201',
  mfl: 'MFL-US2021',
  gx: 'GX-US3010',
};

/** CCNET by model. */
export const simulatedCcnet: SimulatedProtocol = {
  summary: 'CashCode bill validators',
  models: Object.keys(PART_NUMBERS),
  faults: ccnetFaults,
  make: (model, clock, { currency }) => {
    const partNumber = PART_NUMBERS[model] ?? model.toUpperCase();
    return new CcnetDevice({ clock, options: { partNumber, notes: ccnetNotes(currency) } });
  },
};

/**
 * The bill table of a currency. @throws SimulatorError `usage` for a currency that is not known.
 */
export function ccnetNotes(currency: string): readonly CcnetNote[] {
  const letters = Object.keys(countryCurrencies).find(
    (country) => countryCurrencies[country] === currency,
  );
  return denominationsOf(currency).map((denomination, type) => {
    const exponent = String(denomination).length - 1;
    const country = letters ?? currency;
    return { type, country, value: denomination / 10 ** exponent, exponent };
  });
}
