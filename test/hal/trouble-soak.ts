/** Notes with any trouble at any moment; whatever happens, no note is made up and none is lost. */
import fc from 'fast-check';
import { expect } from 'vitest';
import type { CashAcceptor, CashAcceptorEvent } from '#hal/cash-acceptor.ts';
import type { SimulatedDevice } from '#hal/simulator/device.ts';
import { type AcceptorBench, count } from './acceptor-bench.ts';
import { soakSettings } from './soak.ts';

type AnyBench = AcceptorBench<SimulatedDevice, CashAcceptor>;

/** What is soaked. */
export interface Soaked<Options> {
  /** Every fault that the device can be given. */
  readonly faults: readonly string[];
  /** The habits of a device. */
  readonly options: fc.Arbitrary<Options>;
  readonly make: (options: Options) => AnyBench;
  /** Violations that no trouble explains. */
  readonly neverSaid?: RegExp;
}

/** Most runs of one protocol. */
const RUNS = 100;
const someMs = fc.integer({ min: 0, max: 2500 });

const troubleOf = (faults: readonly string[]) =>
  fc.record({
    fault: fc.option(fc.constantFrom(...faults), { nil: undefined }),
    times: fc.integer({ min: 1, max: 6 }),
    afterMs: someMs,
    unplugMs: fc.option(someMs, { nil: undefined, freq: 5 }),
    boxOutMs: fc.option(someMs, { nil: undefined, freq: 8 }),
    cutMs: fc.option(someMs, { nil: undefined, freq: 5 }),
    decision: fc.constantFrom('deposit', 'deposit', 'deposit', 'returnNote'),
    decideMs: fc.integer({ min: 0, max: 400 }),
    confirmMs: fc.integer({ min: 0, max: 600 }),
    denomination: fc.constantFrom(1, 5, 20, 100),
  });
type Trouble = ReturnType<typeof troubleOf> extends fc.Arbitrary<infer Value> ? Value : never;

/** Deposits or returns what comes to escrow, and counts what it is told. */
class Decider {
  readonly bench: AnyBench;
  credits = 0;
  returned = 0;
  unknown = 0;
  /** Notes taken out of a full cash box. */
  emptied = 0;
  plan: Trouble | undefined;

  constructor(bench: AnyBench) {
    this.bench = bench;
    bench.acceptor.subscribe((event) => void this.#on(event));
  }

  credit(): void {
    this.credits++;
    const afterMs = this.plan?.confirmMs ?? 0;
    this.bench.clock.after(afterMs, () => void this.bench.acceptor.confirmDeposit());
  }

  async #on(event: CashAcceptorEvent): Promise<void> {
    if (event.kind === 'credit.unexpected') this.credit();
    if (event.kind === 'note.refused' || event.kind === 'note.returned') this.returned++;
    if (event.kind !== 'note.escrowed') return;
    await new Promise<void>((resolve) => {
      this.bench.clock.after(this.plan?.decideMs ?? 0, resolve);
    });
    const { acceptor } = this.bench;
    const decided = this.plan?.decision === 'deposit' ? acceptor.deposit() : acceptor.returnNote();
    const outcome = await decided.catch(() => undefined);
    if (outcome?.kind === 'deposited') this.credit();
    if (outcome?.kind === 'returned') this.returned++;
    if (outcome?.kind === 'unknown') this.unknown++;
  }
}

/** What hands do when the device asks for them. */
function help(decider: Decider): void {
  const { acceptor, device } = decider.bench;
  device.control({ do: 'cashbox', present: true });
  if (count(device.truth().path) > 0) {
    // A jam that has not been cleared yet, or a note in the slot that nobody took.
    try {
      device.control({ do: 'take' });
    } catch (error) {
      expect(String(error)).toContain('nothing to take');
    }
  }
  if (acceptor.status().cashBox === 'full') {
    decider.emptied += count(device.truth().cashbox);
    device.control({ do: 'cashbox', present: true, empty: true });
  }
}

/** Lifts every trouble and brings the device back into service, as people and the agent would. */
async function settle(decider: Decider, faults: readonly string[]): Promise<void> {
  const { bench } = decider;
  const { acceptor, cable, clock, device } = bench;
  for (const name of faults) device.control({ do: 'fault', name, times: 0 });
  for (let attempt = 0; attempt < 20; attempt++) {
    cable.plug();
    device.control({ do: 'power', on: true });
    await clock.advance(4000);
    if (acceptor.status().device === 'ready' && count(device.truth().path) === 0) return;
    help(decider);
    if (acceptor.status().device === 'offline') continue;
    try {
      const { note } = await bench.run(acceptor.initialise());
      if (note === 'deposited') decider.credit();
      if (note === 'unknown') decider.unknown++;
    } catch (error) {
      expect(error).toMatchObject({ code: 'sequenceError' });
    }
  }
  expect(acceptor.status().device).toBe('ready');
}

/** One note, and all that happens to it. */
async function passOneNote(
  decider: Decider,
  step: Trouble,
  faults: readonly string[],
): Promise<void> {
  const { bench } = decider;
  const { clock, cable, device } = bench;
  const { fault, times, afterMs, unplugMs, boxOutMs, cutMs } = step;
  decider.plan = step;
  bench.insert(step.denomination);
  if (fault) clock.after(afterMs, () => bench.fault(fault, undefined, times));
  if (unplugMs !== undefined) clock.after(unplugMs, () => cable.unplug());
  if (boxOutMs !== undefined) {
    clock.after(boxOutMs, () => device.control({ do: 'cashbox', present: false }));
  }
  if (cutMs !== undefined) clock.after(cutMs, () => device.control({ do: 'power', on: false }));
  await clock.advance(5000);
  await settle(decider, faults);
  bench.expectConserved(decider.emptied);
  const { cashbox, customer, path } = device.truth();
  expect(count(path)).toBe(0);
  const inBox = count(cashbox) + decider.emptied;
  expect(decider.credits).toBeLessThanOrEqual(inBox);
  // A note in the box that nobody was told of was at least owned up to.
  expect(inBox - decider.credits).toBeLessThanOrEqual(decider.unknown);
  expect(decider.returned).toBeLessThanOrEqual(count(customer));
  await clock.advance(2000);
  await bench.run(bench.acceptor.accept(bench.acceptor.values()));
}

/** Each note is in one place, and never are there more credits than notes in the box. */
export async function soak<Options>(soaked: Soaked<Options>): Promise<void> {
  const { faults, make, neverSaid } = soaked;
  const troubles = fc.array(troubleOf(faults), { minLength: 1, maxLength: 6 });
  const run = async (steps: readonly Trouble[], options: Options) => {
    const bench = await make(options).start();
    const decider = new Decider(bench);
    for (const step of steps) await passOneNote(decider, step, faults);
    const violations = bench.device.violations();
    const isOurFault = (words: string) => words.includes('no note is in escrow');
    expect(violations.filter(isOurFault).length).toBeLessThanOrEqual(steps.length);
    expect(violations.filter((words) => neverSaid?.test(words))).toEqual([]);
    await bench.run(bench.acceptor.close());
  };
  await fc.assert(fc.asyncProperty(troubles, soaked.options, run), soakSettings(RUNS));
}
