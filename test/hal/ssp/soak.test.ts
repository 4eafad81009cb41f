/** Notes with any trouble at any moment; whatever happens, no note is made up and none is lost. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { AcceptorBaseline, CashAcceptorEvent } from '#hal/cash-acceptor.ts';
import { type SspFaultName, sspFaults } from '#hal/simulator/ssp/faults.ts';
import { DeviceError } from '#protocol/base/errors.ts';
import type { MinorUnits } from '#protocol/base/money.ts';
import { soakSettings } from '../soak.ts';
import { count, dollars, MODELS, Rig } from './rig.ts';

const FAULTS = Object.keys(sspFaults).filter((name): name is SspFaultName => name in sspFaults);

/** Mostly one trouble at a time: many at once hide each other. */
const moment = fc.oneof(
  { weight: 3, arbitrary: fc.constant(undefined) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 2500 }) },
);

const trouble = fc.record({
  fault: fc.option(fc.constantFrom(...FAULTS), { nil: undefined, freq: 2 }),
  times: fc.integer({ min: 1, max: 6 }),
  afterMs: fc.integer({ min: 0, max: 2500 }),
  unplugMs: moment,
  cutMs: moment,
  dieMs: moment,
  decision: fc.constantFrom('deposit', 'deposit', 'deposit', 'returnNote'),
  decideMs: fc.integer({ min: 0, max: 900 }),
  confirmMs: fc.integer({ min: 0, max: 900 }),
  denomination: fc.constantFrom(1, 5, 20, 100),
});
type Trouble = typeof trouble extends fc.Arbitrary<infer Value> ? Value : never;

const anyDevice = fc.record({
  habits: fc.record({
    repeatsDisabled: fc.boolean(),
    saysStacking: fc.boolean(),
    knowsChannelAtPowerUp: fc.boolean(),
    clearsCreditedNotes: fc.boolean(),
    remembersCredit: fc.boolean(),
  }),
  pollWithAck: fc.boolean(),
  counters: fc.boolean(),
});

/** An agent in small: it decides about notes, dies and comes back, and counts what it is told. */
class Agent {
  readonly rig: Rig;
  credits = 0;
  returned = 0;
  unknown = 0;
  decided = 0;
  /** Notes taken out of a full cash box. */
  emptied = 0;
  /** A deposit that is on disk and has not ended. */
  intent: { readonly baseline: AcceptorBaseline | undefined } | undefined;
  isOpen: boolean = true;
  #plan: Trouble | undefined;
  #life = 0;
  #creditedInLife: number | undefined;

  constructor(rig: Rig) {
    this.rig = rig;
    this.#listen();
  }

  /** What is inserted now is dealt with by this plan. */
  begin(plan: Trouble): void {
    this.#plan = plan;
    this.#creditedInLife = undefined;
  }

  /** What the device repeats to a program that has died is no second credit, unless it was open. */
  credit(value?: MinorUnits): void {
    const isOfAnother = this.#creditedInLife !== undefined && this.#creditedInLife !== this.#life;
    if (!isOfAnother || this.intent) this.credits++;
    this.intent = undefined;
    this.#creditedInLife = this.#life;
    const { denomination = 0, confirmMs = 0 } = this.#plan ?? {};
    if (value !== undefined) expect(value).toBe(dollars(denomination));
    const { acceptor, clock } = this.rig;
    clock.after(confirmMs, () => void acceptor.confirmDeposit());
  }

  /** Nothing of the dead program is heard any more; what is on its disk stays. */
  die(): void {
    this.#life++;
    void this.rig.acceptor.close();
    this.rig.boot();
    this.isOpen = false;
    this.#listen();
  }

  #listen(): void {
    const life = this.#life;
    this.rig.acceptor.subscribe((event) => {
      if (life === this.#life) void this.#on(event, life);
    });
  }

  async #on(event: CashAcceptorEvent, life: number): Promise<void> {
    if (event.kind === 'credit.unexpected') this.credit(event.value);
    if (event.kind === 'note.refused' || event.kind === 'note.returned') this.returned++;
    if (event.kind !== 'note.escrowed') return;
    const { acceptor, clock } = this.rig;
    await new Promise<void>((resolve) => clock.after(this.#plan?.decideMs ?? 0, resolve));
    if (life !== this.#life) return;
    const isDeposit = this.#plan?.decision === 'deposit';
    if (isDeposit) this.intent = { baseline: acceptor.baseline() };
    const decided = isDeposit ? acceptor.deposit() : acceptor.returnNote();
    if (isDeposit)
      void decided.then(
        () => this.decided++,
        () => undefined,
      );
    const outcome = await decided.catch(() => undefined);
    if (life !== this.#life) return;
    if (outcome?.kind === 'deposited') this.credit(outcome.value);
    if (outcome?.kind === 'returned') this.returned++;
    if (outcome?.kind === 'unknown') this.unknown++;
    this.intent = undefined;
  }
}

/** What hands do when the device asks for them. */
function help(agent: Agent): void {
  const { acceptor, device } = agent.rig;
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
    agent.emptied += count(device.truth().cashbox);
    device.control({ do: 'cashbox', present: false, empty: true });
  }
}

/** As at the end of a session: a note that nobody has decided about goes back. */
async function giveBack(agent: Agent): Promise<void> {
  const { rig } = agent;
  const outcome = await rig.run(rig.acceptor.returnNote()).catch(() => undefined);
  if (outcome?.kind === 'returned') agent.returned++;
  if (outcome?.kind === 'unknown') agent.unknown++;
  if (outcome?.kind === 'deposited') agent.credit(outcome.value);
}

/** Whether the slot takes notes again; a device that refuses has more to tell. */
async function isOpened({ rig }: Agent): Promise<boolean> {
  try {
    await rig.run(rig.acceptor.accept(rig.acceptor.values()));
    return true;
  } catch (error) {
    expect(error).toBeInstanceOf(DeviceError);
    return false;
  }
}

/** Asks what became of the note that is open, and counts what is not known as such. */
async function initialise(agent: Agent): Promise<void> {
  const { rig, intent } = agent;
  try {
    const { note } = await rig.run(rig.acceptor.initialise(intent?.baseline));
    if (note === 'deposited') agent.credit();
    else if (note === 'returned' && intent) agent.returned++;
    else if (note === 'unknown' || intent) agent.unknown++;
    agent.intent = undefined;
  } catch (error) {
    expect(error).toMatchObject({ code: 'sequenceError' });
  }
}

/** Lifts every trouble and brings the device back into service, as people and the agent would. */
async function settle(agent: Agent): Promise<void> {
  const { rig } = agent;
  const { cable, clock, device } = rig;
  for (const name of FAULTS) device.control({ do: 'fault', name, times: 0 });
  for (let attempt = 0; attempt < 20; attempt++) {
    cable.plug();
    device.control({ do: 'power', on: true });
    device.control({ do: 'cashbox', present: true });
    await clock.advance(6000);
    const { acceptor } = rig;
    if (!agent.isOpen) agent.isOpen = await opens(rig);
    const isReady = acceptor.status().device === 'ready' && count(device.truth().path) === 0;
    if (isReady && (await isOpened(agent))) return;
    help(agent);
    if (!agent.intent) await giveBack(agent);
    if (acceptor.status().device === 'attention') await initialise(agent);
  }
  expect(rig.acceptor.status().device).toBe('ready');
}

async function opens(rig: Rig): Promise<boolean> {
  try {
    await rig.run(rig.acceptor.open());
    return true;
  } catch (error) {
    expect(error).toBeInstanceOf(DeviceError);
    return false;
  }
}

function tallyOf(agent: Agent) {
  const { credits, returned, unknown, decided, emptied, rig } = agent;
  const { cashbox, customer } = rig.device.truth();
  const inBox = count(cashbox) + emptied;
  return { credits, returned, unknown, decided, inBox, withCustomer: count(customer) };
}

/** One note, and all that happens to it. */
async function passOneNote(agent: Agent, plan: Trouble): Promise<void> {
  const { rig } = agent;
  const { clock, device, cable } = rig;
  const { fault, afterMs, times, unplugMs, cutMs, dieMs } = plan;
  const before = tallyOf(agent);
  agent.begin(plan);
  rig.insert(plan.denomination);
  if (fault) clock.after(afterMs, () => rig.fault(fault, undefined, times));
  if (unplugMs !== undefined) clock.after(unplugMs, () => cable.unplug());
  if (dieMs !== undefined) clock.after(dieMs, () => agent.die());
  if (cutMs !== undefined) clock.after(cutMs, () => device.control({ do: 'power', on: false }));
  await clock.advance(5000);
  await settle(agent);
  await clock.advance(2000);
  rig.expectConserved(agent.emptied);
  expect(device.truth().path).toEqual({});
  const now = tallyOf(agent);
  const since = (key: keyof typeof now) => now[key] - before[key];
  expect(since('credits')).toBeLessThanOrEqual(since('inBox'));
  expect(since('returned')).toBeLessThanOrEqual(since('withCustomer'));
  const isUndisturbed = [fault, unplugMs, dieMs, cutMs].every((trouble) => trouble === undefined);
  if (isUndisturbed) {
    const end = plan.decision === 'deposit' ? 'credits' : 'returned';
    expect({ told: since(end), unknown: since('unknown') }).toEqual({ told: 1, unknown: 0 });
  }
  // A note in the box that nobody was told of was at least owned up to.
  expect(since('inBox') - since('credits')).toBeLessThanOrEqual(since('unknown'));
  // Nothing is in the box that nobody decided to deposit.
  expect(since('inBox')).toBeLessThanOrEqual(since('decided'));
}

test.each(MODELS)('%s, any trouble: each note in one place, no credit made up', async (model) => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(trouble, { minLength: 1, maxLength: 6 }),
      anyDevice,
      async (plans, device) => {
        const rig = await new Rig({ model, device }).start();
        const agent = new Agent(rig);
        for (const plan of plans) await passOneNote(agent, plan);
        const isByFault = (words: string) => /no frame|packet/.test(words);
        expect(rig.device.violations().filter((words) => !isByFault(words))).toEqual([]);
        await rig.run(rig.acceptor.close());
      },
    ),
    soakSettings(25),
  );
});
