import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type LcdmDialect, responseSizes } from '#hal/lcdm/dialect.ts';
import {
  encodeDispense,
  encodeNibbles,
  id30Dialect,
  slitsOfLength,
} from '#hal/lcdm/id30/commands.ts';
import { encodeCount, id50Dialect } from '#hal/lcdm/id50/commands.ts';
import { id30Models } from '#hal/lcdm/models.ts';
import { encodeFrame, LcdmFramer, type LcdmWireEvent } from '#hal/lcdm/wire.ts';

const bytes = (hex: string) => Uint8Array.from(Buffer.from(hex.replaceAll(' ', ''), 'hex'));
const hex = (data: Uint8Array) => Buffer.from(data).toString('hex');
const documented = id30Models['lcdm-4000'];
const lamassu = id30Models['lcdm-4000-lamassu'];
const lengths = [156, 156].map(slitsOfLength);

/** Source: cash-hardware.md 7.1; the first four were captured from lamassu-machine 8.6. */
const from30Host: readonly [string, number, readonly number[], string][] = [
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

const from30Device: readonly [string, string][] = [
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

/** Source: cash-hardware.md 7.2. */
const from50Host: typeof from30Host = [
  ['PURGE', 0x44, [], '04 50 02 44 03 11'],
  ['STATUS', 0x46, [], '04 50 02 46 03 13'],
  ['ROM VERSION', 0x47, [], '04 50 02 47 03 12'],
  ['UPPER 05', 0x45, encodeCount(5), '04 50 02 45 30 35 03 15'],
  ['LOWER 12', 0x55, encodeCount(12), '04 50 02 55 31 32 03 03'],
  ['BOTH 03+02', 0x56, [...encodeCount(3), ...encodeCount(2)], '04 50 02 56 30 33 30 32 03 02'],
];
const from50Device: typeof from30Device = [
  ['UPPER 05 ok', '01 50 02 45 30 35 30 35 30 30 30 30 03 15'],
  ['UPPER 05, 6 picked, near end, 1 reject', '01 50 02 45 30 36 30 35 30 31 30 31 03 16'],
];

interface Family {
  readonly name: string;
  readonly dialect: LcdmDialect;
  readonly fromHost: typeof from30Host;
  readonly fromDevice: typeof from30Device;
}
const families: readonly Family[] = [
  { name: 'ID 30', dialect: id30Dialect, fromHost: from30Host, fromDevice: from30Device },
  { name: 'ID 50', dialect: id50Dialect, fromHost: from50Host, fromDevice: from50Device },
];

/** Events without what was thrown away, whose grouping depends on chunks. */
const said = (events: readonly LcdmWireEvent[]) =>
  events.filter((event) => event.kind !== 'discarded');

describe.each(families)('$name', ({ dialect, fromHost, fromDevice }) => {
  const { id } = dialect;
  const commands = Object.values(dialect.commands);
  const codes = commands.map((command) => command.code);
  const makeFramer = () =>
    new LcdmFramer({ id, sender: 'device', bodySizes: responseSizes(dialect) });
  const frameBytes = fc.constantFrom(...commands).chain((command) =>
    fc
      .constantFrom(...command.responseBytes)
      // A byte that ends the text too early would be a shorter frame, if its BCC fitted.
      .chain((size) => fc.uint8Array({ minLength: size, maxLength: size, min: 0x20 }))
      .map((body) => encodeFrame(id, 'device', command.code, body)),
  );
  const control = fc.constantFrom(0x06, 0x15, 0x04, 0x8d).map((byte) => Uint8Array.of(byte));
  const stray = fc.constant(Uint8Array.of(0xff));

  test.each(fromHost)('%s leaves as captured, and is read back', (_, code, body, golden) => {
    expect(hex(encodeFrame(id, 'host', code, body))).toBe(hex(bytes(golden)));
    const framer = new LcdmFramer({ id, sender: 'host', bodySizes: () => [body.length] });
    const frame = { command: code, body: Uint8Array.from(body) };
    expect(framer.push(bytes(golden))).toEqual([{ kind: 'frame', frame }]);
  });

  test.each(fromDevice)('%s is read, and leaves as written', (_, golden) => {
    const [event, ...others] = makeFramer().push(bytes(golden));
    expect(others).toEqual([]);
    if (event?.kind !== 'frame') throw new Error('no frame');
    const { command, body } = event.frame;
    expect(hex(encodeFrame(id, 'device', command, body))).toBe(hex(bytes(golden)));
  });

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
    const start = fc.constantFrom(...codes).map((code) => Uint8Array.of(0x01, id, 0x02, code));
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

  test('the other ID is told, and what follows is thrown away', () => {
    const other = id === 0x30 ? 0x50 : 0x30;
    const status = encodeFrame(other, 'device', 0x46, [0x30, 0x30, 0x80, 0x20]);
    expect(makeFramer().push(status)[0]).toEqual({ kind: 'otherId' });
    expect(said(makeFramer().push(status))).toEqual([{ kind: 'otherId' }]);
  });

  test('8D and 9C are news of a note on ID 50, and nothing on ID 30', () => {
    const kinds = makeFramer()
      .push(Uint8Array.of(0x8d, 0x9c))
      .map((event) => event.kind);
    expect(kinds).toEqual(id === 0x50 ? ['progress', 'progress'] : ['discarded']);
  });
});
