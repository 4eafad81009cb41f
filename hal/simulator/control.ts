/**
 * The control socket: what hands and scripts do to a simulated device, one JSON object a line, and
 * one reply a line in the same order. The schemas are the document.
 */
import { lstat, unlink } from 'node:fs/promises';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { z } from 'zod';
import { AtmError, messageOf } from '#protocol/base/errors.ts';
import { type ControlCommand, type SimulatedDevice, SimulatorError } from './device.ts';

/** Longest line in characters; a command is a tenth of it. */
const LINE_LENGTH_MAX = 4096;
/** Replies that may wait for one who does not read them. */
const REPLY_BYTES_MAX = 1_000_000;
/** Connections at a time; a script and a person need two. */
const CONNECTIONS_MAX = 16;
const POSITION_MAX = 16;
/** More notes than any cassette or box holds. */
const NOTES_MAX = 100_000;
const DENOMINATION_MAX = 1_000_000;

const denomination = z.int().min(1).max(DENOMINATION_MAX).describe('face value of a note, as 20');

const insert = z
  .strictObject({ do: z.literal('insert'), denomination })
  .describe('puts one note in the slot of a validator');

const fault = z
  .strictObject({
    do: z.literal('fault'),
    name: z.string().min(1).max(64).describe('one of those that `--help` lists for the device'),
    times: z.int().min(0).max(1_000_000_000).optional().describe('1 when left out; 0 lifts it'),
    value: z
      .number()
      .min(-1e9)
      .max(1e9)
      .optional()
      .describe("what it means is in the fault's words"),
  })
  .describe('gives the device a fault, or lifts it');

const power = z
  .strictObject({ do: z.literal('power'), on: z.boolean() })
  .describe('cuts the power of the device, or gives it back');

const cassette = z
  .strictObject({
    do: z.literal('cassette'),
    position: z.int().min(1).max(POSITION_MAX).describe('the bay, 1 is the top one'),
    denomination: denomination.optional(),
    count: z.int().min(0).max(NOTES_MAX).optional().describe('notes that are in it from now on'),
    present: z.boolean().optional().describe('false takes it out, true puts it back'),
    code: z
      .int()
      .min(1)
      .max(POSITION_MAX)
      .optional()
      .describe('what is coded on it, where the unit reads that; the number of its bay at first'),
  })
  .describe('takes a cassette of a dispenser out, puts one in, or fills it');

const cashbox = z
  .strictObject({
    do: z.literal('cashbox'),
    present: z.boolean(),
    empty: z.boolean().optional().describe('empties it as well'),
  })
  .describe('takes the cash box of a validator out, or puts it back');

const take = z
  .strictObject({ do: z.literal('take') })
  .describe('takes the notes that hands can reach, also those that are stuck inside');

const state = z
  .strictObject({ do: z.literal('state') })
  .describe('changes nothing, and tells where all is');

/** One line to the socket. */
export const controlCommand = z
  .discriminatedUnion('do', [insert, fault, power, cassette, cashbox, take, state])
  .describe('one command, as one line of JSON');

const notes = z.record(z.string(), z.int()).describe('notes by face value');

/** Where every note physically is; the result of every command has at least this. */
export const deviceState = z
  .looseObject({
    units: z
      .record(z.string(), z.object({ denomination: z.int(), count: z.int() }))
      .describe('cassettes by position; none for a validator'),
    reject: notes,
    cashbox: notes,
    path: notes.describe('on the way inside'),
    customer: notes.describe('given, or given back, since the device was made'),
  })
  .describe('where every note is');

/** One line from the socket. */
export const controlReply = z
  .discriminatedUnion('ok', [
    z.strictObject({ ok: z.literal(true), result: deviceState }),
    z.strictObject({
      ok: z.literal(false),
      code: z
        .enum(['usage', 'sequenceError', 'notFound'])
        .describe('not understood; senseless now; no such fault, bay or note'),
      reason: z.string(),
    }),
  ])
  .describe('the reply to one command, as one line of JSON');

/** What a reply is. */
export type ControlReply = z.infer<typeof controlReply>;

type Refusal = Extract<ControlReply, { readonly ok: false }>;
type Reply = { readonly ok: true; readonly result: unknown } | Refusal;

/** A control socket that serves one device. */
export interface ControlServer {
  /** Ends it and every connection, and takes the socket file away. */
  close(): Promise<void>;
}

/**
 * Serves a device on a unix socket; only the user who runs it can reach it.
 * @throws AtmError `exists` when another program serves that path, `refused` when it cannot be.
 */
export async function serveControl(path: string, device: SimulatedDevice): Promise<ControlServer> {
  const connections = new Set<Socket>();
  const server = createServer((socket) => {
    connections.add(socket);
    socket.on('close', () => connections.delete(socket));
    serveConnection(socket, device);
  });
  server.maxConnections = CONNECTIONS_MAX;
  await removeStale(path);
  await listen(server, path);
  return {
    close: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of connections) socket.destroy();
      await closed;
    },
  };
}

/** Carries out one line. Nothing that a line can say ends the program. */
function answerLine(line: string, device: SimulatedDevice): Reply {
  let json: unknown;
  try {
    json = JSON.parse(line);
  } catch (error) {
    return refuse('usage', `not JSON: ${messageOf(error)}`);
  }
  const parsed = controlCommand.safeParse(json);
  if (!parsed.success) return refuse('usage', z.prettifyError(parsed.error));
  try {
    return { ok: true, result: device.control(withoutUndefined(parsed.data)) };
  } catch (error) {
    if (error instanceof SimulatorError) return refuse(error.code, error.message);
    throw error;
  }
}

function serveConnection(socket: Socket, device: SimulatedDevice): void {
  const reply = (answer: Reply) => {
    socket.write(`${JSON.stringify(answer)}\n`);
    if (socket.writableLength > REPLY_BYTES_MAX) socket.destroy();
  };
  let pending = '';
  let isTooLong = false;
  socket.setEncoding('utf8');
  socket.on('error', () => socket.destroy());
  socket.on('data', (text: string) => {
    for (const [at, part] of text.split('\n').entries()) {
      if (at > 0) {
        if (isTooLong) reply(refuse('usage', `a line has at most ${LINE_LENGTH_MAX} characters`));
        else if (pending.trim() !== '') reply(answerLine(pending, device));
        pending = '';
        isTooLong = false;
      }
      // The rest of a line that is too long is not kept: it may never end.
      if (pending.length + part.length > LINE_LENGTH_MAX) isTooLong = true;
      pending = isTooLong ? '' : pending + part;
    }
  });
}

/** A socket file that nobody serves is left over from a program that was killed. */
async function removeStale(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined);
  if (!found) return;
  if (!found.isSocket()) throw new AtmError('exists', `${path} is there already and is no socket`);
  const isServed = await new Promise<boolean>((resolve) => {
    const probe = createConnection(path);
    probe.on('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.on('error', () => resolve(false));
  });
  if (isServed) throw new AtmError('exists', `another program serves ${path}`);
  await unlink(path);
}

function listen(server: Server, path: string): Promise<void> {
  // The file must never be open to others, not even for a moment: it is made with this mask.
  const before = process.umask(0o177);
  return new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => {
      reject(new AtmError('refused', `cannot serve ${path}: ${cause.message}`, { cause }));
    });
    server.listen(path, () => resolve());
  }).finally(() => process.umask(before));
}

function refuse(code: Refusal['code'], reason: string): Refusal {
  return { ok: false, code, reason };
}

/** zod gives optional keys as `undefined`; the device's type has them absent. */
function withoutUndefined(command: z.infer<typeof controlCommand>): ControlCommand {
  switch (command.do) {
    case 'fault': {
      const { times, value } = command;
      return {
        do: 'fault',
        name: command.name,
        ...(times === undefined ? {} : { times }),
        ...(value === undefined ? {} : { value }),
      };
    }
    case 'cassette': {
      const { denomination: face, count, present, code } = command;
      return {
        do: 'cassette',
        position: command.position,
        ...(face === undefined ? {} : { denomination: face }),
        ...(count === undefined ? {} : { count }),
        ...(present === undefined ? {} : { present }),
        ...(code === undefined ? {} : { code }),
      };
    }
    case 'cashbox': {
      const { present, empty } = command;
      return { do: 'cashbox', present, ...(empty === undefined ? {} : { empty }) };
    }
    default:
      return command;
  }
}
