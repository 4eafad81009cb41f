/** The machine itself: devices, disk, records, and what it owes. */
import { statfsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { DeviceIdentity } from '#hal/cash-acceptor.ts';
import { StoreError } from '#protocol/base/errors.ts';
import { supersedes } from '#protocol/documents/document.ts';
import { incomingTypeNames, incomingTypes } from '#protocol/documents/registry.ts';
import { listBackups } from '#state/backup.ts';
import { relayReportsOf } from '../documents/outgoing.ts';
import { isSwapped } from '../exchange/cassettes.ts';
import { advice } from './advice.ts';
import { ageWords, type Finding, fault, warning, well } from './findings.ts';
import type { DoctorSources } from './sources.ts';

/** Journal entries whose chain is proven: about 5 ms of hashing. */
const TAIL_ENTRIES = 1_000;
/** A commit that takes longer makes customers wait, and its disk is about to fail, ms. */
const SLOW_COMMIT_MS = 1_000;
/** The database grows by about 1 MB a day; the backups need as much again each. */
const FREE_BYTES_LOW = 1_024 ** 3;
const FREE_BYTES_MIN = 100 * 1_024 ** 2;
/** A nightly backup is missing when the last one is older, ms. */
const BACKUP_AGE_MS = 36 * 3_600_000;
/** A document of ours that could not be published for so long is worth a look, ms. */
const PENDING_MS = 600_000;
/** Where the fact is kept that the disk was written to by an examination. */
const FACT = 'doctor';
/** An expiry nearer than this is worth a new pairing in time, ms. */
const TOKEN_SOON_MS = 14 * 86_400_000;

/** Both devices, identified, by what they say now. */
export async function examineDevices(sources: DoctorSources): Promise<readonly Finding[]> {
  const { devices, parts } = sources;
  const dispenses = await devices.askDispenser();
  const accepts = parts.acceptor.status();
  return [
    device('validator', devices.identity('acceptor'), accepts, `cash box ${accepts.cashBox}`),
    device('dispenser', devices.identity('dispenser'), dispenses, `path ${dispenses?.path}`),
    ...parts.store.cashUnits
      .list()
      .filter(({ position }) => isSwapped(parts, position))
      .map(({ position }) => swapped(position)),
  ];
}

const swapped = (position: number): Finding =>
  warning(
    'cassettes',
    `Bay ${position} is closed: another cassette than before stands there.`,
    'In an exchange (spire service) put the right one in, and count what it holds.',
  );

function device(
  subject: 'validator' | 'dispenser',
  identity: DeviceIdentity | undefined,
  status:
    | { readonly device: string; readonly fault: { readonly text: string } | undefined }
    | undefined,
  more: string,
): Finding {
  const { next } = advice[subject];
  if (!identity || !status) return fault(subject, `No ${subject} has answered.`, next);
  const { protocol, model, firmware, serialNumber } = identity;
  const serial = serialNumber === undefined ? '' : `, serial number ${serialNumber}`;
  const who = `${model} (${protocol}, firmware ${firmware}${serial})`;
  if (status.device === 'ready') return well(subject, `${who} is ready, ${more}.`);
  return fault(subject, `${who} is not ready: ${status.fault?.text ?? status.device}.`, next);
}

/** A real commit that is on the disk, and the room that is left. */
export function examineDisk({ parts }: DoctorSources): readonly Finding[] {
  const { store, clock, config } = parts;
  const startedMs = clock.monotonic();
  try {
    store.commit(() => store.facts.put(FACT, { examined: true }, clock.now()));
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    return [fault('disk', `The disk takes nothing: ${error.message}.`, advice.disk.next)];
  }
  const tookMs = clock.monotonic() - startedMs;
  const written =
    tookMs <= SLOW_COMMIT_MS
      ? well('disk', `A commit was on the disk in ${tookMs.toFixed(1)} ms.`)
      : warning(
          'disk',
          `A commit took ${Math.round(tookMs)} ms to reach the disk.`,
          'Look at the disk (smartctl -a) and at what else writes to it.',
        );
  return [written, freeSpace(config.paths.state)];
}

/** The room that is left where the state is. */
export function freeSpace(folder: string): Finding {
  const { bavail, bsize } = statfsSync(folder);
  return spaceFinding(folder, bavail * bsize);
}

/** What so many free bytes mean. */
export function spaceFinding(folder: string, bytes: number): Finding {
  const text = `${Math.floor(bytes / 1_024 ** 2)} MiB are free in ${folder}.`;
  const next = 'Make room: the machine stops to take money when the disk is full.';
  if (bytes < FREE_BYTES_MIN) return fault('disk', text, next);
  return bytes < FREE_BYTES_LOW ? warning('disk', text, next) : well('disk', text);
}

/** The end of the hash chain. */
export function examineJournal({ parts }: DoctorSources): readonly Finding[] {
  const { journal } = parts.store;
  const { chain, entries, problem } = journal.verifyTail(TAIL_ENTRIES);
  if (chain === 'ok') {
    return [well('journal', `${journal.count()} entries; the last ${entries} are whole.`)];
  }
  const next = 'Keep the disk as it is, stop the machine, and call who looks after it.';
  return [fault('journal', `The journal is broken: ${problem ?? 'unknown'}.`, next)];
}

/** The copies of the state, by the newest one. */
export function examineBackups(stateFolder: string, nowUnixMs: number): readonly Finding[] {
  const next = 'Make one now: spire backup. Then see why the nightly one is missing.';
  const newest = newestBackup(join(stateFolder, 'backups'));
  if (!newest) return [warning('backups', 'There is no backup of the state.', next)];
  const age = ageWords(nowUnixMs - newest.atUnixMs);
  const text = `The newest of ${newest.count} backups is ${age} old.`;
  const isOld = nowUnixMs - newest.atUnixMs > BACKUP_AGE_MS;
  return [isOld ? warning('backups', text, next) : well('backups', text)];
}

function newestBackup(folder: string) {
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) return undefined;
  const paths = listBackups(folder);
  const path = paths.at(-1);
  return path && { count: paths.length, atUnixMs: statSync(path).mtimeMs };
}

/** The operator's documents in force with their ages, and ours that the relays do not have. */
export function examineDocuments(sources: DoctorSources): readonly Finding[] {
  const { store, clock } = sources.parts;
  const incoming = incomingTypeNames.flatMap((type) => incomingFinding(sources, type));
  const outgoing = store.outbox.pending().flatMap(({ type, sinceUnixMs }): Finding[] => {
    const waitsMs = clock.now() - sinceUnixMs;
    if (waitsMs < PENDING_MS) return [];
    const said = relayReportsOf(store, type).map(({ url, reason }) => `${url}: ${reason}`);
    const why = said.length === 0 ? '' : ` (${said.join('; ')})`;
    const text = `${type} has waited for ${ageWords(waitsMs)} to be published${why}.`;
    return [warning('documents', text, 'Look at signer and relays: spire documents.')];
  });
  return [...incoming, ...outgoing];
}

function incomingFinding(
  { parts, operatorPubkey }: DoctorSources,
  type: (typeof incomingTypeNames)[number],
): readonly Finding[] {
  const { store, clock } = parts;
  const { name } = incomingTypes[type];
  const applied = store.documents.applied(type);
  const refused = store.documents.lastRefused(type);
  const newer =
    refused && supersedes(refused, applied)
      ? [
          warning(
            'documents',
            `A newer ${name} was refused: ${refused.reason ?? 'unknown'}.`,
            'Have the operator correct it and publish it again.',
          ),
        ]
      : [];
  // Both are optional (design 10).
  if (!applied && (type === 'limits' || type === 'technicians')) return newer;
  if (!applied) {
    const text = `There is no ${name} yet.`;
    return [warning('documents', text, 'Have the operator publish it.'), ...newer];
  }
  const text = `${name} in force is ${ageWords(clock.now() - applied.createdAt * 1_000)} old`;
  if (applied.author === operatorPubkey()) return [well('documents', `${text}.`), ...newer];
  const next = 'Have the operator publish it again with the new key.';
  return [warning('documents', `${text}, and of an earlier operator's key.`, next), ...newer];
}

/** What is owed or not known, and acts whose end is not known yet. */
export function examineObligations({ parts }: DoctorSources): readonly Finding[] {
  const { store, clock } = parts;
  const open = store.obligations.list({ open: true });
  const [oldest] = open;
  if (!oldest) return [well('obligations', 'Nothing is owed, and nothing is unknown.')];
  const age = ageWords(clock.now() - oldest.createdAtUnixMs);
  const text = `${open.length} open, the oldest (${oldest.reference}, ${oldest.kind}) for ${age}.`;
  return [warning('obligations', text, 'See what is owed: spire obligations.')];
}

/** What a thief of the disk would have (design 1.6). */
export function examineKeys({ parts, sealedBy }: DoctorSources): readonly Finding[] {
  const sealed =
    sealedBy === 'credential'
      ? well('key', 'Pairing and secrets are sealed by a key that is not on the disk in clear.')
      : warning(
          'key',
          'The key that seals the secrets lies beside them: whoever takes the disk has both.',
          'Give the service a credential bound to its TPM (runbook install.md, step 4).',
        );
  return [sealed, tokenFinding(parts.config.signer.tokenExpiresOn, parts.clock.now())];
}

function tokenFinding(expiresOn: string | undefined, nowUnixMs: number): Finding {
  if (expiresOn === undefined || expiresOn === 'never') {
    return warning(
      'key',
      expiresOn === 'never'
        ? "The bunker's grant never expires: a stolen machine stays good until it is revoked."
        : "This machine is not told when the bunker's grant expires.",
      'Have the operator give an expiry, and write it as `signer.tokenExpiresOn`.',
    );
  }
  const leftMs = Date.parse(expiresOn) - nowUnixMs;
  const next = 'Have the operator make a new seed, and pair again before that day: spire pair.';
  if (leftMs < TOKEN_SOON_MS) {
    const text = `The bunker's grant expires on ${expiresOn}.`;
    return leftMs < 0 ? fault('key', text, next) : warning('key', text, next);
  }
  return well('key', `The bunker's grant expires on ${expiresOn}.`);
}
