/** What an examination finds: each with its cause and the next thing to do, in plain words. */
import type { DoctorReport, FindingView } from '../api/schemas.ts';
import { inEnglish, type Sentence } from '../texts/doctor.ts';
import { VERSION } from '../version.ts';

/** One finding. */
export type Finding = FindingView;
/** How bad it is. */
export type Level = Finding['level'];

const LEVELS: readonly Level[] = ['ok', 'warning', 'fault'];

/** A sentence of the catalogue, or words that others said: a device, a disk, a reason. */
export type Said = Sentence | string;

function finding(subject: string, level: Level, found: Said, next: Sentence | null): Finding {
  const isOthers = typeof found === 'string';
  return {
    ...{ subject, level, text: isOthers ? found : inEnglish(found) },
    next: next && inEnglish(next),
    said: isOthers ? null : { key: found.key, values: { ...found.values } },
    nextSaid: next && { key: next.key, values: { ...next.values } },
  };
}

/** All is well with this. */
export const well = (subject: string, found: Said): Finding => finding(subject, 'ok', found, null);

/** It works, and somebody should look at it. */
export const warning = (subject: string, found: Said, next: Sentence): Finding =>
  finding(subject, 'warning', found, next);

/** It does not work, or cannot be relied on. */
export const fault = (subject: string, found: Said, next: Sentence): Finding =>
  finding(subject, 'fault', found, next);

/** The worst of some levels; `ok` of none. */
export function worst(levels: readonly Level[]): Level {
  return LEVELS.findLast((level) => levels.includes(level)) ?? 'ok';
}

/** The report on what was found. */
export function reportOf(
  agent: DoctorReport['agent'],
  findings: readonly Finding[],
  atUnixMs: number,
): DoctorReport {
  const level = worst(findings.map((one) => one.level));
  return { level, agent, version: VERSION, atUnixMs, findings: [...findings] };
}
