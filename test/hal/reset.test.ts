import { expect, test } from 'vitest';
import type { PowerUpEvidence } from '#hal/cash-acceptor.ts';
import { NextNews } from '#hal/news.ts';
import { resetDevice, type StateWords } from '#hal/reset.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';

type State = 'powerUp' | 'initialising' | 'stacking' | 'idle' | 'jam' | 'cheated';

const words: StateWords<State> = {
  describe: (state) => state,
  isIdle: (state) => state === 'idle',
  needsReset: (state) => state !== 'idle' && state !== 'stacking',
  needsPerson: (state) => state === 'jam',
  isInitialising: (state) => state === 'initialising',
  isStacking: (state) => state === 'stacking',
  configuresEarly: false,
};

interface Played {
  readonly before?: PowerUpEvidence;
  /** What is said to each poll from then on, by milliseconds since RESET left. */
  readonly says: Readonly<Record<number, State>>;
  readonly isAcknowledged?: boolean;
  readonly isConfigured?: boolean;
  readonly isEarly?: boolean;
  /** A credit that nobody was told of is heard with this state. */
  readonly creditAt?: State;
  readonly isCreditKnown?: boolean;
  readonly silentFromMs?: number;
}

const POLL_MS = 100;

/** Plays a reset against a device that is polled and says what it is told to. */
async function play(played: Played) {
  const { says, silentFromMs = Infinity, creditAt } = played;
  const clock = new VirtualClock();
  const news = new NextNews<State>(clock);
  let last: State = 'powerUp';
  const configuredAt: State[] = [];
  const poll = (atMs: number): void => {
    for (const [ms, state] of Object.entries(says)) if (Number(ms) <= atMs) last = state;
    if (atMs < silentFromMs) news.tell(last);
    clock.after(POLL_MS, () => poll(atMs + POLL_MS));
  };
  clock.after(POLL_MS, () => poll(POLL_MS));
  const outcome = await clock.resolve(
    resetDevice(
      {
        clock,
        words: { ...words, configuresEarly: played.isEarly ?? false },
        reset: async () => played.isAcknowledged ?? true,
        nextStatus: (limitMs) => news.within(limitMs),
        configure: async () => {
          configuredAt.push(last);
          return played.isConfigured ?? true;
        },
        takePendingCredit: () => creditAt === last,
        isCreditKnown: () => played.isCreditKnown ?? false,
        isClosed: () => false,
      },
      played.before ?? 'none',
    ),
    100_000,
  );
  return { outcome, configuredAt, lastedMs: clock.monotonic() };
}

const USUAL = { 100: 'initialising', 2000: 'idle' } as const;
const STACKED = { 100: 'initialising', 1000: 'stacking', 2000: 'idle' } as const;

test.each<[string, Played, string, string]>([
  ['nothing inside', { says: USUAL }, 'ready', 'none'],
  ['given back', { says: USUAL, before: 'noteInAcceptor' }, 'ready', 'returned'],
  ['stacked all the same', { says: STACKED, before: 'noteInAcceptor' }, 'ready', 'unknown'],
  ['in the stacker, no credit', { says: STACKED, before: 'noteInStacker' }, 'ready', 'unknown'],
  [
    'in the stacker, its credit was told before',
    { says: STACKED, before: 'noteInStacker', isCreditKnown: true },
    'ready',
    'none',
  ],
  [
    'in the stacker, and now its credit',
    { says: STACKED, before: 'noteInStacker', creditAt: 'stacking' },
    'attention',
    'deposited',
  ],
  [
    'nobody knows, whatever was told before',
    { says: USUAL, before: 'unknown', isCreditKnown: true },
    'ready',
    'unknown',
  ],
  ['settings not confirmed', { says: USUAL, isConfigured: false }, 'attention', 'none'],
  ['RESET was lost', { says: { 0: 'powerUp' }, isAcknowledged: false }, 'attention', 'none'],
  [
    'RESET was lost, it is idle',
    { says: { 0: 'idle' }, isAcknowledged: false },
    'attention',
    'none',
  ],
  ['at rest before it is seen to begin', { says: { 0: 'idle' } }, 'ready', 'none'],
  ['a jam that stays', { says: { 100: 'initialising', 1000: 'jam' } }, 'fault', 'none'],
  [
    'a jam with the note',
    { says: { 100: 'initialising', 1000: 'jam' }, before: 'noteInAcceptor' },
    'fault',
    'unknown',
  ],
  ['silence', { says: USUAL, silentFromMs: 500, before: 'noteInStacker' }, 'offline', 'unknown'],
  ['silence with nothing inside', { says: USUAL, silentFromMs: 500 }, 'offline', 'none'],
  [
    'it never ends',
    { says: { 100: 'initialising' }, before: 'noteInAcceptor' },
    'attention',
    'unknown',
  ],
])('%s', async (_what, played, device, note) => {
  const { outcome } = await play(played);
  expect(outcome).toMatchObject({ device, note });
});

test('it ends within a minute, and a silence within ten seconds', async () => {
  expect((await play({ says: { 100: 'initialising' } })).lastedMs).toBeLessThanOrEqual(60_000);
  expect((await play({ says: USUAL, silentFromMs: 500 })).lastedMs).toBeLessThanOrEqual(20_500);
});

test('a RESET that was heard has three seconds to begin', async () => {
  const late = { says: { 0: 'idle', 2000: 'initialising', 4000: 'idle' } } as const;
  const { outcome, lastedMs } = await play({ ...late, before: 'noteInAcceptor' });
  expect(outcome).toMatchObject({ device: 'ready', note: 'returned' });
  expect(lastedMs).toBe(4000);
  expect(outcome.evidence).toBe('RESET acknowledged, idle, initialising, idle');
});

test('settings leave while it initialises where they are kept, and once', async () => {
  expect((await play({ says: USUAL, isEarly: true })).configuredAt).toEqual(['initialising']);
  expect((await play({ says: USUAL })).configuredAt).toEqual(['idle']);
});
