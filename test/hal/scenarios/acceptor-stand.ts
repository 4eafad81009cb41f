/** One validator, its line and a small agent that decides about notes and counts what it is told. */
import { expect } from 'vitest';
import { makeAcceptor } from '#agent/devices.ts';
import type { CashAcceptor, CashAcceptorEvent, DepositOutcome } from '#hal/cash-acceptor.ts';
import { rejectReasons as ccnetReasons } from '#hal/ccnet/commands.ts';
import { rejectReasons as id003Reasons } from '#hal/id003/commands.ts';
import type { Notes } from '#hal/simulator/device.ts';
import { makeSimulatedDevice } from '#hal/simulator/models.ts';
import { rejectCodes as sspCodes } from '#hal/ssp/commands.ts';
import { DeviceError } from '#protocol/base/errors.ts';
import { silentLog } from '#protocol/base/log.ts';
import { seededRandom } from '#test/support/seeded-random.ts';
import { type Line, type LineKind, makeLine } from './line.ts';

/** A validator that the scenarios are played on, and what its faults are called. */
export interface AcceptorCase {
  readonly name: string;
  readonly protocol: string;
  readonly model?: string;
  readonly channels?: readonly number[];
  /** Codes that a note is rejected with; undefined where the protocol has none. */
  readonly reasons: readonly (number | undefined)[];
  readonly jams: readonly string[];
  /** A note pulled back on its way to the cash box. */
  readonly cheat: string;
  /** The cash box is full with the next note. */
  readonly full: string;
  readonly powerCuts: readonly string[];
}

const codesOf = (table: object): readonly number[] => Object.keys(table).map(Number);
const CUTS = ['powerCutBeforeCredit', 'powerCutAfterCredit'];
const SSP = {
  protocol: 'ssp',
  // "Accepted" is no reason; those of bar codes and of notes in hands are reasons like others.
  reasons: codesOf(sspCodes).filter((code) => code !== 0),
  jams: ['jamAcceptor', 'jamStacker'],
  cheat: 'fraud',
  full: 'stackerFull',
  powerCuts: ['powerCutAtAccept', ...CUTS],
};

/** Every validator. */
export const acceptorCases: readonly AcceptorCase[] = [
  {
    name: 'id003',
    protocol: 'id003',
    reasons: codesOf(id003Reasons),
    jams: ['jamAcceptor', 'jamStacker'],
    cheat: 'cheat',
    full: 'stackerFull',
    powerCuts: ['powerCutAtStack', ...CUTS],
  },
  {
    name: 'ccnet',
    protocol: 'ccnet',
    reasons: codesOf(ccnetReasons),
    jams: ['jamValidator', 'jamCassette'],
    cheat: 'cheat',
    full: 'cassetteFull',
    powerCuts: ['powerCutAtStack', ...CUTS],
  },
  {
    name: 'ebds',
    protocol: 'ebds',
    reasons: [undefined],
    jams: ['jamAcceptor', 'jamStacker'],
    cheat: 'cheat',
    full: 'stackerFull',
    powerCuts: ['powerCutAtStack', ...CUTS],
  },
  { name: 'ssp', model: 'ssp', ...SSP },
  { name: 'essp', model: 'essp', ...SSP },
  {
    name: 'sio',
    protocol: 'sio',
    channels: [1, 2, 5, 10, 20, 50, 100],
    reasons: [20, 50],
    jams: ['jam'],
    cheat: 'strimming',
    full: 'stackerFull',
    powerCuts: ['powerCutAtAccept', 'powerCutInStacker'],
  },
];

/** Where a note is when something happens. */
export type Moment = 'idle' | 'drawnIn' | 'escrowed' | 'depositing' | 'returning';
/** All of them. */
export const moments: readonly Moment[] = [
  'idle',
  'drawnIn',
  'escrowed',
  'depositing',
  'returning',
];

/** Rounds of helping until it must be back in service. */
const HELP_ROUNDS = 12;
const ROUND_MS = 3000;

/** The whole bench. */
export class AcceptorStand {
  readonly line: Line;
  readonly acceptor: CashAcceptor;
  readonly events: CashAcceptorEvent[] = [];
  inserted = 0;
  emptied = 0;
  credits = 0;
  returned = 0;
  unknown = 0;
  failures = 0;
  /** Errors without the last bytes on the port. */
  bareErrors = 0;

  private constructor(line: Line, acceptor: CashAcceptor) {
    this.line = line;
    this.acceptor = acceptor;
    acceptor.subscribe((event) => {
      this.events.push(event);
      if (event.kind === 'device.failed') {
        this.failures++;
        this.noteError(event.error);
      }
      if (event.kind === 'note.returned' || event.kind === 'note.refused') this.returned++;
      if (event.kind !== 'credit.unexpected') return;
      if (event.value === undefined) this.unknown++;
      else this.credits++;
      void acceptor.confirmDeposit();
    });
  }

  /** Put together; nothing is open yet. */
  static async made(kind: LineKind, what: AcceptorCase): Promise<AcceptorStand> {
    const { protocol, model, channels } = what;
    const contents = { currency: 'USD', cassettes: {}, random: seededRandom('device') };
    const line = await makeLine(kind, (clock) =>
      makeSimulatedDevice(protocol, model, clock, contents),
    );
    const { port, clock } = line;
    const random = seededRandom(what.name);
    const parts = { protocol, model, channels, port, clock, random, log: silentLog };
    return new AcceptorStand(line, makeAcceptor({ ...parts, currency: 'USD' }));
  }

  /** Open, ready, and its slot open for all that it knows. */
  static async ready(kind: LineKind, what: AcceptorCase): Promise<AcceptorStand> {
    const stand = await AcceptorStand.made(kind, what);
    await stand.run(stand.acceptor.open());
    expect(await stand.run(stand.acceptor.initialise())).toMatchObject({ device: 'ready' });
    await stand.open();
    stand.events.length = 0;
    return stand;
  }

  run<T>(promise: Promise<T>): Promise<T> {
    return this.line.clock.resolve(promise);
  }

  open(): Promise<void> {
    return this.run(this.acceptor.accept(this.acceptor.values()));
  }

  insert(denomination = 20): void {
    this.line.device.control({ do: 'insert', denomination });
    this.inserted++;
  }

  fault(name: string, value?: number): void {
    const fault = { do: 'fault', name, times: 1 } as const;
    this.line.device.control(value === undefined ? fault : { ...fault, value });
  }

  heard(kind: CashAcceptorEvent['kind']): Promise<void> {
    const before = this.told(kind).length;
    return this.line.clock.until(() => this.told(kind).length > before, 60_000);
  }

  told(kind: CashAcceptorEvent['kind']): CashAcceptorEvent[] {
    return this.events.filter((event) => event.kind === kind);
  }

  async escrow(denomination?: number): Promise<void> {
    this.insert(denomination);
    await this.heard('note.escrowed');
  }

  /** Decides, and writes down what it is told; undefined when it was not to be decided any more. */
  async decide(decision: 'deposit' | 'returnNote'): Promise<DepositOutcome | undefined> {
    try {
      const outcome = await this.acceptor[decision]();
      if (outcome.kind === 'unknown') this.unknown++;
      if (outcome.kind === 'returned') this.returned++;
      if (outcome.kind !== 'deposited') return outcome;
      this.credits++;
      await this.acceptor.confirmDeposit();
      return outcome;
    } catch (error) {
      this.noteError(error);
      return undefined;
    }
  }

  /** Brings a note to a moment; what becomes of a decision about it is written down. */
  async to(moment: Moment): Promise<void> {
    if (moment === 'idle') return;
    if (moment === 'drawnIn') {
      this.insert();
      await this.line.clock.advance(200);
      return;
    }
    await this.escrow();
    if (moment === 'depositing') void this.decide('deposit');
    if (moment === 'returning') void this.decide('returnNote');
    await this.line.clock.advance(200);
  }

  /** A fault is told with the last bytes on the port. */
  noteError(error: unknown): void {
    if (!(error instanceof DeviceError)) throw error;
    if (error.recording.length === 0) this.bareErrors++;
  }

  /** Every note is in one place, and what was told of them is so. */
  expectTrue(): void {
    expect(this.bareErrors).toBe(0);
    const { path, cashbox, customer } = this.line.device.truth();
    const [inBox, withCustomer] = [count(cashbox) + this.emptied, count(customer)];
    expect(count(path)).toBe(0);
    expect(inBox + withCustomer).toBe(this.inserted);
    expect(this.credits).toBeLessThanOrEqual(inBox);
    expect(this.returned).toBeLessThanOrEqual(withCustomer);
    // A note in the box that nobody was credited for is at least owned up to.
    expect(inBox - this.credits).toBeLessThanOrEqual(this.unknown + this.failures);
  }

  /** What people and the agent do until the slot is open again. */
  async help(): Promise<void> {
    const { device, clock } = this.line;
    for (const name of Object.keys(device.faults)) device.control({ do: 'fault', name, times: 0 });
    for (let round = 0; round < HELP_ROUNDS; round++) {
      await this.line.plug();
      device.control({ do: 'power', on: true });
      device.control({ do: 'cashbox', present: true });
      await clock.advance(ROUND_MS);
      const isEmpty = count(device.truth().path) === 0;
      if (this.acceptor.status().device === 'ready' && isEmpty && (await this.opens())) return;
      await this.mend();
    }
    expect(this.acceptor.status().device).toBe('ready');
  }

  async opens(): Promise<boolean> {
    try {
      await this.open();
      return true;
    } catch (error) {
      this.noteError(error);
      return false;
    }
  }

  async mend(): Promise<void> {
    const { acceptor, line } = this;
    const { device, cashBox } = acceptor.status();
    if (cashBox === 'full') {
      this.emptied += count(line.device.truth().cashbox);
      line.device.control({ do: 'cashbox', present: true, empty: true });
    }
    if (device === 'fault') {
      this.take();
      // Long enough to be noticed by one that does not say that it was off.
      line.device.control({ do: 'power', on: false });
      await line.clock.advance(ROUND_MS);
    }
    if (device === 'ready') await this.run(this.decide('returnNote'));
    if (device !== 'attention') return;
    try {
      const { note } = await this.run(acceptor.initialise());
      if (note === 'unknown') this.unknown++;
      if (note === 'deposited') this.credits++;
      if (note === 'deposited') await this.run(acceptor.confirmDeposit());
    } catch (error) {
      expect(error).toMatchObject({ code: 'sequenceError' });
    }
  }

  take(): void {
    try {
      this.line.device.control({ do: 'take' });
    } catch (error) {
      expect(String(error)).toContain('nothing to take');
    }
  }

  async close(): Promise<void> {
    await this.run(this.acceptor.close());
    await this.line.close();
  }
}

/** All notes of a place. */
export function count(notes: Notes): number {
  return Object.values(notes).reduce((sum, value) => sum + value, 0);
}
