/** Notes with any trouble at any moment; whatever happens, no note is made up and none is lost. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { CashAcceptorEvent } from '#hal/cash-acceptor.ts';
import { sioFaults } from '#hal/simulator/sio/faults.ts';
import type { SioModelName } from '#hal/sio/models.ts';
import { DeviceError } from '#protocol/base/errors.ts';
import { soakSettings } from '../soak.ts';
import { ALL_VALUES, Bench, count } from './bench.ts';

const MODELS: readonly SioModelName[] = ['nv10', 'nv10-no-escrow'];
/**
 * Bytes that say another value cannot be told (see the README); a jam needs hands, tried
 * elsewhere.
 */
const LEFT_OUT = ['jam', 'glitch'];
const FAULTS = Object.keys(sioFaults).filter((name) => !LEFT_OUT.includes(name));

const trouble = fc.record({
  fault: fc.option(fc.constantFrom(...FAULTS), { nil: undefined }),
  times: fc.integer({ min: 1, max: 4 }),
  afterMs: fc.integer({ min: 0, max: 2500 }),
  unplugMs: fc.option(fc.integer({ min: 0, max: 3500 }), { nil: undefined, freq: 5 }),
  cutMs: fc.option(fc.integer({ min: 0, max: 3500 }), { nil: undefined, freq: 5 }),
  decision: fc.constantFrom('deposit', 'deposit', 'deposit', 'returnNote'),
  decideMs: fc.integer({ min: 0, max: 400 }),
  denomination: fc.constantFrom(1, 5, 20, 100),
});
type Trouble = typeof trouble extends fc.Arbitrary<infer T> ? T : never;

const NO_TROUBLE: Trouble = {
  fault: undefined,
  times: 1,
  afterMs: 0,
  unplugMs: undefined,
  cutMs: undefined,
  decision: 'deposit',
  decideMs: 0,
  denomination: 1,
};
/** What was found once: a note stacked unheard by a device that had lost its mode, then power. */
const FOUND: readonly Trouble[][] = [[{ ...NO_TROUBLE, fault: 'forgetMode', cutMs: 1501 }]];

/** Deposits or returns what comes to escrow, and counts what it is told. */
class Decider {
  readonly bench: Bench;
  plan: Trouble | undefined;
  creditedMinor = 0;
  deposits = 0;
  returned = 0;
  unknown = 0;
  failures = 0;
  emptied = 0;

  constructor(bench: Bench) {
    this.bench = bench;
    bench.acceptor.subscribe((event) => void this.#on(event));
  }

  async #on(event: CashAcceptorEvent): Promise<void> {
    if (event.kind === 'device.failed') this.failures++;
    if (event.kind === 'credit.unexpected') this.creditedMinor += event.value ?? 0;
    if (event.kind === 'note.returned') this.returned++;
    if (event.kind !== 'note.escrowed') return;
    const { bench, plan } = this;
    await new Promise<void>((resolve) => {
      bench.clock.after(plan?.decideMs ?? 0, resolve);
    });
    const { acceptor } = bench;
    const decided = plan?.decision === 'returnNote' ? acceptor.returnNote() : acceptor.deposit();
    const outcome = await decided.catch((error: unknown) => {
      expect(error).toBeInstanceOf(DeviceError);
      this.unknown++;
      return undefined;
    });
    if (outcome?.kind === 'deposited') {
      this.deposits++;
      this.creditedMinor += outcome.value;
    }
    if (outcome?.kind === 'returned') this.returned++;
    if (outcome?.kind === 'unknown') this.unknown++;
  }
}

/** Lifts every trouble and brings the device back into service, as people and the agent would. */
async function settle(decider: Decider): Promise<void> {
  const { bench } = decider;
  const { acceptor, cable, clock, device } = bench;
  for (const name of FAULTS) device.control({ do: 'fault', name, times: 0 });
  cable.plug();
  device.control({ do: 'power', on: true });
  await clock.advance(40_000);
  decider.emptied += count(device.truth().cashbox);
  device.control({ do: 'cashbox', present: true, empty: true });
  if (acceptor.status().device === 'fault') {
    device.control({ do: 'power', on: false });
    await clock.advance(10_000);
    device.control({ do: 'power', on: true });
    await clock.advance(10_000);
  }
  for (let attempt = 0; attempt < 3; attempt++) {
    if (acceptor.status().device === 'ready') return;
    await bench.initialise();
    await clock.advance(2000);
  }
  expect(acceptor.status().device).toBe('ready');
}

test.each(MODELS)('%s: any trouble, never more credits than notes in the box', async (model) => {
  await fc.assert(
    fc.asyncProperty(fc.array(trouble, { minLength: 1, maxLength: 5 }), async (troubles) => {
      const bench = await new Bench({ device: { model } }).start();
      const decider = new Decider(bench);
      const { clock, device, cable, acceptor } = bench;
      let insertedMinor = 0;
      for (const step of troubles) {
        decider.plan = step;
        bench.insert(step.denomination);
        insertedMinor += step.denomination * 100;
        const { fault, times } = step;
        if (fault) clock.after(step.afterMs, () => bench.fault(fault, undefined, times));
        if (step.unplugMs !== undefined) clock.after(step.unplugMs, () => cable.unplug());
        if (step.cutMs !== undefined) {
          clock.after(step.cutMs, () => device.control({ do: 'power', on: false }));
        }
        await clock.advance(5000);
        await settle(decider);
        const { cashbox, customer, path } = device.truth();
        const inBox = count(cashbox) + decider.emptied;
        expect(inBox + count(customer)).toBe(bench.inserted);
        expect(count(path)).toBe(0);
        const credits = decider.deposits + bench.credits.length;
        expect(credits).toBeLessThanOrEqual(inBox);
        expect(decider.creditedMinor).toBeLessThanOrEqual(insertedMinor);
        // A note in the box that nobody was told of was at least owned up to.
        const owned = decider.unknown + bench.doubts + decider.failures;
        expect(inBox - credits).toBeLessThanOrEqual(owned);
        expect(decider.returned).toBeLessThanOrEqual(count(customer));
        await bench.run(acceptor.accept(ALL_VALUES));
      }
      expect(bench.sent(172)).toBeLessThanOrEqual(bench.inserted);
      await bench.run(acceptor.close());
    }),
    { ...soakSettings(100), examples: FOUND.map((troubles) => [troubles]) },
  );
});
