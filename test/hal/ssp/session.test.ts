/** How a session begins, who is refused, and what is known after it was broken. */
import { expect, test } from 'vitest';
import { Cable } from '#hal/simulator/cable.ts';
import { MemoryPort } from '#hal/simulator/memory-port.ts';
import { SspDevice, type SspDeviceOptions } from '#hal/simulator/ssp/device.ts';
import { dollars, MODELS, Rig } from './rig.ts';

const POLLS = ['07', '56'];

/** Command codes of the plain frames that left. */
const codesOf = (rig: Rig, from = 0) => rig.port.sent.slice(from).map((hex) => hex.slice(6, 8));

test.each([
  ['ssp', { encryption: 'required' }, 'configure it as essp'],
  ['essp', { encryption: 'none' }, 'configure it as ssp'],
  ['ssp', { unitType: 3 }, 'it is a SMART Hopper and no banknote validator'],
  ['essp', { unitType: 6 }, 'it is a SMART Payout and no banknote validator'],
] as const)('%s refuses by name a device with %o', async (model, device, words) => {
  const rig = new Rig({ model, device });
  const opened = rig.run(rig.acceptor.open());
  await expect(opened).rejects.toMatchObject({ code: 'unsupportedCommand' });
  await expect(opened).rejects.toThrow(words);
  if (model === 'ssp') expect(codesOf(rig)).not.toEqual(expect.arrayContaining(POLLS));
});

test.each(MODELS)('%s: another serial number in its place is refused by name', async (model) => {
  const rig = await new Rig({ model }).start();
  await rig.escrow(20);
  const deposit = rig.deposit();
  const replace = (options: SspDeviceOptions) => {
    const encryption = model === 'essp' ? 'required' : 'optional';
    const device = new SspDevice({ clock: rig.clock, options: { encryption, ...options } });
    const cable = new Cable({ clock: rig.clock, device });
    rig.port.use(new MemoryPort({ path: 'other', clock: rig.clock, cable }));
    return { device, cable };
  };
  await rig.clock.advance(50);
  const other = replace({ serialNumber: 7 });
  rig.cable.unplug();
  expect(await deposit).toMatchObject({ kind: 'unknown' });
  await rig.clock.advance(5000);
  expect(rig.acceptor.status()).toMatchObject({ device: 'offline', fault: { code: 'other' } });
  expect(rig.acceptor.status().fault?.text).toContain('serial number 7 and not the NV200');
  const refusals = rig
    .told('device.failed')
    .filter((event) => event.kind === 'device.failed' && event.error.code === 'unsupportedCommand');
  expect(refusals).toHaveLength(1);
  expect(() => other.device.control({ do: 'insert', denomination: 20 })).toThrow('disabled');
  replace({});
  other.cable.unplug();
  await rig.clock.until(() => rig.acceptor.status().device === 'attention', 5000);
});

test.each([
  [8, 6],
  [5, 5],
  [4, 4],
] as const)('a device of protocol %i is driven at %i', async (protocolMax, version) => {
  const rig = await new Rig({ device: { protocolMax } }).start();
  expect(codesOf(rig).filter((code) => code === '06')).toHaveLength(7 - version);
  expect(rig.acceptor.values()).toContain(dollars(20));
  await rig.escrow(20);
  expect(await rig.deposit()).toMatchObject({ kind: 'deposited', value: dollars(20) });
});

test('only channels in the configured currency, and with one value, are ever enabled', async () => {
  const notes = [
    { channel: 1, currency: 'USD', denomination: 5 },
    { channel: 2, currency: 'EUR', denomination: 20 },
    { channel: 4, currency: 'USD', denomination: 100 },
  ];
  const rig = await new Rig({ device: { notes } }).start();
  expect(rig.acceptor.values()).toEqual([dollars(5), dollars(100)]);
  const masks = rig.port.sent.filter((hex) => hex.slice(6, 8) === '02');
  expect(masks.at(-1)?.slice(8, 12)).toBe('0900');
});

test('a validator without POLL WITH ACK and counters works, and says that it proves less', async () => {
  const device = { pollWithAck: false, counters: false };
  const rig = await new Rig({ model: 'essp', device }).start();
  expect(rig.acceptor.capabilities).toMatchObject({ repeatsCredit: false, counters: false });
  await rig.escrow(20);
  expect(await rig.deposit()).toMatchObject({ kind: 'deposited' });
  await rig.settled();
  await rig.escrow(5);
  expect(await rig.returnNote()).toMatchObject({ kind: 'returned' });
});

test('a plain validator with POLL WITH ACK repeats its credit until it is confirmed', async () => {
  const rig = await new Rig({ device: { encryption: 'none' } }).start();
  expect(rig.acceptor.capabilities.repeatsCredit).toBe(true);
  await rig.escrow(20);
  await rig.deposit();
  await rig.clock.advance(3000);
  expect(() => rig.insert(5)).toThrow('not acknowledged');
  await rig.settled();
  await rig.escrow(5);
  expect(rig.told('credit.unexpected')).toEqual([]);
  expect(rig.device.violations()).toEqual([]);
});

test('a lost EVENT ACK is said again, and credits nothing', async () => {
  const rig = await new Rig({ model: 'essp' }).start();
  await rig.escrow(20);
  await rig.deposit();
  rig.fault('deaf', 0x57, 3);
  await rig.settled();
  await rig.clock.advance(5000);
  expect(rig.told('credit.unexpected')).toEqual([]);
  await rig.escrow(5);
  rig.expectConserved();
});

test.each(MODELS)('%s: a program that starts with a note in escrow holds it', async (model) => {
  const rig = await new Rig({ model }).start();
  await rig.escrow(20);
  await rig.run(rig.acceptor.close());
  rig.boot();
  const from = rig.port.sent.length;
  await rig.run(rig.acceptor.open());
  await rig.clock.advance(30_000);
  expect(rig.acceptor.status()).toMatchObject({
    device: 'attention',
    powerUp: 'noteInAcceptor',
  });
  expect(rig.device.truth().path).toEqual({ '20': 1 });
  if (model === 'ssp') {
    for (const code of [...POLLS, '09', '08', '01']) expect(codesOf(rig, from)).not.toContain(code);
  }
  expect(await rig.initialise()).toMatchObject({ device: 'ready', note: 'returned' });
  expect(rig.device.truth().customer).toEqual({ '20': 1 });
  expect(rig.device.violations()).toEqual([]);
  rig.expectConserved();
});

test('a credit that waits at the start is told once', async () => {
  const rig = await new Rig({ model: 'essp' }).start();
  await rig.escrow(20);
  await rig.clock.resolve(rig.acceptor.deposit());
  await rig.run(rig.acceptor.close());
  rig.boot();
  await rig.run(rig.acceptor.open());
  expect(rig.acceptor.status()).toMatchObject({ device: 'attention', powerUp: 'creditPending' });
  expect(await rig.initialise()).toMatchObject({ device: 'attention', note: 'deposited' });
  expect(await rig.initialise()).toMatchObject({ device: 'attention', note: 'none' });
  await rig.run(rig.acceptor.confirmDeposit());
  expect(await rig.initialise()).toMatchObject({ device: 'ready', note: 'none' });
  expect(rig.credits).toEqual(['initialise']);
  expect(rig.told('credit.unexpected')).toEqual([]);
  expect(rig.device.violations()).toEqual([]);
});

test.each([
  ['deposited', (rig: Rig) => rig.acceptor.deposit()],
  ['returned', (rig: Rig) => rig.acceptor.returnNote()],
] as const)('plain: the program dies, and the counters tell: %s', async (note, decide) => {
  const rig = await new Rig().start();
  await rig.clock.advance(1000);
  await rig.escrow(20);
  const baseline = rig.acceptor.baseline();
  expect(baseline).toEqual({ stacked: 0, rejected: 0 });
  await rig.clock.resolve(decide(rig));
  // The one answer that told it has died with the program.
  await rig.run(rig.acceptor.close());
  await rig.clock.advance(3000);
  rig.boot();
  await rig.run(rig.acceptor.open());
  const first = await rig.initialise(baseline);
  expect(first).toMatchObject({ note });
  if (note === 'deposited') {
    await rig.run(rig.acceptor.confirmDeposit());
    expect(await rig.initialise(baseline)).toMatchObject({ device: 'ready', note: 'none' });
  }
  expect(rig.acceptor.status().device).toBe('ready');
});

test('the baseline of a note is what was counted after the one before it, or none', async () => {
  const seen = new Set<string | undefined>();
  for (let waitMs = 0; waitMs <= 500; waitMs += 20) {
    const rig = await new Rig().start();
    await rig.clock.advance(500);
    await rig.escrow(5);
    void rig.acceptor.returnNote();
    await rig.clock.until(() => Object.keys(rig.device.truth().customer).length > 0);
    await rig.clock.advance(waitMs);
    await rig.escrow(20);
    seen.add(JSON.stringify(rig.acceptor.baseline()));
  }
  expect(seen).toEqual(new Set([undefined, '{"stacked":0,"rejected":1}']));
});

test('so is it where nothing is said between the credit and the cash box', async () => {
  const seen = new Set<string | undefined>();
  for (let waitMs = 0; waitMs <= 500; waitMs += 20) {
    const device = { habits: { saysStacking: false }, timings: { stackMs: 1000, readMs: 400 } };
    const rig = await new Rig({ device }).start();
    await rig.clock.advance(500);
    await rig.escrow(5);
    void rig.acceptor.deposit();
    await rig.clock.until(() => Object.keys(rig.device.truth().cashbox).length > 0);
    await rig.clock.advance(waitMs);
    await rig.escrow(20);
    seen.add(JSON.stringify(rig.acceptor.baseline()));
  }
  expect(seen).toEqual(new Set([undefined, '{"stacked":1,"rejected":0}']));
});

test('EVENT ACK waits for the confirmation, also when the slot is to be shut', async () => {
  const device = { habits: { saysStacking: false } };
  const rig = await new Rig({ model: 'essp', device }).start();
  await rig.escrow(20);
  const shut = rig.acceptor.accept([]);
  expect(await rig.deposit()).toMatchObject({ kind: 'deposited' });
  await rig.clock.advance(5000);
  // As if the program died here: the device still has the credit for the next one.
  expect(() => rig.insert(5)).toThrow('not acknowledged');
  await rig.run(rig.acceptor.confirmDeposit());
  await rig.run(shut);
  expect(() => rig.insert(5)).toThrow('disabled');
});

test('an answer to HOLD that says neither yes nor no lets no poll leave', async () => {
  const rig = await new Rig().start();
  await rig.escrow(20);
  // FAIL, with either sequence flag, before what the device says.
  const bytes = [...Buffer.from('7f8001f81000' + '7f0001f8138a', 'hex')];
  const from = rig.port.sent.length;
  for (let nth = rig.cable.passed('toHost').chunks; nth < 100; nth++) {
    rig.cable.addFault({ direction: 'toHost', unit: 'chunk', nth, do: 'insert', bytes });
  }
  await rig.clock.advance(3000);
  expect(codesOf(rig, from).filter((code) => POLLS.includes(code))).toEqual([]);
  expect(rig.device.truth().path).toEqual({ '20': 1 });
});

test.each(MODELS)(
  '%s: a device that has its power back is not in service at once',
  async (model) => {
    const rig = await new Rig({ model }).start();
    rig.device.control({ do: 'power', on: false });
    await rig.clock.until(() => rig.acceptor.status().device === 'offline');
    rig.device.control({ do: 'power', on: true });
    await rig.clock.until(() => rig.acceptor.status().device !== 'offline');
    // It answers, and will say only later that it has started.
    expect(rig.acceptor.status().device).toBe('attention');
    expect(await rig.initialise()).toMatchObject({ device: 'ready', note: 'none' });
    await rig.run(rig.acceptor.accept([dollars(5)]));
    await rig.escrow(5);
  },
);

test('plain: without a baseline nothing is claimed', async () => {
  const rig = await new Rig().start();
  await rig.escrow(20);
  await rig.clock.resolve(rig.acceptor.deposit());
  await rig.run(rig.acceptor.close());
  await rig.clock.advance(3000);
  rig.boot();
  await rig.run(rig.acceptor.open());
  expect(await rig.initialise()).toMatchObject({ device: 'ready', note: 'none' });
});

test('plain: the answer with the credit is lost for good, and the counters tell of it', async () => {
  const rig = await new Rig().start();
  await rig.clock.advance(1000);
  await rig.escrow(20);
  const deposit = rig.deposit();
  await rig.clock.advance(250);
  rig.fault('loseReply', 0x07, 6);
  expect(await deposit).toMatchObject({ kind: 'unknown' });
  await rig.heard('credit.unexpected', 10_000);
  expect(rig.told('credit.unexpected')).toEqual([
    { kind: 'credit.unexpected', value: dollars(20) },
  ]);
  await rig.settled();
  await rig.escrow(5);
  rig.expectConserved();
});

test('essp: the answer with the credit is lost, and the device says it again', async () => {
  const rig = await new Rig({ model: 'essp', device: { counters: false } }).start();
  await rig.escrow(20);
  const deposit = rig.deposit();
  await rig.clock.advance(250);
  rig.fault('loseReply', 0x56, 6);
  expect(await deposit).toMatchObject({ kind: 'unknown' });
  await rig.heard('credit.unexpected', 10_000);
  await rig.settled();
  expect(rig.credits).toEqual(['unexpected']);
  rig.expectConserved();
});

test('essp: a credit that was recorded on the line and is played again credits nothing', async () => {
  const rig = await new Rig({ model: 'essp' }).start();
  await rig.escrow(20);
  await rig.deposit();
  const recorded = rig.port.recording().findLast(({ direction }) => direction === 'in');
  const bytes = [...Buffer.from(recorded?.hex ?? '', 'hex')];
  await rig.settled();
  await rig.escrow(20);
  rig.fault('jamStacker');
  const deposit = rig.deposit();
  // The answers to two polls: one of them has the sequence flag of the recorded one.
  const next = rig.cable.passed('toHost').chunks;
  for (const nth of [next, next + 1]) {
    rig.cable.addFault({ direction: 'toHost', unit: 'chunk', nth, do: 'insert', bytes });
  }
  expect(await deposit).toMatchObject({ kind: 'unknown' });
  expect(rig.credits).toEqual(['deposit']);
  rig.expectConserved();
});

test.each(['keysLost', 'countSkip'])(
  'essp: %s in mid-session: new keys, nothing lost',
  async (fault) => {
    const rig = await new Rig({ model: 'essp' }).start();
    await rig.escrow(20);
    rig.fault(fault);
    await rig.clock.advance(5000);
    expect(rig.acceptor.status().device).toBe('ready');
    expect(rig.told('note.escrowed')).toHaveLength(1);
    expect(await rig.deposit()).toMatchObject({ kind: 'deposited' });
    await rig.settled();
    rig.expectConserved();
  },
);

// Plain, it answers under protocol version 4 until we know that it has started again, and so does
// not tell where the note went: only the counters do, of one that was stacked.
test.each([
  ['ssp', 'idle', 'none'],
  ['ssp', 'reading', 'unknown'],
  ['ssp', 'escrow', 'unknown'],
  ['ssp', 'depositing', 'unknown'],
  ['ssp', 'past', 'deposited'],
  ['essp', 'idle', 'none'],
  ['essp', 'reading', 'returned'],
  ['essp', 'escrow', 'returned'],
  ['essp', 'depositing', 'returned'],
  ['essp', 'past', 'deposited'],
] as const)('%s: the device starts again by itself: %s, %s', async (model, moment, note) => {
  const timings = { startMs: 300, initialiseMs: 500, stackMs: 2000 };
  const rig = await new Rig({ model, device: { timings } }).start();
  if (moment === 'reading') rig.insert(20);
  else if (moment !== 'idle') await rig.escrow(20);
  const isDepositing = moment === 'depositing' || moment === 'past';
  const deposit = isDepositing ? rig.deposit() : undefined;
  await rig.clock.advance(moment === 'past' ? 330 : 150);
  rig.fault('slaveReset');
  await rig.clock.until(() => rig.acceptor.status().device === 'attention', 8000);
  if (deposit) expect(await deposit).toMatchObject({ kind: 'unknown' });
  expect(await rig.initialise()).toMatchObject({ note });
  if (note === 'deposited') {
    await rig.run(rig.acceptor.confirmDeposit());
    expect(await rig.initialise()).toMatchObject({ device: 'ready', note: 'none' });
  }
  rig.expectConserved();
  await rig.run(rig.acceptor.accept([dollars(5)]));
  await rig.escrow(5);
  expect(await rig.deposit()).toMatchObject({ kind: 'deposited' });
  expect(rig.device.violations()).toEqual([]);
});

test.each([
  ['powerCutAtAccept', {}, 'returned'],
  ['powerCutBeforeCredit', {}, 'deposited'],
  ['powerCutBeforeCredit', { knowsChannelAtPowerUp: false }, 'deposited'],
] as const)('what is known after %s %o', async (fault, habits, note) => {
  for (const model of MODELS) {
    const rig = await new Rig({ model, device: { habits } }).start();
    await rig.escrow(20);
    rig.fault(fault);
    expect(await rig.deposit()).toMatchObject({ kind: 'unknown' });
    rig.device.control({ do: 'power', on: true });
    await rig.clock.until(() => rig.acceptor.status().device === 'attention', 10_000);
    expect(await rig.initialise()).toMatchObject({ note });
    await rig.run(rig.acceptor.confirmDeposit());
    if (note === 'deposited') expect(await rig.initialise()).toMatchObject({ note: 'none' });
    expect(rig.acceptor.status()).toMatchObject({ device: 'ready', powerUp: 'none' });
    rig.expectConserved();
  }
});

test.each([
  { clearsCreditedNotes: true, remembersCredit: false },
  { clearsCreditedNotes: true, remembersCredit: true },
  { clearsCreditedNotes: false, remembersCredit: true },
  { clearsCreditedNotes: false, remembersCredit: false },
])('the power goes between credit and confirmation: one credit, with %o', async (habits) => {
  for (const model of MODELS) {
    const rig = await new Rig({ model, device: { habits } }).start();
    await rig.escrow(20);
    rig.fault('powerCutAfterCredit');
    expect(await rig.deposit()).toMatchObject({ kind: 'deposited' });
    await rig.clock.advance(4000);
    rig.device.control({ do: 'power', on: true });
    await rig.clock.until(() => rig.acceptor.status().device === 'attention', 10_000);
    expect(await rig.initialise()).toMatchObject({ device: 'attention', note: 'none' });
    await rig.run(rig.acceptor.confirmDeposit());
    expect(await rig.initialise()).toMatchObject({ device: 'ready', note: 'none' });
    await rig.run(rig.acceptor.accept([dollars(5)]));
    await rig.escrow(5);
    expect(rig.credits).toEqual(['deposit']);
    expect(rig.told('credit.unexpected')).toEqual([]);
    rig.expectConserved();
  }
});
