import { expect, test } from 'vitest';
import { FrameReader } from '#hal/frame-reader.ts';
import type { Discarded } from '#hal/framer.ts';
import { commands, statuses } from '#hal/id003/commands.ts';
import { encodeFrame, ID003_LINE, Id003Framer, type Id003WireEvent } from '#hal/id003/wire.ts';
import { Line } from '#hal/line.ts';
import { Cable } from '#hal/simulator/cable.ts';
import { Id003Device } from '#hal/simulator/id003/device.ts';
import { MemoryPort } from '#hal/simulator/memory-port.ts';
import { Turns, WAITING_MAX } from '#hal/turns.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';

/** STATUS REQUEST, and the answer of a device that has just been switched on. */
const ASK = encodeFrame(commands.statusRequest.code);
const POWER_UP = encodeFrame(statuses.powerUp.code);

function make() {
  const clock = new VirtualClock();
  const cable = new Cable({ clock, device: new Id003Device({ clock }) });
  const port = new MemoryPort({ path: 'memory', clock, cable });
  const told: string[] = [];
  const line = new Line({
    port,
    settings: ID003_LINE,
    onData: (bytes) => told.push(`heard ${bytes.length} bytes`),
    onOpen: () => told.push(`open soon: ${line.isOpen}`),
    onDown: (reason) => told.push(`down: ${reason}, ${line.isOpen}`),
    onLost: (reason) => told.push(`lost: ${reason}`),
  });
  return { clock, cable, line, told };
}

test('a line carries bytes until it is lost, and again when it is opened again', async () => {
  const { clock, cable, line, told } = make();
  await clock.resolve(line.open());
  line.write(ASK);
  await clock.advance(100);
  cable.unplug();
  expect(line.isOpen).toBe(false);
  cable.plug();
  await clock.resolve(line.open());
  await clock.resolve(line.drop());
  await clock.resolve(line.open());
  expect(line.isOpen).toBe(true);
  await clock.resolve(line.close());
  expect(told).toEqual([
    ...['open soon: false', 'heard 5 bytes', 'down: unplugged, false', 'lost: unplugged'],
    ...['open soon: false', 'down: closed, false', 'open soon: false', 'down: closed, false'],
  ]);
});

test('a port that is lost just as it is opened is not open, and can be tried again', async () => {
  const { clock, cable, line, told } = make();
  const opened = line.open();
  cable.unplug();
  await expect(clock.resolve(opened)).rejects.toMatchObject({ code: 'notFound' });
  expect(line.isOpen).toBe(false);
  expect(told).toEqual([]);
  cable.plug();
  await clock.resolve(line.open());
  expect(line.isOpen).toBe(true);
});

test('closed while it is opened, a line lets go of the port', async () => {
  const { clock, line } = make();
  const refused = expect(line.open()).rejects.toMatchObject({ code: 'canceled' });
  await clock.resolve(line.close());
  await refused;
  expect(line.isOpen).toBe(false);
});

function reading(clock: VirtualClock, onSilence?: () => void) {
  const events: (Id003WireEvent | Discarded)[] = [];
  const reader = new FrameReader({
    clock,
    framer: new Id003Framer(),
    onEvent: (event) => events.push(event),
    ...(onSilence ? { onSilence } : {}),
  });
  return { events, reader };
}

test('what is unfinished when the line falls silent is no frame; a gap that is short is none', async () => {
  const clock = new VirtualClock();
  const { events, reader } = reading(clock);
  reader.push(POWER_UP.slice(0, 2));
  await clock.advance(49);
  reader.push(POWER_UP.slice(2));
  expect(events).toMatchObject([{ kind: 'frame' }]);
  reader.push(POWER_UP.slice(0, 3));
  await clock.advance(49);
  expect(events).toHaveLength(1);
  await clock.advance(1);
  expect(events.slice(1).every(({ kind }) => kind === 'discarded')).toBe(true);
  expect(events.length).toBeGreaterThan(1);
  reader.push(POWER_UP.slice(0, 3));
  expect(reader.forget()).toEqual(POWER_UP.slice(0, 3));
  expect(clock.pending).toBe(0);
});

test('who asks for it is told of each silence behind bytes, once, after all that was in them', async () => {
  const clock = new VirtualClock();
  const seen: number[] = [];
  const { events, reader } = reading(clock, () => seen.push(events.length));
  reader.push(POWER_UP);
  await clock.advance(49);
  reader.push(POWER_UP.slice(0, 1));
  await clock.advance(50);
  expect(seen).toEqual([2]);
  await clock.advance(1000);
  expect(seen).toEqual([2]);
});

test('exchanges take turns, also after one that fails; a queue that grows is a bug', async () => {
  const turns = new Turns();
  const order: string[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  const first = turns.take(async () => {
    await promise;
    order.push('first');
    throw new Error('a bug');
  });
  const others = Array.from({ length: WAITING_MAX - 1 }, async (_, at) =>
    turns.take(async () => order.push(`${at}`)),
  );
  expect(() => turns.take(() => promise)).toThrow('too many');
  expect(turns.areFree).toBe(false);
  resolve();
  await expect(first).rejects.toThrow('a bug');
  await Promise.all(others);
  expect(order).toEqual(['first', '0', '1', '2', '3', '4', '5', '6']);
  expect(turns.areFree).toBe(true);
});
