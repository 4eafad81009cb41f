/** Fetches small JSON from servers that are not trusted: no redirects, little time, few bytes. */
import { smallGet } from '#protocol/small-get.ts';

/** Fetches and parses JSON; injected so that a simulation needs no network. @throws any error */
export type FetchJson = (url: string) => Promise<unknown>;

/** Longest wait for a whole answer, ms: a customer may be waiting for it. */
const ANSWER_LIMIT_MS = 5_000;
/** Longest answer, bytes; the longest of the known ones is a table of 160 rates, about 4 KiB. */
const ANSWER_BYTES_MAX = 65_536;
/** A Date header has whole seconds, cut off: half a second is its mean error. */
const DATE_ERROR_MS = 500;

/** Takes the time of a server at this moment, Unix ms. */
export type HeardDate = (host: string, unixMs: number) => void;

/** Asks over HTTP. A redirect is an error, so that https stays https. */
export function makeFetchJson(heardDate: HeardDate = () => undefined): FetchJson {
  return (url) => fetchOver(url, heardDate);
}

async function fetchOver(url: string, heardDate: HeardDate): Promise<unknown> {
  const { status, text } = await smallGet(url, {
    accept: 'application/json',
    limitMs: ANSWER_LIMIT_MS,
    bytesMax: ANSWER_BYTES_MAX,
    onHead: ({ date, age }) => {
      // A cache in between repeats an old date and says how old it is. Source: RFC 9111, 5.1.
      const unixMs = Date.parse(date ?? '') + Number(age ?? 0) * 1000 + DATE_ERROR_MS;
      if (Number.isFinite(unixMs)) heardDate(new URL(url).hostname, unixMs);
    },
  });
  if (status < 200 || status > 299) throw new Error(`the server says ${status}`);
  return JSON.parse(text);
}
