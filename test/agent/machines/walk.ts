/**
 * Walks a machine whole, by the pure `transition()`: every event and every outcome of every effect
 * in every state and context that there is. It tells which transitions were taken, and which events
 * a state drops.
 */
import {
  type AnyMachineSnapshot,
  type AnyStateMachine,
  type AnyStateNode,
  type AnyTransitionDefinition,
  getInitialMicrosteps,
  getMicrosteps,
} from 'xstate';

/** Any event, also those that XState itself sends. */
export interface AnyEvent {
  readonly type: string;
  readonly [key: string]: unknown;
}

/** What is walked. */
export interface Walk {
  readonly machine: AnyStateMachine;
  /** What a machine may be started with. */
  readonly inputs: readonly unknown[];
  /** Every event from outside, once for each content that is told apart. */
  readonly events: readonly AnyEvent[];
  /** All outcomes of each effect; one that only brings news has none, and never fails. */
  readonly outcomes: Readonly<Record<string, readonly unknown[]>>;
}

/** What was found. */
export interface Walked {
  /** Every state without states inside; one with eventless transitions may be left at once. */
  readonly all: readonly { readonly state: string; readonly isRestingPlace: boolean }[];
  readonly finals: ReadonlySet<string>;
  /** Where the machine came to rest. */
  readonly states: ReadonlySet<string>;
  /** Every transition of the machine, and whether it was taken. */
  readonly transitions: ReadonlyMap<string, boolean>;
  /** `<state> <event>`: given in that state, and dropped in at least one context. */
  readonly dropped: ReadonlySet<string>;
  /** Every `<state> <event>` that was given. */
  readonly given: ReadonlySet<string>;
  /** Steps that end a state in which only a device or the wallet may do so: their events. */
  readonly endingsInFlight: ReadonlySet<string>;
}

/** Contexts that a walk may find; more means that a context counts without end. */
const SNAPSHOTS_MAX = 20_000;

/** Where a machine is, as `accepting.idle`. */
export function nameOf({ value }: Pick<AnyMachineSnapshot, 'value'>): string {
  return typeof value === 'string' ? value : Object.entries(value).flat().join('.');
}

const keyOf = (snapshot: AnyMachineSnapshot): string =>
  `${snapshot.status} ${nameOf(snapshot)} ${JSON.stringify(snapshot.context)}`;

/** The innermost node of a machine without parallel states. */
const leafOf = ({ _nodes }: AnyMachineSnapshot): AnyStateNode | undefined =>
  _nodes.find(({ states }) => Object.keys(states).length === 0);

/** `recover done` for an effect, `after` and its delay, or the event itself. */
function eventName(type: string, names: ReadonlyMap<string, string>): string {
  const [, how, id = ''] = /^xstate\.(done|error)\.actor\.(.*)$/.exec(type) ?? [];
  if (how) return `${names.get(id) ?? id} ${how === 'done' ? 'done' : 'failed'}`;
  return /^xstate\.after\.(\w+)/.exec(type)?.[1] ?? type;
}

/** All nodes of a machine. */
function nodesOf(node: AnyStateNode): readonly AnyStateNode[] {
  return [node, ...Object.values(node.states).flatMap(nodesOf)];
}

function transitionsOf(node: AnyStateNode): readonly AnyTransitionDefinition[] {
  return [...node.transitions.values(), node.always ?? []].flat();
}

const isFinal = ({ type }: AnyStateNode): boolean => type === 'final';

/** False for a state that an eventless transition without a guard ends at once. */
function rests({ always }: AnyStateNode): boolean {
  return !always?.some(({ guard }) => guard === undefined);
}

/** Walks until nothing new is found. @throws Error when that never ends. */
export function walk(what: Walk): Walked {
  return new Walker(what).walk();
}

class Walker {
  readonly #what: Walk;
  readonly #names: ReadonlyMap<string, string>;
  readonly #taken = new Set<AnyTransitionDefinition>();
  readonly #dropped = new Set<string>();
  readonly #given = new Set<string>();
  readonly #endings = new Set<string>();
  readonly #found = new Map<string, AnyMachineSnapshot>();

  constructor(what: Walk) {
    this.#what = what;
    const invoked = nodesOf(what.machine.root).flatMap(({ invoke }) => invoke);
    this.#names = new Map(invoked.map(({ id, src }) => [id, String(src)]));
  }

  walk(): Walked {
    const { machine, inputs } = this.#what;
    for (const input of inputs) {
      this.#take(getInitialMicrosteps(machine, input).map(([one]) => one));
    }
    for (const from of this.#found.values()) {
      if (from.status !== 'active') continue;
      for (const event of this.#eventsIn(from)) this.#step(from, event);
      if (this.#found.size > SNAPSHOTS_MAX) throw new Error('the contexts have no end');
    }
    const all = nodesOf(machine.root).flatMap((node) =>
      transitionsOf(node).map((one, at) => [this.#nameOf(one, at), this.#taken.has(one)] as const),
    );
    const leaves = nodesOf(machine.root).filter(({ states }) => Object.keys(states).length === 0);
    return {
      all: leaves.map((node) => ({ state: node.path.join('.'), isRestingPlace: rests(node) })),
      finals: new Set(leaves.filter(isFinal).map(({ path }) => path.join('.'))),
      states: new Set([...this.#found.values()].map(nameOf)),
      transitions: new Map(all),
      dropped: this.#dropped,
      given: this.#given,
      endingsInFlight: this.#endings,
    };
  }

  #eventsIn(snapshot: AnyMachineSnapshot): readonly AnyEvent[] {
    const effects = snapshot._nodes.flatMap(({ invoke }) => invoke);
    const timers = snapshot._nodes.flatMap(({ after }) => after);
    return [
      ...effects.flatMap(({ id, src }) => {
        const outcomes = this.#what.outcomes[String(src)] ?? [];
        const error = { type: `xstate.error.actor.${id}`, error: new Error('a bug') };
        const done = outcomes.map((output) => ({ type: `xstate.done.actor.${id}`, output }));
        return outcomes.length > 0 ? [...done, error] : [];
      }),
      ...timers.map(({ eventType }) => ({ type: String(eventType) })),
      ...this.#what.events,
    ];
  }

  #step(from: AnyMachineSnapshot, event: AnyEvent): void {
    const { machine } = this.#what;
    const pair = `${nameOf(from)} ${eventName(event.type, this.#names)}`;
    const enabled = machine.getTransitionData(from, event);
    this.#given.add(pair);
    if (enabled.length === 0) this.#dropped.add(pair);
    for (const one of enabled) this.#taken.add(one);
    const steps = getMicrosteps(machine, from, event).map(([one]) => one);
    const to = steps.at(-1) ?? from;
    if (from.hasTag('moneyInFlight') && nameOf(from) !== nameOf(to)) {
      this.#endings.add(eventName(event.type, this.#names));
    }
    this.#take(steps);
  }

  /** Keeps where a step ends, and the eventless transitions on the way. */
  #take(steps: readonly AnyMachineSnapshot[]): void {
    for (const [at, passed] of steps.entries()) {
      const next = steps[at + 1];
      if (next) this.#passThrough(passed, next);
    }
    const last = steps.at(-1);
    if (last && !this.#found.has(keyOf(last))) this.#found.set(keyOf(last), last);
  }

  #passThrough(passed: AnyMachineSnapshot, next: AnyMachineSnapshot): void {
    const leaf = leafOf(next);
    const always = passed._nodes.flatMap((node) => node.always ?? []);
    const taken = always.find(({ target }) => target?.some((node) => isIn(leaf, node)));
    if (taken) this.#taken.add(taken);
  }

  #nameOf({ source, eventType, target }: AnyTransitionDefinition, at: number): string {
    const names = (target ?? []).map(({ path }) => path.join('.')).join(', ');
    const event = eventName(String(eventType), this.#names) || 'always';
    return `${source.path.join('.') || 'anywhere'} ${event} #${at} > ${names || 'stays'}`;
  }
}

/** Whether a state is another one, or inside it. */
function isIn(leaf: AnyStateNode | undefined, node: AnyStateNode): boolean {
  return (
    leaf !== undefined && (leaf === node || leaf.path.join('.').startsWith(node.path.join('.')))
  );
}
