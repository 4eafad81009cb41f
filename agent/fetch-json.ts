/** Fetches small JSON from servers that are not trusted: no redirects, little time, few bytes. */

/** Fetches and parses JSON; injected so that a simulation needs no network. @throws any error */
export type FetchJson = (url: string) => Promise<unknown>;

/** Longest wait for a whole answer, ms: a customer may be waiting for it. */
const ANSWER_LIMIT_MS = 5_000;
/** Longest answer, bytes; the longest of the known ones is a table of 160 rates, about 4 KiB. */
const ANSWER_BYTES_MAX = 65_536;

/** Asks over HTTP. A redirect is an error, so that https stays https. */
export const fetchJson: FetchJson = async (url) => {
  const response = await fetch(url, {
    redirect: 'error',
    signal: AbortSignal.timeout(ANSWER_LIMIT_MS),
    headers: { accept: 'application/json' },
  });
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.byteLength;
    // Leaving the loop cancels the stream, so that an endless answer ends here.
    if (bytes > ANSWER_BYTES_MAX) throw new Error(`the answer is above ${ANSWER_BYTES_MAX} bytes`);
    chunks.push(chunk);
  }
  if (!response.ok) throw new Error(`the server says ${response.status}`);
  return JSON.parse(Buffer.concat(chunks).toString('utf8'));
};
