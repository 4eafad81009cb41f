/** What is cut: a customer's visit, or the recovery after a crash in the middle of one. */
import { makeSimulatedDevice } from '#hal/simulator/models.ts';
import type { SimulatedCassette } from '#hal/simulator/protocol.ts';
import type { Clock } from '#protocol/base/clock.ts';
import type { Doing } from '#test/simulation/plan.ts';
import { seededRandom } from '#test/support/seeded-random.ts';
import type { DeviceChoice } from '#test/support/whole-machine.ts';
import type { Crash } from './moments.ts';

/** A visit, and the crash in it whose recovery is meant, if any. */
export interface Flow {
  /** A visit that was before it, and is over: nothing of it is enumerated. */
  readonly before?: Doing;
  readonly doing: Doing;
  readonly crash?: Crash;
}

/** Two devices by protocol. */
export interface Pair {
  readonly validator: string;
  readonly dispenser: string;
}

export const USUAL_PAIR: Pair = { validator: 'id003', dispenser: 'lcdm' };

/** Two notes, the link, and its sats taken at once. */
const DEPOSIT: Doing = {
  kind: 'deposit',
  notes: [20, 50],
  thinkMs: 300,
  ending: 'finish',
  claim: 'atOnce',
  claimAfterMs: 0,
};

/** The fifth amount that is offered: notes of two bays. */
const SALE: Doing = { kind: 'sale', choice: 4, pay: 'atOnce', payAfterMs: 1_500 };

/** Five words, and what they bring. */
const REDEEM: Doing = { kind: 'redeem', which: 0, claims: true };

/** The flows by name. */
export const flows = {
  cashIn: { doing: DEPOSIT },
  cashOut: { doing: SALE },
  /** The invoice was paid after all, and the code brings the notes. */
  redeemCash: { before: { ...SALE, pay: 'afterCancel' }, doing: REDEEM },
  /** The link was left on the screen, and the code brings it back. */
  redeemLink: { before: { ...DEPOSIT, claim: 'never' }, doing: REDEEM },
  /** A note was between slot and cash box. */
  recoverNote: {
    doing: DEPOSIT,
    crash: {
      moment: { kind: 'entry', entry: 'deposit.intended', afterMs: 150 },
      death: 'powerCut',
    },
  },
  /** The wallet was asked for a link, and may have made it. */
  recoverLink: {
    doing: DEPOSIT,
    crash: { moment: { kind: 'entry', entry: 'withdraw.sent', afterMs: 8 }, death: 'kill' },
  },
  /** Notes were between bays and customer. */
  recoverDispense: {
    doing: SALE,
    crash: {
      moment: { kind: 'entry', entry: 'dispense.intended', afterMs: 900 },
      death: 'powerCut',
    },
  },
  /** The invoice is paid while the machine is dark. */
  recoverPayment: {
    doing: SALE,
    crash: { moment: { kind: 'entry', entry: 'invoice.created', afterMs: 200 }, death: 'kill' },
  },
} as const satisfies Record<string, Flow>;

export type FlowName = keyof typeof flows;

export const CASSETTES: Readonly<Record<string, SimulatedCassette>> = {
  '1': { denomination: 20, count: 10 },
  '2': { denomination: 50, count: 10 },
};

/** What a whole machine is made with. `watch` sees each device before anything else does. */
export function deviceChoices(
  { validator, dispenser }: Pair,
  watch: (port: 'validator' | 'dispenser', device: ReturnType<DeviceChoice['make']>) => void,
): { readonly validator: DeviceChoice; readonly dispenser: DeviceChoice } {
  const make = (port: 'validator' | 'dispenser', protocol: string) => (clock: Clock) => {
    const random = seededRandom('device');
    const contents = { currency: 'USD', cassettes: CASSETTES, random };
    const device = makeSimulatedDevice(protocol, undefined, clock, contents);
    watch(port, device);
    return device;
  };
  return {
    validator: { protocol: validator, make: make('validator', validator) },
    dispenser: { protocol: dispenser, make: make('dispenser', dispenser) },
  };
}
