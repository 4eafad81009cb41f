/** What an examination finds: each with its cause and the next thing to do, in plain words. */
import type { DoctorReport, FindingView } from '../api/schemas.ts';
import { VERSION } from '../version.ts';

/** One finding. */
export type Finding = FindingView;
/** How bad it is. */
export type Level = Finding['level'];

const LEVELS: readonly Level[] = ['ok', 'warning', 'fault'];

/** All is well with this. */
export function well(subject: string, text: string): Finding {
  return { subject, level: 'ok', text, next: null };
}

/** It works, and somebody should look at it. */
export function warning(subject: string, text: string, next: string): Finding {
  return { subject, level: 'warning', text, next };
}

/** It does not work, or cannot be relied on. */
export function fault(subject: string, text: string, next: string): Finding {
  return { subject, level: 'fault', text, next };
}

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
  const level = worst(findings.map((finding) => finding.level));
  return { level, agent, version: VERSION, atUnixMs, findings: [...findings] };
}

/** A length of time in one unit, as `3 days`. */
export function ageWords(ms: number): string {
  const units: readonly [number, string][] = [
    [86_400_000, 'day'],
    [3_600_000, 'hour'],
    [60_000, 'minute'],
    [1_000, 'second'],
  ];
  const [size, name] = units.find(([unit]) => ms >= unit) ?? [1_000, 'second'];
  const count = Math.max(0, Math.floor(ms / size));
  return `${count} ${name}${count === 1 ? '' : 's'}`;
}
