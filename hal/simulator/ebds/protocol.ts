/** EBDS validators in the table of simulated devices. */

import { SimulatorError } from '../device.ts';
import { denominationsOf } from '../notes.ts';
import type { SimulatedContents, SimulatedProtocol } from '../protocol.ts';
import { CASHFLOW_SC, EbdsDevice, type EbdsDeviceOptions } from './device.ts';
import { ebdsFaults } from './faults.ts';
import type { EbdsNote } from './inside.ts';
import type { EbdsIdentity } from './words.ts';

/** Who each model says that it is. */
const IDENTITIES: Readonly<Record<string, EbdsIdentity>> = {
  'cashflow-sc': CASHFLOW_SC,
  'sc-advance': {
    ...CASHFLOW_SC,
    type: 'SCN8327R',
    applicationPartNumber: '286401123',
    inhibitBytes: 19,
  },
  'apex-7000': { ...CASHFLOW_SC, modelCode: 0x01, revision: 0x02, inhibitBytes: undefined },
};

/** EBDS by model. */
export const simulatedEbds: SimulatedProtocol = {
  summary: 'MEI and CPI bill validators, Pyramid Apex',
  models: Object.keys(IDENTITIES),
  faults: ebdsFaults,
  make: (model, clock, contents) =>
    new EbdsDevice({ clock, options: ebdsOptions(model, contents) }),
};

/**
 * A model with the notes of a currency. @throws SimulatorError `usage` for a currency that is not
 * known, or that a model with numbered notes has no numbers for.
 */
export function ebdsOptions(
  model: string,
  { currency }: Pick<SimulatedContents, 'currency'>,
): EbdsDeviceOptions {
  const identity = IDENTITIES[model] ?? CASHFLOW_SC;
  if (identity.inhibitBytes === undefined && currency !== 'USD') {
    throw new SimulatorError('usage', `${model} knows the notes of USD`);
  }
  return { identity: { ...identity, variantName: currency }, notes: ebdsNotes(currency) };
}

/** The note table of a currency. @throws SimulatorError `usage` for one that is not known. */
export function ebdsNotes(currency: string): readonly EbdsNote[] {
  return denominationsOf(currency).map((denomination, at) => ({
    index: at + 1,
    currency,
    denomination,
  }));
}
