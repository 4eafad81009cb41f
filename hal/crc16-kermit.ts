/**
 * CRC-16/KERMIT: polynomial 0x1021 reflected, initial value 0, no final XOR; sent low byte first.
 * Used by ID-003, CCNET and F56. Source: the RevEng CRC catalogue, check value 0x2189.
 */
const TABLE = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >> 1) ^ 0x8408 : crc >> 1;
  return crc;
});

/** The checksum of `bytes` from `start` up to but not including `end`. */
export function crc16Kermit(bytes: Uint8Array, start = 0, end = bytes.length): number {
  let crc = 0;
  for (let at = start; at < end; at++) {
    crc = (crc >> 8) ^ (TABLE[(crc ^ (bytes[at] ?? 0)) & 0xff] ?? 0);
  }
  return crc;
}
