import { expect, test } from 'vitest';
import {
  auxiliaryCommands,
  commands,
  configurationBits,
  decodeReply,
  describeStatus,
  ENQUIRY,
  extendedCommands,
  type FlagName,
  flagCode,
  flagNames,
  flags,
  has,
  isOutOfService,
  messageTypes,
  modeBits,
  SOFT_RESET,
} from '#hal/ebds/commands.ts';
import { omnibusBytes, settingsFor } from '#hal/ebds/settings.ts';
import { statusOf } from './replies.ts';

/** The tables of cash-hardware.md 4.1 to 4.5, written down here once more by hand. */
const MESSAGE_TYPES = [1, 2, 3, 4, 5, 6, 7];
const AUXILIARY_CODES = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
const EXTENDED_CODES = [0x01, 0x02, 0x03, 0x04, 0x06, 0x0b, 0x0d, 0x1d];
const FLAGS: readonly (readonly [byte: number, names: readonly FlagName[]])[] = [
  [0, ['idling', 'accepting', 'escrowed', 'stacking', 'stacked', 'returning', 'returned']],
  [
    1,
    [
      ...(['cheated', 'rejected', 'jammed', 'stackerFull'] as const),
      ...(['cassetteAttached', 'paused', 'calibrating'] as const),
    ],
  ],
  [
    3,
    [
      ...(['stalled', 'flashDownload', 'preStack', 'rawBarcode'] as const),
      ...(['deviceCapabilities', 'disabled'] as const),
    ],
  ],
];

test('every message type and command is there, and none twice', () => {
  expect(Object.values(messageTypes)).toEqual(MESSAGE_TYPES);
  expect(Object.values(auxiliaryCommands).map(({ code }) => code)).toEqual(AUXILIARY_CODES);
  expect(Object.values(extendedCommands)).toEqual(EXTENDED_CODES);
  expect([ENQUIRY, SOFT_RESET]).toEqual([0x05, 0x7f]);
});

test('every bit of a status is there, and none twice', () => {
  const places = flagNames.map((name) => flagCode(name));
  expect(new Set(places).size).toBe(places.length);
  for (const [byte, names] of FLAGS) {
    const found = flagNames.filter((name) => flags[name].byte === byte);
    expect(found).toEqual(names);
    expect(found.map((name) => flags[name].bit)).toEqual(names.map((_, bit) => bit));
  }
  // Bits 3 to 5 of the third byte are the channel.
  const exceptions = flagNames.filter((name) => flags[name].byte === 2);
  expect(exceptions).toEqual(['powerUp', 'invalidCommand', 'failure', 'transportOpen']);
  expect(exceptions.map((name) => flags[name].bit)).toEqual([0, 1, 2, 6]);
});

test('only three commands may move a note', () => {
  const moving = Object.entries(commands).flatMap(([name, { moves }]) => (moves ? [name] : []));
  expect(moving).toEqual(['stack', 'return', 'softReset']);
});

test('every omnibus command asks for escrow, any orientation and power-up policy B', () => {
  const all = [1, 2, 3, 4, 5, 6, 7];
  expect(omnibusBytes(settingsFor(undefined, all))).toEqual([0, 0x1c, 0x04]);
  expect(omnibusBytes(settingsFor('apex-7000', all))).toEqual([0x7f, 0x1c, 0x04]);
  expect(omnibusBytes(settingsFor('apex-7000', [3, 5]))).toEqual([0x14, 0x1c, 0x04]);
  expect(omnibusBytes(settingsFor('cashflow-sc', [3]))).toEqual([0x7f, 0x1c, 0x14]);
  expect(omnibusBytes(settingsFor('cashflow-sc', []))).toEqual([0, 0x1c, 0x14]);
  expect(omnibusBytes(settingsFor('sc-advance', [3]), 'stack')).toEqual([0x7f, 0x3c, 0x14]);
  expect(omnibusBytes(settingsFor('sc-advance', [3]), 'return')).toEqual([0x7f, 0x5c, 0x14]);
  expect(configurationBits.powerUpPolicyB & configurationBits.powerUpPolicyC).toBe(0);
  const bits = [...Object.values(modeBits)].reduce((sum, bit) => sum + bit, 0);
  expect(bits).toBe(0x7f);
});

test('a status is six bytes, and an extended one eighteen more', () => {
  const decode = (type: number, ...data: number[]) =>
    decodeReply({ type, deviceType: 0, ack: 0, data: Uint8Array.from(data) });
  expect(decode(2, 1, 0x10, 0, 0, 0x54, 0x23)).toMatchObject({ kind: 'status' });
  expect(decode(2, 1, 0x10, 0, 0, 0x54)).toBeUndefined();
  expect(decode(7, 3, 1, 0x10, 0, 0, 0x54, 0x23)).toMatchObject({
    status: { isExtended: false, note: undefined },
  });
  expect(decode(7, 2, 1, 0x10, 0, 0, 0x54, 0x23)).toBeUndefined();
  expect(decode(7, 2, 1)).toBeUndefined();
  expect(decode(6, 1, 2, 3)).toEqual({ kind: 'auxiliary', data: Uint8Array.of(1, 2, 3) });
  for (const type of [0, 1, 3, 4, 5])
    expect(decode(type, 1, 0x10, 0, 0, 0x54, 0x23)).toBe(undefined);
});

test('a note is described in full, or not at all', () => {
  const noteOf = (text: string) => statusOf({ state: ['escrowed'], note: text }).note;
  expect(noteOf('USD020+00')).toEqual({
    index: 0,
    currency: 'USD',
    base: 20,
    exponent: 0,
    classification: 0,
  });
  expect(noteOf('JPY001+03')).toMatchObject({ base: 1, exponent: 3 });
  expect(noteOf('USD050-02')).toMatchObject({ base: 50, exponent: -2 });
  for (const text of ['', 'usd020+00', 'USD02 +00', 'USD020*00', 'USD020+0']) {
    expect(noteOf(text)).toBeUndefined();
  }
});

test('describes a status with its bytes and its note', () => {
  const stacked = statusOf({ state: ['idling', 'stacked'], channel: 3 });
  expect(describeStatus(stacked)).toBe('11 10 18 00 idling, stacked, channel 3');
  const out = statusOf({ state: [], isBoxOut: true });
  expect(describeStatus(out)).toBe('00 00 00 00 out of service, cash box out');
  expect([isOutOfService(out), has(out, 'cassetteAttached')]).toEqual([true, false]);
  const note = statusOf({ state: ['escrowed'], note: 'USD020+00' });
  expect(describeStatus(note)).toBe('04 10 00 00 escrowed, USD 20E0');
});
