import { expect, test } from 'vitest';
import { crc16Kermit } from '#hal/crc16-kermit.ts';

test('has the check value of the catalogue', () => {
  expect(crc16Kermit(Buffer.from('123456789'))).toBe(0x2189);
  expect(crc16Kermit(Buffer.from('__123456789__'), 2, 11)).toBe(0x2189);
  expect(crc16Kermit(new Uint8Array(0))).toBe(0);
});
