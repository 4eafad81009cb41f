/** Breaks things as a plan says, and mends them. */
import { SimulatorError } from '#hal/simulator/device.ts';
import { kinds, type SignedEvent } from '#protocol/event.ts';
import type { LineFaults } from '#protocol/simulator/memory-network.ts';
import type { CommitPlan } from '#test/support/life.ts';
import { diskError } from '#test/support/life.ts';
import type { WholeMachine } from '#test/support/whole-machine.ts';
import { Dice } from './dice.ts';
import { clockFaults, type Disturbance, type Fault, nameOfFault, type Plan } from './plan.ts';

type FaultOn<On extends Fault['on']> = Extract<Fault, { readonly on: On }>;

/** Latencies of a relay line, ms: as it is, and with `delay`. */
const LATENCY_MS = 5;
const SLOW_LATENCY_MS = 4_000;
/** A bunker that is `late` answers after this; the client gives up after 15 s. */
const BUNKER_LATE_MS = 12_000;
/** A wallet that is `late` answers after one of these; a withdraw's first attempt takes 120 s. */
const WALLET_LATE_MS = [25_000, 130_000];
/** Cap that the wallet suddenly has, sats: three notes of 50 dollars. */
const WALLET_CAP_SATS = 160_000;

/** Whoever switches a device off waits so long: a shorter loss of power some drivers cannot see. */
const SWITCHED_OFF_MS = 3_000;

/** Faults of a validator of which, together, no word tells that a note is in the box. */
const UNKNOWABLE = [
  // "Stacked" of no note while one is stacked, and then a wrong value: nothing holds it any more.
  ['ebds.otherNote', 'ebds.blankStacked'],
  // Drawn in unheard, and in the box when its own power went: it says nothing of it ever.
  ['sio.loseBusy', 'sio.powerCutInStacker'],
] as const;

/** Old documents that a relay still has. */
const HEADS_MAX = 6;

/** The next crash; one at a time. */
interface ArmedCrash {
  readonly fault: FaultOn<'machine'>;
  left: number;
}

/** Carries out the faults of one run. */
export class Breaker {
  /** How often each fault was given, by name. */
  readonly given = new Map<string, number>();
  /** For every life of the machine. */
  readonly commitPlan: CommitPlan = {
    before: () => this.#beforeCommit(),
    mayTear: () => this.#armed?.fault.point.at === 'commit',
    after: () => this.#afterCommit(),
  };
  /** How long the machine stays dark after the last crash. */
  offMs = 0;
  /** True once a write has failed: what the program knows may differ from its disk. */
  diskFailed: boolean = false;
  crashes = 0;
  readonly #plan: Plan;
  readonly #dice: Dice;
  #machine: WholeMachine | undefined;
  #mayOpen: () => boolean = () => false;
  #armed: ArmedCrash | undefined;
  #disk:
    | { left: number; times: number; readonly code: Parameters<typeof diskError>[0] }
    | undefined;
  #line: Partial<LineFaults> = {};
  #heads: readonly SignedEvent[] = [];
  #dried = 0;
  #isOver: boolean = false;

  constructor(plan: Plan) {
    this.#plan = plan;
    this.#dice = new Dice(`breaker ${plan.seed}`);
  }

  /** The machine to break. `mayOpen` tells whether hands may open it: not while notes move. */
  take(machine: WholeMachine, mayOpen: () => boolean): void {
    this.#machine = machine;
    this.#mayOpen = mayOpen;
  }

  /** Gives a fault when its time has come. */
  plan({ afterMs, fault }: Disturbance): void {
    this.#later(afterMs, () => this.give(fault));
  }

  /** Gives a fault now. One that makes no sense now is not counted. */
  give(fault: Fault): void {
    if (this.#isOver || !this.#give(fault)) return;
    const name = nameOfFault(this.#plan, fault);
    this.given.set(name, (this.given.get(name) ?? 0) + 1);
  }

  /** The agent gives a command that moves a note: a crash may wait for that. */
  seeAct(): void {
    const fault = this.#armed?.fault;
    if (fault?.point.at !== 'act') return;
    this.#armed = undefined;
    this.#later(fault.point.afterMs, () => this.#crash(fault));
  }

  /**
   * A note of another bay that also jams, or of which the answer is lost, is one that the dispenser
   * says nothing of: then no book can be right.
   */
  get mayHideBay(): boolean {
    const { protocol } = this.#plan.dispenser;
    const hides = new RegExp(`^(${protocol}|cable|machine|hands|disk)[.]`);
    const others = [...this.given.keys()].filter((name) => name !== this.#wrongCassette);
    return this.mayPickElsewhere && others.some((name) => hides.test(name));
  }

  /** The dispenser may pick notes from another bay than it was asked. */
  get mayPickElsewhere(): boolean {
    return this.given.has(this.#wrongCassette);
  }

  get #wrongCassette(): string {
    return `${this.#plan.dispenser.protocol}.wrongCassette`;
  }

  /**
   * A validator without checksum, of which one flipped bit makes another note of a note, and which
   * says each credit once, while nobody may hear it: then no book can be right. And what comes of
   * `UNKNOWABLE`.
   */
  get mayMisstateNotes(): boolean {
    const isGiven = (name: string) => this.given.has(name);
    if (UNKNOWABLE.some((faults) => faults.every(isGiven))) return true;
    if (this.#plan.validator.protocol !== 'sio') return false;
    const misheard = /^(cable|machine|hands)[.]|^disk[.]ioError$|^sio[.]glitch$/;
    return [...this.given.keys()].some((name) => misheard.test(name));
  }

  /** What the machine holds for the time may be seconds off: by as much as a slow relay is late. */
  get mayMistime(): boolean {
    return clockFaults.some((name) => this.given.has(`clock.${name}`));
  }

  /** Keeps what the operator has published, which a relay may send again when it is old. */
  keepHeads(): void {
    const { network, keeper } = this.#all;
    const heads = network.stored({ kinds: [kinds.document], authors: [keeper.operatorPubkey] });
    this.#heads = [...this.#heads, ...heads].slice(-HEADS_MAX);
  }

  /** Another life: its new lines to the relay misbehave as the last ones did. */
  reborn(): void {
    for (const line of this.#all.lines) Object.assign(line.faults, this.#line);
  }

  /** No fault from now on; what was broken is as it was. */
  end(): void {
    this.#isOver = true;
    this.#armed = undefined;
    this.#disk = undefined;
    const machine = this.#all;
    machine.validatorCable.clearFaults();
    machine.dispenserCable.clearFaults();
    machine.skewMs = 0;
    this.#setLine({});
    this.#healLines();
    this.#mendBunker();
    this.#mendWallet();
  }

  /** What an attendant does: power, cables, jams, boxes, and every fault lifted. */
  mendDevices(): void {
    const { validator, dispenser, validatorCable, dispenserCable } = this.#all;
    validatorCable.plug();
    dispenserCable.plug();
    for (const device of [validator, dispenser]) {
      device.control({ do: 'power', on: true });
      for (const name of Object.keys(device.faults)) {
        device.control({ do: 'fault', name, times: 0 });
      }
      const hasCleared = tryTo(() => device.control({ do: 'take' }));
      if (hasCleared && device === validator) this.restartValidator();
    }
    for (const position of Object.keys(this.#plan.cassettes)) {
      dispenser.control({ do: 'cassette', position: Number(position), present: true });
    }
  }

  /** Some tell of a jam or a failure until they start anew, whoever has cleared it. */
  restartValidator(): void {
    const machine = this.#all;
    machine.validator.control({ do: 'power', on: false });
    machine.clock.after(SWITCHED_OFF_MS, () => {
      // Without power there is none for the validator either.
      if (!machine.life.isDead) machine.validator.control({ do: 'power', on: true });
    });
  }

  get #all(): WholeMachine {
    if (!this.#machine) throw new Error('there is no machine yet');
    return this.#machine;
  }

  #later(delayMs: number, task: () => void): void {
    this.#all.clock.after(delayMs, () => {
      if (!this.#isOver) task();
    });
  }

  /** False when it was not given. */
  #give(fault: Fault): boolean {
    switch (fault.on) {
      case 'validator':
      case 'dispenser':
        return tryTo(() => this.#all[fault.on].control({ do: 'fault', ...faultOfDevice(fault) }));
      case 'cable':
        return this.#cable(fault);
      case 'hands':
        return this.#mayOpen() && tryTo(() => this.#hands(fault));
      case 'relay':
        return this.#relay(fault);
      case 'bunker':
        return this.#bunker(fault);
      case 'wallet':
        return this.#wallet(fault);
      case 'disk':
        return this.#giveDisk(fault);
      case 'clock':
        return this.#setClock(fault);
      case 'machine':
        return this.#arm(fault);
    }
  }

  #setClock({ name, byMs, forMs }: FaultOn<'clock'>): boolean {
    const machine = this.#all;
    if (machine.skewMs !== 0) return false;
    machine.skewMs = { fast: byMs, slow: -byMs, reset: -machine.clock.now() }[name];
    this.#later(forMs, () => {
      machine.skewMs = 0;
    });
    return true;
  }

  #cable({ device, name, direction, ahead, ms }: FaultOn<'cable'>): boolean {
    const cable = device === 'validator' ? this.#all.validatorCable : this.#all.dispenserCable;
    if (cable.state !== 'plugged') return false;
    if (name === 'unplug') {
      cable.unplug();
      this.#later(Math.max(ms, 1_000) * 3, () => cable.plug());
      return true;
    }
    const unit = name === 'delay' ? 'chunk' : 'byte';
    const passed = cable.passed(direction)[unit === 'byte' ? 'bytes' : 'chunks'];
    const place = { direction, unit, nth: passed + ahead } as const;
    if (name === 'delay') cable.addFault({ ...place, do: name, ms });
    else if (name === 'insert') cable.addFault({ ...place, do: name, bytes: [0xff, 0x02, 0xfc] });
    else cable.addFault({ ...place, do: name });
    return true;
  }

  #hands({ name, forMs }: FaultOn<'hands'>): void {
    const { validator, dispenser } = this.#all;
    switch (name) {
      case 'boxOut':
        validator.control({ do: 'cashbox', present: false });
        this.#later(forMs, () => validator.control({ do: 'cashbox', present: true }));
        break;
      case 'cassetteOut':
        dispenser.control({ do: 'cassette', position: 1, present: false });
        this.#later(forMs, () => {
          dispenser.control({ do: 'cassette', position: 1, present: true });
        });
        break;
      case 'deviceOff': {
        const device = this.#dice.pick([validator, dispenser]);
        device.control({ do: 'power', on: false });
        this.#later(forMs, () => device.control({ do: 'power', on: true }));
      }
    }
  }

  #setLine(faults: Partial<LineFaults>): void {
    this.#line = {
      latencyMs: () => LATENCY_MS,
      drop: () => false,
      duplicate: () => false,
      withholdOk: () => false,
      ...faults,
    };
    for (const line of this.#all.lines) Object.assign(line.faults, this.#line);
  }

  #relay({ name, forMs, percent }: FaultOn<'relay'>): boolean {
    const hits = () => this.#dice.percent(percent);
    switch (name) {
      case 'drop':
        this.#setLine({ drop: hits });
        break;
      case 'delay':
        this.#setLine({ latencyMs: () => (hits() ? SLOW_LATENCY_MS : LATENCY_MS) });
        break;
      case 'duplicate':
        this.#setLine({ duplicate: hits });
        break;
      case 'withholdOk':
        this.#setLine({ withholdOk: hits });
        break;
      case 'partition':
        for (const line of this.#all.lines) line.partition();
        break;
      case 'staleHeads':
        for (const event of this.#heads) this.#all.network.replay(event);
        return this.#heads.length > 0;
    }
    this.#later(forMs, () => {
      this.#setLine({});
      this.#healLines();
    });
    return true;
  }

  /** The lines of a dead program stay cut: it must hear nothing any more. */
  #healLines(): void {
    if (this.#all.life.isDead) return;
    for (const line of this.#all.lines) line.heal();
  }

  #bunker({ name, forMs }: FaultOn<'bunker'>): boolean {
    const { policy } = this.#all.bunker;
    switch (name) {
      case 'silent':
        policy.switches.silent = true;
        break;
      case 'late':
        policy.switches.delayMs = BUNKER_LATE_MS;
        break;
      case 'deaf':
        // Hears and counts, and its caps are used up: nsecbunkerd never answers then.
        policy.cap({ method: 'sign_event', maxUsageCount: 0 });
        break;
      case 'authUrl':
        policy.switches.authUrl = 'https://bunker.example/approve';
    }
    this.#later(forMs, () => this.#mendBunker());
    return true;
  }

  #mendBunker(): void {
    const { policy } = this.#all.bunker;
    Object.assign(policy.switches, { silent: false, delayMs: 0, authUrl: undefined });
    policy.rules = policy.rules.filter(({ maxUsageCount }) => maxUsageCount === undefined);
  }

  #wallet({ name, forMs }: FaultOn<'wallet'>): boolean {
    const { keeper } = this.#all;
    const { switches } = keeper;
    switch (name) {
      case 'refuseTransient':
        switches.refuse = () => 'The service is temporarily unavailable, try again.';
        break;
      case 'refuseCap':
        keeper.setMaxCashInSats(WALLET_CAP_SATS);
        break;
      case 'refuseOther':
        switches.refuse = () => 'Something is wrong here.';
        break;
      case 'silent':
        switches.silent = true;
        break;
      case 'late':
        switches.answerDelayMs = this.#dice.pick(WALLET_LATE_MS);
        break;
      case 'answersTwice':
        switches.answerTwice = true;
        break;
      case 'answersLost':
        switches.dropAnswers = this.#dice.between(1, 4);
        break;
      case 'restart':
        keeper.restart();
        break;
      case 'dry': {
        const { balanceSats } = keeper.books();
        keeper.fund(-balanceSats);
        this.#dried += balanceSats;
        break;
      }
      case 'nameless':
        switches.nameWallet = false;
        switches.namePaymentWallet = false;
        break;
      case 'zeroPreimages':
        switches.zeroPreimages = true;
        break;
      case 'foreignPreimages':
        switches.foreignPreimages = true;
    }
    this.#later(forMs, () => this.#mendWallet());
    return true;
  }

  #mendWallet(): void {
    const { keeper } = this.#all;
    Object.assign(keeper.switches, {
      ...{ refuse: () => undefined, silent: false, answerDelayMs: 0, answerTwice: false },
      ...{ dropAnswers: 0, nameWallet: true, namePaymentWallet: true },
      ...{ zeroPreimages: false, foreignPreimages: false },
    });
    keeper.setMaxCashInSats(null);
    if (this.#dried > 0) keeper.fund(this.#dried);
    this.#dried = 0;
  }

  // Crashes and the disk

  #giveDisk({ name, ahead, times }: FaultOn<'disk'>): boolean {
    const code = name === 'full' ? 'SQLITE_FULL' : 'SQLITE_IOERR_FSYNC';
    this.#disk = { left: ahead, times, code };
    return true;
  }

  #arm(fault: FaultOn<'machine'>): boolean {
    const { point } = fault;
    if (this.#armed || this.#all.life.isDead) return false;
    switch (point.at) {
      case 'time':
        this.#crash(fault);
        break;
      case 'commit':
        this.#armed = { fault, left: point.ahead };
        break;
      case 'act':
        this.#armed = { fault, left: 0 };
        break;
      case 'byte': {
        const { device, direction, ahead } = point;
        const cable = device === 'validator' ? this.#all.validatorCable : this.#all.dispenserCable;
        const nth = cable.passed(direction).bytes + ahead;
        const task = () => this.#crash(fault);
        cable.addFault({ direction, unit: 'byte', nth, do: 'cut', task });
      }
    }
    return true;
  }

  #crash({ name, offMs }: FaultOn<'machine'>, tornShare?: number): void {
    if (this.#isOver || this.#all.life.isDead) return;
    this.#armed = undefined;
    this.crashes += 1;
    this.offMs = offMs;
    this.#all.die(name, tornShare);
  }

  #beforeCommit(): void {
    const disk = this.#disk;
    if (disk && disk.left-- <= 0) {
      disk.times -= 1;
      if (disk.times <= 0) this.#disk = undefined;
      this.diskFailed = true;
      throw diskError(disk.code);
    }
    const armed = this.#armed;
    if (armed?.fault.point.at !== 'commit' || armed.left-- > 0) return;
    if (armed.fault.point.phase === 'before') this.#crashInCommit(armed);
  }

  #afterCommit(): void {
    const armed = this.#armed;
    if (armed?.fault.point.at === 'commit' && armed.left < 0) this.#crashInCommit(armed);
  }

  #crashInCommit({ fault }: ArmedCrash): never {
    const isTorn = fault.point.at === 'commit' && fault.point.phase === 'torn';
    const share = isTorn && fault.name === 'powerCut' ? this.#dice.below(100) / 100 : undefined;
    this.#crash(fault, share);
    throw diskError('SQLITE_IOERR_FSYNC');
  }
}

function faultOfDevice({ name, times, value }: FaultOn<'validator' | 'dispenser'>) {
  return value === undefined ? { name, times } : { name, times, value };
}

/** Hands that find nothing to do; true when it was done. */
function tryTo(task: () => unknown): boolean {
  try {
    task();
    return true;
  } catch (error) {
    if (error instanceof SimulatorError) return false;
    throw error;
  }
}
