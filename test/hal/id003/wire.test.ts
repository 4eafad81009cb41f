import fc from 'fast-check';
import { expect, test } from 'vitest';
import { encodeFrame, type Id003Frame, Id003Framer, type Id003WireEvent } from '#hal/id003/wire.ts';

/**
 * Reference frames of cash-hardware.md 2.8, computed there with an independent script (appendix C);
 * STATUS REQUEST matches HEW's protocol.java, and eight of them were accepted by Lamassu 8.6.
 */
const GOLDEN: readonly (readonly [meaning: string, code: number, data: number[], hex: string])[] = [
  ['status request / idling', 0x11, [], 'FC 05 11 27 56'],
  ['reset / power up', 0x40, [], 'FC 05 40 2B 15'],
  ['stack-1 / note in acceptor', 0x41, [], 'FC 05 41 A2 04'],
  ['stack-2 / note in stacker', 0x42, [], 'FC 05 42 39 36'],
  ['return', 0x43, [], 'FC 05 43 B0 27'],
  ['hold / stacker open', 0x44, [], 'FC 05 44 0F 53'],
  ['ack', 0x50, [], 'FC 05 50 AA 05'],
  ['inhibit', 0xc3, [1], 'FC 06 C3 01 8D C7'],
  ['inhibit off', 0xc3, [0], 'FC 06 C3 00 04 D6'],
  ['all denominations', 0xc0, [0, 0], 'FC 07 C0 00 00 2D B5'],
  ['poll mode', 0xc2, [0], 'FC 06 C2 00 DC CF'],
  ['interrupt mode 1', 0xc2, [1], 'FC 06 C2 01 55 DE'],
  ['all directions', 0xc4, [0], 'FC 06 C4 00 0C 9B'],
  ['no optional function', 0xc5, [0, 0], 'FC 07 C5 00 00 90 8C'],
  ['ordinary security', 0xc1, [0, 0], 'FC 07 C1 00 00 F1 EF'],
  ['get currency', 0x8a, [], 'FC 05 8A 7D 7C'],
  ['get version', 0x88, [], 'FC 05 88 6F 5F'],
  ['get denominations', 0x80, [], 'FC 05 80 27 D3'],
  ['accepting', 0x12, [], 'FC 05 12 BC 64'],
  ['escrow $20', 0x13, [0x65], 'FC 06 13 65 94 BD'],
  ['stacking', 0x14, [], 'FC 05 14 8A 01'],
  ['vend valid', 0x15, [], 'FC 05 15 03 10'],
  ['stacked', 0x16, [], 'FC 05 16 98 22'],
  ['rejecting, inhibited', 0x17, [0x79], 'FC 06 17 79 19 00'],
  ['disabled', 0x1a, [], 'FC 05 1A F4 E8'],
  ['initialise', 0x1b, [], 'FC 05 1B 7D F9'],
  ['enquiry', 0x05, [], 'FC 05 05 82 00'],
  ['failure, stack motor', 0x49, [0xa2], 'FC 06 49 A2 A0 21'],
  [
    'US currency table',
    0x8a,
    [
      ...[0x61, 1, 1, 0, 0x62, 0, 0, 0, 0x63, 1, 5, 0, 0x64, 1, 1, 1],
      ...[0x65, 1, 2, 1, 0x66, 1, 5, 1, 0x67, 1, 1, 2, 0x68, 0, 0, 0],
    ],
    'FC 25 8A 61 01 01 00 62 00 00 00 63 01 05 00 64 01 01 01 65 01 02 01 ' +
      '66 01 05 01 67 01 01 02 68 00 00 00 CE 5A',
  ],
];

const bytesOf = (hex: string) => Uint8Array.from(Buffer.from(hex.replaceAll(' ', ''), 'hex'));

const framesOf = (events: readonly Id003WireEvent[]): Id003Frame[] =>
  events.flatMap((event) => (event.kind === 'frame' ? [event.frame] : []));

const arbitraryFrame = fc.record({
  code: fc.integer({ min: 0, max: 255 }),
  data: fc.uint8Array({ maxLength: 40 }),
});

test.each(GOLDEN)('%s is the same both ways', (_meaning, code, data, hex) => {
  expect(encodeFrame(code, data)).toEqual(bytesOf(hex));
  const events = new Id003Framer().push(bytesOf(hex));
  expect(events).toEqual([{ kind: 'frame', frame: { code, data: Uint8Array.from(data) } }]);
});

test('refuses data that does not fit one frame', () => {
  expect(encodeFrame(0xc0, new Uint8Array(250))).toHaveLength(255);
  expect(() => encodeFrame(0xc0, new Uint8Array(251))).toThrow(RangeError);
});

test('any chunking of any frames gives the same frames', () => {
  fc.assert(
    fc.property(
      fc.array(arbitraryFrame, { minLength: 1, maxLength: 8 }),
      fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 }),
      (frames, sizes) => {
        const bytes = Buffer.concat(frames.map(({ code, data }) => encodeFrame(code, data)));
        const framer = new Id003Framer();
        const events: Id003WireEvent[] = [];
        for (let at = 0, turn = 0; at < bytes.length; turn++) {
          const size = sizes[turn % sizes.length] ?? 1;
          events.push(...framer.push(Uint8Array.from(bytes.subarray(at, at + size))));
          at += size;
        }
        expect(events).toEqual(frames.map((frame) => ({ kind: 'frame', frame })));
      },
    ),
  );
});

test('noise never stalls: after silence, or 255 bytes, the next frame is heard', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 600 }), arbitraryFrame, (noise, frame) => {
      const good = encodeFrame(frame.code, frame.data);
      const framer = new Id003Framer();
      framer.push(noise);
      framer.flush();
      expect(framer.isWaiting).toBe(false);
      expect(framesOf(framer.push(good))).toEqual([frame]);
      const other = new Id003Framer();
      const heard: Id003Frame[] = framesOf(other.push(noise));
      for (let count = 0; count < 60; count++) heard.push(...framesOf(other.push(good)));
      expect(heard.at(-1)).toEqual(frame);
    }),
  );
});

test('every byte is either in a frame, thrown away, or still waited for', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      const framer = new Id003Framer();
      const sizes = framer.push(bytes).map((event) => {
        return event.kind === 'frame' ? event.frame.data.length + 5 : event.bytes.length;
      });
      const total = sizes.reduce((sum, size) => sum + size, 0) + framer.reset().length;
      expect(total).toBe(bytes.length);
    }),
  );
});

test('a start byte before a good frame costs only the silence after it', () => {
  const good = encodeFrame(0x15);
  const framer = new Id003Framer();
  expect(framer.push(Uint8Array.from([0xfc, ...good]))).toEqual([]);
  expect(framesOf(framer.flush())).toEqual([{ code: 0x15, data: new Uint8Array(0) }]);
});

test('a zero length byte and a wrong checksum cost one byte, not the frame behind them', () => {
  const good = encodeFrame(0x15);
  const bad = Uint8Array.from(good, (byte, at) => (at === 3 ? byte ^ 1 : byte));
  const events = new Id003Framer().push(Uint8Array.from([0xfc, 0x00, ...bad, 0xfc, 0x04, ...good]));
  expect(events).toEqual([
    { kind: 'discarded', bytes: Uint8Array.from([0xfc, 0x00, ...bad, 0xfc, 0x04]) },
    { kind: 'frame', frame: { code: 0x15, data: new Uint8Array(0) } },
  ]);
});
