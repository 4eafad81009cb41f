/**
 * The enumerator's hooks, at the program's own end of disk, cables and relay: they number what it
 * does, and end it at one of these moments.
 */
import { type CommitPlan, diskError } from '#test/support/life.ts';
import type { WholeMachine } from '#test/support/whole-machine.ts';
import { type Chunk, type Crash, type Direction, type PortName, portNames } from './moments.ts';

type Client = ReturnType<WholeMachine['network']['client']>;
/** Share of a torn commit that reached the disk. */
const TORN_SHARE = 0.5;

const noBytes = () => ({ toDevice: 0, toHost: 0 });

/** Replaces a method of one object; the classes keep theirs. */
export function replaceMethod<Target extends object, Name extends keyof Target>(
  target: Target,
  name: Name,
  value: Target[Name],
): void {
  Object.defineProperty(target, name, { value });
}

/** Where every note of a machine lies. */
export function whereNotesLie({ validator, dispenser }: WholeMachine): string {
  return JSON.stringify([validator.truth(), dispenser.truth()]);
}

/** Numbers what the program does, from 1 in each life, and ends it where it is told to. */
export class HostEnd {
  readonly commitPlan: CommitPlan = {
    before: (nth) => this.#beforeCommit(nth),
    after: (nth) => this.#afterCommit(nth),
  };
  /** The crash that is to come; undefined once it came. */
  armed: Crash | undefined;
  #machine: WholeMachine | undefined;
  #isRecording: boolean = false;
  #bytes = { validator: noBytes(), dispenser: noBytes() };
  #events = 0;
  /** Events of which the program has not heard yet what came of them. */
  #unheard = 0;
  /** Ports on which the program has been cut off in a write. */
  readonly #cutOff = new Set<PortName>();
  #writesSeen: number[] = [];
  #eventsSeen: number[] = [];
  #chunksSeen: Record<PortName, Chunk[]> = { validator: [], dispenser: [] };

  /** Watches a machine that is paired; all further links to the relay are the program's. */
  watch(machine: WholeMachine): void {
    this.#machine = machine;
    for (const port of portNames) this.#watchCable(port, machine);
    const { network } = machine;
    const client = network.client.bind(network);
    replaceMethod(network, 'client', (faults) => this.#watched(client(faults)));
  }

  /** Another life begins, and ends in `crash`. */
  newLife(crash: Crash | undefined): void {
    this.armed = crash;
    this.#bytes = { validator: noBytes(), dispenser: noBytes() };
    this.#events = 0;
    this.#unheard = 0;
    this.#cutOff.clear();
  }

  /** Forgets what was seen, and keeps what comes. */
  record(): void {
    this.#isRecording = true;
    this.#writesSeen = [];
    this.#eventsSeen = [];
    this.#chunksSeen = { validator: [], dispenser: [] };
  }

  /** What was seen since `record`. */
  recorded() {
    this.#isRecording = false;
    return { writes: this.#writesSeen, events: this.#eventsSeen, chunks: this.#chunksSeen };
  }

  /** True while an event may be between the program and the relay. */
  isUnderWay(): boolean {
    return !this.#all.life.isDead && this.#unheard > 0;
  }

  /** Ends the program now, as its crash wants it. */
  strike(crash: Crash): void {
    if (this.armed !== crash) return;
    this.armed = undefined;
    const isTorn = crash.moment.kind === 'write' && crash.moment.phase === 'torn';
    this.#all.die(crash.death, isTorn ? TORN_SHARE : undefined);
  }

  get #all(): WholeMachine {
    if (!this.#machine) throw new Error('there is no machine yet');
    return this.#machine;
  }

  #beforeCommit(nth: number): void {
    this.#strikeCommit(nth, true);
  }

  #afterCommit(nth: number): void {
    if (this.#isRecording) this.#writesSeen.push(nth);
    this.#strikeCommit(nth, false);
  }

  #strikeCommit(nth: number, isBefore: boolean): void {
    const { armed } = this;
    if (armed?.moment.kind !== 'write' || armed.moment.nth !== nth) return;
    if ((armed.moment.phase === 'before') !== isBefore) return;
    this.strike(armed);
    throw diskError('SQLITE_IOERR_FSYNC');
  }

  #watchCable(port: PortName, machine: WholeMachine): void {
    const cable = port === 'validator' ? machine.validatorCable : machine.dispenserCable;
    const send = cable.send.bind(cable);
    const attach = cable.attach.bind(cable);
    replaceMethod(cable, 'send', (bytes) => this.#onBytes(port, 'toDevice', bytes, send));
    replaceMethod(cable, 'attach', (host) => {
      if (!host) {
        attach(host);
        return;
      }
      const take = (bytes: Uint8Array) => host.data(bytes);
      attach({
        data: (bytes) => this.#onBytes(port, 'toHost', bytes, take),
        lost: (reason) => host.lost(reason),
      });
    });
  }

  #onBytes(
    port: PortName,
    direction: Direction,
    bytes: Uint8Array,
    pass: (bytes: Uint8Array) => void,
  ): void {
    if (direction === 'toDevice' && this.#cutOff.has(port)) return;
    const nth = this.#bytes[port][direction] + 1;
    this.#bytes[port][direction] += bytes.length;
    if (this.#isRecording) {
      const hex = Buffer.from(bytes).toString('hex');
      this.#chunksSeen[port].push({ direction, nth, hex, truth: whereNotesLie(this.#all) });
    }
    const at = this.#byteToDieAt(port, direction, nth, bytes.length);
    if (at === undefined) pass(bytes);
    else this.#cutIn(port, direction, bytes.subarray(0, at), pass);
  }

  /** Index in a chunk of the byte before which the program ends. */
  #byteToDieAt(
    port: PortName,
    direction: Direction,
    nth: number,
    length: number,
  ): number | undefined {
    const moment = this.armed?.moment;
    if (moment?.kind !== 'byte' || moment.port !== port || moment.direction !== direction) {
      return undefined;
    }
    const at = moment.nth - nth;
    return at >= 0 && at < length ? at : undefined;
  }

  #cutIn(
    port: PortName,
    direction: Direction,
    first: Uint8Array,
    pass: (bytes: Uint8Array) => void,
  ): void {
    const crash = this.armed;
    if (!crash) return;
    if (first.length > 0) pass(first);
    if (first.length === 0 || direction === 'toHost') {
      this.strike(crash);
      return;
    }
    // What has left arrives first; the program itself stands still on this port.
    this.#cutOff.add(port);
    this.#all.clock.after(0, () => this.strike(crash));
  }

  #watched(client: Client): Client {
    const { life } = this.#all;
    const publish = client.publish.bind(client);
    let fatalId: string | undefined;
    replaceMethod(client, 'publish', (event, limitMs) => {
      if (life.isDead) return new Promise(() => undefined);
      this.#events += 1;
      if (this.#isRecording) this.#eventsSeen.push(this.#events);
      const { armed } = this;
      if (armed?.moment.kind === 'event' && armed.moment.nth === this.#events) {
        fatalId = event.id;
        if (armed.moment.phase === 'before') {
          this.strike(armed);
          return new Promise(() => undefined);
        }
      }
      this.#unheard += 1;
      const heard = () => {
        if (!life.isDead) this.#unheard -= 1;
      };
      return publish(event, limitMs).finally(heard);
    });
    // Asked by the line once the relay has taken an event.
    client.faults.withholdOk = ({ id }) => {
      if (id !== fatalId || !this.armed) return false;
      this.strike(this.armed);
      return true;
    };
    return client;
  }
}
