import { expect, test } from 'vitest';
import { FlightRecorder } from '#hal/recorder.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';

test('keeps the last 256 chunks, oldest first, with the time of each', async () => {
  const clock = new VirtualClock();
  const recorder = new FlightRecorder(clock);
  const buffer = new Uint8Array(2);
  for (let index = 0; index < 300; index++) {
    await clock.advance(1);
    buffer.set([index >> 8, index & 0xff]);
    recorder.record(index % 2 === 0 ? 'out' : 'in', buffer);
  }
  const chunks = recorder.chunks();
  expect(chunks).toHaveLength(256);
  expect(chunks[0]).toEqual({ direction: 'out', monotonicMs: 45, hex: '002c' });
  expect(chunks.at(-1)).toEqual({ direction: 'in', monotonicMs: 300, hex: '012b' });
});
