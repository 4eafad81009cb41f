/** What the examination says of devices, disk and records that are not as they should be. */
import { expect, test } from 'vitest';
import {
  examineDevices,
  examineDisk,
  examineDocuments,
  examineJournal,
  examineKeys,
} from '#agent/doctor/machine.ts';
import { examineSigner, examineWallet } from '#agent/doctor/network.ts';
import type { DoctorSources } from '#agent/doctor/sources.ts';
import { SignatureBudget } from '#protocol/signer/signature-budget.ts';
import type { SignerHealth } from '#protocol/signer/signer.ts';
import { type Database, openDatabase } from '#state/database.ts';
import { newFolder } from '#test/state/fixtures.ts';
import { diskFailure, failingDisk } from '#test/support/failing-disk.ts';
import { type PartsOptions, type TestParts, testParts } from '#test/support/parts.ts';

/** An examination of these parts, of a machine at rest. */
async function sources(
  options: PartsOptions = {},
  over: Partial<DoctorSources> = {},
): Promise<DoctorSources & { readonly parts: TestParts }> {
  const parts = await testParts(options);
  return {
    operatorPubkey: () => 'aa'.repeat(32),
    sealedBy: 'file',
    nostr: {
      roundTrips: async () => ({ bunker: [], others: [] }),
      clockVerdict: () => ({ kind: 'unknown' }),
    },
    devices: { identity: () => undefined, askDispenser: async () => undefined },
    isIdle: () => true,
    ...over,
    parts,
  };
}

test('a device that never answered, and one that says its serial number', async () => {
  const silent = await examineDevices(await sources());
  expect(silent.map(({ level, text }) => `${level} ${text}`)).toEqual([
    'fault No validator has answered.',
    'fault No dispenser has answered.',
  ]);
  const known = { protocol: 'id003', model: 'UBA', firmware: 'U(USA)', serialNumber: '4711' };
  const identity = () => known;
  const devices = { identity, askDispenser: async () => undefined };
  const [validator] = await examineDevices(await sources({}, { devices }));
  expect(validator?.text).toMatch(/^UBA \(id003, firmware U\(USA\), serial number 4711\) is /);
});

test('a disk that takes nothing, and one that is slow', async () => {
  const disk: { isFailing: boolean } = { isFailing: false };
  const beforeCommit = () => {
    if (disk.isFailing) throw diskFailure();
  };
  const paths = { state: newFolder() };
  const full = await sources({ store: { openDatabase: failingDisk({ beforeCommit }) } });
  disk.isFailing = true;
  expect(examineDisk(full)).toMatchObject([
    { level: 'fault', text: expect.stringMatching(/^The disk takes nothing: /) },
  ]);
  const slow = await sources({ config: { paths } });
  const { clock } = slow.parts;
  // Each look at the clock finds it two seconds later.
  let looks = 0;
  const dragging = { ...slow.parts, clock: Object.create(clock) };
  dragging.clock.monotonic = () => looks++ * 2_000;
  dragging.clock.now = () => clock.now();
  const [commit] = examineDisk({ ...slow, parts: dragging });
  expect(commit).toMatchObject({
    ...{ level: 'warning', text: 'A commit took 2000 ms to reach the disk.' },
  });
});

test('a journal whose end was changed by hand', async () => {
  let raw: Database | undefined;
  const open = (path: string) => {
    raw = openDatabase(path);
    return raw;
  };
  const changed = await sources({ store: { openDatabase: open } });
  const { store } = changed.parts;
  store.commit(() => store.journal.append('agent.started', {}));
  expect(examineJournal(changed)).toMatchObject([{ level: 'ok' }]);
  raw?.exec("DROP TRIGGER journal_no_update; UPDATE journal SET kind = 'altered'");
  expect(examineJournal(changed)).toMatchObject([
    { level: 'fault', text: expect.stringMatching(/^The journal is broken: .*1/) },
  ]);
});

test('a document of ours waits for ten minutes before it is worth a word', async () => {
  const waiting = await sources();
  const { store, clock } = waiting.parts;
  store.commit(() => store.outbox.put('bitspire-beacon', '{}'));
  const texts = () =>
    examineDocuments(waiting)
      .map(({ text }) => text)
      .filter((text) => text.includes('waited'));
  expect(texts()).toEqual([]);
  await clock.advance(600_000);
  expect(texts()).toEqual(['bitspire-beacon has waited for 10 minutes to be published.']);
});

test('a key that is not on the disk', async () => {
  const [sealed] = examineKeys(await sources({}, { sealedBy: 'credential' }));
  expect(sealed).toMatchObject({ level: 'ok', subject: 'key' });
});

test.each<[string, SignerHealth | 'never', string, string]>([
  ['does not end', 'never', 'fault', 'The bunker has not signed.'],
  ['is not known', { kind: 'unknown' }, 'fault', 'The bunker has not signed.'],
  ['has signed', { kind: 'ok', atMonotonicMs: 0 }, 'warning', 'quota is used up'],
])('a probe of the signer that %s', async (_, health, level, text) => {
  const signatures = (clock: TestParts['clock']) =>
    new SignatureBudget({ clock, caps: [{ count: 0, windowMs: 60_000 }] });
  const asked = await sources();
  const probe = () => (health === 'never' ? new Promise<never>(() => {}) : Promise.resolve(health));
  const { clock, signer } = asked.parts;
  const parts = { ...asked.parts, signer: { ...signer, probe }, signatures: signatures(clock) };
  const findings = await clock.resolve(examineSigner({ ...asked, parts } as DoctorSources));
  expect(findings.at(-1)).toMatchObject({ level, text: expect.stringContaining(text) });
});

test('a wallet is asked anew while nobody is served, and says whose it is or not', async () => {
  const ages: number[] = [];
  const walletWatch = {
    balance: async (maxAgeMs: number) => {
      ages.push(maxAgeMs);
      return 5;
    },
    named: () => false,
  };
  const busy = await sources({ parts: { walletWatch } }, { isIdle: () => false });
  expect((await examineWallet(busy))[0]?.text).toBe(
    'The wallet does not say which one it is and holds 5 sats.',
  );
  await examineWallet({ ...busy, isIdle: () => true });
  expect(ages).toEqual([expect.any(Number), 0]);
  expect(ages[0]).toBeGreaterThan(0);
});
