/** How long the soaks run, and from which seed: a few seconds together, unless told otherwise. */

/** What fast-check is to be told. */
export interface SoakSettings {
  readonly numRuns: number;
  readonly seed?: number;
  readonly path?: string;
}

/**
 * Settings of one soak. `SOAK_RUNS` makes it longer; `SOAK_SEED`, and the path that fast-check
 * printed in `SOAK_PATH`, play one again: `SOAK_RUNS=50000 vitest run --testTimeout=0
 * test/hal/sio/soak.test.ts`.
 */
export function soakSettings(runs: number): SoakSettings {
  const { SOAK_RUNS, SOAK_SEED, SOAK_PATH } = process.env;
  return {
    numRuns: Number(SOAK_RUNS ?? runs),
    ...(SOAK_SEED === undefined ? {} : { seed: Number(SOAK_SEED) }),
    ...(SOAK_PATH === undefined ? {} : { path: SOAK_PATH }),
  };
}
