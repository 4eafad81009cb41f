/**
 * Time that passes only while nothing else happens. All sockets of a test are in this process and
 * on loopback, so the event loop knows whether anything is under way: when it is quiet, everybody
 * waits for a timer, and the clock goes to the next one. So a row waits for events and never for
 * time, and an hour of outage takes as long on a slow computer as its events do.
 */
import { performance } from 'node:perf_hooks';
import { type CancelTimer, type Clock, sleep, systemClock } from '#protocol/base/clock.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';

/** Turns of the event loop without an event after which nothing is ready any more. */
const STILL_TURNS = 4;
/** Further turns, each so long that what the kernel still had in hand arrives in it, real ms. */
const LONG_TURNS = 2;
const LONG_TURN_MS = 1;
/** Work that goes on outside of the event loop: names being looked up, connections being made. */
const UNDER_WAY = new Set(['GetAddrInfoReqWrap', 'ConnectWrap', 'TCPConnectWrap', 'ShutdownWrap']);
/** Longest single step, ms; nothing here waits for longer. */
const STEP_MAX_MS = 86_400_000;
/** What falls due within this of each other is one step, ms; devices are asked as often. */
const GRAIN_MS = 100;

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const eventsSoFar = (): number => performance.nodeTiming.uvMetricsInfo.events;
const isUnderWay = (): boolean =>
  process.getActiveResourcesInfo().some((name) => UNDER_WAY.has(name));

/** Events at the end of the last quiet moment. */
let settledEvents = Number.NaN;

/** Resolves when no socket has anything to say and nothing that was said is under way. */
export async function quiet(): Promise<void> {
  let events = Number.NaN;
  for (let still = 0; still < STILL_TURNS + LONG_TURNS; still++) {
    // What only asked a device on a line in memory has said nothing to any socket.
    if (still === STILL_TURNS && events === settledEvents) break;
    await (still < STILL_TURNS ? turn() : sleep(systemClock, LONG_TURN_MS));
    const eventsNow = eventsSoFar();
    if (eventsNow !== events || isUnderWay()) still = 0;
    events = eventsNow;
  }
  settledEvents = events;
}

/** See the head of the file. It stands still until `flow` is called. */
export class FlowingClock extends VirtualClock {
  #isFlowing: boolean = false;
  #holds = 0;
  #ended: Promise<void> = Promise.resolve();

  /** Begins where the computer's own clock is, as NDK dates its events by that. */
  constructor() {
    super(systemClock.now());
  }

  /** Lets time pass from now on. */
  flow(): void {
    this.#isFlowing = true;
    this.#ended = this.#run();
  }

  /** Time stands still until this is done; for what has a pace of its own, as NDK's start has. */
  async hold<T>(work: Promise<T>): Promise<T> {
    this.#holds += 1;
    try {
      return await work;
    } finally {
      this.#holds -= 1;
    }
  }

  /** Time stands still again. */
  async stop(): Promise<void> {
    this.#isFlowing = false;
    await this.#ended;
  }

  async #run(): Promise<void> {
    while (this.#isFlowing) {
      await quiet();
      if (this.#holds > 0 || this.pending === 0) {
        await sleep(systemClock, LONG_TURN_MS);
        continue;
      }
      const { fired } = this;
      await this.reach(() => this.fired > fired, STEP_MAX_MS);
      await this.advance(GRAIN_MS);
    }
  }
}

/** The machine's own clock: the world's time, perhaps wrong. It counts the timers that wait. */
export class MachineClock implements Clock {
  readonly #world: Clock;
  #pending = 0;
  /** What it is ahead of the world, ms. */
  aheadMs = 0;

  constructor(world: Clock) {
    this.#world = world;
  }

  /** Timers that wait; a leak shows here. */
  get pending(): number {
    return this.#pending;
  }

  now(): number {
    return this.#world.now() + this.aheadMs;
  }

  monotonic(): number {
    return this.#world.monotonic();
  }

  after(delayMs: number, task: () => void): CancelTimer {
    this.#pending += 1;
    let isOver = false;
    const end = () => {
      if (!isOver) this.#pending -= 1;
      isOver = true;
    };
    const cancel = this.#world.after(delayMs, () => {
      end();
      task();
    });
    return () => {
      end();
      cancel();
    };
  }
}
