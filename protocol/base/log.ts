/** The one log: pino, JSON lines to standard output (journald), secrets kept out twice. */
import { type DestinationStream, destination, type Logger, pino } from 'pino';

/** A logger; rooms take `log.child({ room, device })`. */
export type Log = Logger;

/** Second net only: values that must not be seen are wrapped in `Secret`. */
const REDACTED = ['secret', 'nsec', 'lnurl', 'code', 'pin', 'token', 'seed', 'clientKey'];

/** Opens the root logger; synchronous, so that the last line before a power cut is out. */
export function createLog(
  level: string,
  stream: DestinationStream = destination({ dest: 1, sync: true }),
): Log {
  const paths = REDACTED.flatMap((key) => [key, `*.${key}`]);
  return pino({ level, redact: { paths, censor: '[redacted]' } }, stream);
}

/** A logger that says nothing, for tools whose output is their result. */
export const silentLog: Log = pino({ level: 'silent' });
