/** Every simulated device by protocol and model: a further protocol is one entry here. */
import type { Clock } from '#protocol/base/clock.ts';
import { countryCurrencies } from '../id003/models.ts';
import { type LcdmModelName, lcdmModels } from '../lcdm/models.ts';
import { type SimulatedDevice, SimulatorError } from './device.ts';
import { Id003Device } from './id003-device.ts';
import { type Id003Note, id003Faults, US_NOTES } from './id003-mechanism.ts';
import { LcdmDevice } from './lcdm-device.ts';
import { type LcdmCassette, lcdmFaults } from './lcdm-mechanism.ts';

/** What is in a simulated device. Each kind takes of it what concerns it. */
export interface SimulatedContents {
  /** ISO 4217; the notes that a validator knows. */
  readonly currency: string;
  /** Cassettes of a dispenser, by position. */
  readonly cassettes: Readonly<Record<string, LcdmCassette>>;
}

/** One protocol's devices. */
export interface SimulatedProtocol {
  /** What it drives, for the help. */
  readonly summary: string;
  /** Its models; the first one is taken when none is named. */
  readonly models: readonly string[];
  /** Faults and what they do. */
  readonly faults: Readonly<Record<string, string>>;
  /** Makes a device. @throws SimulatorError for contents that it cannot have. */
  readonly make: (model: string, clock: Clock, contents: SimulatedContents) => SimulatedDevice;
}

/** The protocols by name. */
export const simulatedProtocols: Readonly<Record<string, SimulatedProtocol>> = {
  id003: {
    summary: 'JCM bill validators',
    models: ['uba'],
    faults: id003Faults,
    make: (_model, clock, { currency }) =>
      new Id003Device({ clock, options: { notes: id003Notes(currency) } }),
  },
  lcdm: {
    summary: 'Puloon LCDM-4000 dispensers',
    models: Object.keys(lcdmModels),
    faults: lcdmFaults,
    make: (model, clock, { cassettes }) => {
      if (!isLcdmModel(model)) throw new SimulatorError('usage', `no LCDM is called ${model}`);
      return new LcdmDevice({ clock, options: { model, cassettes } });
    },
  },
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

function isLcdmModel(name: string): name is LcdmModelName {
  return Object.hasOwn(lcdmModels, name);
}

/** Face values that are in circulation, for currencies that an ID-003 validator has a code for. */
const DENOMINATIONS: Readonly<Record<string, readonly number[]>> = {
  EUR: [5, 10, 20, 50, 100, 200, 500],
  CAD: [5, 10, 20, 50, 100],
  CHF: [10, 20, 50, 100, 200, 1000],
};
const ESCROW_CODE_FIRST = 0x61;

function id003Notes(currency: string): readonly Id003Note[] {
  if (currency === 'USD') return US_NOTES;
  const denominations = DENOMINATIONS[currency];
  const country = Object.keys(countryCurrencies).find(
    (code) => countryCurrencies[Number(code)] === currency,
  );
  if (!denominations || country === undefined) {
    const known = ['USD', ...Object.keys(DENOMINATIONS)].join(', ');
    throw new SimulatorError('usage', `the validator knows the notes of ${known}`);
  }
  return denominations.map((denomination, at) => {
    const exponent = Math.min(Math.floor(Math.log10(denomination)), 2);
    const escrowCode = ESCROW_CODE_FIRST + at;
    return { escrowCode, country: Number(country), value: denomination / 10 ** exponent, exponent };
  });
}
