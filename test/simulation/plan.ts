/**
 * What happens in one run, as data made from its seed: who comes, what they do, what breaks and
 * when. Nothing in it depends on anything else in it, so that any part can be left out.
 */
import type { SimulatedCassette } from '#hal/simulator/protocol.ts';
import { Dice } from './dice.ts';
import { type DeviceName, faultsOf, fittingCassettes, pickPair } from './pairings.ts';

/** What a customer or an attendant does; the machine may turn them away. */
export type Doing =
  | {
      readonly kind: 'deposit';
      readonly notes: readonly number[];
      readonly thinkMs: number;
      readonly ending: 'finish' | 'walkAway';
      readonly claim: 'atOnce' | 'later' | 'never';
      readonly claimAfterMs: number;
    }
  | {
      readonly kind: 'sale';
      /** Which of the offered amounts, round and round. */
      readonly choice: number;
      readonly pay: 'atOnce' | 'afterCancel' | 'afterExpiry' | 'twice' | 'internal' | 'never';
      readonly payAfterMs: number;
    }
  | {
      readonly kind: 'redeem';
      /** Which of the codes that were ever shown, the newest first; `wrong` is none of them. */
      readonly which: number | 'wrong';
      readonly claims: boolean;
    }
  | { readonly kind: 'attend'; readonly refill: boolean }
  | { readonly kind: 'wait'; readonly ms: number };

/** How a crash comes: at a time, a durable write, an act of a device, or a byte to or from one. */
export type CrashPoint =
  | { readonly at: 'time' }
  | {
      readonly at: 'commit';
      readonly ahead: number;
      readonly phase: 'before' | 'torn' | 'after';
    }
  /** So long after the next command that moves a note, or lets a device forget one. */
  | { readonly at: 'act'; readonly afterMs: number }
  | {
      readonly at: 'byte';
      readonly device: 'validator' | 'dispenser';
      readonly direction: 'toDevice' | 'toHost';
      readonly ahead: number;
    };

/** Something that goes wrong. */
export type Fault =
  | {
      readonly on: 'validator' | 'dispenser';
      readonly name: string;
      readonly times: number;
      readonly value?: number;
    }
  | {
      readonly on: 'cable';
      readonly device: 'validator' | 'dispenser';
      readonly name: 'drop' | 'flip' | 'double' | 'delay' | 'insert' | 'unplug';
      readonly direction: 'toDevice' | 'toHost';
      readonly ahead: number;
      readonly ms: number;
    }
  | { readonly on: 'hands'; readonly name: HandName; readonly forMs: number }
  | {
      readonly on: 'relay';
      readonly name: (typeof relayFaults)[number];
      readonly forMs: number;
      readonly percent: number;
    }
  | {
      readonly on: 'bunker';
      readonly name: (typeof bunkerFaults)[number];
      readonly forMs: number;
    }
  | {
      readonly on: 'wallet';
      readonly name: (typeof walletFaults)[number];
      readonly forMs: number;
    }
  | {
      readonly on: 'disk';
      readonly name: (typeof diskFaults)[number];
      readonly ahead: number;
      readonly times: number;
    }
  /** The computer's clock is set wrong, and right again later. */
  | {
      readonly on: 'clock';
      readonly name: (typeof clockFaults)[number];
      readonly byMs: number;
      readonly forMs: number;
    }
  | {
      readonly on: 'machine';
      readonly name: (typeof deaths)[number];
      readonly point: CrashPoint;
      readonly offMs: number;
    };

type HandName = (typeof handFaults)[number];
/** What hands do that nobody should, by name. */
export const handFaults = ['boxOut', 'cassetteOut', 'deviceOff'] as const;
export const cableFaults = ['drop', 'flip', 'double', 'delay', 'insert', 'unplug'] as const;
export const relayFaults = [
  ...(['drop', 'delay', 'duplicate', 'withholdOk', 'partition', 'staleHeads'] as const),
] as const;
export const bunkerFaults = ['silent', 'late', 'deaf', 'authUrl'] as const;
export const walletFaults = [
  'refuseTransient',
  'refuseCap',
  'refuseOther',
  'silent',
  'late',
  'answersTwice',
  'answersLost',
  'restart',
  'dry',
  'nameless',
  'zeroPreimages',
  'foreignPreimages',
] as const;
export const diskFaults = ['full', 'ioError'] as const;
/** `reset`: it begins at 1970, as without a battery. */
export const clockFaults = ['fast', 'slow', 'reset'] as const;
export const deaths = ['powerCut', 'kill'] as const;

/** A fault, so long after its action has begun. */
export interface Disturbance {
  readonly afterMs: number;
  readonly fault: Fault;
}

/** One thing done, and what goes wrong meanwhile. */
export interface Action {
  /** Its place in the full plan; stays when others are left out. */
  readonly id: number;
  readonly doing: Doing;
  readonly disturbances: readonly Disturbance[];
}

/** One run. */
export interface Plan {
  readonly seed: string;
  readonly validator: DeviceName;
  readonly dispenser: DeviceName;
  readonly cassettes: Readonly<Record<string, SimulatedCassette>>;
  /** How often the idle devices are asked, ms; as often as on a machine when left out. */
  readonly pollMs?: { readonly validator?: number; readonly dispenser?: number };
  readonly capSats: number | null;
  readonly fundSats: number;
  /** Who fills the bays may find a program that died while notes came out. */
  readonly countsAfterCut?: boolean;
  /** So many customers in a row are turned away before somebody looks after it; or all of them. */
  readonly patience?: number;
  /** Whether the program is started again before the liveness phase. */
  readonly restarts: boolean;
  readonly actions: readonly Action[];
}

/** A fault's name in the count of what occurred. */
export function nameOfFault(plan: Pick<Plan, 'validator' | 'dispenser'>, fault: Fault): string {
  if (fault.on === 'validator') return `${plan.validator.protocol}.${fault.name}`;
  if (fault.on === 'dispenser') return `${plan.dispenser.protocol}.${fault.name}`;
  return `${fault.on}.${fault.name}`;
}

/** Every fault that is not a device's own. */
export const worldFaults: readonly string[] = [
  ...cableFaults.map((name) => `cable.${name}`),
  ...handFaults.map((name) => `hands.${name}`),
  ...relayFaults.map((name) => `relay.${name}`),
  ...bunkerFaults.map((name) => `bunker.${name}`),
  ...walletFaults.map((name) => `wallet.${name}`),
  ...diskFaults.map((name) => `disk.${name}`),
  ...clockFaults.map((name) => `clock.${name}`),
  ...deaths.map((name) => `machine.${name}`),
];

const SECOND_MS = 1_000;
/** Customers and attendants of one run. */
const ACTIONS_LEAST = 40;
const ACTIONS_MOST = 120;

/** The run of a seed. */
export function planOf(seed: string): Plan {
  const dice = new Dice(`plan ${seed}`);
  const { validator, dispenser } = pickPair(dice);
  const cassettes = fittingCassettes(dispenser, [
    { denomination: 20, count: dice.between(5, 60) },
    { denomination: dice.pick([20, 50]), count: dice.between(5, 60) },
    { denomination: dice.pick([10, 50]), count: dice.between(0, 40) },
    { denomination: 100, count: dice.between(0, 20) },
  ]);
  const count = dice.between(ACTIONS_LEAST, ACTIONS_MOST);
  const common = { seed, validator, dispenser, cassettes };
  const disturbed = dice.weighted({ calm: 1, usual: 6, wild: 3 });
  const chance = { calm: 10, usual: 45, wild: 85 }[disturbed];
  const isStrained = new Dice(`strain ${seed}`).percent(STRAINED_PERCENT);
  return {
    ...common,
    pollMs: pollsOf(new Dice(`polls ${seed}`)),
    capSats: dice.percent(30) ? dice.between(60_000, 400_000) : null,
    fundSats: dice.percent(80) ? 50_000_000 : dice.between(0, 600_000),
    restarts: dice.percent(50),
    countsAfterCut: new Dice(`counts ${seed}`).percent(50),
    patience: 1 + new Dice(`patience ${seed}`).below(3),
    actions: Array.from({ length: count }, (_, id) => {
      // Its own dice: an action is the same whatever became of those before it.
      const own = new Dice(`action ${id} of ${seed}`);
      const doing = doingOf(own);
      const disturbances = disturbancesOf(own, common, chance);
      const short = shortfallsOf(new Dice(`shortfall ${id} of ${seed}`), doing, dispenser);
      const strain = isStrained ? strainOf(new Dice(`strain ${id} of ${seed}`), doing, common) : [];
      const clock = clockOf(new Dice(`clock ${id} of ${seed}`), chance);
      return { id, doing, disturbances: [...disturbances, ...short, ...strain, ...clock] };
    }),
  };
}

/**
 * Nine tenths of the work of a machine are polls that bring nothing. So most runs ask less often,
 * as far as the devices' documents go; what falls between two polls then also falls elsewhere.
 */
function pollsOf(dice: Dice): NonNullable<Plan['pollMs']> {
  const validator = Number(dice.weighted({ 0: 5, 300: 5, 700: 40, 1000: 50 }));
  const dispenser = dice.pick([0, 4_000]);
  return {
    ...(validator === 0 ? {} : { validator }),
    ...(dispenser === 0 ? {} : { dispenser }),
  };
}

function doingOf(dice: Dice): Doing {
  const kind = dice.weighted({ deposit: 36, sale: 36, redeem: 10, attend: 16, wait: 2 });
  switch (kind) {
    case 'deposit':
      return {
        kind,
        notes: Array.from({ length: dice.pick([1, 1, 1, 2, 2, 3, 4]) }, () =>
          dice.pick([1, 5, 10, 20, 20, 50, 100, 100]),
        ),
        thinkMs: dice.pick([0, 200, 1_500]),
        ending: dice.percent(90) ? 'finish' : 'walkAway',
        claim: dice.weighted({ atOnce: 70, later: 20, never: 10 }),
        claimAfterMs: dice.between(1, 120) * SECOND_MS,
      };
    case 'sale':
      return {
        kind,
        // Often the same again: a last result that looks like the one before proves nothing.
        choice: dice.percent(40) ? 0 : dice.below(12),
        pay: dice.weighted({
          ...{ atOnce: 66, afterCancel: 8, afterExpiry: 2, twice: 8, internal: 8, never: 8 },
        }),
        payAfterMs: dice.pick([500, 2_000, 5_000, 30_000]),
      };
    case 'redeem':
      return {
        kind,
        which: dice.percent(10) ? 'wrong' : dice.below(8),
        claims: dice.percent(80),
      };
    case 'attend':
      return { kind, refill: dice.percent(40) };
    case 'wait':
      return { kind, ms: dice.between(5, 60) * SECOND_MS };
  }
}

type Pair = Pick<Plan, 'validator' | 'dispenser'>;

function disturbancesOf(dice: Dice, pair: Pair, chance: number): readonly Disturbance[] {
  const disturbances: Disturbance[] = [];
  while (disturbances.length < 4 && dice.percent(chance)) {
    const afterMs = dice.percent(40) ? 0 : dice.between(0, 20_000);
    disturbances.push({ afterMs, fault: faultOf(dice, pair) });
  }
  return disturbances;
}

/** The fault of a dispenser that stops in the middle with counts that hold. */
const SHORTFALL = 'pickUpFailure';

/**
 * That a payout is short and proven needs this fault, a command of several notes, and nothing else
 * that puts it in doubt: by chance alone it came once in a thousand transactions.
 */
function shortfallsOf(dice: Dice, doing: Doing, dispenser: DeviceName): readonly Disturbance[] {
  if (doing.kind !== 'sale' || !(SHORTFALL in faultsOf(dispenser)) || !dice.percent(8)) return [];
  const fault = { on: 'dispenser', name: SHORTFALL, times: 1, value: dice.between(1, 3) } as const;
  return [{ afterMs: 0, fault }];
}

/** Of a hundred runs, those in which most notes meet a fault of their device, some a full disk. */
const STRAINED_PERCENT = 20;

/** What the device does wrong with this very note, and what the disk then does not take. */
function strainOf(dice: Dice, { kind }: Doing, pair: Pair): readonly Disturbance[] {
  if (kind !== 'deposit' && kind !== 'sale') return [];
  const on = kind === 'deposit' ? 'validator' : 'dispenser';
  const afterMs = () => dice.between(0, 4_000);
  const device = { afterMs: afterMs(), fault: deviceFault(dice, on, pair[on]) };
  const full = {
    on: 'disk',
    name: 'full',
    ahead: dice.below(6),
    times: dice.between(1, 6),
  } as const;
  const disk = { afterMs: afterMs(), fault: full };
  return [...(dice.percent(70) ? [device] : []), ...(dice.percent(25) ? [disk] : [])];
}

/** A clock is off by seconds, which nobody minds, or by what puts the machine out of service. */
function clockOf(dice: Dice, chance: number): readonly Disturbance[] {
  if (!dice.percent(chance) || !dice.percent(12)) return [];
  const name = dice.pick(clockFaults);
  const byMs = dice.pick([3, 20, 45, 90, 600, 6 * 3_600, 40 * 86_400]) * SECOND_MS;
  const forMs = dice.between(1, 1_800) * SECOND_MS;
  return [{ afterMs: dice.between(0, 20_000), fault: { on: 'clock', name, byMs, forMs } }];
}

function faultOf(dice: Dice, pair: Pair): Fault {
  const on = dice.weighted({
    ...{ validator: 26, dispenser: 30, cable: 10, hands: 4 },
    ...{ relay: 7, bunker: 5, wallet: 12, disk: 4, machine: 14 },
  });
  const forMs = dice.between(1, 90) * SECOND_MS;
  const device = dice.pick(['validator', 'dispenser'] as const);
  const direction = dice.pick(['toDevice', 'toHost'] as const);
  switch (on) {
    case 'validator':
    case 'dispenser':
      return deviceFault(dice, on, pair[on]);
    case 'cable':
      return {
        ...{ on, device, direction, name: dice.pick(cableFaults) },
        ahead: dice.below(device === 'validator' ? 60 : 12),
        ms: dice.pick([20, 300, 3_000]),
      };
    case 'hands':
      return { on, name: dice.pick(handFaults), forMs };
    case 'relay':
      return { on, name: dice.pick(relayFaults), forMs, percent: dice.pick([20, 60, 100]) };
    case 'bunker':
      return { on, name: dice.pick(bunkerFaults), forMs };
    case 'wallet':
      return { on, name: dice.pick(walletFaults), forMs };
    case 'disk':
      return {
        ...{ on, name: dice.pick(diskFaults), ahead: dice.below(12), times: dice.between(1, 5) },
      };
    case 'machine':
      return {
        ...{ on, name: dice.pick(deaths), point: crashPoint(dice, device, direction) },
        offMs: dice.pick([100, 3_000, 30_000]),
      };
  }
}

function crashPoint(
  dice: Dice,
  device: 'validator' | 'dispenser',
  direction: 'toDevice' | 'toHost',
): CrashPoint {
  const at = dice.weighted({ time: 15, commit: 40, byte: 15, act: 30 });
  switch (at) {
    case 'time':
      return { at };
    case 'commit':
      return { at, ahead: dice.below(16), phase: dice.pick(['before', 'torn', 'after'] as const) };
    case 'act':
      return { at, afterMs: dice.pick([0, 50, 400, 1_500, 4_000]) };
    case 'byte':
      return { at, device, direction, ahead: dice.below(device === 'validator' ? 400 : 60) };
  }
}

/** A fault of a device by name, with a value that its description asks for. */
function deviceFault(dice: Dice, on: 'validator' | 'dispenser', device: DeviceName): Fault {
  const faults = faultsOf(device);
  const name = dice.pick(Object.keys(faults));
  const words = faults[name] ?? '';
  const times = dice.weighted({ 1: 80, 2: 10, 4: 6, 30: 4 });
  const value = dice.percent(60) ? valueFor(dice, words) : undefined;
  return { on, name, times: Number(times), ...(value === undefined ? {} : { value }) };
}

function valueFor(dice: Dice, words: string): number | undefined {
  if (/after so many notes/.test(words)) return dice.below(5);
  if (/\bms\b/.test(words)) return dice.pick([50, 400, 2_000, 10_000]);
  if (/\bbay\b/.test(words)) return dice.between(1, 2);
  return undefined;
}
