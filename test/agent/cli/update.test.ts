/**
 * An update on real states and real processes; systemd and dpkg are scripts that write down what
 * they were told, and the agent is a scripted one that answers as the release that `current` names.
 */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { faultsAgainst, type UpdatePlaces, UpdateRun } from '#agent/cli/update-run.ts';
import { restingState, returnState } from '#agent/cli/update-state.ts';
import { readPlan, type UpdatePlan, writePlan } from '#agent/upkeep/update-plan.ts';
import { type Clock, systemClock, systemRandom } from '#protocol/base/clock.ts';
import { newReference } from '#protocol/base/ids.ts';
import { silentLog } from '#protocol/base/log.ts';
import { openDatabase } from '#state/database.ts';
import { openStore, type Store } from '#state/store.ts';
import { FakeService } from '#test/agent/api/fake-service.ts';
import { startHarness } from '#test/agent/api/harness.ts';
import { cashInSession, idleView } from '#test/agent/api/views.ts';
import { KEY, newFolder } from '#test/state/fixtures.ts';
import { inProcess } from './process.ts';

const SPIRE = new URL('../../../agent/cli/spire.ts', import.meta.url).pathname;
const [OLD, NEW] = ['1.0.0', '2.0.0'];
/** A process that loads the whole command starts in a second; a busy box shares its cores. */
const PROCESSES_LIMIT_MS = 120_000;

/** The agent of the release that runs: the newest report is what it finds. */
class Agent extends FakeService {
  readonly #root: string;
  /** What each release finds, and does while it is examined. */
  readonly releases: Record<
    string,
    { faults: readonly string[]; readonly act?: () => void; readonly says?: string }
  > = {
    [OLD]: { faults: [] },
    [NEW]: { faults: [] },
  };
  constructor(root: string) {
    super(idleView);
    this.#root = root;
  }
  override async doctor() {
    const version = basename(readlinkSync(join(this.#root, 'current')));
    const { faults = [], act, says = version } = this.releases[version] ?? {};
    act?.();
    const findings = faults.map((subject) => {
      return { subject, level: 'fault' as const, text: 'It fails.', next: null };
    });
    return { ...this.report, version: says, findings };
  }
}

interface Rig {
  readonly places: UpdatePlaces;
  readonly agent: Agent;
  readonly folder: string;
  /** What systemd and dpkg were told, in order. */
  told(): readonly string[];
  /** Lets a script fail at words that match. */
  fail(program: 'systemctl' | 'dpkg', words: string): void;
  state<T>(work: (store: Store) => T): T;
  run(plan?: Partial<UpdatePlan>, places?: Partial<UpdatePlaces>): ReturnType<UpdateRun['run']>;
  plan(): UpdatePlan | undefined;
  running(): string;
}

/** A computer on which time flies: every pause is over at once, and was a hundred times as long. */
class Hurried implements Clock {
  #ms = 0;
  now = () => this.#ms;
  monotonic = () => this.#ms;
  after(delayMs: number, task: () => void) {
    const waiting = setImmediate(() => {
      this.#ms += delayMs * 100;
      task();
    });
    return () => clearImmediate(waiting);
  }
}

/** A program that writes down its words, then does its own, unless it was told to fail. */
function script(folder: string, name: string, body = ''): string {
  const path = join(folder, name);
  const isToFail = `grep -qxF -- "$*" ${folder}/${name}.fail 2>/dev/null`;
  const failing = `${isToFail} && { echo no >&2; exit 1; }`;
  writeFileSync(
    path,
    `#!/bin/sh\necho "${name} $*" >> ${folder}/told\n${failing}\n${body}\nexit 0\n`,
  );
  chmodSync(path, 0o755);
  return path;
}

async function newRig(): Promise<Rig> {
  const folder = newFolder();
  const at = (name: string) => join(folder, name);
  const root = at('root');
  for (const version of [OLD])
    mkdirSync(join(root, 'releases', version, 'system/units'), { recursive: true });
  writeFileSync(join(root, 'releases', OLD, 'system/units/agent'), OLD);
  symlinkSync(`releases/${OLD}`, join(root, 'current'));
  mkdirSync(at('system'));
  mkdirSync(at('state'));
  const agent = new Agent(root);
  const harness = await startHarness({ service: agent });
  onTestFinished(() => harness[Symbol.asyncDispose]());
  const release = `${root}/releases/${NEW}`;
  const units = `${release}/system/units`;
  const install = `mkdir -p ${units}; echo -n ${NEW} > ${units}/agent`;
  const state = <T>(work: (store: Store) => T): T => {
    const options = { clock: systemClock, random: systemRandom, log: silentLog, sealingKey: KEY };
    const store = openStore({ path: at('state/state.sqlite'), ...options, bootId: 'boot' });
    try {
      return work(store);
    } finally {
      store.close();
    }
  };
  state((store) => store.commit(() => store.journal.append('agent.started', {})));
  const places: UpdatePlaces = {
    ...{ root, system: at('system'), state: at('state'), socket: harness.socketPath },
    systemctl: script(folder, 'systemctl'),
    dpkg: script(folder, 'dpkg', `case "$1" in --install) ${install};; *) echo amd64;; esac`),
  };
  return {
    ...{ places, agent, folder, state },
    told: () => readFileSync(at('told'), 'utf8').trim().split('\n'),
    fail: (program, words) => writeFileSync(at(`${program}.fail`), `${words}\n`, { flag: 'a' }),
    run: (plan = {}, others = {}) => {
      const whole: UpdatePlan = {
        ...{ from: OLD, to: NEW, phase: 'accepted', proofLimitMs: 1, attempts: 0 },
        ...{ faultsBefore: [], backup: null, reason: null },
        ...plan,
      };
      writePlan(join(root, 'update.json'), whole);
      return new UpdateRun({ ...places, ...others }, new Hurried(), () => undefined).run();
    },
    plan: () => readPlan(join(root, 'update.json')),
    running: () => basename(readlinkSync(join(root, 'current'))),
  };
}

const unit = ({ places }: Rig) => readFileSync(join(places.system, 'units/agent'), 'utf8');
const kinds = (rig: Rig) => rig.state((store) => store.journal.read().map(({ kind }) => kind));

describe('an update', () => {
  test('that is proven: installed beside, at rest, backed up, switched, then done', async () => {
    const rig = await newRig();
    const stale = join(rig.places.root, 'releases/0.1.0');
    mkdirSync(stale);
    const seen: (string | undefined)[] = [];
    rig.agent.releases[NEW] = { faults: [], act: () => seen.push(rig.plan()?.phase) };
    expect(await rig.run()).toMatchObject({ outcome: 'updated', from: OLD, to: NEW, reason: null });
    // The plan, which holds the release, was there until the examination had passed.
    expect(seen).toEqual(['proving']);
    expect([rig.plan(), rig.running(), unit(rig)]).toEqual([undefined, NEW, NEW]);
    expect(readdirSync(join(rig.places.root, 'releases')).sort()).toEqual([OLD, NEW]);
    expect(readdirSync(join(rig.places.state, 'backups'))).toHaveLength(1);
    expect(rig.told()).toEqual([
      `dpkg --install ${rig.places.root}/update.deb`,
      'systemctl stop spire-agent.service',
      'systemctl stop spire-agent.service',
      'systemctl daemon-reload',
      'systemctl reset-failed spire-agent.service',
      'systemctl start spire-agent.service',
    ]);
  });

  test('whose handshake fails goes back, with the state of before', async () => {
    const rig = await newRig();
    const start = () =>
      rig.state((store) =>
        store.commit(() => store.journal.append('agent.started', { bad: true })),
      );
    rig.agent.releases[NEW] = { faults: ['signer'], act: start };
    const result = await rig.run();
    expect(result).toMatchObject({
      outcome: 'returned',
      reason: 'the handshake fails: signer: It fails.',
      state: { state: 'putBack', why: null },
    });
    expect([rig.plan(), rig.running(), unit(rig)]).toEqual([undefined, OLD, OLD]);
    expect(kinds(rig)).toEqual(['agent.started', 'update.returned']);
    const kept = readdirSync(rig.places.state).filter((name) => name.startsWith('state-replaced-'));
    expect(kept).toHaveLength(1);
    expect(rig.told().at(-1)).toBe('systemctl start spire-agent.service');
  });

  test('that fails after money was written down leaves the state where it is', async () => {
    const rig = await newRig();
    const book = () =>
      rig.state((store) => store.commit(() => store.journal.append('note.deposited', {})));
    rig.agent.releases[NEW] = { faults: ['relay'], act: book };
    expect(await rig.run()).toMatchObject({
      outcome: 'returned',
      state: { state: 'stays', why: 'note.deposited was written down since the backup' },
    });
    expect(kinds(rig)).toEqual(['agent.started', 'note.deposited', 'update.returned']);
  });

  test('that does not start, or is another release than it says, goes back', async () => {
    const silent = await newRig();
    silent.fail('systemctl', 'start spire-agent.service');
    expect(await silent.run()).toMatchObject({ outcome: 'stuck', reason: 'it does not start' });
    expect(silent.running()).toBe(OLD);
    const other = await newRig();
    const result = await other.run({ to: '3.0.0' });
    expect(result).toMatchObject({
      outcome: 'refused',
      reason: 'the package holds no release 3.0.0',
    });
  });

  test('whose agent is away, or speaks of another release, goes back', async () => {
    const away = await newRig();
    const socket = join(away.folder, 'no.sock');
    // Nobody answers: nobody is at the machine either, and nothing proves the release.
    expect(await away.run({}, { socket })).toMatchObject({
      outcome: 'returned',
      reason: expect.stringMatching(/^the handshake fails: The agent is not running/),
    });
    const other = await newRig();
    other.agent.releases[NEW] = { faults: [], says: '9.9.9' };
    expect(await other.run()).toMatchObject({
      outcome: 'returned',
      reason: 'release 9.9.9 answers',
    });
  });

  test('that needs a while to be well has it', async () => {
    const rig = await newRig();
    let looks = 0;
    const slow = {
      faults: ['relay'],
      act: () => {
        looks += 1;
        slow.faults = [];
      },
    };
    rig.agent.releases[NEW] = slow;
    expect(await rig.run({ proofLimitMs: 300_000 })).toMatchObject({ outcome: 'updated' });
    expect(looks).toBe(2);
  });

  test('that cannot be put in place goes back; without a way back it is tried again', async () => {
    const rig = await newRig();
    const release = join(rig.places.root, 'releases', NEW);
    mkdirSync(release, { recursive: true });
    const { head, movements } = restingState(rig.places.state);
    const backup = { path: '/nowhere', seq: head.seq, hash: head.hash, movements };
    const proving = { phase: 'proving', backup } as const;
    expect(await rig.run(proving)).toMatchObject({
      outcome: 'returned',
      reason: expect.stringMatching(/^it cannot be put in place: cp: /),
    });
    rmSync(join(rig.places.root, 'releases', OLD, 'system'), { recursive: true });
    expect(await rig.run(proving)).toMatchObject({ outcome: 'stuck' });
    expect(rig.plan()).toMatchObject({ phase: 'returning' });
    // Without systemd nothing starts, and its absence is said.
    const said: string[] = [];
    const places = { ...rig.places, systemctl: join(rig.folder, 'nothing') };
    await new UpdateRun(places, new Hurried(), (text) => said.push(text)).run();
    expect(said).toContainEqual(expect.stringMatching(/^systemctl start .*: spawnSync .* ENOENT$/));
  });

  test('that finds customers, one after the other, changes nothing', async () => {
    const rig = await newRig();
    rig.agent.show({ ...idleView, session: cashInSession });
    expect(await rig.run()).toMatchObject({
      outcome: 'refused',
      reason: 'there is always a customer',
    });
    expect(rig.running()).toBe(OLD);
  });

  test('that dpkg refuses, or that finds money under way, changes nothing', async () => {
    const rig = await newRig();
    rig.fail('dpkg', `--install ${rig.places.root}/update.deb`);
    expect(await rig.run()).toMatchObject({
      outcome: 'refused',
      reason: expect.stringMatching(/dpkg does not take/),
    });
    const busy = await newRig();
    busy.state((store) =>
      store.commit(() => store.intents.open({ kind: 'dispense', device: 'dispenser', body: {} })),
    );
    expect(await busy.run()).toMatchObject({
      outcome: 'refused',
      reason: expect.stringMatching(/dispense\): try again/),
    });
    expect([busy.plan(), busy.running()]).toEqual([undefined, OLD]);
    expect(busy.told().at(-1)).toBe('systemctl start spire-agent.service');
    const held = await newRig();
    const lock = openDatabase(join(held.places.state, 'state.sqlite'));
    const outcome = await held.run();
    lock.close();
    expect(outcome).toMatchObject({
      outcome: 'refused',
      reason: expect.stringMatching(/cannot be backed up/),
    });
  });

  test('goes on after a power cut from where it was, and gives up after two starts', async () => {
    const rig = await newRig();
    expect(await new UpdateRun(rig.places, systemClock, () => undefined).run()).toBeUndefined();
    mkdirSync(join(rig.places.root, 'releases', NEW, 'system/units'), { recursive: true });
    const { head, movements } = restingState(rig.places.state);
    const path = join(rig.places.state, 'nowhere.sqlite');
    const backup = { path, seq: head.seq, hash: head.hash, movements };
    expect(await rig.run({ phase: 'proving', attempts: 1, backup })).toMatchObject({
      outcome: 'updated',
    });
    const result = await rig.run({ phase: 'proving', attempts: 2, backup });
    expect(result).toMatchObject({
      outcome: 'returned',
      reason: expect.stringMatching(/cut 2 times/),
    });
    // The backup is gone; the present state is as good as it was, and stays.
    expect(result?.state).toMatchObject({
      state: 'stays',
      why: expect.stringMatching(/could not be put back/),
    });
  });
});

describe('the state after an update that failed', () => {
  const plan = (rig: Rig, change: Partial<NonNullable<UpdatePlan['backup']>> = {}): UpdatePlan => {
    const { head, movements } = restingState(rig.places.state);
    const backup = { path: '/nowhere', seq: head.seq, hash: head.hash, movements, ...change };
    return {
      ...{ from: OLD, to: NEW, phase: 'returning', proofLimitMs: 1, attempts: 1 },
      ...{ faultsBefore: null, backup, reason: 'deaf' },
    };
  };

  test.each([
    ['another journal', { hash: 'ab'.repeat(32) }, 'its journal is another one'],
    ['notes that moved', { movements: 7 }, 'notes have moved'],
  ])('stays: %s', async (_, change, why) => {
    const rig = await newRig();
    const returned = returnState(rig.places.state, plan(rig, change));
    expect(returned).toMatchObject({ state: 'stays', why: expect.stringContaining(why) });
    expect(kinds(rig).at(-1)).toBe('update.returned');
  });

  test('stays when too much happened, nobody can tell, or there is no backup', async () => {
    const rig = await newRig();
    const before = plan(rig);
    rig.state((store) =>
      store.commit(() => {
        for (let count = 0; count < 1_000; count++) store.journal.append('agent.started', {});
      }),
    );
    expect(returnState(rig.places.state, before).why).toContain('too much has happened');
    expect(returnState(rig.places.state, { ...before, backup: null }).why).toContain(
      'not backed up',
    );
    writeFileSync(join(rig.places.state, 'state.sqlite'), 'no database');
    expect(returnState(rig.places.state, before).why).toContain('it cannot be told');
  });

  test('a link that its customer has is nothing under way; one that was asked for is', async () => {
    const rig = await newRig();
    const body = { principalSats: 1, netSats: 1, calls: [] };
    rig.state((store) =>
      store.commit(() => {
        for (const state of ['answered', 'sent']) {
          store.intents.open({ kind: 'withdraw', body: { ...body, state } });
        }
        store.intents.open({ kind: 'payment', body: {} });
      }),
    );
    expect(restingState(rig.places.state).openActs).toEqual(['withdraw', 'payment']);
    expect(() => restingState(newFolder())).toThrow('start the service once');
    rig.state((store) =>
      store.commit(() => {
        const by = { id: 'ab'.repeat(16), name: 'Ana', permissions: [], createdAtUnixMs: 1 };
        store.technicians.insert(by, { salt: new Uint8Array(16), hash: new Uint8Array(32) });
        store.exchanges.insert({
          ...{ id: 'cd'.repeat(16), reference: newReference(systemRandom) },
          ...{ technicianId: by.id, openedAtUnixMs: 1 },
        });
      }),
    );
    expect(restingState(rig.places.state).openActs.at(-1)).toBe('exchange');
  });
});

test('faults that speak against a release: those of the handshake, and those that are new', () => {
  const finding = (subject: string, level: 'fault' | 'warning' = 'fault') => {
    return { subject, level, text: 'bad', next: null };
  };
  const report = {
    findings: [finding('signer'), finding('dispenser'), finding('disk', 'warning')],
  };
  expect(faultsAgainst(report, ['dispenser', 'signer'])).toEqual(['signer: bad']);
  expect(faultsAgainst(report, [])).toEqual(['signer: bad', 'dispenser: bad']);
  expect(faultsAgainst(report, null)).toHaveLength(2);
});

describe('spire update', { timeout: PROCESSES_LIMIT_MS }, () => {
  /** The command on a rig whose unit is carried out by a real process. */
  async function command(): Promise<{ readonly rig: Rig; readonly words: readonly string[] }> {
    const rig = await newRig();
    const { root, system, state, socket, dpkg } = rig.places;
    const common = [
      `--root=${root}`,
      `--system=${system}`,
      `--state=${state}`,
      `--socket=${socket}`,
    ];
    const unitWords = [...common, `--dpkg=${dpkg}`, `--systemctl=${rig.places.systemctl}`].join(
      ' ',
    );
    const carry = `${process.execPath} ${SPIRE} update --continue ${unitWords} 2>/dev/null >&2`;
    script(rig.folder, 'systemctl', `case "$*" in *spire-update*) ${carry};; esac`);
    script(
      rig.folder,
      'dpkg-deb',
      'case "$2 $3" in *other.deb\\ Package) echo other;; *Package) echo spire-agent;; ' +
        '*Version) cat "$2";; *) echo amd64;; esac',
    );
    for (const name of ['new.deb', 'other.deb']) writeFileSync(join(rig.folder, name), NEW);
    return { rig, words: [...common, `--dpkg=${dpkg}`, `--systemctl=${rig.places.systemctl}`] };
  }

  test('orders it, waits for the unit, and says how it ended', async () => {
    const { rig, words } = await command();
    const deb = join(rig.folder, 'new.deb');
    const { code, out } = await inProcess(['update', deb, '--within', '60', ...words]);
    expect([code, out]).toEqual([
      0,
      `Release ${NEW} has proven itself and serves. ${OLD} stays beside it.\n`,
    ]);
    expect(readlinkSync(join(rig.places.root, 'updater'))).toBe(`releases/${OLD}`);
    expect(existsSync(join(rig.places.root, 'update.deb'))).toBe(false);
    // The same again is the release that runs, and for the unit there is nothing to do.
    const { code: idle, out: nothing } = await inProcess(['update', '--continue', ...words]);
    expect([idle, nothing]).toEqual([0, 'No update is under way.\n']);
    expect(await inProcess(['update', deb, ...words])).toMatchObject({ code: 2 });
  });

  test('1 when it went back, with what became of the state', async () => {
    const { rig, words } = await command();
    const carryOut = async (act?: () => void) => {
      rig.agent.releases[NEW] = { faults: ['wallet'], ...(act ? { act } : {}) };
      writePlan(join(rig.places.root, 'update.json'), {
        ...{ from: OLD, to: NEW, phase: 'accepted', proofLimitMs: 1, attempts: 0 },
        ...{ faultsBefore: [], backup: null, reason: null },
      });
      return inProcess(['update', '--continue', ...words]);
    };
    const back = await carryOut();
    expect(back.code).toBe(1);
    expect(back.out).toContain(`Release ${OLD} is back: ${NEW} was not proven.`);
    expect(back.out).toContain('The state is that of before');
    const stays = await carryOut(() =>
      rig.state((store) => store.commit(() => store.journal.append('note.deposited', {}))),
    );
    expect(stays.code).toBe(1);
    expect(stays.out).toMatch(/THE STATE STAYS AS THE NEW RELEASE LEFT IT: note\.deposited was/);
  });

  test('a unit that does not end it, or does not start, is said; so is an agent that is away', async () => {
    const { rig, words } = await command();
    const deb = join(rig.folder, 'new.deb');
    const again = ['update', deb, ...words, `--socket=${join(rig.folder, 'no.sock')}`];
    rig.fail('systemctl', 'start spire-update.service');
    expect(await inProcess(again)).toMatchObject({
      code: 1,
      err: expect.stringContaining('spire-update.service has not ended the update: no'),
    });
    // What was faulty before cannot be known of an agent that does not answer.
    expect(rig.plan()).toMatchObject({ phase: 'accepted', faultsBefore: null });
    rmSync(join(rig.places.root, 'update.json'));
    expect(await inProcess([...again, '--systemctl=/nowhere/systemctl'])).toMatchObject({
      code: 1,
      err: expect.stringContaining('ENOENT'),
    });
  });

  test('is refused: no package, no time for one, nothing to go back to', async () => {
    const { rig, words } = await command();
    const deb = join(rig.folder, 'new.deb');
    const refused = async (code: number, err: RegExp, ...given: readonly string[]) => {
      const ended = await inProcess(['update', ...given, ...words]);
      expect([ended.code, ended.err]).toEqual([code, expect.stringMatching(err)]);
    };
    await refused(2, /Say which package/);
    await refused(2, /a number from 1 to 3600/, deb, '--within', 'soon');
    writeFileSync(join(rig.folder, 'odd.deb'), '../2');
    await refused(2, /a version that is no release's/, join(rig.folder, 'odd.deb'));
    await refused(2, /is no spire-agent for amd64/, join(rig.folder, 'other.deb'));
    rig.agent.show({ ...idleView, session: cashInSession });
    await refused(75, /A customer is at the machine/, deb);
    rig.agent.show(idleView);
    rig.agent.releases[OLD] = { faults: ['relay'] };
    await refused(75, /The handshake fails already/, deb);
    rig.agent.releases[OLD] = { faults: [] };
    writePlan(join(rig.places.root, 'update.json'), {
      ...{ from: OLD, to: NEW, phase: 'accepted', proofLimitMs: 1, attempts: 0 },
      ...{ faultsBefore: null, backup: null, reason: null },
    });
    await refused(75, /An update is under way/, deb);
    rmSync(join(rig.places.root, 'update.json'));
    rig.fail('dpkg', '--print-architecture');
    await refused(2, /is no package/, deb);
    rmSync(join(rig.places.root, 'current'));
    await refused(78, /was not installed by the package/, deb);
    expect(rig.agent.commands).toEqual([]);
  });
});
