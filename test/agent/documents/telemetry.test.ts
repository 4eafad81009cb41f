/** Telemetry: published where the bunker signs it, and off, with the reason told, where it does not. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { TelemetryWatch, telemetryGrant } from '#agent/documents/telemetry.ts';
import { documentsView } from '#agent/documents/view.ts';
import { silentLog } from '#protocol/base/log.ts';
import { SignerError } from '#protocol/signer/signer.ts';
import { spirePolicy } from '#protocol/simulator/bunker-policy.ts';
import { newStore } from '#test/state/fixtures.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';
import { WholeMachine } from '#test/support/whole-machine.ts';

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
const OK = { kind: 'ok', atMonotonicMs: 0 } as const;
const TELEMETRY = 'bitspire-telemetry';

let machine: WholeMachine;
beforeEach(async () => {
  machine = await WholeMachine.inService();
});
afterEach(() => machine.stop());

const granted = [...spirePolicy, { method: 'sign_event', eventKind: 30_079 }];
const store = () => machine.running.store;
const published = () => documentsView(store(), 'counts').find(({ type }) => type === TELEMETRY);
async function found(): Promise<string[]> {
  const { findings } = await machine.clock.resolve(machine.running.service.doctor());
  return findings.flatMap(({ level, text }) =>
    /elemetry/.test(text) ? [`${level}: ${text}`] : [],
  );
}
/** Signatures of telemetry that were asked for. */
function asked(): () => number {
  const { policy } = machine.bunker;
  const decide = policy.decide.bind(policy);
  let count = 0;
  policy.decide = (request) => {
    if (request.eventKind === 30_079) count++;
    return decide(request);
  };
  return () => count;
}

test('granted: a snapshot every quarter of an hour, for the operator alone', async () => {
  machine.bunker.policy.rules = granted;
  expect(await found()).toEqual([]);
  await machine.clock.advance(12 * MINUTE_MS);
  expect(await found()).toEqual(['ok: Telemetry is published: the bunker signs it.']);
  const first = published();
  expect(first).toMatchObject({ direction: 'out', pending: false });
  expect(first?.content).toMatchObject({
    ...{ schema_version: 1, state: 'idle', signer: 'ok', validator: 'ready', dispenser: 'ready' },
    ...{ cash_in: { open: true, reasons: [] }, cash_out: { open: true, reasons: [] } },
    ...{ open_obligations: 0, journal: { chain: 'ok' } },
  });
  const bay = { position: 1, denomination: 20, count: 10, accuracy: 'set', parked: false };
  const unused = { ...bay, days_to_empty: null, notes_per_reject: null };
  expect(first?.content).toMatchObject({ bays: expect.arrayContaining([unused]) });
  await machine.clock.advance(16 * MINUTE_MS);
  const next = published();
  expect(next?.createdAtUnixMs).toBeGreaterThan(first?.createdAtUnixMs ?? 0);
});

test.each(['silent', 'refuse'] as const)(
  'not granted, by a bunker that is then %s: off, and nothing closes',
  async (ungranted) => {
    machine.bunker.policy.switches.ungranted = ungranted;
    const count = asked();
    const reasons: string[] = [];
    for (let minute = 0; minute < 12; minute++) {
      await machine.clock.advance(MINUTE_MS);
      const { cashIn, cashOut } = machine.view;
      reasons.push(...[...cashIn.reasons, ...cashOut.reasons].map(({ code }) => code));
    }
    expect(reasons).toEqual([]);
    const [telling, ...more] = await found();
    expect(more).toEqual([]);
    expect(telling).toMatch(
      /^ok: Telemetry is off: the bunker does not sign it \(sign_event of kin/,
    );
    expect(published()).toBeUndefined();
    expect(count()).toBeGreaterThan(0);
  },
);

test('a signer that is away decides nothing', async () => {
  await machine.clock.advance(9 * MINUTE_MS);
  machine.bunker.policy.switches.silent = true;
  await machine.clock.advance(10 * MINUTE_MS);
  expect(await found()).toEqual([]);
  machine.bunker.policy.switches.silent = false;
  machine.bunker.policy.rules = granted;
  await machine.clock.advance(30 * MINUTE_MS);
  expect(await found()).toEqual(['ok: Telemetry is published: the bunker signs it.']);
});

test('one that does not sign it is asked again after a day; each start asks', async () => {
  const clock = new VirtualClock();
  const tries: number[] = [];
  const kept = newStore();
  const watch = () =>
    new TelemetryWatch({
      ...{ store: kept, clock, log: silentLog, version: '1', signatures: { has: () => true } },
      publisher: {
        publish: async () => {
          tries.push(clock.monotonic());
          throw new SignerError({ kind: 'silent', reason: 'no rule' }, 'sign_event of kind 30079');
        },
      },
      signer: { health: () => ({ kind: 'ok', atMonotonicMs: 0 }), probe: async () => OK },
      operatorPubkey: () => 'aa'.repeat(32),
      status: () => machine.running.service.status('counts'),
      isIdle: () => clock.monotonic() >= 15 * MINUTE_MS,
    });
  const first = watch();
  first.open();
  await clock.advance(2 * DAY_MS);
  const [asked = 0, again = 0, ...more] = tries;
  expect(asked).toBeGreaterThanOrEqual(15 * MINUTE_MS);
  expect(again - asked).toBe(DAY_MS);
  expect(more).toEqual([]);
  expect(telemetryGrant(kept)).toMatchObject({ isGranted: false });
  first.close();
  watch().open();
  await clock.advance(11 * MINUTE_MS);
  expect(tries).toHaveLength(3);
});
