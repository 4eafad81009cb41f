import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  BAYS,
  decodeBillCount,
  decodeStatus,
  encodeBillCount,
  encodeInitialise,
  encodeStatus,
  errorCodeOf,
} from '#hal/f56/commands.ts';
import { sizeOfNotes } from '#hal/f56/notes.ts';
import {
  DATA_BYTES_MAX,
  encodeControl,
  encodeFrame,
  F56Framer,
  type F56WireEvent,
} from '#hal/f56/wire.ts';
import { held } from './rig.ts';

const bytes = (hex: string) => Uint8Array.from(Buffer.from(hex.replaceAll(' ', ''), 'hex'));
const hex = (data: Uint8Array) => Buffer.from(data).toString('hex');
const sizes = (currency: string, notes: Readonly<Record<number, number>>) =>
  held(notes, currency).map((unit) => sizeOfNotes(unit));

/** Source: cash-hardware.md 6.6; the first three were captured from lamassu-machine 8.6. */
const fromHost: readonly [string, readonly number[], string][] = [
  [
    'INIT USD, 2 cassettes',
    encodeInitialise(sizes('USD', { 1: 20, 2: 50 })),
    '10 02 00 11 60 02 0D 00 A6 92 A6 92 00 00 00 00 0D 0D 0D 0D 1C 10 03 DC B0',
  ],
  [
    'COUNT 3 + 2',
    encodeBillCount([3, 2]),
    '10 02 00 19 60 03 15 E4 30 33 30 B2 30 30 30 30 30 B4 30 B4 30 B4 30 B4 03 03 03 03 1C 10 03 66 48',
  ],
  ['STATUS', encodeStatus(), '10 02 00 03 00 01 1C 10 03 FA 97'],
  [
    'INIT EUR 20/50',
    encodeInitialise(sizes('EUR', { 1: 20, 2: 50 })),
    '10 02 00 11 60 02 0D 00 8F 7B 96 82 00 00 00 00 0C 0C 0C 0C 1C 10 03 73 63',
  ],
  [
    'COUNT 20 + 0',
    encodeBillCount([20, 0]),
    '10 02 00 19 60 03 15 E4 B2 30 30 30 30 30 30 30 30 B4 30 B4 30 B4 30 B4 03 03 03 03 1C 10 03 A4 0B',
  ],
];

/** A response as cash-hardware.md 6.3 and 6.4 describe it: everything at its offset, the rest 0. */
function response(start: string, length: number, at: Readonly<Record<number, string>>): Uint8Array {
  const data = new Uint8Array(length);
  data.set(bytes(start));
  for (const [offset, text] of Object.entries(at)) data.set(bytes(text), Number(offset));
  data[length - 1] = 0x1c;
  return data;
}

describe('golden frames', () => {
  test.each(fromHost)('%s leaves as captured, and is read back', (_, data, golden) => {
    expect(hex(encodeFrame(data))).toBe(hex(bytes(golden)));
    expect(new F56Framer().push(bytes(golden))).toEqual([
      { kind: 'frame', data: Uint8Array.from(data) },
    ]);
  });

  test('words of two bytes', () => {
    expect(hex(encodeControl('enq'))).toBe('1005');
    expect(hex(encodeControl('ack'))).toBe('1006');
    expect(hex(encodeControl('nak'))).toBe('1015');
    expect(new F56Framer().push(bytes('1005 1006 1015'))).toEqual([
      { kind: 'control', control: 'enq' },
      { kind: 'control', control: 'ack' },
      { kind: 'control', control: 'nak' },
    ]);
  });

  test('a response with counts is read at its offsets', () => {
    const data = response('E0 03 99', 157, { 39: '30 33 30 B2', 47: '30 B1 30 30 B2 30' });
    expect(errorCodeOf(data)).toBeUndefined();
    // A place that the unit leaves empty has no digits.
    expect(decodeBillCount(data)).toBeUndefined();
    const full = response('E0 03 99', 157, {
      39: '30 33 30 B2 30 30 30 30',
      47: '30 B1 30 30 B2 30 30 30',
    });
    expect(decodeBillCount(full)).toEqual([
      { presented: 3, rejected: 1 },
      { presented: 2, rejected: 0 },
      { presented: 0, rejected: 20 },
      { presented: 0, rejected: 0 },
    ]);
  });

  test('counts are there in an error as well, with its code', () => {
    const data = response('F0 03 99 26 05', 157, {
      39: '30 B1 30 30 30 30 30 30',
      47: '30 30 30 30 30 30 30 30',
    });
    expect(errorCodeOf(data)).toBe(0x2605);
    expect(decodeBillCount(data)?.[0]).toEqual({ presented: 1, rejected: 0 });
  });

  test('notes at the exit are bit 10 of register 2, whatever the first byte', () => {
    for (const start of ['E0 01', '80 01', '00 01']) {
      const lying = response(start, 56, { 12: '00 00 10 00 00 00' });
      expect(decodeStatus(lying)).toEqual({
        errorCode: undefined,
        hasNotesAtExit: true,
        sensorsHex: '000010000000',
      });
      const clear = response(start, 56, { 12: 'FF FF EF FF FF FF' });
      expect(decodeStatus(clear)).toMatchObject({ hasNotesAtExit: false });
    }
    expect(decodeStatus(response('F0 01 34 B0 00', 56, {}))?.errorCode).toBe(0xb000);
    expect(decodeStatus(new Uint8Array(0x11))).toBeUndefined();
  });
});

const frameBytes = fc.uint8Array({ minLength: 1, maxLength: 60 }).map((data) => encodeFrame(data));
const control = fc.constantFrom('enq', 'ack', 'nak').map((name) => encodeControl(name));
/** Noise with the bytes that could begin something. */
const noise = fc.array(fc.oneof(fc.constantFrom(0x10, 0x02, 0x03, 0x00, 0x06), fc.nat(255)), {
  maxLength: 12,
});

const said = (events: readonly F56WireEvent[]) =>
  events.filter((event) => event.kind !== 'discarded');
const waste = (events: readonly F56WireEvent[]) =>
  events.flatMap((event) => (event.kind === 'discarded' ? [...event.bytes] : []));

describe('framer', () => {
  test('any chunking of anything gives the same events', () => {
    const traffic = fc.array(fc.oneof(frameBytes, control, noise));
    void fc.assert(
      fc.property(traffic, fc.array(fc.nat(40)), (parts, pieceSizes) => {
        const all = Uint8Array.from(parts.flatMap((part) => [...part]));
        const atOnce = new F56Framer();
        const inChunks = new F56Framer();
        const whole = [...atOnce.push(all), ...atOnce.flush()];
        const pieces: F56WireEvent[] = [];
        let at = 0;
        for (const size of [...pieceSizes, all.length]) {
          pieces.push(...inChunks.push(all.subarray(at, at + size)));
          at += size;
        }
        pieces.push(...inChunks.flush());
        expect(said(pieces)).toEqual(said(whole));
        expect(waste(pieces)).toEqual(waste(whole));
        expect(inChunks.pendingBytes).toBe(0);
      }),
      { numRuns: 500 },
    );
  });

  test('after noise and silence the next frame is read', () => {
    void fc.assert(
      fc.property(noise, frameBytes, (before, good) => {
        const framer = new F56Framer();
        framer.push(Uint8Array.from(before));
        framer.flush();
        expect(framer.push(good).map((event) => event.kind)).toEqual(['frame']);
      }),
      { numRuns: 500 },
    );
  });

  test('a frame behind a false start is read when the line falls silent', () => {
    const framer = new F56Framer();
    const status = encodeFrame(encodeStatus());
    expect(framer.push(Uint8Array.from([0x10, 0x02, 0x00, 0x80, ...status]))).toEqual([]);
    expect(said(framer.flush())).toEqual([
      { kind: 'frame', data: Uint8Array.from(encodeStatus()) },
    ]);
  });

  test('a length that cannot be is no frame, and is not waited for', () => {
    for (const start of ['10 02 00 00', '10 02 01 01', '10 02 FF FF']) {
      const framer = new F56Framer();
      const events = framer.push(bytes(`${start} 10 06`));
      expect(said(events)).toEqual([{ kind: 'control', control: 'ack' }]);
      expect(framer.pendingBytes).toBe(0);
    }
    expect(DATA_BYTES_MAX).toBe(256);
    expect(() => encodeFrame([])).toThrow(RangeError);
    expect(() => encodeFrame(new Uint8Array(257))).toThrow(RangeError);
  });

  test('a frame that is not one costs one byte', () => {
    const framer = new F56Framer();
    const status = [...encodeFrame(encodeStatus())];
    expect(framer.push(Uint8Array.from([0x10, ...status]))).toEqual([
      { kind: 'discarded', bytes: Uint8Array.of(0x10) },
      expect.objectContaining({ kind: 'frame' }),
    ]);
  });

  test('a byte 10 in the data is sent once', () => {
    const data = [0x10, 0x10, 0x03, 0x10, 0x06];
    const frame = encodeFrame(data);
    expect(frame).toHaveLength(data.length + 8);
    expect(new F56Framer().push(frame)).toEqual([{ kind: 'frame', data: Uint8Array.from(data) }]);
  });

  test('every single damage of a frame is noticed', () => {
    const good = encodeFrame(encodeBillCount([3, 2]));
    for (let at = 0; at < good.length; at++) {
      for (let bit = 0; bit < 8; bit++) {
        const damaged = good.map((byte, place) => (place === at ? byte ^ (1 << bit) : byte));
        const framer = new F56Framer();
        const events = [...framer.push(damaged), ...framer.flush()];
        expect(events.filter((event) => event.kind === 'frame')).toEqual([]);
      }
    }
  });
});

test('any counts are said by digits that are read back', () => {
  const counts = fc.array(fc.nat(99), { minLength: BAYS, maxLength: BAYS });
  void fc.assert(
    fc.property(counts, (asked) => {
      const said = encodeBillCount(asked).slice(4, 4 + 2 * BAYS);
      const data = response('E0 03 99', 157, {
        39: hex(Uint8Array.from(said)),
        47: hex(Uint8Array.from(said)),
      });
      const read = decodeBillCount(data)?.map(({ presented }) => presented);
      expect(read).toEqual(asked);
    }),
  );
});
