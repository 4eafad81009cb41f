/** What differs between LCDM units, as data. Source: cash-hardware.md 7.1. */
import { type Position, position } from '#protocol/base/ids.ts';
import type { LineSettings } from '../port.ts';

/** Names for the configuration. */
export type LcdmModelName = 'lcdm-4000' | 'lcdm-4000-lamassu';

/** One kind of unit. */
export interface LcdmModel {
  readonly name: LcdmModelName;
  /** Bays, 1 is the top one. */
  readonly positions: readonly Position[];
  /** Its line, unless the configuration says otherwise: DIP switches and firmware differ. */
  readonly parity: LineSettings['parity'];
  /** Most notes that one command asks for, in all and of one bay. */
  readonly batchMax: number;
  /** Bytes of the body of DISPENSE and TEST DISPENSE, which tell its two forms apart. */
  readonly dispenseForm: 'timeout' | 'sequence';
  /** Bytes of the body of a STATUS response, as this model is known to give it. */
  readonly statusBodySizes: readonly number[];
  /** How often RESET is answered. */
  readonly resetResponses: 0 | 2;
  /** GET SEQUENCE NUMBER exists, and the number rises with every command that dispenses. */
  readonly sequenceNumber: boolean;
}

/** STATUS as documented: ERR, DISP and four bytes for each of four bays. */
export const STATUS_BODY_BYTES = 18;
/** The same with the one byte more that Lamassu's driver expects; what it says is not known. */
export const LONG_STATUS_BODY_BYTES = 19;

/** The models by name. */
export const lcdmModels: Readonly<Record<LcdmModelName, LcdmModel>> = {
  /** As documented by Puloon. Source: public Python and C# drivers written from the document. */
  'lcdm-4000': {
    name: 'lcdm-4000',
    positions: [1, 2, 3, 4].map(position),
    parity: 'none',
    // The document allows 100 with the rejected ones; the Python driver asks for 40 at most.
    batchMax: 40,
    dispenseForm: 'timeout',
    statusBodySizes: [STATUS_BODY_BYTES],
    resetResponses: 0,
    sequenceNumber: false,
  },
  /** The two-bay unit in Lamassu's machines. Source: lamassu-machine 8.6 `lib/puloon`. */
  'lcdm-4000-lamassu': {
    name: 'lcdm-4000-lamassu',
    positions: [1, 2].map(position),
    parity: 'even',
    // Lamassu asks for 20 of each bay; 20 in all keeps small what one lost answer leaves open.
    batchMax: 20,
    dispenseForm: 'sequence',
    statusBodySizes: [STATUS_BODY_BYTES, LONG_STATUS_BODY_BYTES],
    resetResponses: 2,
    sequenceNumber: true,
  },
};

/** The line of a model. Source: cash-hardware.md 7.1: 9600, 8 data bits, 1 stop bit. */
export function lcdmLine(parity: LineSettings['parity']): LineSettings {
  return { baudRate: 9600, dataBits: 8, parity, stopBits: 1 };
}
