/** `spire technician`: who may open the machine; for its owner, on the machine itself. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { systemClock } from '#protocol/base/clock.ts';
import {
  type EndTechnicianResult,
  endTechnicianResult,
  type InviteView,
  inviteResult,
  type Permission,
  permission,
  permissions,
  type TechniciansView,
  type TechnicianView,
  techniciansView,
} from '../api/visit-schemas.ts';
import { ask } from './client.ts';
import { duration, instant, plain } from './format.ts';
import { addTechnicianDocument } from './technician-document.ts';
import { type Common, jsonOption, print, read, socketOption, type Terminal } from './terminal.ts';

const DAY_MS = 86_400_000;
/** Longest that a technician may be let in for at once, days: ten years. */
const DAYS_MAX = 3_650;

interface InviteOptions extends Common {
  readonly permissions: readonly Permission[];
  readonly days?: number;
}
interface EndOptions extends Common {
  readonly reason: string;
}

/** Adds the verbs. */
export function addTechnician(program: Command, terminal: Terminal): void {
  const technician = program.command('technician');
  const verb = (name: string, description: string) =>
    technician
      .command(name)
      .description(description)
      .addOption(jsonOption())
      .addOption(socketOption());
  withAccess(verb('invite', 'makes an invite, told once; used with: spire service --invite'))
    .argument('<name>', 'how the technician signs in, and stands in records')
    .action((name: string, options: InviteOptions) => invite(terminal, name, options));
  verb('list', 'all technicians and invites that there ever were').action(
    async (options: Common) => {
      const all = await read(options, 'service/technicians', techniciansView);
      print(terminal, options, all, () => formatTechnicians(all));
    },
  );
  const ending = (name: string, description: string, path: string) =>
    verb(name, description)
      .argument('<who>', 'name or id; also of an invite that is open')
      .requiredOption('--reason <words>', 'why; it goes into the journal')
      .action(async (who: string, options: EndOptions) => {
        const { socket: socketPath, reason } = options;
        const body = { who, reason };
        const result = await ask({ socketPath, path, schema: endTechnicianResult, body });
        print(terminal, options, result, () => formatEnd(name, result));
      });
  const at = '/v1/service/technicians';
  ending('revoke', 'shuts one out from now on; the name stays taken', `${at}/revocations`);
  ending('delete', 'the same, and the name is free again; records keep it', `${at}/deletions`);
  const document = technician
    .command('document')
    .description('prints a bitspire-technicians document, for the operator to publish')
    .addOption(jsonOption());
  addTechnicianDocument(withAccess(document), terminal);
  ending('confirm', 'lets one in again whom a restore suspended', `${at}/confirmations`);
}

/** What one who is invited may do, and for how long. */
const withAccess = (verb: Command): Command =>
  verb
    .addOption(
      new Option('--permissions <list>', `of ${permissions.join(', ')}; with commas between`)
        .argParser(permissionsOf)
        .default(['counts', 'exchange', 'test', 'collect']),
    )
    .option('--days <days>', 'after which the technician is shut out; never unless given', daysOf);

function permissionsOf(text: string): Permission[] {
  return text.split(',').map((word) => {
    const parsed = permission.safeParse(word.trim());
    if (parsed.success) return parsed.data;
    throw new InvalidArgumentError(`"${word}" is none of ${permissions.join(', ')}.`);
  });
}

function daysOf(text: string): number {
  const days = Number(text);
  if (/^\d+$/.test(text) && days >= 1 && days <= DAYS_MAX) return days;
  throw new InvalidArgumentError(`It has to be a number from 1 to ${DAYS_MAX}.`);
}

async function invite(terminal: Terminal, name: string, options: InviteOptions): Promise<void> {
  const { socket: socketPath, days } = options;
  const expiresAtUnixMs = days === undefined ? null : systemClock.now() + days * DAY_MS;
  const result = await ask({
    socketPath,
    path: '/v1/service/invites',
    schema: inviteResult,
    body: { name, permissions: [...options.permissions], expiresAtUnixMs },
  });
  const until = instant(result.inviteExpiresAtUnixMs);
  print(terminal, options, result, () =>
    [
      `Invite for ${plain(result.name)}, good once, until ${until}. It is not told again:`,
      result.invite,
      'To be typed at this machine after: spire service --invite',
    ].join('\n'),
  );
}

function formatTechnicians({ technicians, invites }: TechniciansView): string {
  if (technicians.length + invites.length === 0) return 'Nobody was ever invited.';
  return [...technicians.map(technicianLines), ...invites.map(inviteLines)].flat().join('\n');
}

const when = (unixMs: number): string =>
  `${instant(unixMs)}, ${duration(systemClock.now() - unixMs)} ago`;

function technicianLines(one: TechnicianView): string[] {
  const { name, state, permissions: may, id, expiresAtUnixMs, lastSignInUnixMs, endedBy } = one;
  return [
    `${plain(name)}  ${state}`,
    `  id       ${id}`,
    `  may      ${may.join(', ')}`,
    ...(lastSignInUnixMs === null ? [] : [`  seen     ${when(lastSignInUnixMs)}`]),
    ...(expiresAtUnixMs === null ? [] : [`  expires  ${instant(expiresAtUnixMs)}`]),
    ...(endedBy === null ? [] : [`  ended    ${plain(endedBy)}`]),
  ];
}

const inviteLines = (one: InviteView): string[] => [
  `${plain(one.name)}  invite, ${one.state}`,
  `  id       ${one.id}`,
  `  may      ${one.permissions.join(', ')}`,
  `  good to  ${instant(one.inviteExpiresAtUnixMs)}`,
];

const DONE: Readonly<Record<string, string>> = {
  revoke: 'is shut out',
  delete: 'is shut out and deleted',
  confirm: 'may sign in again',
};

function formatEnd(verb: string, { outcome, ended, name }: EndTechnicianResult): string {
  const whom = ended === 'invite' ? `The invite for ${plain(name)}` : plain(name);
  if (outcome === 'alreadyEnded') return `${whom} was ended before; nothing was changed.`;
  return `${whom} ${ended === 'invite' ? 'is void' : DONE[verb]}.`;
}
