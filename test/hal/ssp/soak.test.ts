/** Notes with any trouble at any moment; whatever happens, no note is made up and none is lost. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { CashAcceptorEvent } from '#hal/cash-acceptor.ts';
import { type SspFaultName, sspFaults } from '#hal/simulator/ssp/faults.ts';
import { DeviceError } from '#protocol/base/errors.ts';
import { Rig, count, MODELS } from './rig.ts';

const FAULTS = Object.keys(sspFaults).filter((name): name is SspFaultName => name in sspFaults);

/** A few seconds here; set it for a longer run. */
const RUNS = Number(process.env.SOAK_RUNS ?? 25);

const trouble = fc.record({
  fault: fc.option(fc.constantFrom(...FAULTS), { nil: undefined }),
  times: fc.integer({ min: 1, max: 6 }),
  afterMs: fc.integer({ min: 0, max: 2500 }),
  unplugMs: fc.option(fc.integer({ min: 0, max: 2500 }), { nil: undefined, freq: 5 }),
  cutMs: fc.option(fc.integer({ min: 0, max: 2500 }), { nil: undefined, freq: 5 }),
  decision: fc.constantFrom('deposit', 'deposit', 'deposit', 'returnNote'),
  decideMs: fc.integer({ min: 0, max: 900 }),
  confirmMs: fc.integer({ min: 0, max: 900 }),
  denomination: fc.constantFrom(1, 5, 20, 100),
});

/** Deposits or returns what comes to escrow, and counts what it is told. */
class Decider {
  readonly rig: Rig;
  credits = 0;
  returned = 0;
  unknown = 0;
  decided = 0;
  /** Notes taken out of a full cash box. */
  emptied = 0;
  plan: { decision: string; decideMs: number; confirmMs: number } | undefined;

  constructor(rig: Rig) {
    this.rig = rig;
    rig.acceptor.subscribe((event) => void this.#on(event));
  }

  credit(): void {
    this.credits++;
    const afterMs = this.plan?.confirmMs ?? 0;
    this.rig.clock.after(afterMs, () => void this.rig.acceptor.confirmDeposit());
  }

  async #on(event: CashAcceptorEvent): Promise<void> {
    if (event.kind === 'credit.unexpected') this.credit();
    if (event.kind === 'note.refused' || event.kind === 'note.returned') this.returned++;
    if (event.kind !== 'note.escrowed') return;
    await new Promise<void>((resolve) => {
      this.rig.clock.after(this.plan?.decideMs ?? 0, resolve);
    });
    const { acceptor } = this.rig;
    const isDeposit = this.plan?.decision === 'deposit';
    const decided = isDeposit ? acceptor.deposit() : acceptor.returnNote();
    const outcome = await decided.catch(() => undefined);
    if (outcome && isDeposit) this.decided++;
    if (outcome?.kind === 'deposited') this.credit();
    if (outcome?.kind === 'returned') this.returned++;
    if (outcome?.kind === 'unknown') this.unknown++;
  }
}

/** What hands do when the device asks for them. */
function help(decider: Decider): void {
  const { acceptor, device } = decider.rig;
  const { fault, cashBox } = acceptor.status();
  if (fault?.code === 'EA' || fault?.code === 'E9') {
    try {
      device.control({ do: 'take' });
    } catch (error) {
      expect(String(error)).toContain('nothing to take');
    }
    device.control({ do: 'power', on: false });
  }
  if (cashBox === 'full') {
    decider.emptied += count(device.truth().cashbox);
    device.control({ do: 'cashbox', present: false, empty: true });
  }
}

/** As at the end of a session: a note that nobody has decided about goes back. */
async function giveBack(decider: Decider): Promise<void> {
  const { rig } = decider;
  const outcome = await rig.run(rig.acceptor.returnNote()).catch(() => undefined);
  if (outcome?.kind === 'returned') decider.returned++;
  if (outcome?.kind === 'unknown') decider.unknown++;
  if (outcome?.kind === 'deposited') decider.credit();
}

/** Whether the slot takes notes again; a device that refuses has more to tell. */
async function isOpened(rig: Rig): Promise<boolean> {
  try {
    const { acceptor } = rig;
    await rig.run(acceptor.accept(acceptor.values()));
    return true;
  } catch (error) {
    expect(error).toBeInstanceOf(DeviceError);
    return false;
  }
}

/** Lifts every trouble and brings the device back into service, as people and the agent would. */
async function settle(decider: Decider): Promise<void> {
  const { rig } = decider;
  const { acceptor, cable, clock, device } = rig;
  for (const name of FAULTS) device.control({ do: 'fault', name, times: 0 });
  for (let attempt = 0; attempt < 20; attempt++) {
    cable.plug();
    device.control({ do: 'power', on: true });
    device.control({ do: 'cashbox', present: true });
    await clock.advance(6000);
    const isReady = acceptor.status().device === 'ready' && count(device.truth().path) === 0;
    if (isReady && (await isOpened(rig))) return;
    help(decider);
    await giveBack(decider);
    if (acceptor.status().device !== 'attention') continue;
    try {
      const { note } = await rig.run(acceptor.initialise());
      if (note === 'deposited') decider.credit();
      if (note === 'unknown') decider.unknown++;
    } catch (error) {
      expect(error).toMatchObject({ code: 'sequenceError' });
    }
  }
  expect(acceptor.status().device).toBe('ready');
}

test.each(MODELS)('%s, any trouble: each note in one place, no credit made up', async (model) => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(trouble, { minLength: 1, maxLength: 6 }),
      fc.record({
        repeatsDisabled: fc.boolean(),
        knowsChannelAtPowerUp: fc.boolean(),
        clearsCreditedNotes: fc.boolean(),
        remembersCredit: fc.boolean(),
      }),
      async (troubles, habits) => {
        const rig = await new Rig({ model, device: { habits } }).start();
        const decider = new Decider(rig);
        const { clock, device, cable, acceptor } = rig;
        for (const step of troubles) {
          decider.plan = step;
          rig.insert(step.denomination);
          const { fault } = step;
          if (fault) clock.after(step.afterMs, () => rig.fault(fault, undefined, step.times));
          if (step.unplugMs !== undefined) clock.after(step.unplugMs, () => cable.unplug());
          if (step.cutMs !== undefined) {
            clock.after(step.cutMs, () => device.control({ do: 'power', on: false }));
          }
          await clock.advance(5000);
          await settle(decider);
          rig.expectConserved(decider.emptied);
          const { cashbox, customer, path } = device.truth();
          expect(count(path)).toBe(0);
          const inBox = count(cashbox) + decider.emptied;
          expect(decider.credits).toBeLessThanOrEqual(inBox);
          // A note in the box that nobody was told of was at least owned up to.
          expect(inBox - decider.credits).toBeLessThanOrEqual(decider.unknown);
          expect(decider.returned).toBeLessThanOrEqual(count(customer));
          // Nothing is in the box that nobody decided to deposit.
          expect(inBox).toBeLessThanOrEqual(decider.decided);
          await clock.advance(2000);
        }
        const isOurFault = (words: string) => !words.includes('no frame');
        const isByFault = (words: string) => /packet/.test(words);
        const ours = device.violations().filter((words) => isOurFault(words) && !isByFault(words));
        expect(ours).toEqual([]);
        await rig.run(acceptor.close());
      },
    ),
    { numRuns: RUNS },
  );
});
