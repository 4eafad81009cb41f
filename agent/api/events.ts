/** Server-sent events: every reader gets the newest view, and no reader can make the agent wait. */
import type { OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { CancelTimer, Clock } from '#protocol/base/clock.ts';
import type { SpireService } from '../service/service.ts';
import { ApiError } from './errors.ts';
import type { MachineView } from './schemas.ts';

/** Readers of one scope: a screen or two and a few tools; more is a leak in some program. */
export const STREAMS_MAX = 8;
/** A reader that takes nothing for so long is closed; it may come again. */
export const SLOW_READER_MS = 10_000;
/** A sign of life, so that a reader can tell a quiet machine from a dead one. */
export const KEEP_ALIVE_MS = 5_000;

/** One reader. It holds at most one unsent view, because a newer view makes the older one void. */
class EventStream {
  readonly #response: ServerResponse;
  readonly #clock: Clock;
  #waiting: MachineView | undefined;
  #cancelSlow: CancelTimer | undefined;
  #cancelKeepAlive: CancelTimer;

  constructor(response: ServerResponse, clock: Clock) {
    this.#response = response;
    this.#clock = clock;
    response.on('drain', () => this.#drained());
    this.#cancelKeepAlive = this.#keepAliveLater();
  }

  send(view: MachineView): void {
    if (this.#cancelSlow) this.#waiting = view;
    else this.#write(`event: machine\ndata: ${JSON.stringify(view)}\n\n`);
  }

  stop(): void {
    this.#cancelSlow?.();
    this.#cancelKeepAlive();
    this.#response.destroy();
  }

  #write(text: string): void {
    if (this.#response.write(text)) return;
    this.#cancelSlow = this.#clock.after(SLOW_READER_MS, () => this.#response.destroy());
  }

  #drained(): void {
    this.#cancelSlow?.();
    this.#cancelSlow = undefined;
    const view = this.#waiting;
    this.#waiting = undefined;
    if (view) this.send(view);
  }

  #keepAliveLater(): CancelTimer {
    return this.#clock.after(KEEP_ALIVE_MS, () => {
      if (!this.#cancelSlow) this.#write(': alive\n\n');
      this.#cancelKeepAlive = this.#keepAliveLater();
    });
  }
}

/** The readers of one scope. */
export class EventStreams {
  readonly #service: SpireService;
  readonly #clock: Clock;
  readonly #open = new Set<EventStream>();

  constructor(options: { service: SpireService; clock: Clock }) {
    this.#service = options.service;
    this.#clock = options.clock;
  }

  /** Refuses a reader before its answer has begun. @throws ApiError `busy` when there are eight. */
  assertRoom(): void {
    if (this.#open.size >= STREAMS_MAX) {
      throw new ApiError('busy', `There are ${STREAMS_MAX} readers of events already.`);
    }
  }

  /** Sends the view now and after every change, until the reader leaves or is too slow. */
  start(response: ServerResponse, headers: OutgoingHttpHeaders): void {
    this.assertRoom();
    response.writeHead(200, { ...headers, 'content-type': 'text/event-stream' });
    const stream = new EventStream(response, this.#clock);
    this.#open.add(stream);
    const unsubscribe = this.#service.subscribe((view) => stream.send(view));
    response.on('close', () => {
      unsubscribe();
      stream.stop();
      this.#open.delete(stream);
    });
    stream.send(this.#service.view());
  }

  /** Ends every stream. */
  close(): void {
    for (const stream of this.#open) stream.stop();
  }
}
