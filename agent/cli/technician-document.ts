/**
 * `spire technician document`: what the operator publishes to shut out or to invite from afar. The
 * machine holds no key of the operator, so this only prints the text; it needs no agent either.
 */
import type { Command } from 'commander';
import { type Clock, type Random, systemClock, systemRandom } from '#protocol/base/clock.ts';
import { readText } from '#protocol/documents/document.ts';
import { technicians } from '#protocol/documents/technicians.ts';
import { canonicalJson, type JsonObject } from '#state/json.ts';
import type { Permission } from '../api/visit-schemas.ts';
import { inviteHash } from '../exchange/technicians.ts';
import { CommandError, exitCode } from './exit.ts';
import type { Terminal } from './terminal.ts';

/** 256 bits, as an invite of the machine's own. */
const INVITE_BYTES = 32;
const DAY_SEC = 86_400;

/** What the document is to say. */
export interface DocumentOptions {
  readonly revoke: readonly string[];
  readonly delete: readonly string[];
  readonly confirm: readonly string[];
  readonly invite: readonly string[];
  readonly permissions: readonly Permission[];
  readonly days?: number;
  readonly json?: true;
}

/** A document with the invites that it names by their hashes alone. */
export interface MadeDocument {
  /** Canonical JSON, to be encrypted to the machine and published as it is. */
  readonly content: string;
  readonly invites: readonly { readonly name: string; readonly invite: string }[];
}

/** Adds the verb, with the options of `technician invite`. */
export function addTechnicianDocument(verb: Command, terminal: Terminal): void {
  const several = (word: string, before: readonly string[]) => [...before, word];
  verb
    .option('--revoke <who>', 'shuts one out, by name or id; may be given again', several, [])
    .option('--delete <who>', 'the same, and the name is free again', several, [])
    .option('--confirm <who>', 'lets one in again whom a restore suspended', several, [])
    .option('--invite <name>', 'makes an invite, told once; may be given again', several, [])
    .action((options: DocumentOptions) => {
      const made = technicianDocument(options, systemClock, systemRandom);
      if (options.json) terminal.out.write(`${JSON.stringify(made, null, 2)}\n`);
      else {
        for (const { name, invite } of made.invites) {
          terminal.err.write(`Invite for ${name}, good once. It is not told again: ${invite}\n`);
        }
        terminal.out.write(`${made.content}\n`);
      }
    });
}

/**
 * Makes the document, and reads it as a machine would: one that a machine refuses is not printed.
 * @throws CommandError `usage`
 */
export function technicianDocument(
  options: DocumentOptions,
  clock: Clock,
  random: Random,
): MadeDocument {
  const invites = options.invite.map((name) => {
    return { name, invite: Buffer.from(random.bytes(INVITE_BYTES)).toString('hex') };
  });
  const { days, permissions } = options;
  const expires =
    days === undefined ? {} : { expires_at: Math.floor(clock.now() / 1_000) + days * DAY_SEC };
  const hashed = invites.map(({ name, invite }): JsonObject => {
    return { name, hash: inviteHash(invite), permissions: [...permissions], ...expires };
  });
  // Names of earlier documents are not taken over: the next bearer of a name is another person.
  const content = canonicalJson({
    schema_version: 1,
    revoked: [...options.revoke],
    deleted: [...options.delete],
    confirmed: [...options.confirm],
    invites: hashed,
  });
  const read = readText(technicians, content);
  if (read.kind === 'document') return { content, invites };
  throw new CommandError(exitCode.usage, `A machine would refuse this: ${read.reason}`);
}
