/** The machine itself: devices, disk, records, and what it owes. */
import { statfsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { DeviceIdentity } from '#hal/cash-acceptor.ts';
import { StoreError } from '#protocol/base/errors.ts';
import { supersedes } from '#protocol/documents/document.ts';
import { incomingTypeNames, incomingTypes } from '#protocol/documents/registry.ts';
import { listBackups } from '#state/backup.ts';
import { relayReportsOf } from '../documents/outgoing.ts';
import { telemetryGrant } from '../documents/telemetry.ts';
import { isSwapped } from '../exchange/cassettes.ts';
import { sentence } from '../texts/doctor.ts';
import { adviceOn } from './advice.ts';
import { type Finding, fault, warning, well } from './findings.ts';
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
    device('validator', devices.identity('acceptor'), accepts, accepts.cashBox),
    device('dispenser', devices.identity('dispenser'), dispenses, dispenses?.path),
    ...parts.store.cashUnits
      .list()
      .filter(({ position }) => isSwapped(parts, position))
      .map(({ position }) => swapped(position)),
  ];
}

const swapped = (position: number): Finding =>
  warning('cassettes', sentence('cassettes.swapped', { position }), sentence('next.cassette'));

function device(
  subject: 'validator' | 'dispenser',
  identity: DeviceIdentity | undefined,
  status:
    | { readonly device: string; readonly fault: { readonly text: string } | undefined }
    | undefined,
  /** Of the cash box, or of the path. */
  more: string = 'unknown',
): Finding {
  const { next } = adviceOn(subject);
  if (!identity || !status) return fault(subject, sentence(`device.none.${subject}`), next);
  const { protocol, model, firmware, serialNumber } = identity;
  const serial = serialNumber === undefined ? '' : `, serial number ${serialNumber}`;
  const who = `${model} (${protocol}, firmware ${firmware}${serial})`;
  if (status.device === 'ready')
    return well(subject, sentence(`device.ready.${subject}`, { who, more }));
  const why = status.fault?.text ?? status.device;
  return fault(subject, sentence('device.notReady', { who, why }), next);
}

/** A real commit that is on the disk, and the room that is left. */
export function examineDisk({ parts }: DoctorSources): readonly Finding[] {
  const { store, clock, config } = parts;
  const startedMs = clock.monotonic();
  try {
    store.commit(() => store.facts.put(FACT, { examined: true }, clock.now()));
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    const text = sentence('disk.takesNothing', { why: error.message });
    return [fault('disk', text, adviceOn('disk').next)];
  }
  const tookMs = clock.monotonic() - startedMs;
  const written =
    tookMs <= SLOW_COMMIT_MS
      ? well('disk', sentence('disk.committed', { ms: tookMs.toFixed(1) }))
      : warning(
          'disk',
          sentence('disk.slow', { ms: Math.round(tookMs) }),
          sentence('next.slowDisk'),
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
  const text = sentence('disk.free', { mebibytes: Math.floor(bytes / 1_024 ** 2), folder });
  const next = sentence('next.makeRoom');
  if (bytes < FREE_BYTES_MIN) return fault('disk', text, next);
  return bytes < FREE_BYTES_LOW ? warning('disk', text, next) : well('disk', text);
}

/** The end of the hash chain. */
export function examineJournal({ parts }: DoctorSources): readonly Finding[] {
  const { journal } = parts.store;
  const { chain, entries, problem } = journal.verifyTail(TAIL_ENTRIES);
  if (chain === 'ok') {
    return [well('journal', sentence('journal.whole', { count: journal.count(), entries }))];
  }
  const text = sentence('journal.broken', { why: problem ?? 'unknown' });
  return [fault('journal', text, sentence('next.keepDiskStop'))];
}

/** The copies of the state, by the newest one. */
export function examineBackups(stateFolder: string, nowUnixMs: number): readonly Finding[] {
  const next = sentence('next.backup');
  const newest = newestBackup(join(stateFolder, 'backups'));
  if (!newest) return [warning('backups', sentence('backups.none'), next)];
  const ageMs = nowUnixMs - newest.atUnixMs;
  const text = sentence('backups.newest', { count: newest.count, ageMs });
  const isOld = ageMs > BACKUP_AGE_MS;
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
    const why = said.join('; ');
    const key = why === '' ? 'documents.waits' : 'documents.waitsWhy';
    const text = sentence(key, { name: type, ageMs: waitsMs, why });
    return [warning('documents', text, sentence('next.publication'))];
  });
  return [...incoming, ...outgoing, ...telemetryFinding(sources)];
}

/** Off where the bunker does not sign it: no fault, but the operator may want to know why. */
function telemetryFinding({ parts }: DoctorSources): readonly Finding[] {
  const grant = telemetryGrant(parts.store);
  if (!grant) return [];
  if (grant.isGranted) return [well('documents', sentence('telemetry.on'))];
  return [well('documents', sentence('telemetry.off', { why: grant.why }))];
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
            sentence('documents.refused', { name, why: refused.reason ?? 'unknown' }),
            sentence('next.correct'),
          ),
        ]
      : [];
  // Both are optional (design 10).
  if (!applied && (type === 'limits' || type === 'technicians')) return newer;
  if (!applied) {
    const text = sentence('documents.none', { name });
    return [warning('documents', text, sentence('next.publish')), ...newer];
  }
  const values = { name, ageMs: clock.now() - applied.createdAt * 1_000 };
  if (applied.author === operatorPubkey()) {
    return [well('documents', sentence('documents.inForce', values)), ...newer];
  }
  const text = sentence('documents.ofEarlier', values);
  return [warning('documents', text, sentence('next.publishNewKey')), ...newer];
}

/** What is owed or not known, and acts whose end is not known yet. */
export function examineObligations({ parts }: DoctorSources): readonly Finding[] {
  const { store, clock } = parts;
  const open = store.obligations.list({ open: true });
  const [oldest] = open;
  if (!oldest) return [well('obligations', sentence('obligations.none'))];
  const { reference, kind } = oldest;
  const ageMs = clock.now() - oldest.createdAtUnixMs;
  const text = sentence('obligations.open', { count: open.length, reference, kind, ageMs });
  return [warning('obligations', text, sentence('next.obligations'))];
}

/** What a thief of the disk would have (design 1.6). */
export function examineKeys({ parts, sealedBy }: DoctorSources): readonly Finding[] {
  const sealed =
    sealedBy === 'credential'
      ? well('key', sentence('key.sealed'))
      : warning('key', sentence('key.beside'), sentence('next.credential'));
  return [sealed, tokenFinding(parts.config.signer.tokenExpiresOn, parts.clock.now())];
}

function tokenFinding(expiresOn: string | undefined, nowUnixMs: number): Finding {
  if (expiresOn === undefined || expiresOn === 'never') {
    const key = expiresOn === 'never' ? 'key.never' : 'key.untold';
    return warning('key', sentence(key), sentence('next.expiry'));
  }
  const leftMs = Date.parse(expiresOn) - nowUnixMs;
  const text = sentence('key.expires', { day: expiresOn });
  if (leftMs < TOKEN_SOON_MS) {
    const next = sentence('next.newSeed');
    return leftMs < 0 ? fault('key', text, next) : warning('key', text, next);
  }
  return well('key', text);
}
