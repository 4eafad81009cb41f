import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  type CcnetFrame,
  CcnetFramer,
  type CcnetWireEvent,
  encodeFrame,
  VALIDATOR_ADDRESS,
} from '#hal/ccnet/wire.ts';

/**
 * Reference frames of cash-hardware.md 3.6, computed there with an independent script (appendix C).
 * RESET, POLL and ACK are known from three implementations.
 */
const GOLDEN: readonly (readonly [meaning: string, body: readonly number[], hex: string])[] = [
  ['reset / illegal command', [0x30], '02 03 06 30 41 B3'],
  ['get status', [0x31], '02 03 06 31 C8 A2'],
  ['poll', [0x33], '02 03 06 33 DA 81'],
  [
    'enable types 0 to 7, all in escrow',
    [0x34, 0, 0, 0xff, 0, 0, 0xff],
    '02 03 0C 34 00 00 FF 00 00 FF BD C6',
  ],
  [
    'enable types 2 to 6, all in escrow',
    [0x34, 0, 0, 0x7c, 0, 0, 0x7c],
    '02 03 0C 34 00 00 7C 00 00 7C 8D 78',
  ],
  ['disable', [0x34, 0, 0, 0, 0, 0, 0], '02 03 0C 34 00 00 00 00 00 00 17 0C'],
  ['stack', [0x35], '02 03 06 35 EC E4'],
  ['return', [0x36], '02 03 06 36 77 D6'],
  ['hold', [0x38], '02 03 06 38 09 3F'],
  ['identification', [0x37], '02 03 06 37 FE C7'],
  ['bill table / cash box full', [0x41], '02 03 06 41 4F D1'],
  ['ack', [0x00], '02 03 06 00 C2 82'],
  ['nak', [0xff], '02 03 06 FF BA 8D'],
  ['power up', [0x10], '02 03 06 10 43 92'],
  ['initialise', [0x13], '02 03 06 13 D8 A0'],
  ['idling', [0x14], '02 03 06 14 67 D4'],
  ['accepting', [0x15], '02 03 06 15 EE C5'],
  ['stacking', [0x17], '02 03 06 17 FC E6'],
  ['returning', [0x18], '02 03 06 18 0B 1E'],
  ['disabled', [0x19], '02 03 06 19 82 0F'],
  ['cash box removed', [0x42], '02 03 06 42 D4 E3'],
  ['jam in the validator', [0x43], '02 03 06 43 5D F2'],
  ['escrow, type 4', [0x80, 4], '02 03 07 80 04 A8 75'],
  ['stacked, type 4', [0x81, 4], '02 03 07 81 04 70 6C'],
  ['returned, type 4', [0x82, 4], '02 03 07 82 04 18 46'],
  ['rejecting, inhibited', [0x1c, 0x68], '02 03 07 1C 68 3F 6C'],
  ['failure, stack motor', [0x47, 0x50], '02 03 07 47 50 AB E6'],
  ['busy for 500 ms', [0x1b, 5], '02 03 07 1B 05 D4 99'],
  [
    'identification of an SM',
    [...Buffer.from('SM-US1234      123456789012'), 1, 2, 3, 4, 5, 6, 7],
    '02 03 27 53 4D 2D 55 53 31 32 33 34 20 20 20 20 20 20 ' +
      '31 32 33 34 35 36 37 38 39 30 31 32 01 02 03 04 05 06 07 86 BD',
  ],
];

const bytesOf = (hex: string) => Uint8Array.from(Buffer.from(hex.replaceAll(' ', ''), 'hex'));

const framesOf = (events: readonly CcnetWireEvent[]): CcnetFrame[] =>
  events.flatMap((event) => (event.kind === 'frame' ? [event.frame] : []));

const arbitraryFrame = fc.record({
  address: fc.integer({ min: 0, max: 255 }),
  body: fc.uint8Array({ minLength: 1, maxLength: 40 }),
});

const encoded = ({ address, body }: CcnetFrame) => encodeFrame(body, address);

test.each(GOLDEN)('%s is the same both ways', (_meaning, body, hex) => {
  expect(encodeFrame(body)).toEqual(bytesOf(hex));
  const events = new CcnetFramer().push(bytesOf(hex));
  const frame = { address: VALIDATOR_ADDRESS, body: Uint8Array.from(body) };
  expect(events).toEqual([{ kind: 'frame', frame }]);
});

test('refuses a body that fits no frame', () => {
  expect(encodeFrame(new Uint8Array(245))).toHaveLength(250);
  expect(() => encodeFrame(new Uint8Array(246))).toThrow(RangeError);
  expect(() => encodeFrame([])).toThrow(RangeError);
});

test('any chunking of any frames gives the same frames', () => {
  fc.assert(
    fc.property(
      fc.array(arbitraryFrame, { minLength: 1, maxLength: 8 }),
      fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 }),
      (frames, sizes) => {
        const bytes = Buffer.concat(frames.map(encoded));
        const framer = new CcnetFramer();
        const events: CcnetWireEvent[] = [];
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

test('noise never stalls: after silence, or 250 bytes, the next frame is heard', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 600 }), arbitraryFrame, (noise, frame) => {
      const framer = new CcnetFramer();
      framer.push(noise);
      framer.flush();
      expect(framer.isWaiting).toBe(false);
      expect(framesOf(framer.push(encoded(frame)))).toEqual([frame]);
      const other = new CcnetFramer();
      const heard = framesOf(other.push(noise));
      for (let count = 0; count < 60; count++) heard.push(...framesOf(other.push(encoded(frame))));
      expect(heard.at(-1)).toEqual(frame);
    }),
  );
});

test('every byte is either in a frame, thrown away, or still waited for', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      const framer = new CcnetFramer();
      const sizes = framer.push(bytes).map((event) => {
        return event.kind === 'frame' ? event.frame.body.length + 5 : event.bytes.length;
      });
      const total = sizes.reduce((sum, size) => sum + size, 0) + framer.reset().length;
      expect(total).toBe(bytes.length);
    }),
  );
});

test('a start byte before a good frame costs only the silence after it', () => {
  const framer = new CcnetFramer();
  expect(framer.push(Uint8Array.from([0x02, 0x03, 0x20, ...encodeFrame([0x81, 4])]))).toEqual([]);
  const frame = { address: VALIDATOR_ADDRESS, body: Uint8Array.of(0x81, 4) };
  expect(framesOf(framer.flush())).toEqual([frame]);
});

test('an impossible length and a wrong checksum cost one byte, not the frame behind them', () => {
  const good = encodeFrame([0x81, 4]);
  const bad = Uint8Array.from(good, (byte, at) => (at === 4 ? byte ^ 1 : byte));
  const spoilt = [0x02, 0x03, 0x00, 0x02, 0x03, 0x05, 0x02, 0x03, 0xfb, ...bad];
  const events = new CcnetFramer().push(Uint8Array.from([...spoilt, ...good]));
  const frame = { address: VALIDATOR_ADDRESS, body: Uint8Array.of(0x81, 4) };
  expect(events).toEqual([
    { kind: 'discarded', bytes: Uint8Array.from(spoilt) },
    { kind: 'frame', frame },
  ]);
});
