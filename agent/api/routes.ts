/**
 * The table of the local API: every path, who may call it, what goes in and what comes out. The
 * server is built from it and so is the documentation, so that the two cannot drift apart.
 */
import { z } from 'zod';
import { AtmError, ConfigError, messageOf } from '#protocol/base/errors.ts';
import type { ObligationId } from '#protocol/base/ids.ts';
import { Refusal } from '../exchange/refusal.ts';
import type { Credential } from '../exchange/technicians.ts';
import type { Sight, SpireService } from '../service/service.ts';
import { ApiError, apiErrorBody, checked } from './errors.ts';
import {
  type DisputeBundle,
  disputeBundle,
  disputeQuery,
  obligationsQuery,
} from './owed-schemas.ts';
import {
  type AcceptResult,
  acceptDeviceRequest,
  acceptRequest,
  acceptResult,
  anyJson,
  type BackupResult,
  backupResult,
  type ConfirmResult,
  cashInView,
  cashOutView,
  commandResult,
  confirmRequest,
  confirmResult,
  customerCommand,
  deviceView,
  doctorReport,
  documentView,
  findingView,
  journalEntryView,
  journalQuery,
  machineView,
  type OperatorResult,
  obligationView,
  operatorRequest,
  operatorResult,
  type SettleResult,
  settleRequest,
  settleResult,
  statusView,
} from './schemas.ts';
import { visitRoutes, visitSchemas } from './visit-routes.ts';

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
  DisputeBundle: disputeBundle,
  BackupResult: backupResult,
  ConfirmRequest: confirmRequest,
  ConfirmResult: confirmResult,
  SettleRequest: settleRequest,
  SettleResult: settleResult,
  OperatorRequest: operatorRequest,
  OperatorResult: operatorResult,
  AcceptRequest: acceptRequest,
  AcceptResult: acceptResult,
  AcceptDeviceRequest: acceptDeviceRequest,
  DeviceView: deviceView,
  Devices: z.array(deviceView),
  FindingView: findingView,
  DoctorReport: doctorReport,
  OpenApi: z.looseObject({ openapi: z.literal('3.1.0') }),
  AnyJson: anyJson,
  Error: apiErrorBody,
  ...visitSchemas,
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
  run(service: SpireService, input: { who: Credential; query: unknown; body: unknown }): unknown;
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
    summary:
      'How the machine is: signer, relays, devices, counts, journal. While an exchange is open ' +
      'counts are for the owner alone.',
    answer: json('StatusView'),
    run: (service, { who }) => service.status(sightOf(service, who)),
  },
  {
    ...get,
    path: '/v1/journal',
    scopes: ['service'],
    summary:
      'Journal entries, oldest first: those after `after`, or else the newest. While an exchange ' +
      'is open for the owner alone: what is expected follows from them.',
    query: journalQuery,
    answer: json('Journal'),
    run: (service, { who, query }) => {
      service.visit.assertSeesCounts(who);
      return service.journal(checked(journalQuery, query));
    },
  },
  {
    ...get,
    path: '/v1/documents',
    scopes: ['service'],
    summary: 'Documents from and to the operator, with their ages.',
    answer: json('Documents'),
    run: (service, { who }) => service.documents(sightOf(service, who)),
  },
  {
    ...get,
    path: '/v1/obligations',
    scopes: ['service'],
    summary: 'What is owed or not known, with its evidence, oldest first.',
    query: obligationsQuery,
    answer: json('Obligations'),
    run: (service, { query }) => service.obligations(checked(obligationsQuery, query)),
  },
  {
    ...get,
    path: '/v1/dispute',
    scopes: ['service'],
    summary:
      'All that is known of one transaction, in a bundle without bearer values. While an exchange ' +
      'is open for the owner alone, as the journal.',
    query: disputeQuery,
    answer: json('DisputeBundle'),
    run: (service, { who, query }) => {
      service.visit.assertSeesCounts(who);
      return dispute(service, checked(disputeQuery, query).name);
    },
  },
  {
    method: 'POST',
    path: '/v1/settlements',
    scopes: ['service'],
    summary:
      'A person has settled an obligation outside the machine. Its claim code is void. For the ' +
      'owner, and for technicians who may `settle`.',
    query: noQuery,
    body: 'SettleRequest',
    answer: json('SettleResult'),
    run: (service, { who, body }) => settle(service, who, checked(settleRequest, body)),
  },
  {
    method: 'POST',
    path: '/v1/confirmations',
    scopes: ['service'],
    summary: 'Owner: a claim that a restore suspended was not paid since; its code is good again.',
    query: noQuery,
    body: 'ConfirmRequest',
    answer: json('ConfirmResult'),
    run: (service, { who, body }) => {
      service.visit.owner(who);
      return confirm(service, checked(confirmRequest, body));
    },
  },
  {
    method: 'POST',
    path: '/v1/backups',
    scopes: ['service'],
    summary: 'Copies the state and proves the copy; busy while a session or another backup is on.',
    query: noQuery,
    answer: json('BackupResult'),
    run: (service) => backUp(service),
  },
  {
    method: 'POST',
    path: '/v1/operator',
    scopes: ['service'],
    summary:
      'Owner: the operator has another key. The last good documents stay in force; ours are ' +
      'published again, encrypted to it.',
    query: noQuery,
    body: 'OperatorRequest',
    answer: json('OperatorResult'),
    run: (service, { who, body }) => {
      service.visit.owner(who);
      return setOperator(service, checked(operatorRequest, body));
    },
  },
  {
    method: 'POST',
    path: '/v1/anchor',
    scopes: ['service'],
    summary: 'A person says that this machine is the right one, and that its twin is stopped.',
    query: noQuery,
    body: 'AcceptRequest',
    answer: json('AcceptResult'),
    run: (service, { body }) => acceptAnchor(service, checked(acceptRequest, body)),
  },
  {
    ...get,
    path: '/v1/devices',
    scopes: ['service'],
    summary: 'Both devices: who they are, how they are, what they can do and prove.',
    answer: json('Devices'),
    run: (service) => service.devices(),
  },
  {
    method: 'POST',
    path: '/v1/devices/acceptances',
    scopes: ['service'],
    summary: 'A person accepts a device that was unplugged, or is another one than before.',
    query: noQuery,
    body: 'AcceptDeviceRequest',
    answer: json('AcceptResult'),
    run: (service, { body }) => acceptDevice(service, checked(acceptDeviceRequest, body)),
  },
  {
    ...get,
    path: '/v1/doctor',
    scopes: ['service'],
    summary: 'The real handshake with everything; takes seconds, and up to about a minute.',
    answer: json('DoctorReport'),
    run: (service) => service.doctor(),
  },
  ...visitRoutes,
];

/** Every path of the API, for the documentation. */
export const routes: readonly Route[] = [...answeringRoutes, eventsRoute, openApiRoute];

const sightOf = ({ visit }: SpireService, who: Credential): Sight =>
  visit.seesCounts(who) ? 'counts' : 'blind';

async function dispute(service: SpireService, name: string): Promise<DisputeBundle> {
  const bundle = await service.dispute(name);
  if (bundle) return bundle;
  const words = `There is no transaction ${name} on this machine.`;
  throw new Refusal('notFound', 'noTransaction', words, { name });
}

/** Only a device that answers can be accepted. */
function acceptDevice(
  service: SpireService,
  { device, ...acceptance }: z.infer<typeof acceptDeviceRequest>,
): AcceptResult {
  const outcome = service.acceptDevice(device, acceptance);
  if (outcome === 'accepted') return { outcome };
  if (outcome === 'nothingFound') {
    throw new Refusal('notFound', 'deviceWaitsNot', `The ${device} waits for nobody.`, { device });
  }
  const words = `The ${device} does not answer now. Plug it in, and say it again.`;
  throw new Refusal('busy', 'deviceAway', words, { device });
}

/** An old state is not accepted: what it forgot has to be declared by a restore. */
function acceptAnchor(service: SpireService, request: z.infer<typeof acceptRequest>): AcceptResult {
  const outcome = service.acceptAnchor(request);
  if (outcome === 'accepted') return { outcome };
  if (outcome === 'nothingFound') {
    const words = 'Nobody else works under this identity, as far as is known.';
    throw new Refusal('notFound', 'noTwin', words);
  }
  const words = 'The state is an old one. Declare what happened first: spire restore <backup>.';
  throw new Refusal('notPermitted', 'oldState', words);
}

/** A key that cannot be an operator's is the caller's mistake, and says why. */
function setOperator(
  service: SpireService,
  request: z.infer<typeof operatorRequest>,
): OperatorResult {
  try {
    return service.setOperator(request);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw new ApiError('usage', error.message);
  }
}

function confirm(
  service: SpireService,
  { obligation, by, reason }: z.infer<typeof confirmRequest>,
): ConfirmResult {
  const outcome = service.confirm({ obligationId: obligation as ObligationId, by, reason });
  if (outcome === 'confirmed') return { outcome };
  const words =
    outcome === 'notFound' ? 'There is no such obligation.' : 'No restore suspended it.';
  throw new ApiError('notFound', words);
}

/** A backup that could not be made says why: the person who asked can often mend it. */
async function backUp(service: SpireService): Promise<BackupResult> {
  try {
    return await service.backup();
  } catch (error) {
    if (!(error instanceof AtmError)) throw error;
    throw new ApiError(error.code === 'locked' ? 'busy' : 'internal', messageOf(error));
  }
}

function settle(
  service: SpireService,
  who: Credential,
  { obligation, reason, ...request }: z.infer<typeof settleRequest>,
): SettleResult {
  const { technician } = service.visit.permitted(who, 'settle');
  // A technician signs as who they are; the owner says who settled it.
  const by = technician?.name ?? request.by;
  const outcome = service.settle({ obligationId: obligation as ObligationId, by, reason });
  if (outcome === 'notFound') {
    throw new Refusal('notFound', 'noObligation', 'There is no such obligation.');
  }
  if (outcome === 'busy') {
    throw new Refusal('busy', 'codeBusy', 'Its code is being redeemed at this moment.');
  }
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
  // Loaded for the first customer: the start of the service does not wait for it.
  const { default: QRCode } = await import('qrcode');
  return QRCode.toString(payload.toUpperCase(), {
    type: 'svg',
    margin: 4,
    errorCorrectionLevel: 'M',
  });
}
