/** What differs between LCDM units, as data. Source: cash-hardware.md 7.1 (ID 30), 7.2 (ID 50). */
import { type Position, position } from '#protocol/base/ids.ts';
import type { LineSettings } from '../port.ts';
import { ID30, ID50 } from './wire.ts';

interface CommonModel {
  /** Bays, 1 is the top one. */
  readonly positions: readonly Position[];
  /** Its line, unless the configuration says otherwise: DIP switches and firmware differ. */
  readonly parity: LineSettings['parity'];
  /** Most notes that one call of the service asks for, in all and of one bay. */
  readonly batchMax: number;
}

/** One of the LCDM-4000 family. */
export interface Id30Model extends CommonModel {
  readonly id: typeof ID30;
  readonly name: 'lcdm-4000' | 'lcdm-4000-lamassu';
  /** Bytes of the body of DISPENSE and TEST DISPENSE, which tell its two forms apart. */
  readonly dispenseForm: 'timeout' | 'sequence';
  /** Bytes of the body of a STATUS response, as this model is known to give it. */
  readonly statusBodySizes: readonly number[];
  /** How often RESET is answered. */
  readonly resetResponses: 0 | 2;
  /** GET SEQUENCE NUMBER exists, and the number rises with every command that dispenses. */
  readonly sequenceNumber: boolean;
}

/** An LCDM-1000 or -2000. */
export interface Id50Model extends CommonModel {
  readonly id: typeof ID50;
  readonly name: 'lcdm-1000' | 'lcdm-2000';
  /** First letter of the name in ROM VERSION: one bay, or two. */
  readonly romLetter: 'O' | 'T';
  /** Places of bits in the second sensor byte of STATUS; undefined where the unit has none. */
  readonly sensors: {
    readonly cassettes: readonly number[];
    readonly check3: number | undefined;
    readonly check4: number | undefined;
    readonly nearEndLower: number | undefined;
    readonly rejectTray: number;
  };
}

/** One kind of unit. */
export type LcdmModel = Id30Model | Id50Model;
/** Names for the configuration. */
export type LcdmModelName = LcdmModel['name'];

/** STATUS of ID 30 as documented: ERR, DISP and four bytes for each of four bays. */
export const STATUS_BODY_BYTES = 18;
/** The same with the one byte more that Lamassu's driver expects; what it says is not known. */
export const LONG_STATUS_BODY_BYTES = 19;
/**
 * A unit with ID 50 cannot repeat its last result: what one lost answer leaves open must be small.
 * It could be asked for 60.
 */
const ID50_BATCH_MAX = 10;

/** The models with ID 30 by name. */
export const id30Models: Readonly<Record<Id30Model['name'], Id30Model>> = {
  /** As documented by Puloon. Source: public Python and C# drivers written from the document. */
  'lcdm-4000': {
    id: ID30,
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
    id: ID30,
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

/** The models with ID 50 by name. */
export const id50Models: Readonly<Record<Id50Model['name'], Id50Model>> = {
  /** Two bays, upper and lower. Source: public Python and C++ drivers; TerminalClient. */
  'lcdm-2000': {
    id: ID50,
    name: 'lcdm-2000',
    positions: [1, 2].map(position),
    parity: 'none',
    batchMax: ID50_BATCH_MAX,
    romLetter: 'T',
    sensors: { cassettes: [1, 2], check3: 3, check4: 4, nearEndLower: 5, rejectTray: 6 },
  },
  /** One bay. Source: Puloon LCDM-1000T interface specification 3.3. */
  'lcdm-1000': {
    id: ID50,
    name: 'lcdm-1000',
    positions: [position(1)],
    parity: 'none',
    batchMax: ID50_BATCH_MAX,
    romLetter: 'O',
    sensors: {
      cassettes: [1],
      check3: undefined,
      check4: undefined,
      nearEndLower: undefined,
      rejectTray: 0,
    },
  },
};

/** All models by name. */
export const lcdmModels: Readonly<Record<LcdmModelName, LcdmModel>> = {
  ...id30Models,
  ...id50Models,
};

/** The line of a model. Source: cash-hardware.md 7: 9600, 8 data bits, 1 stop bit. */
export function lcdmLine(parity: LineSettings['parity']): LineSettings {
  return { baudRate: 9600, dataBits: 8, parity, stopBits: 1 };
}
