/**
 * The table of the local API: every path, who may call it, what goes in and what comes out. The
 * server is built from it and so is the documentation, so that the two cannot drift apart.
 */
import QRCode from 'qrcode';
import { z } from 'zod';
import type { ObligationId } from '#protocol/base/ids.ts';
import type { SpireService } from '../service.ts';
import { ApiError, apiErrorBody, checked } from './errors.ts';
import {
  anyJson,
  cashInView,
  cashOutView,
  commandResult,
  customerCommand,
  documentView,
  journalEntryView,
  journalQuery,
  machineView,
  obligationView,
  type SettleResult,
  settleRequest,
  settleResult,
  statusView,
} from './schemas.ts';

/** Who calls: `service` over the unix socket, `customer` from the screen on loopback. */
export type Scope = 'service' | 'customer';

/** Every schema that the documentation names. */
export const schemas = {
  MachineView: machineView,
  CashInView: cashInView,
  CashOutView: cashOutView,
  CustomerCommand: customerCommand,
  CommandResult: commandResult,
  StatusView: statusView,
  JournalEntryView: journalEntryView,
  Journal: z.array(journalEntryView),
  DocumentView: documentView,
  Documents: z.array(documentView),
  ObligationView: obligationView,
  Obligations: z.array(obligationView),
  SettleRequest: settleRequest,
  SettleResult: settleResult,
  OpenApi: z.looseObject({ openapi: z.literal('3.1.0') }),
  AnyJson: anyJson,
  Error: apiErrorBody,
} as const satisfies Record<string, z.ZodType>;

/** Name of a documented schema. */
export type SchemaName = keyof typeof schemas;

/** One path of the API. */
export interface Route {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly scopes: readonly Scope[];
  readonly summary: string;
  /** What may stand after the question mark; nothing unless given. */
  readonly query: z.ZodObject;
  /** Schema of the request's body, when it has one. */
  readonly body?: SchemaName;
  /** What comes back; `schema` is that of the JSON, or of each event's data. */
  readonly answer: { readonly contentType: string; readonly schema?: SchemaName };
}

/** A route that answers at once, as opposed to a stream. */
export interface AnsweringRoute extends Route {
  run(service: SpireService, input: { query: unknown; body: unknown }): unknown;
}

const JSON_TYPE = 'application/json';
const noQuery = z.strictObject({});
const both = ['service', 'customer'] as const;
const get = { method: 'GET', query: noQuery } as const;
const json = (schema: SchemaName) => ({ contentType: JSON_TYPE, schema });

/** Server-sent events; the server keeps the connection, so it is not an answering route. */
export const eventsRoute: Route = {
  ...get,
  path: '/v1/events',
  scopes: both,
  summary:
    'The machine, now and after every change, as server-sent events named `machine`. Only the ' +
    'newest matters: a reader that is slow skips what came between.',
  answer: { contentType: 'text/event-stream', schema: 'MachineView' },
};

/** The documentation itself. */
export const openApiRoute: Route = {
  ...get,
  path: '/v1/openapi.json',
  scopes: both,
  summary: 'This description.',
  answer: json('OpenApi'),
};

/** The paths that answer at once. */
export const answeringRoutes: readonly AnsweringRoute[] = [
  {
    ...get,
    path: '/v1/machine',
    scopes: both,
    summary: 'The machine as a customer may see it.',
    answer: json('MachineView'),
    run: (service) => service.view(),
  },
  {
    method: 'POST',
    path: '/v1/commands',
    scopes: both,
    summary: 'What a customer does. The same session and step again gives the first result.',
    query: noQuery,
    body: 'CustomerCommand',
    answer: json('CommandResult'),
    run: (service, { body }) => service.command(checked(customerCommand, body)),
  },
  {
    ...get,
    path: '/v1/qr.svg',
    scopes: ['customer'],
    summary: 'The QR code of the session on the screen; 404 while there is none.',
    answer: { contentType: 'image/svg+xml' },
    run: (service) => qrOf(service),
  },
  {
    ...get,
    path: '/v1/status',
    scopes: ['service'],
    summary: 'How the machine is: signer, relays, devices, counts, journal.',
    answer: json('StatusView'),
    run: (service) => service.status(),
  },
  {
    ...get,
    path: '/v1/journal',
    scopes: ['service'],
    summary: 'Journal entries, oldest first: those after `after`, or else the newest.',
    query: journalQuery,
    answer: json('Journal'),
    run: (service, { query }) => service.journal(checked(journalQuery, query)),
  },
  {
    ...get,
    path: '/v1/documents',
    scopes: ['service'],
    summary: 'Documents from and to the operator, with their ages.',
    answer: json('Documents'),
    run: (service) => service.documents(),
  },
  {
    ...get,
    path: '/v1/obligations',
    scopes: ['service'],
    summary: 'What is owed or not known, oldest first.',
    answer: json('Obligations'),
    run: (service) => service.obligations(),
  },
  {
    method: 'POST',
    path: '/v1/settlements',
    scopes: ['service'],
    summary: 'A person has settled an obligation outside the machine. Its claim code is void.',
    query: noQuery,
    body: 'SettleRequest',
    answer: json('SettleResult'),
    run: (service, { body }) => settle(service, checked(settleRequest, body)),
  },
];

/** Every path of the API, for the documentation. */
export const routes: readonly Route[] = [...answeringRoutes, eventsRoute, openApiRoute];

function settle(service: SpireService, request: z.infer<typeof settleRequest>): SettleResult {
  const { obligation, by, reason } = request;
  const outcome = service.settle({ obligationId: obligation as ObligationId, by, reason });
  if (outcome === 'notFound') throw new ApiError('notFound', 'There is no such obligation.');
  if (outcome === 'busy') throw new ApiError('busy', 'Its code is being redeemed at this moment.');
  return { outcome };
}

/**
 * The QR code of what the session shows now: there is no parameter, so no page can have the machine
 * draw a payload of its own. Upper case keeps bech32 valid and lets QR use its smaller
 * alphanumeric mode. Source: BIP-173, "uppercase/lowercase". The quiet zone of four modules is
 * what the QR standard asks for. Source: ISO/IEC 18004, 9.1.
 */
async function qrOf(service: SpireService): Promise<string> {
  const { session } = service.view();
  const payload = session?.kind === 'cashIn' ? session.lnurl : (session?.bolt11 ?? null);
  if (payload === null) throw new ApiError('notFound', 'There is no QR code to show now.');
  return QRCode.toString(payload.toUpperCase(), {
    type: 'svg',
    margin: 4,
    errorCorrectionLevel: 'M',
  });
}
