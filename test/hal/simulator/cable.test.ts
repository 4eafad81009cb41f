import { expect, test } from 'vitest';
import { ID003_LINE } from '#hal/id003/wire.ts';
import { byteTimeMs, Cable, type CableDamage, type CableOptions } from '#hal/simulator/cable.ts';
import type { SimulatedDevice } from '#hal/simulator/device.ts';
import { Id003Device } from '#hal/simulator/id003/device.ts';
import { MemoryPort } from '#hal/simulator/memory-port.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';

/** A device of which only the ears are used; its mouth is ours. */
function listening(options: Partial<CableOptions> = {}) {
  const clock = new VirtualClock();
  const chunks: { readonly atMs: number; readonly bytes: number[] }[] = [];
  const inner = new Id003Device({ clock });
  const mouth = { send: (_bytes: Uint8Array): void => undefined };
  const device: SimulatedDevice = {
    kind: inner.kind,
    protocol: inner.protocol,
    line: inner.line,
    faults: inner.faults,
    receive: (bytes) => chunks.push({ atMs: clock.monotonic(), bytes: [...bytes] }),
    connect: (send) => {
      mouth.send = send;
    },
    control: (command) => inner.control(command),
    truth: () => inner.truth(),
    violations: () => inner.violations(),
    stop: () => inner.stop(),
  };
  const cable = new Cable({ clock, device, ...options });
  return { clock, chunks, cable, say: (...bytes: number[]) => mouth.send(Uint8Array.from(bytes)) };
}

test('delivers in the next turn of the clock, and not at once', async () => {
  const { clock, chunks, cable } = listening();
  cable.send(Uint8Array.of(1, 2));
  expect(chunks).toEqual([]);
  await clock.advance(0);
  expect(chunks).toEqual([{ atMs: 0, bytes: [1, 2] }]);
});

test('paced, bytes take as long as on the line', async () => {
  const { clock, chunks, cable } = listening({ paced: true, split: () => [1, 2] });
  expect(byteTimeMs(ID003_LINE)).toBeCloseTo(1.146, 3);
  cable.send(Uint8Array.of(1, 2, 3, 4));
  cable.send(Uint8Array.of(5));
  await clock.advance(100);
  expect(chunks.map(({ bytes }) => bytes)).toEqual([[1], [2, 3], [4], [5]]);
  expect(chunks.map(({ atMs }) => Math.round(atMs * 100))).toEqual([115, 344, 458, 573]);
});

const DAMAGES: readonly [string, 'byte' | 'chunk', CableDamage, number[][]][] = [
  ['drop a byte', 'byte', { do: 'drop' }, [[1, 2, 3], [4, 6], [7]]],
  ['drop a chunk', 'chunk', { do: 'drop' }, [[1, 2, 3], [7]]],
  ['flip bits of a byte', 'byte', { do: 'flip', mask: 1 }, [[1, 2, 3], [4, 4, 6], [7]]],
  ['flip a chunk', 'chunk', { do: 'flip' }, [[1, 2, 3], [0xfb, 0xfa, 0xf9], [7]]],
  ['double a byte', 'byte', { do: 'double' }, [[1, 2, 3], [4, 5, 5, 6], [7]]],
  ['double a chunk', 'chunk', { do: 'double' }, [[1, 2, 3], [4, 5, 6, 4, 5, 6], [7]]],
  ['insert', 'byte', { do: 'insert', bytes: [9] }, [[1, 2, 3], [4, 9, 5, 6], [7]]],
  ['delay a byte', 'byte', { do: 'delay', ms: 50 }, [[1, 2, 3], [4], [5, 6], [7]]],
  ['delay a chunk', 'chunk', { do: 'delay', ms: 50 }, [[1, 2, 3], [4, 5, 6], [7]]],
];

test.each(DAMAGES)('%s, and the order stays', async (_name, unit, damage, expected) => {
  const nth = unit === 'byte' ? 4 : 1;
  const { clock, chunks, cable } = listening({
    faults: [{ direction: 'toDevice', unit, nth, ...damage }],
  });
  cable.send(Uint8Array.of(1, 2, 3));
  cable.send(Uint8Array.of(4, 5, 6));
  cable.send(Uint8Array.of(7));
  await clock.advance(200);
  expect(chunks.map(({ bytes }) => bytes)).toEqual(expected);
  const lastMs = damage.do === 'delay' ? 50 : 0;
  expect(chunks.at(-1)?.atMs).toBe(lastMs);
  expect(cable.passed('toDevice')).toEqual({ bytes: 7, chunks: 3 });
});

test('a cut loses what follows, both ways, and runs its task', async () => {
  const { clock, chunks, cable, say } = listening();
  const heard: number[] = [];
  cable.attach({ data: (bytes) => heard.push(...bytes), lost: () => undefined });
  let cuts = 0;
  const task = () => {
    cuts++;
  };
  cable.addFault({ direction: 'toDevice', unit: 'byte', nth: 2, do: 'cut', task });
  cable.send(Uint8Array.of(1, 2, 3, 4));
  say(8, 9);
  await clock.advance(10);
  expect(chunks.map(({ bytes }) => bytes)).toEqual([[1, 2]]);
  expect({ cuts, heard }).toEqual({ cuts: 1, heard: [] });
  cable.send(Uint8Array.of(5));
  say(7);
  await clock.advance(10);
  expect(chunks.at(-1)?.bytes).toEqual([5]);
  expect(heard).toEqual([7]);
});

test('a port in memory: locked, lost, opened again, and deaf on a wrong line', async () => {
  const { clock, cable, chunks, say } = listening();
  const port = new MemoryPort({ path: 'memory', clock, cable });
  const events: string[] = [];
  port.subscribe((event) =>
    events.push(event.kind === 'data' ? `data ${event.bytes}` : event.reason),
  );
  cable.lock();
  await expect(port.open(ID003_LINE)).rejects.toMatchObject({ code: 'locked' });
  cable.plug();
  await port.open(ID003_LINE);
  await expect(port.open(ID003_LINE)).rejects.toMatchObject({ code: 'locked' });
  port.write(Uint8Array.of(1));
  say(2);
  await clock.advance(1);
  cable.unplug();
  port.write(Uint8Array.of(3));
  await expect(port.open(ID003_LINE)).rejects.toMatchObject({ code: 'notFound' });
  cable.plug();
  await port.open({ ...ID003_LINE, parity: 'none' });
  port.write(Uint8Array.of(4));
  say(5);
  await clock.advance(1);
  await port.close();
  expect(events).toEqual(['data 2', 'unplugged']);
  expect(chunks.map(({ bytes }) => bytes)).toEqual([[1]]);
  expect(port.recording().map(({ direction, hex }) => `${direction} ${hex}`)).toEqual([
    'out 01',
    'in 02',
    'out 04',
  ]);
});
