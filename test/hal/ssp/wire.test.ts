import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  crc16Ssp,
  encodeFrame,
  type SspFrame,
  SspFramer,
  type SspSequence,
  type SspWireEvent,
} from '#hal/ssp/wire.ts';

/**
 * Reference frames of cash-hardware.md 5.7: the vendor's own examples (ITL GA138), checked there
 * with an independent script; the rest computed by it.
 */
const GOLDEN: readonly (readonly [
  meaning: string,
  sequence: SspSequence,
  data: number[],
  hex: string,
])[] = [
  ['SYNC', 1, [0x11], '7F 80 01 11 65 82'],
  ['SYNC, flag clear', 0, [0x11], '7F 00 01 11 66 08'],
  ['OK', 1, [0xf0], '7F 80 01 F0 23 80'],
  ['OK, flag clear', 0, [0xf0], '7F 00 01 F0 20 0A'],
  ['POLL', 1, [0x07], '7F 80 01 07 12 02'],
  ['POLL, flag clear', 0, [0x07], '7F 00 01 07 11 88'],
  ['HOST PROTOCOL 6', 0, [0x06, 0x06], '7F 00 02 06 06 1B 94'],
  ['HOST PROTOCOL 8', 1, [0x06, 0x08], '7F 80 02 06 08 03 94'],
  ['SETUP', 1, [0x05], '7F 80 01 05 1D 82'],
  ['SERIAL', 1, [0x0c], '7F 80 01 0C 2B 82'],
  ['RESET', 1, [0x01], '7F 80 01 01 06 02'],
  ['ENABLE', 1, [0x0a], '7F 80 01 0A 3F 82'],
  ['DISABLE', 1, [0x09], '7F 80 01 09 35 82'],
  ['REJECT', 1, [0x08], '7F 80 01 08 30 02'],
  ['HOLD', 1, [0x18], '7F 80 01 18 53 82'],
  ['LAST REJECT', 1, [0x17], '7F 80 01 17 71 82'],
  ['POLL WITH ACK', 1, [0x56], '7F 80 01 56 F7 83'],
  ['EVENT ACK', 1, [0x57], '7F 80 01 57 F2 03'],
  ['GET COUNTERS', 1, [0x58], '7F 80 01 58 D0 03'],
  ['FIRMWARE VERSION', 1, [0x20], '7F 80 01 20 C0 02'],
  ['inhibits, channels 1 to 3', 1, [2, 7, 0], '7F 80 03 02 07 00 2B B6'],
  ['inhibits, channels 1 to 8', 1, [2, 0xff, 0], '7F 80 03 02 FF 00 27 A6'],
  ['a stuffed byte', 1, [2, 0x7f, 0], '7F 80 03 02 7F 7F 00 2E 26'],
  [
    'setup reply GBP 5, 10, 20',
    1,
    [
      0xf0, 0, 0x30, 0x31, 0x30, 0x30, 0x47, 0x42, 0x50, 0, 0, 1, 3, 5, 10, 20, 2, 2, 2, 64, 0, 0,
      5,
    ],
    '7F 80 17 F0 00 30 31 30 30 47 42 50 00 00 01 03 05 0A 14 02 02 02 40 00 00 05 61 81',
  ],
  ['reset and disabled', 1, [0xf0, 0xf1, 0xe8], '7F 80 03 F0 F1 E8 BF 8C'],
  ['read 0', 1, [0xf0, 0xef, 0], '7F 80 03 F0 EF 00 CF CA'],
  ['read 3', 1, [0xf0, 0xef, 3], '7F 80 03 F0 EF 03 C5 CA'],
  ['credit 3 and stacking', 0, [0xf0, 0xee, 3, 0xcc], '7F 00 04 F0 EE 03 CC E3 44'],
  ['credit 1 and stacked', 1, [0xf0, 0xee, 1, 0xeb], '7F 80 04 F0 EE 01 EB B9 48'],
  ['stacking and credit 1', 1, [0xf0, 0xcc, 0xee, 1], '7F 80 04 F0 CC EE 01 62 AA'],
  ['cleared to cash box 2', 1, [0xf0, 0xe2, 2], '7F 80 03 F0 E2 02 C3 E4'],
  ['cleared from front 0', 1, [0xf0, 0xe1, 0], '7F 80 03 F0 E1 00 CC 6E'],
  ['fraud 2', 1, [0xf0, 0xe6, 2], '7F 80 03 F0 E6 02 C0 7C'],
  ['rejecting', 1, [0xf0, 0xed], '7F 80 02 F0 ED 51 A2'],
  ['rejected, flag clear', 0, [0xf0, 0xec], '7F 00 02 F0 EC 6B A2'],
  ['FAIL', 1, [0xf8], '7F 80 01 F8 10 00'],
  ['KEY NOT SET', 1, [0xfa], '7F 80 01 FA 1F 80'],
  ['out of range, flag clear', 0, [0xf4], '7F 00 01 F4 3B 8A'],
  [
    'SET GENERATOR 982451653',
    1,
    [0x4a, 0xc5, 0x05, 0x8f, 0x3a, 0, 0, 0, 0],
    '7F 80 09 4A C5 05 8F 3A 00 00 00 00 B2 73',
  ],
  [
    'SET MODULUS 1287821, flag clear',
    0,
    [0x4b, 0x8d, 0xa6, 0x13, 0, 0, 0, 0, 0],
    '7F 00 09 4B 8D A6 13 00 00 00 00 00 53 D6',
  ],
  ['serial number 01873452', 1, [0xf0, 0x00, 0x1c, 0x96, 0x2c], '7F 80 05 F0 00 1C 96 2C D4 97'],
];

const bytesOf = (hex: string) => Uint8Array.from(Buffer.from(hex.replaceAll(' ', ''), 'hex'));

const framesOf = (events: readonly SspWireEvent[]): SspFrame[] =>
  events.flatMap((event) => (event.kind === 'frame' ? [event.frame] : []));

/** Bytes in which start bytes are common. */
const bytes = (minLength: number, maxLength: number) =>
  fc
    .array(fc.oneof(fc.constant(0x7f), fc.integer({ min: 0, max: 255 })), { minLength, maxLength })
    .map((array) => Uint8Array.from(array));

const arbitraryFrame = fc.record({
  sequence: fc.constantFrom<SspSequence>(0, 1),
  address: fc.integer({ min: 0, max: 0x7d }),
  data: bytes(1, 40),
});

test.each(GOLDEN)('%s is the same both ways', (_meaning, sequence, data, hex) => {
  expect(encodeFrame(sequence, data)).toEqual(bytesOf(hex));
  const frame = { sequence, address: 0, data: Uint8Array.from(data) };
  expect(new SspFramer().push(bytesOf(hex))).toEqual([{ kind: 'frame', frame }]);
});

test('the checksum has the value that its name stands for', () => {
  expect(crc16Ssp(Buffer.from('123456789'))).toBe(0xaee7);
});

test('refuses what does not fit one frame', () => {
  expect(encodeFrame(0, new Uint8Array(255))).toHaveLength(260);
  expect(() => encodeFrame(0, new Uint8Array(256))).toThrow(RangeError);
  expect(() => encodeFrame(0, [])).toThrow(RangeError);
  expect(() => encodeFrame(0, [1], 0x7e)).toThrow(RangeError);
});

test('any chunking of any frames gives the same frames', () => {
  fc.assert(
    fc.property(
      fc.array(arbitraryFrame, { minLength: 1, maxLength: 8 }),
      fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 }),
      (frames, sizes) => {
        const all = Buffer.concat(
          frames.map(({ sequence, address, data }) => encodeFrame(sequence, data, address)),
        );
        const framer = new SspFramer();
        const events: SspWireEvent[] = [];
        for (let at = 0, turn = 0; at < all.length; turn++) {
          const size = sizes[turn % sizes.length] ?? 1;
          events.push(...framer.push(Uint8Array.from(all.subarray(at, at + size))));
          at += size;
        }
        expect(events).toEqual(frames.map((frame) => ({ kind: 'frame', frame })));
      },
    ),
  );
});

test('noise never stalls: after silence, or another frame or two, the next one is heard', () => {
  fc.assert(
    fc.property(bytes(0, 600), arbitraryFrame, (noise, frame) => {
      const good = encodeFrame(frame.sequence, frame.data, frame.address);
      const framer = new SspFramer();
      framer.push(noise);
      framer.flush();
      expect(framer.isWaiting).toBe(false);
      expect(framesOf(framer.push(good))).toEqual([frame]);
      const other = new SspFramer();
      const heard: SspFrame[] = framesOf(other.push(noise));
      // A lone start byte cuts an unfinished frame off, so a wrong length costs one frame.
      for (let count = 0; count < 3; count++) heard.push(...framesOf(other.push(good)));
      expect(heard.at(-1)).toEqual(frame);
    }),
  );
});

test('every byte is either in a frame, thrown away, or still waited for', () => {
  fc.assert(
    fc.property(bytes(0, 300), (noise) => {
      const framer = new SspFramer();
      const sizes = framer.push(noise).map((event) => {
        if (event.kind === 'discarded') return event.bytes.length;
        const { sequence, address, data } = event.frame;
        return encodeFrame(sequence, data, address).length;
      });
      const total = sizes.reduce((sum, size) => sum + size, 0) + framer.reset().length;
      expect(total).toBe(noise.length);
    }),
  );
});

test('a start byte before a good frame, and one in its middle, cost what they must', () => {
  const good = encodeFrame(1, [0xf0, 0xee, 3]);
  const frame = { sequence: 1, address: 0, data: Uint8Array.of(0xf0, 0xee, 3) };
  expect(framesOf(new SspFramer().push(Uint8Array.from([0x7f, ...good])))).toEqual([frame]);
  const cut = Uint8Array.from([...good.subarray(0, 4), ...good]);
  expect(new SspFramer().push(cut)).toEqual([
    { kind: 'discarded', bytes: good.subarray(0, 4) },
    { kind: 'frame', frame },
  ]);
});

test('a length of zero, no address, and a wrong checksum cost one byte, not the frame behind', () => {
  const good = encodeFrame(1, [0xf0]);
  const bad = Uint8Array.from(good, (byte, at) => (at === 4 ? byte ^ 1 : byte));
  const noise = [0x7f, 0x00, 0x00, 0x7f, 0x7e, 0x01, ...bad];
  expect(new SspFramer().push(Uint8Array.from([...noise, ...good]))).toEqual([
    { kind: 'discarded', bytes: Uint8Array.from(noise) },
    { kind: 'frame', frame: { sequence: 1, address: 0, data: Uint8Array.of(0xf0) } },
  ]);
});
