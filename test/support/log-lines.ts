import { createLog, type Log } from '#protocol/base/log.ts';

/** A log that keeps its lines, at the most talkative level. */
export function logLines(): { readonly log: Log; readonly lines: string[] } {
  const lines: string[] = [];
  return { log: createLog('trace', { write: (line) => void lines.push(line) }), lines };
}
