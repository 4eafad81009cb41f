/** The examination of a whole machine: each trouble is found, with its cause and what to do. */
import { mkdirSync, rmSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import type { DoctorReport } from '#agent/api/schemas.ts';
import { spaceFinding } from '#agent/doctor/machine.ts';
import { backupAtOnce, listBackups } from '#state/backup.ts';
import { cheapCrypto } from '#test/support/cheap-crypto.ts';
import { type MachineOptions, WholeMachine } from '#test/support/whole-machine.ts';

let machine: WholeMachine;
afterEach(() => machine.stop());

/** What would only say that the test has no credential, no expiry and no nightly backup. */
const EXPECTED = ['key', 'backups'];
const LIMIT_MS = 120_000;

async function started(options: MachineOptions = {}): Promise<void> {
  machine = await WholeMachine.inService({ makeCrypto: cheapCrypto, ...options });
}

const examine = (): Promise<DoctorReport> =>
  machine.clock.resolve(machine.running.service.doctor(), LIMIT_MS);

/** What is not well beside what is expected. */
async function troubles() {
  const { findings } = await examine();
  return findings
    .filter(({ level, subject }) => level !== 'ok' && !EXPECTED.includes(subject))
    .map(({ subject, level }) => `${level} ${subject}`);
}

const found = (report: DoctorReport, subject: string) =>
  report.findings.filter((finding) => finding.subject === subject);

describe('a machine that is well', () => {
  test('the handshake is a real one with everything', async () => {
    await started();
    const report = await examine();
    expect(report.agent).toBe('running');
    expect(report.findings.filter(({ level }) => level === 'fault')).toEqual([]);
    const texts = report.findings.map(({ subject, text }) => `${subject}: ${text}`);
    for (const pattern of [
      /^cashIn: Cash-in is open\.$/,
      /^cashOut: Cash-out is open\.$/,
      /^relay: .* \(the bunker\) answered in \d+ ms\.$/,
      /^relay: .* \(wallet and documents\) answered in \d+ ms\.$/,
      /^signer: The bunker signed in \d+ ms\.$/,
      /^wallet: The wallet is .* and holds 5000000 sats\.$/,
      /^validator: .*\(id003, firmware .*\) is ready, cash box ok\.$/,
      /^dispenser: lcdm-4000 \(lcdm, firmware .*\) is ready, path clear\.$/i,
      /^clock: The clock is -?\d+ ms off\.$/,
      /^disk: A commit was on the disk in [\d.]+ ms\.$/,
      /^disk: \d+ MiB are free in /,
      /^journal: \d+ entries; the last \d+ are whole\.$/,
      /^documents: bitspire-fees in force is /,
      /^documents: bitspire-cassettes in force is /,
      /^obligations: Nothing is owed/,
    ]) {
      expect(texts).toContainEqual(expect.stringMatching(pattern));
    }
  });

  test('what is not well always says what to do next, and what is well never does', async () => {
    await started();
    machine.bunker.policy.switches.silent = true;
    machine.dispenserCable.unplug();
    const { findings } = await examine();
    for (const { level, next } of findings) {
      expect(next === null).toBe(level === 'ok');
      if (next !== null) expect(next).not.toBe('');
    }
  });

  test('two who ask at once get one examination', async () => {
    await started();
    const { service } = machine.running;
    const [one, other] = await machine.clock.resolve(
      Promise.all([service.doctor(), service.doctor()]),
      LIMIT_MS,
    );
    expect(one).toBe(other);
  });

  test('it moves no note, and writes nothing into the journal', async () => {
    await started();
    const entries = machine.running.store.journal.count();
    const truth = [machine.validator.truth(), machine.dispenser.truth()];
    await examine();
    expect(machine.running.store.journal.count()).toBe(entries);
    expect([machine.validator.truth(), machine.dispenser.truth()]).toEqual(truth);
    expect(machine.dispenser.violations()).toEqual([]);
  });
});

describe('what it finds', () => {
  test('a deaf bunker, in the words that operators know', async () => {
    await started();
    machine.bunker.policy.switches.silent = true;
    const report = await examine();
    expect(report.level).toBe('fault');
    const [signer, ...more] = found(report, 'signer');
    expect(signer).toMatchObject({
      level: 'fault',
      text: expect.stringMatching(/^Signer Unreachable/),
    });
    expect(signer?.next).toContain('bunker');
    expect(more).toEqual([]);
  });

  test('a revoked grant, and what to do about that', async () => {
    await started();
    for (const client of machine.bunker.policy.clients()) machine.bunker.policy.revoke(client);
    const [signer] = found(await examine(), 'signer');
    expect(signer?.text).toMatch(/^Pairing Required/);
    expect(signer?.next).toContain('spire pair');
  });

  test('a bunker that wants a person to allow it, with the address to open', async () => {
    await started();
    machine.bunker.policy.switches.authUrl = 'https://bunker.example/allow';
    const report = await examine();
    expect(found(report, 'signer')).toMatchObject([
      { level: 'fault', text: expect.stringMatching(/^Pairing Required/) },
    ]);
    expect(found(report, 'signer')[0]?.text).toContain('https://bunker.example/allow');
    await machine.until(({ cashIn }) => !cashIn.open, 'closed');
    const reasons = machine.view.cashIn.reasons.map(({ text }) => text);
    expect(reasons).toContainEqual(expect.stringContaining('https://bunker.example/allow'));
  });

  test('a bunker whose quota is used up', async () => {
    await started({ config: { signer: { caps: [{ count: 200, minutes: 1_440 }] } } });
    const said = async () => found(await examine(), 'signer').map(({ text }) => text);
    let texts = await said();
    for (let asked = 0; asked < 200 && texts.length < 2; asked += 1) texts = await said();
    expect(texts).toContainEqual(expect.stringMatching(/quota|signatures/));
  });

  test('a document that was refused, beside the one in force', async () => {
    await started();
    await machine.clock.resolve(
      machine.keeper.publishOldCassettes({ 20: { position: 1, count: 3 } }),
    );
    await machine.clock.advance(5_000);
    const texts = found(await examine(), 'documents').map(({ level, text }) => `${level} ${text}`);
    expect(texts).toContainEqual(
      expect.stringMatching(/^warning A newer bitspire-cassettes was refused/),
    );
    expect(texts).toContainEqual(expect.stringMatching(/^ok bitspire-cassettes in force/));
  });

  test('a document of ours that no relay takes', async () => {
    await started();
    for (const line of machine.lines) line.partition();
    machine.dispenser.control({ do: 'cassette', position: 1, present: false });
    await machine.clock.advance(30 * 60_000);
    const texts = found(await examine(), 'documents').map(({ text }) => text);
    expect(texts).toContainEqual(
      expect.stringMatching(/^[\w-]+ has waited for \d+ minutes to be published/),
    );
  });

  test.each([
    [99 * 1_024 ** 2, 'fault'],
    [900 * 1_024 ** 2, 'warning'],
    [2 * 1_024 ** 3, 'ok'],
  ])('%i free bytes', (bytes, level) => {
    expect(spaceFinding('/state', bytes)).toMatchObject({ subject: 'disk', level });
  });

  test('a relay that is away', async () => {
    await started();
    for (const line of machine.lines) line.partition();
    const report = await examine();
    const relays = found(report, 'relay');
    expect(relays.map(({ level }) => level)).toEqual(['fault', 'fault']);
    expect(relays[0]?.text).toMatch(/cannot be used/);
  });

  test('a wallet that is silent, and one that refuses in its own words', async () => {
    await started();
    machine.keeper.switches.silent = true;
    const [silent] = found(await examine(), 'wallet');
    expect(silent).toMatchObject({ level: 'fault', text: 'The wallet does not answer.' });
    machine.keeper.switches.silent = false;
    machine.keeper.switches.refuse = () => 'not_in_roster';
    expect(found(await examine(), 'wallet').map(({ text }) => text)).toEqual([
      'The wallet refuses: not_in_roster',
    ]);
  });

  test('a wallet above its float', async () => {
    await started({ config: { limits: { max_cash_in_sats: null, walletFloatSats: 1_000_000 } } });
    const wallet = found(await examine(), 'wallet');
    expect(wallet.map(({ level }) => level)).toEqual(['warning', 'ok']);
    expect(wallet[0]?.text).toContain('more than its float of 1000000');
  });

  test('devices that do not answer', async () => {
    await started();
    machine.validatorCable.unplug();
    machine.dispenserCable.unplug();
    await machine.clock.advance(20_000);
    const report = await examine();
    for (const subject of ['validator', 'dispenser', 'cashIn', 'cashOut']) {
      expect(found(report, subject)[0]?.level).toBe('fault');
    }
    expect(found(report, 'validator')).toHaveLength(1);
  });

  test('a clock that is wrong, alarmed before it closes anything', async () => {
    await started();
    machine.keeper.switches.clockSkewMs = 40_000;
    expect(await troubles()).toEqual(['warning clock']);
    machine.keeper.switches.clockSkewMs = 70_000;
    expect(await troubles()).toEqual(['fault cashIn', 'fault cashOut', 'fault clock']);
  });

  test('a cash box that is out, under the device it belongs to', async () => {
    await started();
    machine.validator.control({ do: 'cashbox', present: false });
    await machine.until(({ cashIn }) => !cashIn.open, 'the missing box is noticed');
    const report = await examine();
    expect(found(report, 'validator').map(({ text }) => text)).toContain('The cash box is out.');
    expect(found(report, 'cashIn')[0]?.text).toBe('Cash-in is closed: validator.');
    expect(found(report, 'cashOut')[0]?.level).toBe('ok');
  });

  test('a machine that waits for its fees', async () => {
    machine = new WholeMachine({ makeCrypto: cheapCrypto });
    await machine.pair();
    machine.start();
    await machine.until(({ state }) => state === 'outOfService', 'recovered');
    await machine.clock.advance(30_000);
    const documents = found(await examine(), 'documents');
    expect(documents[0]).toMatchObject({ level: 'fault' });
    expect(documents.map(({ text }) => text)).toContain('There is no bitspire-fees yet.');
  });

  test('what is owed, with the oldest first', async () => {
    await started();
    await machine.sell(70_00);
    machine.keeper.pay(machine.cashOut.bolt11 ?? '');
    await machine.clock.until(() => machine.kinds().includes('dispense.intended'), 60_000);
    machine.cutPower();
    await machine.clock.advance(60_000);
    await machine.powerOn();
    const { service } = machine.running;
    await machine.clock.until(() => service.obligations().length > 0, 120_000);
    const [owed] = found(await examine(), 'obligations');
    expect(owed).toMatchObject({ level: 'warning', next: 'See what is owed: spire obligations.' });
    expect(owed?.text).toMatch(/^1 open, the oldest \(.{9}, \w+\) for \d+ \w+\.$/);
  });

  test('backups that are missing, old, or there', async () => {
    await started();
    const level = async () => found(await examine(), 'backups')[0];
    expect(await level()).toMatchObject({
      level: 'warning',
      text: expect.stringMatching(/no backup/),
    });
    const folder = join(machine.config.paths.state, 'backups');
    mkdirSync(folder, { recursive: true });
    const { clock } = machine;
    backupAtOnce(machine.running.store, { folder, clock });
    const [path = ''] = listBackups(folder);
    const at = (unixMs: number) => utimesSync(path, unixMs / 1_000, unixMs / 1_000);
    at(clock.now() - 3_600_000);
    expect(await level()).toMatchObject({
      level: 'ok',
      text: expect.stringMatching(/^The newest of 1 backups is 1 hour/),
    });
    at(clock.now() - 48 * 3_600_000);
    expect(await level()).toMatchObject({
      level: 'warning',
      text: expect.stringMatching(/is 2 days old/),
    });
    rmSync(path);
  });

  test.each([
    [undefined, 'warning', /not told when/],
    ['never', 'warning', /never expires/],
    ['2026-11-30', 'warning', /expires on 2026-11-30/],
    ['2026-11-01', 'fault', /expires on 2026-11-01/],
    ['2027-11-30', 'ok', /expires on 2027-11-30/],
  ])('a grant that expires %s', async (tokenExpiresOn, level, text) => {
    await started(tokenExpiresOn === undefined ? {} : { config: { signer: { tokenExpiresOn } } });
    const grant = found(await examine(), 'key').find((one) => one.text.includes('grant'));
    expect(grant).toMatchObject({ level, text: expect.stringMatching(text) });
  });
});
