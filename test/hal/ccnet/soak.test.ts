/** Notes with any trouble at any moment; whatever happens, no note is made up and none is lost. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { CashAcceptorEvent } from '#hal/cash-acceptor.ts';
import { type CcnetFaultName, ccnetFaults } from '#hal/simulator/ccnet/faults.ts';
import { soakSettings } from '../soak.ts';
import { Bench, count } from './bench.ts';

const FAULTS = Object.keys(ccnetFaults).filter((name): name is CcnetFaultName => {
  // With STACK heard and then failures that need a person, hands are asked for below.
  return name in ccnetFaults;
});

const trouble = fc.record({
  fault: fc.option(fc.constantFrom(...FAULTS), { nil: undefined }),
  times: fc.integer({ min: 1, max: 6 }),
  afterMs: fc.integer({ min: 0, max: 2500 }),
  unplugMs: fc.option(fc.integer({ min: 0, max: 2500 }), { nil: undefined, freq: 5 }),
  boxOutMs: fc.option(fc.integer({ min: 0, max: 2500 }), { nil: undefined, freq: 8 }),
  cutMs: fc.option(fc.integer({ min: 0, max: 2500 }), { nil: undefined, freq: 5 }),
  decision: fc.constantFrom('deposit', 'deposit', 'deposit', 'returnNote'),
  decideMs: fc.integer({ min: 0, max: 400 }),
  confirmMs: fc.integer({ min: 0, max: 600 }),
  denomination: fc.constantFrom(1, 5, 20, 100),
});

/** Deposits or returns what comes to escrow, and counts what it is told. */
class Decider {
  readonly bench: Bench;
  credits = 0;
  returned = 0;
  unknown = 0;
  /** Notes taken out of a full cash box. */
  emptied = 0;
  plan: { decision: string; decideMs: number; confirmMs: number } | undefined;

  constructor(bench: Bench) {
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

/** Lifts every trouble and brings the device back into service, as people and the agent would. */
async function settle(decider: Decider): Promise<void> {
  const { bench } = decider;
  const { acceptor, cable, clock, device } = bench;
  for (const name of FAULTS) device.control({ do: 'fault', name, times: 0 });
  for (let attempt = 0; attempt < 20; attempt++) {
    cable.plug();
    device.control({ do: 'power', on: true });
    await clock.advance(4000);
    if (acceptor.status().device === 'ready' && count(device.truth().path) === 0) return;
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

test('any trouble: each note in one place, never more credits than notes in the box', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(trouble, { minLength: 1, maxLength: 6 }),
      fc.record({
        creditAfterPowerUpInStacker: fc.boolean(),
        strictAck: fc.boolean(),
        strictTiming: fc.boolean(),
        refitNeedsReset: fc.boolean(),
      }),
      async (troubles, device) => {
        const bench = await new Bench({ device }).start();
        const decider = new Decider(bench);
        const { clock, cable, acceptor } = bench;
        for (const step of troubles) {
          decider.plan = step;
          bench.insert(step.denomination);
          const { fault } = step;
          if (fault) clock.after(step.afterMs, () => bench.fault(fault, undefined, step.times));
          if (step.unplugMs !== undefined) clock.after(step.unplugMs, () => cable.unplug());
          if (step.boxOutMs !== undefined) {
            const out = { do: 'cashbox', present: false } as const;
            clock.after(step.boxOutMs, () => bench.device.control(out));
          }
          if (step.cutMs !== undefined) {
            clock.after(step.cutMs, () => bench.device.control({ do: 'power', on: false }));
          }
          await clock.advance(5000);
          await settle(decider);
          bench.expectConserved(decider.emptied);
          const { cashbox, customer, path } = bench.device.truth();
          expect(count(path)).toBe(0);
          const inBox = count(cashbox) + decider.emptied;
          expect(decider.credits).toBeLessThanOrEqual(inBox);
          // A note in the box that nobody was told of was at least owned up to.
          expect(inBox - decider.credits).toBeLessThanOrEqual(decider.unknown);
          expect(decider.returned).toBeLessThanOrEqual(count(customer));
          await clock.advance(2000);
          await bench.run(acceptor.accept(acceptor.values()));
        }
        const violations = bench.device.violations();
        const isOurFault = (words: string) => words.includes('no note is in escrow');
        expect(violations.filter(isOurFault).length).toBeLessThanOrEqual(troubles.length);
        // Asked who it is only where the book allows it, and never in a rest of the bus.
        expect(violations.filter((words) => /only when|had to rest/.test(words))).toEqual([]);
        await bench.run(acceptor.close());
      },
    ),
    soakSettings(100),
  );
});
