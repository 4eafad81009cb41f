/** Starts the real API with a fake service behind it, and speaks HTTP to it byte for byte. */
import { mkdtempSync } from 'node:fs';
import { type IncomingHttpHeaders, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type RunningApi, startApi } from '#agent/api/server.ts';
import { type Clock, systemClock, systemRandom } from '#protocol/base/clock.ts';
import { silentLog } from '#protocol/base/log.ts';
import { FakeService } from './fake-service.ts';

export const SCREEN_FILE = new URL('../../../agent/screen/index.html', import.meta.url).pathname;

/** A new empty folder; short, because a unix socket's path is. */
export const newFolder = (): string => mkdtempSync(join(tmpdir(), 'spire-api-'));

/** One running API for a test; `await using` closes it. */
export interface Harness extends AsyncDisposable {
  readonly api: RunningApi;
  readonly service: FakeService;
  readonly socketPath: string;
  readonly port: number;
  readonly token: string;
}

/** Starts both scopes, on a socket in a new folder and on a free port. */
export async function startHarness(
  options: { service?: FakeService; clock?: Clock } = {},
): Promise<Harness> {
  const service = options.service ?? new FakeService();
  const socketPath = join(newFolder(), 'agent.sock');
  const api = await startApi({
    service,
    log: silentLog,
    clock: options.clock ?? systemClock,
    random: systemRandom,
    socketPath,
    screen: { host: '127.0.0.1', port: 0 },
    screenFile: SCREEN_FILE,
  });
  const { screenUrl, token } = api;
  if (screenUrl === undefined || token === undefined) throw new Error('there is no screen');
  return {
    api,
    service,
    socketPath,
    port: Number(new URL(screenUrl).port),
    token,
    [Symbol.asyncDispose]: () => api.close(),
  };
}

/** Where a request goes and what it carries. */
export interface Call {
  readonly socketPath?: string;
  readonly port?: number;
  readonly method?: string;
  readonly path: string;
  readonly headers?: Record<string, string>;
  readonly body?: string;
}

/** One answer. */
export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

/** Sends one request and reads the whole answer. */
export function call(options: Call): Promise<Answer> {
  const { body, headers = {}, ...rest } = options;
  const type = body === undefined ? {} : { 'content-type': 'application/json' };
  return new Promise((resolve, reject) => {
    const sent = request(
      { host: '127.0.0.1', ...rest, headers: { ...type, ...headers } },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          const text = Buffer.concat(chunks).toString();
          resolve({ status: response.statusCode ?? 0, headers: response.headers, text });
        });
      },
    );
    sent.on('error', reject);
    sent.end(body);
  });
}
