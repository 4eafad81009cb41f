/** `spire doctor`: with the agent, and what it can say when there is none. */
import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { doctorReport, type FindingView } from '#agent/api/schemas.ts';
import { systemClock, systemRandom } from '#protocol/base/clock.ts';
import { silentLog } from '#protocol/base/log.ts';
import { openDatabase } from '#state/database.ts';
import { openStore } from '#state/store.ts';
import { FakeService } from '#test/agent/api/fake-service.ts';
import { newFolder, startHarness } from '#test/agent/api/harness.ts';
import { KEY } from '#test/state/fixtures.ts';
import { inProcess, spire } from './process.ts';

const signed: FindingView = {
  subject: 'signer',
  level: 'ok',
  text: 'The bunker signed in 80 ms.',
  next: null,
};
const old: FindingView = {
  subject: 'backups',
  level: 'warning',
  text: 'The newest of 3 backups is 2 days old.',
  next: 'Make one now: spire backup.',
};
const deaf: FindingView = {
  subject: 'signer',
  level: 'fault',
  text: 'Signer Unreachable: no answer in 15 s.\u001b[2J',
  next: 'Look at the bunker and at the relays it listens on.',
};

function serviceWith(...findings: FindingView[]): FakeService {
  const service = new FakeService();
  const level = findings[0]?.level ?? 'ok';
  service.report = { ...service.report, level, findings };
  return service;
}

describe.concurrent('with the agent', () => {
  test('0 when all is well, and with warnings that are said', async () => {
    await using well = await startHarness({ service: serviceWith(signed) });
    const { code, out } = await inProcess(['doctor', '--socket', well.socketPath]);
    expect([code, out]).toEqual([
      0,
      'ok           signer: The bunker signed in 80 ms.\nAll is well.\n',
    ]);
    await using warned = await startHarness({ service: serviceWith(old, signed) });
    const ended = await inProcess(['doctor', '--socket', warned.socketPath]);
    expect(ended.code).toBe(0);
    expect(ended.out).toContain('WARNING      backups: The newest of 3 backups is 2 days old.\n');
    expect(ended.out).toContain('             > Make one now: spire backup.\n');
    expect(ended.out).toContain('0 faults, 1 warning.\n');
  });

  test('1 when a fault is found; its cause cannot steer the terminal', async () => {
    await using harness = await startHarness({ service: serviceWith(deaf, old) });
    const { code, out } = await inProcess(['doctor', '--socket', harness.socketPath]);
    expect(code).toBe(1);
    expect(out).toContain('FAULT        signer: Signer Unreachable: no answer in 15 s.');
    expect(out).toContain('1 fault, 1 warning.');
    expect(out.replaceAll('\n', '')).not.toMatch(/\p{Cc}/u);
    for (const line of out.split('\n')) expect(line.length).toBeLessThanOrEqual(80);
  });

  test('it speaks the machine’s language, or the one that is asked for', async () => {
    const said = { key: 'signer.signed', values: { ms: 80 } };
    const service = serviceWith({ ...signed, said });
    service.show({ ...service.view(), language: 'es' });
    await using harness = await startHarness({ service });
    const doctor = (...words: string[]) =>
      inProcess(['doctor', ...words, '--socket', harness.socketPath]);
    const spanish = 'bien         firmante: El firmante firmó en 80 ms.\nTodo está bien.\n';
    expect((await doctor()).out).toBe(spanish);
    expect((await doctor('--language', 'en')).out).toContain('The bunker signed in 80 ms.');
  });

  test('--json is what the API says', async () => {
    const service = serviceWith(deaf);
    await using harness = await startHarness({ service });
    const { code, out } = await inProcess(['doctor', '--json', '--socket', harness.socketPath]);
    expect(code).toBe(1);
    expect(JSON.parse(out)).toEqual(service.report);
  });
});

/** A machine's folder with a configuration whose ports are ordinary files. */
function machine() {
  const folder = newFolder();
  const state = join(folder, 'state');
  mkdirSync(state);
  const port = join(folder, 'tty');
  writeFileSync(port, '');
  const config = join(folder, 'spire.json');
  const write = (validatorPort = port) =>
    writeFileSync(
      config,
      JSON.stringify({
        currency: 'USD',
        support: { contact: '+1 555 0100' },
        validator: { protocol: 'id003', port: validatorPort },
        dispenser: { protocol: 'lcdm', port },
        limits: { max_cash_in_sats: null },
        paths: { state },
      }),
    );
  write();
  const doctor = async () => {
    const words = ['doctor', '--json', '--config', config, '--socket', join(folder, 'no.sock')];
    const { code, out } = await inProcess(words);
    const report = doctorReport.parse(JSON.parse(out));
    expect([code, report.agent]).toEqual([69, 'notRunning']);
    const [service, ...findings] = report.findings;
    if (!service) throw new Error('nothing was found');
    const of = (subject: string) => findings.filter((one) => one.subject === subject);
    return { service, of };
  };
  return { folder, state, config, write, doctor };
}

function newState(state: string): void {
  const path = join(state, 'state.sqlite');
  const common = { clock: systemClock, random: systemRandom, log: silentLog };
  const store = openStore({ ...common, path, sealingKey: KEY, bootId: 'boot' });
  store.commit(() => store.journal.append('agent.started', {}));
  store.close();
}

describe.concurrent('69 without the agent', () => {
  test('a machine that is ready to be started', async () => {
    const { state, doctor } = machine();
    writeFileSync(join(state, 'pairing.json'), '{}');
    newState(state);
    const { service, of } = await doctor();
    expect(service).toMatchObject({ subject: 'service', level: 'fault' });
    expect(service.text).toContain('The agent is not running');
    expect(service.next).toContain('systemctl start spire-agent');
    expect(of('configuration')[0]?.level).toBe('ok');
    expect(of('pairing')[0]?.level).toBe('ok');
    expect(of('journal')).toMatchObject([
      { subject: 'journal', level: 'ok', text: 'All 1 entries are whole.', next: null },
    ]);
    expect(of('validator')[0]?.level).toBe('ok');
    // It let go of the state, and left no file behind.
    expect(readdirSync(state).sort()).toEqual(['pairing.json', 'state.sqlite']);
    openDatabase(join(state, 'state.sqlite')).close();
  });

  test('a machine that was never paired, or not to the end', async () => {
    const { state, doctor } = machine();
    const never = await doctor();
    expect(never.of('pairing')[0]?.text).toContain('This machine is not paired');
    expect(never.service.next).toContain('spire pair');
    expect(never.of('journal')[0]?.text).toContain('no journal yet');
    writeFileSync(join(state, 'pairing.new.json'), '{}');
    const begun = await doctor();
    expect(begun.of('pairing')[0]?.text).toContain('did not come to its end');
    expect(begun.service.next).toContain('same seed');
  });

  test('a state whose folder nobody has made, or that is no folder', async () => {
    const { state, doctor } = machine();
    rmSync(state, { recursive: true });
    const { of, service } = await doctor();
    expect(of('state')).toMatchObject([{ level: 'fault', text: expect.stringContaining(state) }]);
    expect(service.next).toContain('Install the package');
    writeFileSync(state, '');
    expect((await doctor()).of('state')[0]?.level).toBe('fault');
  });

  test('a configuration that is not there, or wrong', async () => {
    const { config, doctor, write } = machine();
    writeFileSync(config, '{"currency":"USD"}');
    const wrong = await doctor();
    expect(wrong.of('configuration')[0]?.text).toContain('limits');
    expect(wrong.service.next).toContain(config);
    write('/dev/no-such-port');
    const { of } = await doctor();
    expect(of('validator')[0]).toMatchObject({
      level: 'fault',
      text: 'There is no port /dev/no-such-port.',
    });
    expect(of('dispenser')[0]?.level).toBe('ok');
  });

  test('a state that another process holds, and one that is damaged', async () => {
    const { state, doctor } = machine();
    const path = join(state, 'state.sqlite');
    newState(state);
    const held = openDatabase(path);
    expect((await doctor()).of('journal')[0]).toMatchObject({ level: 'warning' });
    held.close();
    const bytes = readFileSync(path);
    bytes.fill(0x5a, 4096, 8192);
    writeFileSync(path, bytes);
    const [journal] = (await doctor()).of('journal');
    expect(journal).toMatchObject({ level: 'fault' });
    expect(journal?.next).toContain('Keep the disk as it is');
    writeFileSync(path, 'no database');
    expect((await doctor()).of('journal')[0]).toMatchObject({
      level: 'fault',
      text: expect.stringMatching(/^The state cannot be opened: /),
    });
  });

  test('as a process of somebody who may not look at the state', async () => {
    const { folder, state, config } = machine();
    chmodSync(folder, 0o755);
    chmodSync(state, 0o700);
    const words = ['doctor', '--json', '--config', config, '--socket', join(folder, 'no.sock')];
    const isRoot = process.getuid?.() === 0;
    const { code, out } = await spire(words, {
      cwd: '/',
      ...(isRoot ? { uid: 65_534, gid: 65_534 } : {}),
    });
    expect(code).toBe(69);
    const { findings } = doctorReport.parse(JSON.parse(out));
    const texts = findings.map(({ text }) => text).join('\n');
    if (isRoot) expect(texts).toContain('cannot be looked at');
  });
});
