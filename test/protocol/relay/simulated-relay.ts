/** A relay on virtual time: sockets of our own, and a test that says what goes over them. */
import { randomBytes } from 'node:crypto';
import { onTestFinished } from 'vitest';
import type { Random } from '#protocol/base/clock.ts';
import { silentLog } from '#protocol/base/log.ts';
import type { SignedEvent } from '#protocol/event.ts';
import type { LinkLimits } from '#protocol/relay/limits.ts';
import { type LinkOptions, RelayLink } from '#protocol/relay/link.ts';
import type { Socket, SocketEvent } from '#protocol/relay/socket.ts';
import { VirtualClock } from '../../support/virtual-clock.ts';

/** A socket whose other end is the test. It is as strict as the contract allows. */
export class SimulatedSocket implements Socket {
  readonly sent: (readonly unknown[])[] = [];
  readonly openedAtMs: number;
  answersPing: boolean = true;
  unsent = 0;
  pings = 0;
  hasEnded: boolean = false;
  readonly #listeners = new Set<(event: SocketEvent) => void>();
  readonly #answer: (message: readonly unknown[], socket: SimulatedSocket) => void;

  constructor(
    openedAtMs: number,
    answer: (message: readonly unknown[], socket: SimulatedSocket) => void,
  ) {
    this.openedAtMs = openedAtMs;
    this.#answer = answer;
  }

  subscribe(listener: (event: SocketEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  send(text: string): void {
    if (this.hasEnded) throw new Error(`sent after the end: ${text}`);
    const message: readonly unknown[] = JSON.parse(text);
    this.sent.push(message);
    this.#answer(message, this);
  }

  ping(): void {
    this.pings += 1;
    if (this.answersPing) this.tell({ kind: 'pong' });
  }

  unsentBytes(): number {
    return this.unsent;
  }

  terminate(): void {
    this.end('terminated');
  }

  end(reason: string, more: { status?: number; retryAfterMs?: number } = {}): void {
    if (this.hasEnded) return;
    this.hasEnded = true;
    this.tell({ kind: 'closed', reason, ...more });
  }

  open(dateUnixMs?: number): void {
    this.tell({ kind: 'open', dateUnixMs });
  }

  say(...message: readonly unknown[]): void {
    this.tell({ kind: 'message', text: JSON.stringify(message) });
  }

  tell(event: SocketEvent): void {
    for (const listener of [...this.#listeners]) listener(event);
  }

  /** What was sent of one type, as EVENT. */
  ofType(type: string): (readonly unknown[])[] {
    return this.sent.filter((message) => message[0] === type);
  }
}

/** Every jitter at its least, so that waits are known: 100 ms, or the pause. Ids stay random. */
const quickest: Random = {
  bytes: (count) =>
    count === 4 ? new Uint8Array([0, 0, 0, 0]) : new Uint8Array(randomBytes(count)),
};

/** A relay on virtual time. */
export class SimulatedRelay {
  readonly clock = new VirtualClock();
  readonly sockets: SimulatedSocket[] = [];
  answer: (message: readonly unknown[], socket: SimulatedSocket) => void = () => undefined;
  /** What becomes of the next sockets. */
  upgrade: 'opens' | 'fails' | 'hangs' = 'opens';
  random: Random = quickest;

  /** What a link to this relay is made of. */
  get parts(): LinkOptions & { readonly url: string } {
    return {
      url: 'wss://relay.example',
      clock: this.clock,
      random: this.random,
      log: silentLog,
      openSocket: () => this.#openSocket(),
    };
  }

  /** The newest socket. */
  get socket(): SimulatedSocket {
    const socket = this.sockets.at(-1);
    if (!socket) throw new Error('no socket was opened');
    return socket;
  }

  #openSocket(): SimulatedSocket {
    const socket = new SimulatedSocket(this.clock.monotonic(), (message, from) =>
      this.answer(message, from),
    );
    this.sockets.push(socket);
    this.clock.after(10, () => {
      if (socket.hasEnded || this.upgrade === 'hangs') return;
      if (this.upgrade === 'opens') socket.open();
      else socket.end('connection refused');
    });
    return socket;
  }
}

/** An honest relay: EOSE to every REQ, OK to every EVENT and AUTH. */
export function honest([type, first]: readonly unknown[], socket: SimulatedSocket): void {
  if (type === 'REQ') socket.say('EOSE', first);
  if (type === 'EVENT' || type === 'AUTH') socket.say('OK', (first as SignedEvent).id, true, '');
}

/** A link that is open to an honest relay; the test's end closes it. */
export async function openLink(
  options: Partial<LinkOptions> = {},
  limits: Partial<LinkLimits> = {},
): Promise<{ relay: SimulatedRelay; link: RelayLink; clock: VirtualClock }> {
  const relay = new SimulatedRelay();
  relay.answer = honest;
  const link = new RelayLink({ ...relay.parts, ...options, limits });
  onTestFinished(() => link.close());
  await relay.clock.advance(10);
  return { relay, link, clock: relay.clock };
}
