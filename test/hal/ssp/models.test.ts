import { expect, test } from 'vitest';
import {
  channelValue,
  countedSince,
  decodeCounters,
  decodeSetup,
  inhibitMask,
  modelOfFirmware,
} from '#hal/ssp/models.ts';

const bytesOf = (hex: string) => Uint8Array.from(Buffer.from(hex.replaceAll(' ', ''), 'hex'));

test("reads the vendor's setup example: GBP 5, 10, 20 at protocol 5", () => {
  const data = bytesOf('F0 00 30 31 30 30 47 42 50 00 00 01 03 05 0A 14 02 02 02 40 00 00 05');
  const setup = decodeSetup(data);
  expect(setup).toEqual({
    unitType: 0,
    firmware: '0100',
    protocolVersion: 5,
    channels: [
      { channel: 1, currency: 'GBP', denomination: 5 },
      { channel: 2, currency: 'GBP', denomination: 10 },
      { channel: 3, currency: 'GBP', denomination: 20 },
    ],
  });
  expect(setup?.channels.map((channel) => channelValue(channel, 'GBP'))).toEqual([500, 1000, 2000]);
  expect(setup?.channels.map((channel) => channelValue(channel, 'EUR'))).toEqual([
    undefined,
    undefined,
    undefined,
  ]);
});

const setupOf = (multiplier: number, values: number[], expanded: number[]) => [
  ...[0xf0, 0, 0x30, 0x33, 0x33, 0x33, 0x45, 0x55, 0x52, 0, 0, multiplier, values.length],
  ...values,
  ...values.map(() => 2),
  ...[0, 0, 100, 6],
  ...values.flatMap(() => [0x45, 0x55, 0x52]),
  ...expanded.flatMap((value) => [value & 0xff, value >> 8, 0, 0]),
];

test('at protocol 6 each channel has its own value; one that contradicts itself is left out', () => {
  const wide = decodeSetup(Uint8Array.from(setupOf(0, [0, 0, 0], [5, 0, 500])));
  expect(wide?.channels).toEqual([
    { channel: 1, currency: 'EUR', denomination: 5 },
    { channel: 3, currency: 'EUR', denomination: 500 },
  ]);
  const both = decodeSetup(Uint8Array.from(setupOf(5, [1, 2, 4], [5, 10, 50])));
  expect(both?.channels.map(({ channel }) => channel)).toEqual([1, 2]);
});

test('refuses what is no setup', () => {
  expect(decodeSetup(Uint8Array.of(0xf0))).toBeUndefined();
  expect(decodeSetup(Uint8Array.from(setupOf(1, [5], [5]).slice(0, -1)))).toBeUndefined();
});

test('a set bit of the mask enables', () => {
  expect(inhibitMask([])).toEqual([0, 0]);
  expect(inhibitMask([1, 2, 3])).toEqual([0x07, 0x00]);
  expect(inhibitMask([8, 9, 16, 17, 0])).toEqual([0x80, 0x81]);
});

test("reads the vendor's counter example; counters wrap", () => {
  const hex = 'F0 05 11 00 00 00 28 00 00 00 23 00 00 00 0A 00 00 00 10 00 00 00';
  expect(decodeCounters(bytesOf(hex))).toEqual({ stacked: 17, rejected: 16 });
  expect(decodeCounters(bytesOf('F0 02 03 00 00 00'))).toBeUndefined();
  expect(countedSince(17, 18)).toBe(1);
  expect(countedSince(0xffffffff, 0)).toBe(1);
});

test('the firmware names the model', () => {
  expect(modelOfFirmware('NV02004141498000')).toBe('NV200');
  expect(modelOfFirmware('NV00094191498000')).toBe('NV9');
  expect(modelOfFirmware('0333')).toBeUndefined();
});
