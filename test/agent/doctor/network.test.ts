/** What the examination says of relays and clock, from what was measured. */
import { expect, test } from 'vitest';
import { examineClock, examineRelays } from '#agent/doctor/network.ts';
import type { DoctorSources, RoundTrips } from '#agent/doctor/sources.ts';
import type { ClockVerdict } from '#protocol/corrected-clock.ts';
import type { RoundTrip } from '#protocol/relay/round-trip.ts';

const nostr = (trips: RoundTrips, verdict: ClockVerdict): Pick<DoctorSources, 'nostr'> => ({
  nostr: { roundTrips: async () => trips, clockVerdict: () => verdict },
});

const link = (name: string, state: RoundTrip['state'], reason?: string): RoundTrip => ({
  ...{ url: `wss://${name}.example`, state, reason, answeredMs: undefined },
});
const answers: RoundTrip = { ...link('a', 'open'), answeredMs: 41.6 };
const mute = link('b', 'open');
const refused = link('c', 'waiting', 'HTTP 429');
const away = link('d', 'waiting');
const unknown: ClockVerdict = { kind: 'unknown' };

test('a relay beside one that answers is a warning, and a fault when it is the last', async () => {
  const found = await examineRelays(
    nostr({ bunker: [answers, mute], others: [refused, away] }, unknown),
  );
  expect(found.map(({ level, text }) => `${level} ${text}`)).toEqual([
    'ok wss://a.example (the bunker) answered in 42 ms.',
    'warning wss://b.example (the bunker) cannot be used: it is connected and does not answer.',
    'fault wss://c.example (wallet and documents) cannot be used: HTTP 429.',
    'fault wss://d.example (wallet and documents) cannot be used: waiting.',
  ]);
  expect(found[1]?.next).toContain('another relay answers');
});

test.each<[ClockVerdict, string, string]>([
  [unknown, 'warning', 'Nobody has told the time yet'],
  [{ kind: 'doubted', words: 'created_at too early' }, 'fault', '"created_at too early"'],
  [{ kind: 'right', offsetMs: -12.4 }, 'ok', 'The clock is -12 ms off.'],
  [{ kind: 'off', offsetMs: 40_400 }, 'warning', '40 s slow, and should be within 30 s'],
  [{ kind: 'wrong', offsetMs: -70_000 }, 'fault', '70 s fast, and should be within 30 s'],
])('a clock that is %o', (verdict, level, text) => {
  const [finding, ...more] = examineClock(nostr({ bunker: [], others: [] }, verdict));
  expect(finding).toMatchObject({ level, text: expect.stringContaining(text) });
  expect(more).toEqual([]);
});
