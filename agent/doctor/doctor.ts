/** The real handshake with everything, asked for by `spire doctor` (design 12). */
import { type Clock, timedOut, withDeadline } from '#protocol/base/clock.ts';
import { messageOf } from '#protocol/base/errors.ts';
import type { DoctorReport } from '../api/schemas.ts';
import { sentence } from '../texts/doctor.ts';
import type { Reason } from '../watch/reasons.ts';
import { adviceOn } from './advice.ts';
import { type Finding, fault, reportOf, warning, well, worst } from './findings.ts';
import {
  examineBackups,
  examineDevices,
  examineDisk,
  examineDocuments,
  examineJournal,
  examineKeys,
  examineObligations,
} from './machine.ts';
import { examineClock, examineRelays, examineSigner, examineWallet } from './network.ts';
import type { DoctorSources } from './sources.ts';

/** Longest that one look may take, ms: above the bounds of the network's own. */
export const EXAMINATION_LIMIT_MS = 65_000;

/** Examines the running agent; who asks meanwhile gets the same report. */
export class Doctor {
  readonly #sources: DoctorSources;
  #examining: Promise<DoctorReport> | undefined;

  constructor(sources: DoctorSources) {
    this.#sources = sources;
  }

  /** All findings, most important first. Sends no command that moves anything. */
  examine(): Promise<DoctorReport> {
    this.#examining ??= this.#examine().finally(() => {
      this.#examining = undefined;
    });
    return this.#examining;
  }

  async #examine(): Promise<DoctorReport> {
    const sources = this.#sources;
    const { clock, config } = sources.parts;
    const looks: readonly [string, () => readonly Finding[] | Promise<readonly Finding[]>][] = [
      ['relay', () => examineRelays(sources)],
      ['signer', () => examineSigner(sources)],
      ['wallet', () => examineWallet(sources)],
      ['validator', () => examineDevices(sources)],
      ['disk', () => examineDisk(sources)],
      ['journal', () => examineJournal(sources)],
      ['documents', () => examineDocuments(sources)],
      ['obligations', () => examineObligations(sources)],
      ['backups', () => examineBackups(config.paths.state, clock.now())],
      ['key', () => examineKeys(sources)],
    ];
    const found = await Promise.all(looks.map(([name, look]) => bounded(clock, name, look)));
    // The clock last: the wallet's answer of this very examination has told the time.
    const seen = [...found.flat(), ...examineClock(sources)];
    const findings = [...directions(sources), ...withReasons(sources, seen)];
    return reportOf('running', findings, clock.now());
  }
}

/** A look that fails or does not end is a finding, and hides no other. */
async function bounded(
  clock: Clock,
  subject: string,
  look: () => readonly Finding[] | Promise<readonly Finding[]>,
): Promise<readonly Finding[]> {
  const next = sentence('next.log');
  try {
    const started = Promise.resolve().then(look);
    const findings = await withDeadline(clock, EXAMINATION_LIMIT_MS, started);
    if (findings !== timedOut) return findings;
    return [fault(subject, sentence('look.late'), next)];
  } catch (error) {
    return [fault(subject, sentence('look.failed', { why: messageOf(error) }), next)];
  }
}

/** Whether customers are served, and where to read why not. */
function directions({ parts }: DoctorSources): readonly Finding[] {
  return (['cashIn', 'cashOut'] as const).map((direction) => {
    const reasons = parts.board.list(direction);
    const name = `@direction.${direction}`;
    if (reasons.length === 0)
      return well(direction, sentence('direction.open', { direction: name }));
    const subjects = [...new Set(reasons.map(({ code }) => adviceOn(code).subject))];
    const named = subjects.map((subject) => `@subject.${subject}`).join(', ');
    const text = sentence('direction.closed', { direction: name, subjects: named });
    const next = sentence('next.seeBelow', { subjects: named });
    const level = worst(reasons.map(({ code }) => adviceOn(code).level));
    return level === 'fault' ? fault(direction, text, next) : warning(direction, text, next);
  });
}

/**
 * Adds why a direction is closed to what was seen of the same thing; what only says the same in
 * other words is left out.
 */
function withReasons({ parts }: DoctorSources, seen: readonly Finding[]): readonly Finding[] {
  const reasons = new Map<string, Reason>();
  for (const direction of ['cashIn', 'cashOut'] as const) {
    for (const reason of parts.board.list(direction)) {
      reasons.set(`${reason.code} ${reason.text}`, reason);
    }
  }
  const closing = [...reasons.values()].map(({ code, text }): Finding => {
    const { subject, level, next } = adviceOn(code);
    const why = sentence('reason.closed', { code, why: text });
    return level === 'fault' ? fault(subject, why, next) : warning(subject, why, next);
  });
  const isSaid = ({ subject, level }: Finding) =>
    level === 'fault' && closing.some((one) => one.subject === subject && one.level === 'fault');
  return [...seen.filter((finding) => !isSaid(finding)), ...closing].toSorted(bySeverity);
}

/** Faults first; things of one severity stay in the order in which they were looked at. */
function bySeverity(one: Finding, other: Finding): number {
  if (one.level === other.level) return 0;
  return worst([one.level, other.level]) === one.level ? -1 : 1;
}
