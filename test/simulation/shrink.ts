/** The shortest history that still breaks the same promise. */
import type { EpisodeResult } from './episode.ts';
import type { Action, Plan } from './plan.ts';

/** Runs a plan. */
export type Run = (plan: Plan) => Promise<EpisodeResult>;

/** Runs that a search may take; most histories are down to a few actions by then. */
const RUNS_MAX = 250;

/** A history, and how many runs it took to find it. */
export interface Shrunk {
  readonly plan: Plan;
  readonly runs: number;
}

/**
 * Leaves out whole actions, then single disturbances, as long as the same promise breaks. Bounded,
 * so it may stop before nothing can be left out any more.
 */
export async function shrink(plan: Plan, promise: string, run: Run): Promise<Shrunk> {
  let runs = 0;
  const breaks = async (candidate: Plan): Promise<boolean> => {
    runs += 1;
    return (await run(candidate)).violation?.promise === promise;
  };
  let best = plan;
  for (let size = Math.ceil(plan.actions.length / 2); size >= 1; size = Math.floor(size / 2)) {
    for (let at = 0; at < best.actions.length && runs < RUNS_MAX; ) {
      const actions = best.actions.filter((_, place) => place < at || place >= at + size);
      const candidate = { ...best, actions };
      if (await breaks(candidate)) best = candidate;
      else at += size;
    }
  }
  for (const { action, disturbance } of disturbancesOf(best)) {
    if (runs >= RUNS_MAX) break;
    const candidate = without(best, action, disturbance);
    if (await breaks(candidate)) best = candidate;
  }
  return { plan: best, runs };
}

type Disturbance = Action['disturbances'][number];

function disturbancesOf({ actions }: Plan) {
  return actions.flatMap(({ id, disturbances }) =>
    disturbances.map((disturbance) => ({ action: id, disturbance })),
  );
}

function without(plan: Plan, id: number, left: Disturbance): Plan {
  const actions = plan.actions.map((action) =>
    action.id === id
      ? { ...action, disturbances: action.disturbances.filter((one) => one !== left) }
      : action,
  );
  return { ...plan, actions };
}
