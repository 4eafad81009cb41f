import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  commands,
  encodeDispense,
  encodeNibbles,
  responseSizes,
  slitsOfLength,
} from '#hal/lcdm/commands.ts';
import { lcdmModels } from '#hal/lcdm/models.ts';
import { encodeFrame, LcdmFramer, type LcdmWireEvent } from '#hal/lcdm/wire.ts';

const bytes = (hex: string) => Uint8Array.from(Buffer.from(hex.replaceAll(' ', ''), 'hex'));
const hex = (data: Uint8Array) => Buffer.from(data).toString('hex');
const documented = lcdmModels['lcdm-4000'];
const lamassu = lcdmModels['lcdm-4000-lamassu'];
const lengths = [156, 156].map(slitsOfLength);

/** Source: cash-hardware.md 7.1; the first four were captured from lamassu-machine 8.6. */
const fromHost: readonly [string, number, readonly number[], string][] = [
  ['RESET', 0x44, [], '04 30 02 44 03 71'],
  ['GET SEQUENCE', 0x67, [], '04 30 02 67 03 52'],
  [
    'SET LENGTHS 156 mm, 156 mm',
    0x5e,
    encodeNibbles([...lengths, 0, 0]),
    '04 30 02 5E 3C 36 3C 36 30 30 30 30 03 6B',
  ],
  [
    'DISPENSE 20 + 2, sequence 6',
    0x52,
    encodeDispense(lamassu, [20, 2], 6),
    '04 30 02 52 34 22 20 20 20 20 26 03 57',
  ],
  [
    'DISPENSE 3 + 2, documented form',
    0x52,
    encodeDispense(documented, [3, 2], 0),
    '04 30 02 52 23 22 20 20 20 20 20 20 20 20 20 20 20 20 20 03 46',
  ],
  ['STATUS', 0x50, [], '04 30 02 50 03 65'],
  ['PURGE', 0x51, [], '04 30 02 51 03 64'],
  ['LAST STATUS', 0x55, [], '04 30 02 55 03 60'],
  ['GET LENGTHS', 0x5f, [], '04 30 02 5F 03 6A'],
];

const fromDevice: readonly [string, string][] = [
  [
    'DISPENSE ok, 3/0 and 2/1',
    '01 30 02 52 20 30 23 20 31 22 21 32 20 20 30 20 20 30 20 20 20 20 20 20 20 20 20 03 51',
  ],
  [
    'DISPENSE error 01, 2 and none',
    '01 30 02 52 21 30 22 20 31 20 20 32 20 20 30 20 20 30 20 20 20 20 20 20 20 20 20 03 52',
  ],
  ['LAST STATUS of the first', '01 30 02 55 52 20 30 23 20 31 22 21 32 20 20 30 20 20 30 03 24'],
];

const makeFramer = () => new LcdmFramer({ sender: 'device', bodySizes: responseSizes });

describe('golden frames', () => {
  test.each(fromHost)('%s leaves as captured, and is read back', (_, code, body, golden) => {
    expect(hex(encodeFrame('host', code, body))).toBe(hex(bytes(golden)));
    const framer = new LcdmFramer({ sender: 'host', bodySizes: () => [body.length] });
    const frame = { command: code, body: Uint8Array.from(body) };
    expect(framer.push(bytes(golden))).toEqual([{ kind: 'frame', frame }]);
  });

  test.each(fromDevice)('%s is read, and leaves as written', (_, golden) => {
    const [event, ...rest] = makeFramer().push(bytes(golden));
    expect(rest).toEqual([]);
    if (event?.kind !== 'frame') throw new Error('no frame');
    expect(hex(encodeFrame('device', event.frame.command, event.frame.body))).toBe(
      hex(bytes(golden)),
    );
  });
});

const codes = Object.values(commands).map((command) => command.code);
const frameBytes = fc.constantFrom(...Object.values(commands)).chain((command) =>
  fc
    .constantFrom(...command.responseBytes)
    .chain((size) => fc.uint8Array({ minLength: size, maxLength: size }))
    .map((body) => encodeFrame('device', command.code, body)),
);
const control = fc.constantFrom(0x06, 0x15, 0x04).map((byte) => Uint8Array.of(byte));
const stray = fc.constant(Uint8Array.of(0xff));

/** Events without what was thrown away, whose grouping depends on chunks. */
const said = (events: readonly LcdmWireEvent[]) =>
  events.filter((event) => event.kind !== 'discarded');

describe('framer', () => {
  test('any chunking of anything gives the same events', () => {
    const traffic = fc.array(fc.oneof(frameBytes, control, stray, fc.uint8Array({ maxLength: 9 })));
    void fc.assert(
      fc.property(traffic, fc.array(fc.nat(40)), (parts, sizes) => {
        const all = Uint8Array.from(parts.flatMap((part) => [...part]));
        const atOnce = makeFramer();
        const inChunks = makeFramer();
        const whole = atOnce.push(all);
        const pieces: LcdmWireEvent[] = [];
        let at = 0;
        for (const size of [...sizes, all.length]) {
          pieces.push(...inChunks.push(all.subarray(at, at + size)));
          at += size;
        }
        expect(said(pieces)).toEqual(said(whole));
        expect(inChunks.reset()).toEqual(atOnce.reset());
        const waste = (events: readonly LcdmWireEvent[]) =>
          events.flatMap((event) => (event.kind === 'discarded' ? [...event.bytes] : []));
        expect(waste(pieces)).toEqual(waste(whole));
      }),
      { numRuns: 500 },
    );
  });

  test('after noise and silence the next frame is read', () => {
    void fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), frameBytes, (noise, good) => {
        const framer = makeFramer();
        framer.push(noise);
        framer.reset();
        const events = framer.push(good);
        expect(events.map((event) => event.kind)).toEqual(['frame']);
      }),
      { numRuns: 500 },
    );
  });

  test('noise never stalls: five good frames behind it are more than any wait', () => {
    const start = fc.constantFrom(...codes).map((code) => Uint8Array.of(0x01, 0x30, 0x02, code));
    const noise = fc.oneof(start, fc.uint8Array({ maxLength: 30 }));
    void fc.assert(
      fc.property(noise, frameBytes, (before, good) => {
        const framer = makeFramer();
        framer.push(before);
        let frames = 0;
        for (let count = 0; count < 6; count++) {
          frames += framer.push(good).filter((event) => event.kind === 'frame').length;
        }
        expect(frames).toBeGreaterThan(0);
      }),
      { numRuns: 500 },
    );
  });

  test('one wrong byte costs one byte, and the good frame behind it is read', () => {
    const [, good = ''] = fromDevice[0] ?? [];
    const twice = Uint8Array.from([0x01, ...bytes(good)]);
    const events = makeFramer().push(twice);
    expect(events).toEqual([
      { kind: 'discarded', bytes: Uint8Array.of(0x01) },
      expect.objectContaining({ kind: 'frame' }),
    ]);
  });

  test('every single damage of a frame is noticed', () => {
    const [, golden = ''] = fromDevice[0] ?? [];
    const good = bytes(golden);
    for (let at = 0; at < good.length; at++) {
      for (let bit = 0; bit < 8; bit++) {
        const damaged = good.map((byte, place) => (place === at ? byte ^ (1 << bit) : byte));
        const events = makeFramer().push(damaged);
        expect(events.filter((event) => event.kind === 'frame')).toEqual([]);
      }
    }
  });

  test('stray FF between frames is no news', () => {
    const ack = Uint8Array.of(0xff, 0xff, 0x06, 0xff);
    expect(makeFramer().push(ack)).toEqual([{ kind: 'control', control: 'ack' }]);
  });

  test('the older family is told by its ID', () => {
    const status = bytes('01 50 02 46 30 30 30 30 03 16');
    expect(makeFramer().push(status)[0]).toEqual({ kind: 'oldFamily' });
  });
});
