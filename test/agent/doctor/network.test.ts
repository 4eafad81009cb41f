/** What the examination says of relays and clock, from what was measured. */
import { expect, test } from 'vitest';
import { examineClock, examineRelays } from '#agent/doctor/network.ts';
import type { DoctorSources, RoundTrips } from '#agent/doctor/sources.ts';
import type { ClockVerdict } from '#protocol/corrected-clock.ts';
import type { Shortcoming } from '#protocol/relay/information.ts';
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

test('what a relay says of itself that keeps us from using it is a warning, one for each', async () => {
  const shortcomings: Shortcoming[] = [
    ...[{ code: 'payment' } as const, { code: 'restrictedWrites' } as const],
    { code: 'work', bits: 20 },
    { code: 'subscriptions', max: 2, needed: 5 },
    { code: 'message', max: 4_096, needed: 55_300 },
    { code: 'content', max: 1_000, needed: 54_704 },
    { code: 'past', maxSec: 30, neededSec: 60 },
    { code: 'future', maxSec: 3, neededSec: 5 },
  ];
  const trips = {
    bunker: [],
    others: [
      { ...answers, shortcomings },
      { ...mute, shortcomings },
    ],
  };
  const found = await examineRelays(nostr(trips, unknown));
  const said = found.map(({ level, text }) => `${level} ${text.replace(/^\S+ \(.*\) /, '')}`);
  expect(said).toEqual([
    'ok answered in 42 ms.',
    'warning says that it wants to be paid.',
    'warning says that it takes events only of some.',
    'warning wants 20 bits of work on each event.',
    'warning grants 2 subscriptions, and we have 5.',
    'warning takes messages up to 4096, and ours may have 55300.',
    'warning takes events up to 1000, and ours may have 54704.',
    'warning takes events up to 30 s old; ours may be 60 s.',
    'warning takes events up to 3 s ahead of its clock; ours may be 5 s.',
    // One that does not answer has other troubles.
    'warning cannot be used: it is connected and does not answer.',
  ]);
  expect(found.every(({ level, next }) => level === 'ok' || next !== null)).toBe(true);
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
