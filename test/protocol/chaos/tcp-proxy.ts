/** A TCP line between a machine and a relay that passes, refuses, delays, cuts and swallows. */
import { connect, createServer, type Server, type Socket } from 'node:net';
import type { Clock } from '#protocol/base/clock.ts';

/**
 * `pass`: as it is. `refuse`: new connections are reset. `swallow`: connections are taken and
 * nothing goes either way any more, as on a half-open line.
 */
export type LineMode = 'pass' | 'refuse' | 'swallow';

/** See the head of the file. */
export class TcpProxy {
  mode: LineMode = 'pass';
  /** Every chunk comes this much later, ms. */
  delayMs = 0;
  /** Connections that were ever made to it. */
  accepted = 0;
  readonly #clock: Clock;
  readonly #server: Server;
  readonly #targetPort: () => number;
  readonly #open = new Set<Socket>();
  readonly #waiting: (() => void)[] = [];

  private constructor(clock: Clock, targetPort: () => number) {
    this.#clock = clock;
    this.#targetPort = targetPort;
    this.#server = createServer((socket) => this.#accept(socket));
  }

  static async start(clock: Clock, targetPort: () => number): Promise<TcpProxy> {
    const proxy = new TcpProxy(clock, targetPort);
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  /** By another name than the address when `host` says so, for whom that is another host. */
  urlBy(host: string): string {
    return this.url.replace('127.0.0.1', host);
  }

  get url(): string {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    return `ws://127.0.0.1:${address.port}`;
  }

  /** Sockets that are open, both ways counted. */
  get open(): number {
    return this.#open.size;
  }

  /** Resets every connection. */
  cut(): void {
    for (const socket of [...this.#open]) socket.resetAndDestroy();
  }

  /** Resolves at the next connection that is made to it. */
  nextConnection(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  async close(): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #accept(socket: Socket): void {
    this.accepted += 1;
    for (const tell of this.#waiting.splice(0)) tell();
    this.#keep(socket);
    if (this.mode === 'refuse') {
      socket.resetAndDestroy();
      return;
    }
    if (this.mode === 'swallow') {
      socket.resume();
      return;
    }
    const target = connect(this.#targetPort(), '127.0.0.1');
    this.#keep(target);
    this.#pipe(socket, target);
    this.#pipe(target, socket);
  }

  #keep(socket: Socket): void {
    socket.on('error', () => undefined);
    // Without this the kernel holds small pieces back for up to 40 ms.
    socket.setNoDelay(true);
    this.#open.add(socket);
    socket.on('close', () => this.#open.delete(socket));
  }

  #pipe(from: Socket, to: Socket): void {
    from.on('data', (chunk) => {
      if (this.mode === 'swallow') return;
      if (this.delayMs > 0) this.#clock.after(this.delayMs, () => to.write(chunk));
      else to.write(chunk);
    });
    from.on('close', () => to.destroy());
  }
}
