import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const collectGarbage: unknown = runInNewContext('gc');

/** Bytes of the heap that are in use when all garbage is gone. */
export function heapUsed(): number {
  if (typeof collectGarbage !== 'function') throw new Error('there is no way to collect garbage');
  collectGarbage();
  return process.memoryUsage().heapUsed;
}
