import { describe, expect, test } from 'vitest';
import {
  depositNote,
  forgetLastCredit,
  giveBack,
  recoverNote,
  returnNote,
  takeUnexpectedCredit,
  writeCredits,
} from '#agent/cash-in/note.ts';
import { transactionOf } from '#agent/cash-in/terms.ts';
import { obligationsView } from '#agent/recovery/obligation-views.ts';
import { CashInRig, dollars, RATE } from '#test/support/cash-in-rig.ts';
import { diskFailure, failingDisk } from '#test/support/failing-disk.ts';
import { diskError } from '#test/support/life.ts';
import { deposit, escrow, heard, open } from './sessions.ts';

const STACK2 = 'fc05423936';
const RETURN = 'fc0543b027';
const ACK = 'fc0550aa05';
const FAST = { timings: { initialiseMs: 400, acceptMs: 200 } };

class Disk {
  fails: boolean = false;
  isFull: boolean = false;
  readonly beforeCommit = () => {
    if (this.fails) throw diskFailure();
    if (this.isFull) throw diskError('SQLITE_FULL');
  };
}

/** The open intent on the acceptor. */
const openIntent = (rig: CashInRig) => rig.store.intents.listOpen().find(({ device }) => device);

/** What a program that was started again does first. */
async function recover(rig: CashInRig): Promise<void> {
  await rig.run(rig.acceptor.open());
  const intent = openIntent(rig);
  if (intent) await rig.run(recoverNote(rig.parts, intent));
  for (let round = 0; round < 3 && rig.acceptor.status().device === 'attention'; round++) {
    const { note } = await rig.run(rig.acceptor.initialise());
    if (note === 'deposited') await rig.run(takeUnexpectedCredit(rig.parts, undefined));
  }
}

/** The truth and the books agree. */
function expectBooksTrue(rig: CashInRig): void {
  expect(rig.booked()).toEqual(rig.validator.truth().cashbox);
  expect(rig.store.verify().problems).toEqual([]);
}

describe('a deposit', () => {
  test('is on disk as an intent before STACK leaves, and as a credit before ACK', async () => {
    const rig = await new CashInRig().ready();
    const session = await open(rig);
    await escrow(rig, 100);
    const seen: [string, string | undefined, string | undefined][] = [];
    rig.port.onWrite = (hex) => {
      if (hex !== STACK2 && hex !== ACK) return undefined;
      seen.push([hex, openIntent(rig)?.kind, rig.journal().at(-1)]);
      return undefined;
    };
    const input = { ...session, value: dollars(100) };
    const outcome = await rig.run(depositNote(rig.parts, input));
    expect(outcome).toEqual({
      kind: 'deposited',
      total: { notes: 1, fiat: 10_000, principal: 82_386, fee: 6_591, net: 75_795 },
    });
    await rig.clock.advance(2_000);
    expect(seen).toEqual([
      [STACK2, 'deposit', 'deposit.intended'],
      [ACK, undefined, 'note.deposited'],
    ]);
    expectBooksTrue(rig);
    expect(rig.store.transactions.get(session.transactionId)).toMatchObject({
      fiatMinor: 10_000,
      principalSats: 82_386,
      feeSats: 6_591,
      wireSats: 75_795,
      rateMinorPerBtc: RATE,
    });
    expect(rig.validator.violations()).toEqual([]);
  });

  test('lets no byte leave when the disk does not take the intent', async () => {
    const disk = new Disk();
    const rig = await new CashInRig({ openDatabase: failingDisk(disk) }).ready();
    const session = await open(rig);
    await escrow(rig, 100);
    rig.port.sent.length = 0;
    disk.fails = true;
    const input = { ...session, value: dollars(100) };
    await expect(rig.run(depositNote(rig.parts, input))).rejects.toThrow('disk');
    await rig.clock.advance(30_000);
    expect(rig.port.sent).not.toContain(STACK2);
    expect(rig.validator.truth()).toMatchObject({ cashbox: {}, customer: { '100': 1 } });
  });

  test('lets no ACK leave when the disk does not take the credit; the next run does', async () => {
    const disk = new Disk();
    const rig = await new CashInRig({ openDatabase: failingDisk(disk) }).ready();
    const session = await open(rig);
    await escrow(rig, 100);
    const input = { ...session, value: dollars(100) };
    rig.port.onWrite = (hex) => {
      if (hex === STACK2) disk.fails = true;
      return undefined;
    };
    await expect(rig.run(depositNote(rig.parts, input))).rejects.toThrow('disk');
    await rig.clock.advance(5_000);
    expect(rig.port.sent).not.toContain(ACK);
    disk.fails = false;
    rig.restart();
    expect(rig.booked()).toEqual({});
    await recover(rig);
    expectBooksTrue(rig);
    expect(rig.booked()).toEqual({ '100': 1 });
    expect(rig.obligations()).toEqual([]);
    expect(rig.store.transactions.get(session.transactionId)).toMatchObject({
      principalSats: 82_386,
      wireSats: 75_795,
    });
    expect(rig.validator.violations()).toEqual([]);
  });

  test('adds up notes at the rate each was put in at, with the fee of the whole', async () => {
    const rig = await new CashInRig().ready();
    const session = await open(rig);
    await deposit(rig, session);
    const renewed = { ...session, terms: { ...session.terms, rate: (RATE * 2) as typeof RATE } };
    expect(await deposit(rig, renewed, dollars(20))).toEqual({
      kind: 'deposited',
      // floor(2000e8 / 24,275,800) = 8,238; fees round(2,718.72) + round(4,531.2)
      total: { notes: 2, fiat: 12_000, principal: 90_624, fee: 7_250, net: 83_374 },
    });
    expectBooksTrue(rig);
  });

  test('that comes back is no deposit', async () => {
    const rig = await new CashInRig().ready();
    const session = await open(rig);
    await escrow(rig, 50);
    // STACK is not heard: the driver asks the note back after its bound.
    rig.fault('deaf', 0x42);
    const input = { ...session, value: dollars(50) };
    expect(await rig.run(depositNote(rig.parts, input))).toEqual({ kind: 'returned' });
    expect(openIntent(rig)).toBeUndefined();
    expect(rig.journal()).toContain('note.returned');
    expect(rig.validator.truth()).toMatchObject({ cashbox: {}, customer: { '50': 1 } });
    expectBooksTrue(rig);
  });

  test('that is not known to have happened is owed, and closes cash-in', async () => {
    const rig = await new CashInRig().ready();
    const session = await open(rig);
    await escrow(rig, 100);
    rig.fault('powerCutAtStack');
    const input = { ...session, value: dollars(100) };
    const outcome = await rig.run(depositNote(rig.parts, input));
    expect(outcome).toMatchObject({ kind: 'unknown', notice: { code: 'noteUnknown' } });
    const [obligation] = rig.store.obligations.list();
    expect(obligation).toMatchObject({
      kind: 'noteUnknown',
      amountMinor: 10_000,
      amountSats: 82_386,
      transactionId: session.transactionId,
    });
    expect(rig.parts.board.open('cashIn')).toBe(false);
    expect(rig.parts.board.open('cashOut')).toBe(true);
    expect(rig.booked()).toEqual({});
    expect(openIntent(rig)).toBeUndefined();
  });

  test.each([
    ['the cable is pulled', (rig: CashInRig) => rig.cable.unplug()],
    ['the validator gave it back by itself', (rig: CashInRig) => rig.clock.advance(25_000)],
  ])('is not commanded when %s first, and leaves nothing open', async (_why, trouble) => {
    const rig = await new CashInRig().ready();
    const session = await open(rig);
    await escrow(rig, 100);
    await trouble(rig);
    const input = { ...session, value: dollars(100) };
    for (const move of [depositNote, returnNote]) {
      const outcome = await rig.run(move(rig.parts, input));
      expect(outcome).toMatchObject({ kind: 'returned', notice: { code: 'noteNotTaken' } });
    }
    expect(rig.port.sent).not.toContain(STACK2);
    expect(openIntent(rig)).toBeUndefined();
    expect(rig.obligations()).toEqual([]);
  });

  test('fails loudly for what is no fact of the device', async () => {
    const rig = await new CashInRig().ready();
    const session = await open(rig);
    const deaf = {
      ...rig.parts,
      acceptor: {
        ...rig.acceptor,
        deposit: () => Promise.reject(new Error('a bug')),
      } as unknown as typeof rig.acceptor,
    };
    const input = { ...session, value: dollars(100) };
    await expect(depositNote(deaf, input)).rejects.toThrow('a bug');
    expect(openIntent(rig)?.kind).toBe('deposit');
  });

  test('is never commanded without fees in force', async () => {
    const rig = await new CashInRig().ready();
    const session = await open(rig);
    await escrow(rig, 100);
    rig.fees = undefined;
    const input = { ...session, value: dollars(100) };
    await expect(rig.run(depositNote(rig.parts, input))).rejects.toThrow('fee document');
    expect(rig.booked()).toEqual({});
    expect(openIntent(rig)).toBeUndefined();
    expect(rig.port.sent).not.toContain(ACK);
  });

  test('is proven by the journal alone: price, its source, fee fractions, and all sums', async () => {
    const rig = await new CashInRig().ready();
    await deposit(rig, await open(rig));
    const [entry] = rig.store.journal.read({ kind: 'note.deposited' });
    expect(entry?.body).toMatchObject({
      valueMinor: 10_000,
      principalSats: 82_386,
      rateMinorPerBtc: 12_137_900,
      rateSource: 'a test',
      fees: { kind: 'legs', platform: 0.03, operator: 0.05 },
      total: { principalSats: 82_386, feeSats: 2_472 + 4_119, netSats: 75_795 },
    });
  });
});

describe('giving back', () => {
  test('is an intent before RETURN leaves', async () => {
    const rig = await new CashInRig().ready();
    const session = await open(rig);
    await escrow(rig, 20);
    const seen: unknown[] = [];
    rig.port.onWrite = (hex) => {
      if (hex === RETURN) seen.push(openIntent(rig)?.kind);
      return undefined;
    };
    const input = { ...session, value: dollars(20) };
    expect(await rig.run(returnNote(rig.parts, input))).toEqual({ kind: 'returned' });
    expect(seen).toEqual(['return']);
    expect(rig.validator.truth().customer).toEqual({ '20': 1 });
    expectBooksTrue(rig);
  });

  test('books a note that the validator kept after all', async () => {
    const rig = await new CashInRig().ready();
    const session = await open(rig);
    await escrow(rig, 100);
    const acceptor = keeps(rig);
    const parts = { ...rig.parts, acceptor };
    const input = { ...session, value: dollars(100) };
    const outcome = await rig.run(returnNote(parts, input));
    expect(outcome).toMatchObject({ kind: 'deposited', total: { notes: 1, net: 75_795 } });
    expectBooksTrue(rig);
    await rig.clock.advance(2_000);
    expect(rig.port.sent).toContain(ACK);
  });

  test('that is not known to have happened is owed', async () => {
    const rig = await new CashInRig().ready();
    const session = await open(rig);
    await escrow(rig, 100);
    rig.port.onWrite = (hex) => {
      if (hex === RETURN) rig.cable.unplug();
      return undefined;
    };
    const input = { ...session, value: dollars(100) };
    const outcome = await rig.run(returnNote(rig.parts, input));
    expect(outcome.kind).toBe('unknown');
    expect(rig.obligations(session.transactionId)).toEqual(['noteUnknown']);
  });

  test('outside a session, a note that was kept is an obligation of its own', async () => {
    const rig = await new CashInRig().ready();
    await deposit(rig, await open(rig));
    rig.acceptor.subscribe(({ kind }) => kind === 'note.inserted' && forgetLastCredit(rig.parts));
    await escrow(rig, 20);
    await rig.run(giveBack({ ...rig.parts, acceptor: keeps(rig) }));
    expect(rig.obligations()).toEqual(['creditWithoutIntent']);
    expect(rig.booked()).toEqual({ '20': 1, '100': 1 });
    expectBooksTrue(rig);
    await rig.clock.advance(5_000);
    await escrow(rig, 5);
    await rig.run(giveBack(rig.parts));
    expect(rig.validator.truth().customer).toEqual({ '5': 1 });
    await expect(giveBack(rig.parts)).rejects.toMatchObject({ code: 'sequenceError' });
  });
});

/** An acceptor that deposits when it is asked to give back, as a jammed one may. */
function keeps(rig: CashInRig): typeof rig.acceptor {
  const { acceptor } = rig;
  return {
    capabilities: acceptor.capabilities,
    values: () => acceptor.values(),
    status: () => acceptor.status(),
    subscribe: (listener) => acceptor.subscribe(listener),
    open: () => acceptor.open(),
    initialise: () => acceptor.initialise(),
    accept: (values) => acceptor.accept(values),
    deposit: () => acceptor.deposit(),
    confirmDeposit: () => acceptor.confirmDeposit(),
    returnNote: () => acceptor.deposit(),
    close: () => acceptor.close(),
  };
}

describe('a credit that nobody waits for', () => {
  test('mints nothing: it is booked, owed, and confirmed', async () => {
    const rig = await new CashInRig({ device: FAST }).ready();
    // A program that stacks and dies before it writes anything: the next one knows of nothing.
    await escrow(rig, 20);
    void rig.acceptor.deposit();
    await rig.clock.until(() => rig.validator.truth().cashbox['20'] === 1);
    rig.restart();
    await recover(rig);
    expect(rig.obligations()).toEqual(['creditWithoutIntent']);
    expect(rig.journal()).toContain('credit.unexpected');
    expect(rig.store.transactions.recent(10)).toEqual([]);
    await rig.clock.advance(5_000);
    expect(rig.validator.violations()).toEqual([]);
  });

  test('with a value is booked to the cash box', async () => {
    const rig = await new CashInRig().ready();
    await rig.run(takeUnexpectedCredit(rig.parts, dollars(20)));
    expect(rig.booked()).toEqual({ '20': 1 });
    expect(rig.store.obligations.list()).toMatchObject([
      { kind: 'creditWithoutIntent', amountMinor: 2_000 },
    ]);
  });

  test('names the cash-in that was open, which is credited with nothing', async () => {
    const rig = await new CashInRig().ready();
    const cashIn = await open(rig);
    await rig.run(takeUnexpectedCredit(rig.parts, undefined, true));
    const [transaction] = rig.store.transactions.recent(1);
    const cashInReference = transaction?.reference;
    expect(cashInReference).toEqual(expect.any(String));
    expect(obligationsView(rig.parts)).toMatchObject([
      { kind: 'creditWithoutIntent', transactionId: null, evidence: { cashInReference } },
    ]);
    expect(rig.store.journal.read({ kind: 'credit.unexpected' })).toMatchObject([
      { body: { valueMinor: null, cashInReference } },
    ]);
    expect(rig.store.transactions.get(cashIn.transactionId)).toMatchObject({ fiatMinor: 0 });
    const { transactionId } = cashIn;
    rig.store.commit(() => rig.store.transactions.update(transactionId, { state: 'offered' }));
    await rig.run(takeUnexpectedCredit(rig.parts, dollars(20), true));
    expect(obligationsView(rig.parts).at(-1)?.evidence).toEqual({});
  });

  test('that a full disk does not take is written when there is room, and confirmed then', async () => {
    const disk = new Disk();
    const rig = await new CashInRig({ openDatabase: failingDisk(disk) }).ready();
    expect(writeCredits(rig.parts)).toBe(false);
    disk.isFull = true;
    await expect(takeUnexpectedCredit(rig.parts, dollars(20))).rejects.toThrow(/disk is full/);
    expect(() => writeCredits(rig.parts)).toThrow(/disk is full/);
    disk.isFull = false;
    expect(writeCredits(rig.parts)).toBe(true);
    expect(writeCredits(rig.parts)).toBe(false);
    expect(rig.booked()).toEqual({ '20': 1 });
    expect(rig.obligations()).toEqual(['creditWithoutIntent']);
    // The same credit again: on the disk already, so that only its word can be refused.
    disk.isFull = true;
    await expect(takeUnexpectedCredit(rig.parts, dollars(20))).rejects.toThrow(/disk is full/);
    disk.isFull = false;
    expect(writeCredits(rig.parts)).toBe(true);
    expect(rig.journal().at(-1)).toBe('credit.repeated');
    expect(rig.booked()).toEqual({ '20': 1 });
  });

  test('that a full disk takes only when the next customer stands there, names the one before', async () => {
    const disk = new Disk();
    const rig = await new CashInRig({ openDatabase: failingDisk(disk) }).ready();
    const { transactionId } = await open(rig);
    const cashInReference = rig.store.transactions.get(transactionId)?.reference;
    disk.isFull = true;
    await expect(takeUnexpectedCredit(rig.parts, undefined, true)).rejects.toThrow(/disk is full/);
    disk.isFull = false;
    rig.store.commit(() => rig.store.transactions.update(transactionId, { state: 'offered' }));
    await open(rig);
    expect(writeCredits(rig.parts)).toBe(true);
    expect(obligationsView(rig.parts)[0]?.evidence).toEqual({ cashInReference });
  });

  test('that a full disk does not take, and is said again meanwhile: written once', async () => {
    const disk = new Disk();
    const rig = await new CashInRig({ openDatabase: failingDisk(disk) }).ready();
    disk.isFull = true;
    for (let times = 0; times < 3; times++) {
      await expect(takeUnexpectedCredit(rig.parts, dollars(20))).rejects.toThrow(/disk is full/);
    }
    expect(rig.parts.unwrittenCredits).toHaveLength(1);
    // As the disk watch does: the first write that is taken frees the machine for the rest.
    const written: boolean[] = [];
    rig.store.onDisk((fault) => fault === undefined && written.push(writeCredits(rig.parts)));
    disk.isFull = false;
    expect(writeCredits(rig.parts)).toBe(true);
    expect(written).toEqual([false]);
    expect(rig.booked()).toEqual({ '20': 1 });
    expect(rig.obligations()).toEqual(['creditWithoutIntent']);
  });

  test('two that a full disk does not take: both are written before the device is told, once', async () => {
    const disk = new Disk();
    const rig = await new CashInRig({ openDatabase: failingDisk(disk) }).ready();
    disk.isFull = true;
    for (const value of [dollars(20), undefined]) {
      await expect(takeUnexpectedCredit(rig.parts, value, true)).rejects.toThrow(/disk is full/);
    }
    expect(rig.parts.unwrittenCredits).toHaveLength(2);
    const written: boolean[] = [];
    rig.store.onDisk((fault) => fault === undefined && written.push(writeCredits(rig.parts)));
    disk.isFull = false;
    expect(writeCredits(rig.parts)).toBe(true);
    expect(written).toEqual([false]);
    expect(rig.parts.unwrittenCredits).toEqual([]);
    expect(rig.store.obligations.list().map(({ amountMinor }) => amountMinor)).toEqual([
      2_000,
      undefined,
    ]);
  });

  test('waits for the end of an act that a full disk did not take: it may be the credit of it', async () => {
    const rig = await new CashInRig().ready();
    const { store, unwrittenEnds } = rig.parts;
    const intent = store.commit(() =>
      store.intents.open({ kind: 'deposit', device: 'acceptor', body: {} }),
    );
    unwrittenEnds.set(intent.id, () => undefined);
    await takeUnexpectedCredit(rig.parts, dollars(20));
    expect([rig.booked(), rig.parts.unwrittenCredits.length]).toEqual([{}, 1]);
    unwrittenEnds.delete(intent.id);
    expect(writeCredits(rig.parts)).toBe(true);
    expect(rig.booked()).toEqual({ '20': 1 });
  });

  test.each([
    ['before the word to the device left', true],
    ['when that word was lost with the power', false],
  ])('is the last one again when the program died %s', async (_when, diesFirst) => {
    const device = { ...FAST, creditAfterPowerUpInStacker: true };
    const rig = await new CashInRig({ device }).ready();
    const session = await open(rig);
    rig.fault('deaf', 0x50, 1_000);
    if (diesFirst) rig.port.onWrite = (hex) => (hex === ACK ? 'lost' : undefined);
    await deposit(rig, session);
    await rig.clock.advance(500);
    rig.power(false);
    rig.restart();
    rig.power(true);
    rig.fault('deaf', 0x50, 0);
    await recover(rig);
    await rig.clock.advance(3_000);
    expect(rig.booked()).toEqual({ '100': 1 });
    expectBooksTrue(rig);
    expect(rig.obligations()).toEqual([]);
    expect(rig.journal()).toContain('credit.repeated');
    await rig.run(rig.acceptor.initialise());
    expect(rig.acceptor.status().device).toBe('ready');
  });

  test('is a new one each time where the device says it once', async () => {
    const rig = await new CashInRig().ready();
    const { capabilities } = rig.acceptor;
    const value = { ...capabilities, repeatsCredit: false };
    Object.defineProperty(rig.acceptor, 'capabilities', { value });
    await rig.run(takeUnexpectedCredit(rig.parts, dollars(20)));
    await rig.run(takeUnexpectedCredit(rig.parts, undefined));
    expect(rig.journal()).not.toContain('credit.repeated');
    expect(rig.obligations()).toHaveLength(2);
  });

  test('is a new one once another note was drawn in', async () => {
    const rig = await new CashInRig().ready();
    rig.acceptor.subscribe(({ kind }) => kind === 'note.inserted' && forgetLastCredit(rig.parts));
    await rig.run(takeUnexpectedCredit(rig.parts, dollars(20)));
    await rig.run(takeUnexpectedCredit(rig.parts, dollars(20)));
    expect(rig.booked()).toEqual({ '20': 1 });
    await rig.run(rig.acceptor.accept(rig.acceptor.values()));
    await heard(rig, 'note.inserted', () => rig.insert(20));
    await rig.run(takeUnexpectedCredit(rig.parts, dollars(20)));
    expect(rig.booked()).toEqual({ '20': 2 });
    expect(rig.obligations()).toEqual(['creditWithoutIntent', 'creditWithoutIntent']);
  });
});

/** Fees that nobody has agreed to. */
const HALF = { kind: 'total', total: 0.5 } as const;

describe('after a restart', () => {
  test.each([
    ['before STACK left', 'intent', {}, 'deposit.recovering'],
    ['when the power went with STACK', 'powerCutAtStack', {}, 'deposit.recovering'],
    [
      'past escrow, by a device that says so again',
      'powerCutBeforeCredit',
      { '100': 1 },
      'deposit.recovering',
    ],
    ['after VEND VALID', 'powerCutAfterCredit', { '100': 1 }, 'note.deposited'],
  ])(
    'a note is settled by the device when the program died %s',
    async (_when, how, booked, entry) => {
      const device = { ...FAST, creditAfterPowerUpInStacker: true };
      const rig = await new CashInRig({ device }).ready();
      const session = await open(rig);
      await escrow(rig, 100);
      if (how === 'intent') {
        rig.port.onWrite = (hex) => (hex === STACK2 ? 'lost' : undefined);
      } else rig.fault(how);
      const input = { ...session, value: dollars(100) };
      depositNote(rig.parts, input).catch(() => undefined);
      await rig.clock.until(() => openIntent(rig) !== undefined);
      // The program dies with the power, before it knows.
      if (how === 'intent') rig.kill();
      else {
        const isOff = () => {
          try {
            rig.insert(1);
            return false;
          } catch (error) {
            return String(error).includes('without power');
          }
        };
        await rig.clock.until(isOff);
      }
      rig.restart();
      rig.power(true);
      // A document that came meanwhile is for the next customer.
      rig.fees = { type: 'fees', cashIn: HALF, cashOut: HALF };
      await recover(rig);
      await rig.clock.advance(5_000);
      const { principalSats, feeSats } = transactionOf(rig.parts, session.transactionId);
      expect([principalSats, feeSats]).toEqual('100' in booked ? [82_386, 6_591] : [0, 0]);
      expect(openIntent(rig)).toBeUndefined();
      expect(rig.booked()).toEqual(booked);
      expect(rig.obligations()).toEqual([]);
      expectBooksTrue(rig);
      expect(rig.journal()).toContain(entry);
    },
  );

  test('a note of which the device says nothing is owed', async () => {
    const rig = await new CashInRig({ device: FAST }).ready();
    const session = await open(rig);
    await escrow(rig, 100);
    rig.fault('powerCutAfterCredit');
    const input = { ...session, value: dollars(100) };
    depositNote(rig.parts, input).catch(() => undefined);
    await rig.clock.until(() => rig.validator.truth().cashbox['100'] === 1);
    rig.restart();
    rig.power(false);
    rig.power(true);
    await recover(rig);
    expect(rig.obligations(session.transactionId)).toEqual(['noteUnknown']);
    expect(rig.booked()).toEqual({});
  });
});
