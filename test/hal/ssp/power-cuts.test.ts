/**
 * The power goes, or the program dies, or one byte is lost, at every single byte of the way of one
 * note. Afterwards the note is in one place, what was said of it is true, and it was credited once.
 */
import { describe, expect, test } from 'vitest';
import type { SspDeviceOptions } from '#hal/simulator/ssp/device.ts';
import type { SspHabits } from '#hal/simulator/ssp/mechanism.ts';
import type { SspModelName } from '#hal/ssp/models.ts';
import { atEveryByte, cableIsPulled, powerCut, programDies, type Way } from '../every-byte.ts';
import { MODELS, Rig } from './rig.ts';

const FAST: SspDeviceOptions = {
  timings: { startMs: 400, initialiseMs: 300, readMs: 250, creditMs: 150, stackMs: 250 },
};

/** The way of a note on such a device. A packet's bytes are all alike; one of 17 shows as much. */
const way = (model: SspModelName, habits: Partial<SspHabits> = {}): Way => ({
  make: () => new Rig({ model, device: { ...FAST, habits } }),
  step: model === 'essp' ? 17 : 1,
});

describe.each(MODELS)('%s', (model) => {
  test.each([
    { knowsChannelAtPowerUp: true, clearsCreditedNotes: true },
    { knowsChannelAtPowerUp: false, remembersCredit: true },
    { clearsCreditedNotes: false },
  ])('a power cut at every byte, with %o', async (habits) => {
    const ends = await atEveryByte(way(model, habits), powerCut);
    expect(ends.get('deposited')).toBeGreaterThan(10);
    expect(ends.get('returned')).toBeGreaterThan(2);
    // E1 and E2 say where the note went; and what was stacked before the cut is in the counters.
    expect(ends.get('unknown') ?? 0).toBeLessThan(habits.clearsCreditedNotes === false ? 30 : 1);
  });

  test('the program dies at every byte', async () => {
    const ends = await atEveryByte(way(model), programDies);
    expect(ends.get('deposited')).toBeGreaterThan(10);
  });

  test('the cable is pulled at every byte', async () => {
    const ends = await atEveryByte(way(model), cableIsPulled);
    expect(ends.get('deposited')).toBeGreaterThan(10);
    expect(ends.get('unknown')).toBeUndefined();
  });

  test.each(['drop', 'flip', 'double'] as const)('one byte is spoilt: %s', async (kind) => {
    const ends = await atEveryByte(way(model), () => ({ do: kind }));
    expect([...ends.keys()]).toEqual(['deposited']);
  });

  test('one byte is late by more than the time-out', async () => {
    const ends = await atEveryByte(way(model), () => ({ do: 'delay', ms: 700 }));
    expect([...ends.keys()]).toEqual(['deposited']);
  });
});
