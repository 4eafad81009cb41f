/** The local API: service scope on a unix socket, customer scope on loopback, and the screen. */
import { chmodSync, readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import fastify, { type FastifyInstance } from 'fastify';
import type { Clock, Random } from '#protocol/base/clock.ts';
import { AtmError, messageOf } from '#protocol/base/errors.ts';
import type { Log } from '#protocol/base/log.ts';
import type { Secret } from '#protocol/base/secret.ts';
import { Refusal } from '../exchange/refusal.ts';
import type { SpireService } from '../service/service.ts';
import type { Language } from '../texts/fill.ts';
import { withTexts } from '../texts/screen-texts.ts';
import { ApiError, checked, codeOfStatus } from './errors.ts';
import { EventStreams } from './events.ts';
import {
  assertLocal,
  assertToken,
  bootToken,
  credentialOf,
  SECURITY_HEADERS,
  screenPolicy,
  sha256,
} from './guard.ts';
import { openApi } from './openapi.ts';
import { removeOwnerToken, writeOwnerToken } from './owner-file.ts';
import { answeringRoutes, eventsRoute, openApiRoute, type Scope } from './routes.ts';
import { clearSocketPath } from './socket-file.ts';

/** Longest body: a command is under 400 bytes. */
export const BODY_BYTES_MAX = 16 * 1024;
/** Longest a request may take to arrive, ms; every caller is on this computer. */
const REQUEST_TIMEOUT_MS = 10_000;
/** Connections at a time: the readers of events, and as many again many times over. */
const CONNECTIONS_MAX = 64;
/** The group may call the service scope, the others may not. */
const SOCKET_MODE = 0o660;

/** Zod checks what comes in and out; fastify's own compilers would be loaded for nothing (9 MB). */
const noCompilers = {
  buildValidator: () => {
    throw new Error('a route has a schema for fastify: check it by `checked`');
  },
  buildSerializer: () => {
    throw new Error('a route has a schema for fastify: check it by `checked`');
  },
};

/** What the local API needs, and where it listens. */
export interface ApiOptions {
  readonly service: SpireService;
  readonly log: Log;
  readonly clock: Clock;
  readonly random: Random;
  /** Where the service scope listens; without it there is none. */
  readonly socketPath?: string;
  /** Where the customer scope listens; without it there is none. Port 0 takes a free one. */
  readonly screen?: {
    readonly host: '127.0.0.1';
    readonly port: number;
    /** Keeps the token over restarts of the agent; a file that a boot removes. */
    readonly tokenFile?: string;
  };
  /** The one-file screen. */
  readonly screenFile: string;
  /** The screen's language until a customer chooses another; English unless given. */
  readonly language?: Language;
}

/** The running API. */
export interface RunningApi {
  /** The screen's address with its token: whoever has it acts as the customer. */
  readonly screenUrl?: string;
  readonly token?: string;
  /** Ends all streams and stops to listen. */
  close(): Promise<void>;
}

interface ScopeServer {
  readonly app: FastifyInstance;
  readonly streams: EventStreams;
}

/**
 * Starts the local API.
 * @throws AtmError `locked` when another agent listens on the socket or the port is taken,
 *   `exists` when the socket's path is some other file.
 */
export async function startApi(options: ApiOptions): Promise<RunningApi> {
  const servers: ScopeServer[] = [];
  const close = async () => {
    for (const { streams } of servers) streams.close();
    await Promise.all(servers.map(({ app }) => app.close()));
  };
  try {
    if (options.socketPath !== undefined) {
      servers.push(await startServiceScope(options, options.socketPath));
    }
    if (!options.screen) return { close };
    const token = bootToken(options.random, options.screen.tokenFile);
    const customer = await startCustomerScope(options, options.screen, token);
    servers.push(customer.server);
    const screenUrl = `http://127.0.0.1:${customer.port}/#token=${token.reveal()}`;
    return { screenUrl, token: token.reveal(), close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function startServiceScope(options: ApiOptions, path: string): Promise<ScopeServer> {
  await clearSocketPath(path);
  const owner = writeOwnerToken(path, options.random);
  const server = scopeServer(options, 'service', SECURITY_HEADERS, owner);
  server.app.addHook('onClose', async () => removeOwnerToken(path));
  await server.app.listen({ path });
  chmodSync(path, SOCKET_MODE);
  return server;
}

async function startCustomerScope(
  options: ApiOptions,
  screen: { readonly host: string; readonly port: number },
  token: Secret<string>,
): Promise<{ server: ScopeServer; port: number }> {
  const page = withTexts(readFileSync(options.screenFile, 'utf8'), options.language ?? 'en');
  const policy = screenPolicy(page);
  // A screen that is open over an update sees by this header that it is the old one.
  const headers = { ...SECURITY_HEADERS, 'x-spire-screen': sha256(page).toString('hex') };
  const server = scopeServer(options, 'customer', headers);
  const { app } = server;
  app.addHook('onRequest', async (request) => {
    assertLocal(request.headers, request.socket.localPort);
    // The page itself holds nothing, and a browser cannot send a token to ask for it.
    if (request.routeOptions.url !== '/') assertToken(request.headers, token);
  });
  app.get('/', (_request, reply) =>
    reply.header('content-security-policy', policy).type('text/html; charset=utf-8').send(page),
  );
  try {
    const address = await app.listen({ host: screen.host, port: screen.port });
    return { server, port: Number(new URL(address).port) };
  } catch (cause) {
    const where = `${screen.host}:${screen.port}`;
    throw new AtmError('locked', `cannot listen on ${where}: ${messageOf(cause)}`, { cause });
  }
}

/**
 * One scope's HTTP server with its part of the route table, not yet listening. Without an owner's
 * token nobody has a name here.
 */
function scopeServer(
  options: ApiOptions,
  scope: Scope,
  headers: Readonly<Record<string, string>>,
  owner?: Secret<string>,
): ScopeServer {
  const { service, clock } = options;
  const log = options.log.child({ room: 'api', scope });
  const app = fastify({
    logger: false,
    bodyLimit: BODY_BYTES_MAX,
    requestTimeout: REQUEST_TIMEOUT_MS,
    forceCloseConnections: true,
    return503OnClosing: false,
    exposeHeadRoutes: false,
    schemaController: { compilersFactory: noCompilers },
    clientErrorHandler: (_error, socket) => refuseNoise(socket),
    frameworkErrors: (error, _request, reply) => {
      const { status, body } = asApiError(error);
      reply.hijack();
      reply.raw.writeHead(status, { ...headers, 'content-type': 'application/json' });
      reply.raw.end(JSON.stringify(body));
    },
  });
  app.server.maxConnections = CONNECTIONS_MAX;
  // Anything but JSON is refused: plain text is what a foreign page may post without asking.
  app.removeContentTypeParser('text/plain');
  app.addHook('onRequest', async (_request, reply) => {
    reply.headers(headers);
  });
  answerErrors(app, log);
  for (const route of answeringRoutes.filter(({ scopes }) => scopes.includes(scope))) {
    app.route({
      method: route.method,
      url: route.path,
      handler: async ({ query, body, headers: sent }, reply) => {
        checked(route.query, query);
        const who = credentialOf(sent, owner);
        const answer = await route.run(service, { who, query, body });
        return reply.type(route.answer.contentType).send(answer);
      },
    });
  }
  let description: ReturnType<typeof openApi> | undefined;
  app.get(openApiRoute.path, async ({ query }) => {
    checked(openApiRoute.query, query);
    description ??= openApi(scope);
    return description;
  });
  const streams = new EventStreams({ service, clock });
  app.get(eventsRoute.path, (request, reply) => {
    checked(eventsRoute.query, request.query);
    streams.assertRoom();
    reply.hijack();
    streams.start(reply.raw, headers);
  });
  return { app, streams };
}

/** Every refusal is `{code, reason}`; what we did not foresee is logged and tells nothing. */
function answerErrors(app: FastifyInstance, log: Log): void {
  app.setNotFoundHandler(async () => {
    throw new ApiError('notFound', 'There is no such path here.');
  });
  app.setErrorHandler((error, request, reply) => {
    const known = asApiError(error);
    const path = request.routeOptions.url ?? 'unknown';
    if (known.code === 'internal') log.error({ err: error, path }, 'request failed');
    else log.debug({ path, reason: known.code }, 'request refused');
    return reply.status(known.status).type('application/json').send(known.body);
  });
}

function asApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  if (error instanceof Refusal) {
    const { code, message, why, values } = error;
    return new ApiError(code, message, { code: why, values });
  }
  if (error instanceof Error && 'statusCode' in error && typeof error.statusCode === 'number') {
    const code = codeOfStatus(error.statusCode);
    if (code !== 'internal') return new ApiError(code, error.message);
  }
  return new ApiError('internal', 'The agent failed at this; its log says more.');
}

/** Bytes that are no HTTP get the same shape of answer, and the connection is closed. */
function refuseNoise(socket: Socket): void {
  if (!socket.writable) return void socket.destroy();
  const body = JSON.stringify(new ApiError('usage', 'This is no HTTP request.').body);
  socket.end(
    'HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-type: application/json\r\n' +
      `content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}
