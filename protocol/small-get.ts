/**
 * GET of a small text from a server that is not trusted: no redirect is followed, and it ends in
 * time and in size. Not `fetch`, which loads a second HTTP client (2 MB, 20 ms of the start) beside
 * the one that every WebSocket begins with.
 */
import { get, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import { get as getSecurely } from 'node:https';

/** How it is asked. */
export interface SmallGetOptions {
  /** Media type that is wanted. */
  readonly accept: string;
  /** Longest wait for the whole answer, ms. */
  readonly limitMs: number;
  /** Longest answer, bytes. */
  readonly bytesMax: number;
  /** Told when the head of the answer is there, before its body. */
  readonly onHead?: (headers: IncomingHttpHeaders) => void;
}

/** A whole answer. */
export interface SmallAnswer {
  readonly status: number;
  readonly text: string;
}

/**
 * Asks over HTTP or HTTPS, as the address says.
 * @throws Error for no answer in time, for a redirect, so that https stays https, and for a text
 *   that is too long.
 */
export async function smallGet(url: string, options: SmallGetOptions): Promise<SmallAnswer> {
  const response = await headOf(url, options);
  const { statusCode: status = 0, headers } = response;
  options.onHead?.(headers);
  if (status >= 300 && status < 400) {
    response.destroy();
    throw new Error(`the server sends elsewhere (${status})`);
  }
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Uint8Array>) {
    bytes += chunk.byteLength;
    // Leaving the loop closes the connection, so that an endless answer ends here.
    if (bytes > options.bytesMax) throw new Error(`the answer is above ${options.bytesMax} bytes`);
    chunks.push(chunk);
  }
  return { status, text: Buffer.concat(chunks).toString('utf8') };
}

function headOf(url: string, { accept, limitMs }: SmallGetOptions): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const ask = url.startsWith('https:') ? getSecurely : get;
  const signal = AbortSignal.timeout(limitMs);
  // Nobody is asked twice in a row: a connection that is kept would only wait to be closed.
  ask(url, { agent: false, signal, headers: { accept } }, resolve).on('error', reject);
  return promise;
}
