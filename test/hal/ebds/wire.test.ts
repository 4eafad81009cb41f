import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type EbdsFrame, EbdsFramer, type EbdsWireEvent, encodeFrame } from '#hal/ebds/wire.ts';

/**
 * Reference frames of cash-hardware.md 4.7, computed there with an independent script (appendix C).
 * Those with a star are known from implementations. CTL, then data.
 */
const GOLDEN: readonly (readonly [
  meaning: string,
  control: number,
  data: number[],
  hex: string,
])[] = [
  ['poll, disabled', 0x10, [0x00, 0x1c, 0x10], '02 08 10 00 1C 10 03 14'],
  ['poll, all, extended', 0x11, [0x7f, 0x1c, 0x10], '02 08 11 7F 1C 10 03 6A'],
  ['poll, all, numbered', 0x10, [0x7f, 0x1c, 0x00], '02 08 10 7F 1C 00 03 7B'],
  ['stack', 0x10, [0x7f, 0x3c, 0x10], '02 08 10 7F 3C 10 03 4B'],
  ['return', 0x10, [0x7f, 0x5c, 0x10], '02 08 10 7F 5C 10 03 2B'],
  ['poll *', 0x10, [0x7f, 0x1b, 0x10], '02 08 10 7F 1B 10 03 6C'],
  ['stack *', 0x11, [0x7f, 0x3f, 0x10], '02 08 11 7F 3F 10 03 49'],
  ['serial number', 0x60, [0x00, 0x00, 0x05], '02 08 60 00 00 05 03 6D'],
  ['soft reset *', 0x60, [0x7f, 0x7f, 0x7f], '02 08 60 7F 7F 7F 03 17'],
  ['note specification 1 *', 0x70, [0x02, 0, 0, 0, 0x01], '02 0A 70 02 00 00 00 01 03 79'],
  ['idle', 0x20, [0x01, 0x10, 0, 0, 0x54, 0x23], '02 0B 20 01 10 00 00 54 23 03 4D'],
  ['accepting', 0x21, [0x02, 0x10, 0, 0, 0x54, 0x23], '02 0B 21 02 10 00 00 54 23 03 4F'],
  ['escrow, 3', 0x21, [0x04, 0x10, 0x18, 0, 0x54, 0x23], '02 0B 21 04 10 18 00 54 23 03 51'],
  ['stacking', 0x20, [0x08, 0x10, 0, 0, 0x54, 0x23], '02 0B 20 08 10 00 00 54 23 03 44'],
  ['stacked, 3', 0x21, [0x11, 0x10, 0x18, 0, 0x54, 0x23], '02 0B 21 11 10 18 00 54 23 03 44'],
  ['returned', 0x20, [0x41, 0x10, 0, 0, 0x54, 0x23], '02 0B 20 41 10 00 00 54 23 03 0D'],
  ['rejected', 0x20, [0x01, 0x12, 0, 0, 0x54, 0x23], '02 0B 20 01 12 00 00 54 23 03 4F'],
  ['power up', 0x20, [0x01, 0x10, 0x01, 0, 0x54, 0x23], '02 0B 20 01 10 01 00 54 23 03 4C'],
  ['cash box out', 0x20, [0, 0, 0, 0, 0x54, 0x23], '02 0B 20 00 00 00 00 54 23 03 5C'],
  [
    'extended, USD 020+00, escrow',
    0x71,
    [
      0x02,
      0x04,
      0x10,
      0,
      0,
      0x54,
      0x23,
      0,
      ...Buffer.from('USD020+00'),
      0,
      65,
      65,
      65,
      65,
      0,
      0,
      0,
    ],
    '02 1E 71 02 04 10 00 00 54 23 00 55 53 44 30 32 30 2B 30 30 00 41 41 41 41 00 00 00 03 55',
  ],
  ['Apex, idle *', 0x20, [0x01, 0x10, 0, 0, 0x01, 0x02], '02 0B 20 01 10 00 00 01 02 03 39'],
  ['Apex, escrow 1 *', 0x21, [4, 0x10, 8, 0, 0x01, 0x02], '02 0B 21 04 10 08 00 01 02 03 35'],
  ['Apex, stacked 3 *', 0x21, [17, 0x10, 24, 0, 1, 0x02], '02 0B 21 11 10 18 00 01 02 03 30'],
];

const bytesOf = (hex: string) => Uint8Array.from(Buffer.from(hex.replaceAll(' ', ''), 'hex'));

const framesOf = (events: readonly EbdsWireEvent[]): EbdsFrame[] =>
  events.flatMap((event) => (event.kind === 'frame' ? [event.frame] : []));

const sevenBits = fc.integer({ min: 0, max: 0x7f });

const arbitraryFrame = fc.record({
  type: fc.integer({ min: 0, max: 7 }),
  deviceType: fc.integer({ min: 0, max: 7 }),
  ack: fc.constantFrom(0 as const, 1 as const),
  data: fc.array(sevenBits, { maxLength: 40 }).map((bytes) => Uint8Array.from(bytes)),
});

const encoded = ({ type, ack, data, deviceType }: EbdsFrame) =>
  encodeFrame(type, ack, data, deviceType);

/** As an adapter that does not know of seven bits hands it over: parity is the eighth. */
const withParity = (bytes: Uint8Array) =>
  bytes.map((byte) => byte | (byte.toString(2).replaceAll('0', '').length % 2 === 0 ? 0 : 0x80));

test.each(GOLDEN)('%s is the same both ways', (_meaning, control, data, hex) => {
  const ack = (control & 1) === 0 ? 0 : 1;
  expect(encodeFrame(control >> 4, ack, data)).toEqual(bytesOf(hex));
  const frame = { type: control >> 4, deviceType: 0, ack, data: Uint8Array.from(data) };
  expect(new EbdsFramer().push(bytesOf(hex))).toEqual([{ kind: 'frame', frame }]);
  // The line has seven bits: the eighth is nobody's.
  const raw = withParity(bytesOf(hex));
  expect(raw).not.toEqual(bytesOf(hex));
  expect(new EbdsFramer().push(raw)).toEqual([{ kind: 'frame', frame }]);
});

test('refuses data that fits no frame', () => {
  expect(encodeFrame(1, 0, new Uint8Array(122))).toHaveLength(127);
  expect(() => encodeFrame(1, 0, new Uint8Array(123))).toThrow(RangeError);
  expect(() => encodeFrame(1, 0, [0x80])).toThrow(RangeError);
});

test('any chunking of any frames gives the same frames, whatever the eighth bits are', () => {
  fc.assert(
    fc.property(
      fc.array(arbitraryFrame, { minLength: 1, maxLength: 8 }),
      fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 }),
      fc.boolean(),
      (frames, sizes, hasParity) => {
        const clean = Uint8Array.from(Buffer.concat(frames.map(encoded)));
        const bytes = hasParity ? withParity(clean) : clean;
        const framer = new EbdsFramer();
        const events: EbdsWireEvent[] = [];
        for (let at = 0, turn = 0; at < bytes.length; turn++) {
          const size = sizes[turn % sizes.length] ?? 1;
          events.push(...framer.push(bytes.subarray(at, at + size)));
          at += size;
        }
        expect(events).toEqual(frames.map((frame) => ({ kind: 'frame', frame })));
      },
    ),
  );
});

test('noise never stalls: after silence, or 127 bytes, the next frame is heard', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), arbitraryFrame, (noise, frame) => {
      const framer = new EbdsFramer();
      framer.push(noise);
      framer.flush();
      expect(framer.isWaiting).toBe(false);
      expect(framesOf(framer.push(encoded(frame)))).toEqual([frame]);
      const other = new EbdsFramer();
      const heard = framesOf(other.push(noise));
      for (let count = 0; count < 30; count++) heard.push(...framesOf(other.push(encoded(frame))));
      heard.push(...framesOf(other.flush()));
      expect(heard.at(-1)).toEqual(frame);
    }),
  );
});

test('every byte is either in a frame, thrown away, or still waited for', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      const framer = new EbdsFramer();
      const sizes = framer.push(bytes).map((event) => {
        return event.kind === 'frame' ? event.frame.data.length + 5 : event.bytes.length;
      });
      const total = sizes.reduce((sum, size) => sum + size, 0) + framer.reset().length;
      expect(total).toBe(bytes.length);
    }),
  );
});

test('an impossible length, a missing end and a wrong check cost one byte, not the frame behind', () => {
  const good = encodeFrame(2, 1, [0x11, 0x10, 0x18, 0, 1, 2]);
  const damaged = (at: number) => Uint8Array.from(good, (byte, i) => (i === at ? byte ^ 4 : byte));
  const spoilt = [0x02, 0x04, 0x02, 0x00, ...damaged(9), ...damaged(10), ...damaged(4)];
  const events = new EbdsFramer().push(Uint8Array.from([...spoilt, ...good]));
  expect(framesOf(events)).toHaveLength(1);
  expect(events.at(-1)).toMatchObject({ kind: 'frame', frame: { type: 2, ack: 1 } });
  expect(events[0]).toEqual({ kind: 'discarded', bytes: Uint8Array.from(spoilt) });
});

test('a start byte before a good frame costs only the silence after it', () => {
  const framer = new EbdsFramer();
  expect(framer.push(Uint8Array.of(0x02, 0x40, ...encodeFrame(2, 1, [1])))).toEqual([]);
  expect(framesOf(framer.flush())).toEqual([
    { type: 2, deviceType: 0, ack: 1, data: Uint8Array.of(1) },
  ]);
});
