/** Every protocol that is fuzzed: a further one is one entry here. */
import { ccnetTarget } from './ccnet.ts';
import { ebdsTarget } from './ebds.ts';
import { f56Target } from './f56.ts';
import { id003Target } from './id003.ts';
import { lcdmTarget } from './lcdm.ts';
import { sioTarget } from './sio.ts';
import { sspTarget } from './ssp.ts';
import type { FuzzTarget } from './target.ts';

/** The protocols by name. */
export const fuzzTargets: readonly FuzzTarget[] = [
  id003Target,
  ccnetTarget,
  ebdsTarget,
  f56Target,
  lcdmTarget,
  sioTarget,
  sspTarget,
];
