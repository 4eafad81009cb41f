/** The LNURL-withdraw endpoint over plain HTTP on loopback, for the demo and its tests alone. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A running endpoint. */
export interface LnurlHttp {
  /** What links begin with. */
  readonly base: string;
  readonly port: number;
  stop(): Promise<void>;
}

/** What the endpoint needs. */
export interface LnurlHttpOptions {
  /** 0, the default, takes a free one. */
  readonly port?: number;
  readonly host?: string;
  /** Answers a path with its query; see `Keeper.answerLnurl`. */
  readonly answer: (pathAndQuery: string) => unknown;
}

/** Starts the endpoint. @throws Error when the port is taken. */
export async function startLnurlHttp(options: LnurlHttpOptions): Promise<LnurlHttp> {
  const host = options.host ?? '127.0.0.1';
  const server = createServer((request, response) => {
    // LUD-03 answers 200 also for an error, which the body names.
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify(options.answer(request.url ?? '/')));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port ?? 0, host, resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    base: `http://${host}:${port}`,
    port,
    stop: () =>
      new Promise((resolve, reject) => {
        server.closeAllConnections();
        server.close((error) => (error ? reject(error) : resolve()));
      }),
  };
}
