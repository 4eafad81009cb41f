/** A relay that passes on what a real one says, and lies where a test wants it to. */
import { createServer, type Server } from 'node:http';
import { WebSocket, WebSocketServer } from 'ws';
import { z } from 'zod';
import { systemRandom } from '#protocol/base/clock.ts';
import { kinds, type SignedEvent } from '#protocol/event.ts';
import { signedEventSchema } from '#protocol/relay/message.ts';
import { verifySignature } from '#protocol/relay/verify.ts';

/** One message of NIP-01, in either direction. */
export type Message = readonly [string, ...unknown[]];
/** What is passed on in a message's place: itself, others, or nothing. */
export type Tamper = (message: Message, line: LiarLine) => readonly Message[];

/** One connection: both of its ends can be spoken to out of turn. */
export interface LiarLine {
  toMachine(message: Message): void;
  toRelay(message: Message): void;
  /** Ends it at once. */
  hangUp(): void;
}

const messageSchema = z.tuple([z.string()]).rest(z.unknown());
const asIs: Tamper = (message) => [message];

/** The event in a message, of either direction; undefined when there is none. */
export function eventIn(message: Message): SignedEvent | undefined {
  const event = signedEventSchema.safeParse(message[0] === 'EVENT' ? message.at(-1) : undefined);
  return event.success ? event.data : undefined;
}

/** See the head of the file. */
export class Liar {
  /** From the relay to the machine. */
  down: Tamper = asIs;
  /** From the machine to the relay. */
  up: Tamper = asIs;
  /** The Date header of the upgrade; none when undefined. */
  date: () => string | undefined = () => undefined;
  /** Refuses the upgrade with this HTTP status. */
  refuseWith: number | undefined;
  /** When to come again after a refusal, s. */
  retryAfterSec = 10;
  readonly lines = new Set<LiarLine>();
  readonly #http: Server = createServer();
  readonly #upstream: () => string;

  private constructor(upstream: () => string) {
    this.#upstream = upstream;
  }

  static async start(upstream: () => string): Promise<Liar> {
    const liar = new Liar(upstream);
    const sockets = new WebSocketServer({
      server: liar.#http,
      perMessageDeflate: false,
      verifyClient: (_info, decide) => {
        const status = liar.refuseWith;
        if (status === undefined) decide(true);
        else decide(false, status, 'No', { 'Retry-After': `${liar.retryAfterSec}` });
      },
    });
    sockets.on('headers', (headers) => {
      const date = liar.date();
      if (date !== undefined) headers.push(`Date: ${date}`);
    });
    sockets.on('connection', (socket) => liar.#accept(socket));
    await new Promise<void>((resolve) => liar.#http.listen(0, '127.0.0.1', resolve));
    return liar;
  }

  get port(): number {
    const address = this.#http.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    return address.port;
  }

  /** Serves nobody but who proves to have this key (NIP-42); asked of every new connection. */
  authPubkey: string | undefined;

  /** Tells the truth from now on. */
  honest(): void {
    this.down = asIs;
    this.up = asIs;
  }

  async close(): Promise<void> {
    for (const line of [...this.lines]) line.hangUp();
    await new Promise((resolve) => this.#http.close(resolve));
  }

  #accept(machine: WebSocket): void {
    const relay = new WebSocket(this.#upstream(), { perMessageDeflate: false });
    const early: string[] = [];
    const tell = (text: string) => {
      if (relay.readyState === WebSocket.OPEN) relay.send(text);
      else if (relay.readyState === WebSocket.CONNECTING) early.push(text);
    };
    const line: LiarLine = {
      toMachine: (message) => machine.send(JSON.stringify(message)),
      toRelay: (message) => tell(JSON.stringify(message)),
      hangUp: () => {
        machine.terminate();
        relay.terminate();
      },
    };
    this.lines.add(line);
    relay.on('open', () => {
      for (const text of early.splice(0)) relay.send(text);
    });
    relay.on('message', (data) => {
      for (const message of this.down(parse(data), line)) line.toMachine(message);
    });
    const door = this.authPubkey === undefined ? undefined : new Door(this.authPubkey, line);
    machine.on('message', (data) => {
      for (const message of this.up(parse(data), line)) {
        if (!door?.keepsOut(message)) line.toRelay(message);
      }
    });
    machine.on('ping', (data) => relay.readyState === WebSocket.OPEN && relay.ping(data));
    for (const socket of [machine, relay]) {
      socket.on('error', () => undefined);
      socket.on('close', () => {
        this.lines.delete(line);
        line.hangUp();
      });
    }
  }
}

/** Lets in who has the one key, and says to the others what NIP-42 says. */
class Door {
  readonly #pubkey: string;
  readonly #line: LiarLine;
  readonly #challenge = Buffer.from(systemRandom.bytes(8)).toString('hex');
  #isOpen: boolean = false;

  constructor(pubkey: string, line: LiarLine) {
    this.#pubkey = pubkey;
    this.#line = line;
    line.toMachine(['AUTH', this.#challenge]);
  }

  /** True when a message goes no further. */
  keepsOut([type, first]: Message): boolean {
    if (type === 'AUTH') {
      const event = signedEventSchema.parse(first);
      const tag = event.tags.find(([name]) => name === 'challenge')?.[1];
      const isRight = event.kind === kinds.auth && tag === this.#challenge;
      this.#isOpen = isRight && event.pubkey === this.#pubkey && verifySignature(event);
      this.#line.toMachine(['OK', event.id, this.#isOpen, this.#isOpen ? '' : 'restricted: no']);
      return true;
    }
    if (this.#isOpen) return false;
    if (type === 'CLOSE') return true;
    const words = 'auth-required: this relay serves only who has authenticated';
    if (type === 'REQ') this.#line.toMachine(['CLOSED', first, words]);
    else this.#line.toMachine(['OK', signedEventSchema.parse(first).id, false, words]);
    return true;
  }
}

const parse = (data: unknown): Message => messageSchema.parse(JSON.parse(String(data)));
