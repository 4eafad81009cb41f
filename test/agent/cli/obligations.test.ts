/** `spire obligations` and `spire dispute` against the real API on a real socket. */
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { DisputeBundle, ObligationsQuery } from '#agent/api/owed-schemas.ts';
import { canonicalJson, type JsonValue } from '#state/json.ts';
import { FakeService } from '#test/agent/api/fake-service.ts';
import { newFolder, startHarness } from '#test/agent/api/harness.ts';
import { inProcess } from './process.ts';

/** A service that keeps what it was asked for. */
class AskedService extends FakeService {
  readonly asked: (Partial<ObligationsQuery> | undefined)[] = [];

  override obligations(query?: ObligationsQuery) {
    this.asked.push(query);
    return super.obligations(query);
  }
}

const sale: DisputeBundle['transaction'] = {
  ...{ id: '01'.repeat(16), kind: 'cashOut', reference: 'K7Q4-9XMB', state: 'needsOperator' },
  ...{ outcome: 'needsOperator', currency: 'USD', fiatMinor: 10_000, rateMinorPerBtc: 9_711_700 },
  ...{ principalSats: 102_968, feeSats: 7_002, wireSats: 109_970, paymentHash: null },
  ...{ createdAtUnixMs: 1, endedAtUnixMs: 2 },
};
const bundle: DisputeBundle = {
  format: 'spire-dispute-1',
  madeAtUnixMs: 3,
  versions: { agent: '0.1.0', node: 'v24' },
  spirePubkey: 'ab'.repeat(32),
  transaction: sale,
  neighbours: { before: null, after: null },
  notes: { moved: [], counters: [] },
  devices: { before: [], now: [] },
  obligations: [],
  journal: {
    ...{ complete: true, chain: 'ok', entries: [] },
    head: { seq: 1, epoch: 1, hash: 'cd'.repeat(32) },
  },
};

/** A service that has one case. */
function withCase(): FakeService {
  const service = new FakeService();
  service.bundle = bundle;
  return service;
}

describe.concurrent('obligations', () => {
  test('each with its kind, age, amounts, evidence, and what to do', async () => {
    await using harness = await startHarness();
    const { code, out } = await inProcess(['obligations', '--socket', harness.socketPath]);
    expect(code).toBe(0);
    for (const words of [
      'K7Q4-9XMB  dispenseUnknown, open, 1 d 2 h old',
      '109970 sats, 100.00 USD',
      'evidence="no answer within 60 s"',
      'payment: paid isLate=false',
      'to do: Count the bays.',
    ]) {
      expect(out).toContain(words);
    }
  });

  test('what is closed says by whom, and asks for nothing any more', async () => {
    const service = new FakeService();
    const [one] = service.obligations();
    if (!one) throw new Error('nothing is open');
    const settled = { atUnixMs: Date.UTC(2026, 10, 21), by: 'Ana', reason: 'paid in cash' };
    const partialDispense = { dispensed_sats: 155, dispensed_fraction: 0.2 };
    service.obligations = () => [{ ...one, state: 'settled', settled, partialDispense }];
    await using harness = await startHarness({ service });
    const { out } = await inProcess(['obligations', '--all', '--socket', harness.socketPath]);
    expect(out).toContain('by Ana: paid in cash');
    expect(out).toContain('dispensed_sats=155');
    expect(out).toContain('dispensed_fraction=0.2');
    expect(out).not.toContain('to do');
  });

  test('the open ones unless told otherwise, or those of one reference', async () => {
    const service = new AskedService();
    await using harness = await startHarness({ service });
    const at = ['--json', '--socket', harness.socketPath];
    expect((await inProcess(['obligations', ...at])).code).toBe(0);
    expect((await inProcess(['obligations', 'K7Q4-9XMB', '--all', ...at])).code).toBe(0);
    expect(service.asked).toEqual([{ which: 'open' }, { which: 'all', name: 'K7Q4-9XMB' }]);
  });
});

describe.concurrent('dispute', () => {
  test('one line of canonical JSON', async () => {
    await using harness = await startHarness({ service: withCase() });
    const { socketPath } = harness;
    const { code, out, err } = await inProcess(['dispute', 'K7Q4-9XMB', '--socket', socketPath]);
    expect([code, err]).toEqual([0, '']);
    expect(out).toBe(`${canonicalJson(bundle as JsonValue)}\n`);
  });

  test('to a file that others cannot read, and never over another one', async () => {
    await using harness = await startHarness({ service: withCase() });
    const file = join(newFolder(), 'case.json');
    const verb = ['dispute', 'K7Q4-9XMB', '--out', file, '--socket', harness.socketPath];
    const first = await inProcess(verb);
    expect([first.code, first.out, first.err]).toEqual([0, '', `Written to ${file}.\n`]);
    expect(readFileSync(file, 'utf8')).toBe(`${canonicalJson(bundle as JsonValue)}\n`);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    writeFileSync(file, 'of another day');
    const again = await inProcess(verb);
    expect(again.code).not.toBe(0);
    expect(readFileSync(file, 'utf8')).toBe('of another day');
  });

  test('of what the machine does not know is refused in words', async () => {
    await using harness = await startHarness();
    const { code, err } = await inProcess(['dispute', 'NOPE', '--socket', harness.socketPath]);
    expect([code, err]).toEqual([1, 'spire: There is no transaction NOPE on this machine.\n']);
  });
});
