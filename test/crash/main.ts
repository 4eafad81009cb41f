/**
 * `npm run crash -- [--seed n] [--second-crashes n] [--workers n] [--json]`: ends the program at
 * every moment of both flows and of recovery, and looks what became of the money. See README.md.
 */
import { availableParallelism } from 'node:os';
import { Command, CommanderError, InvalidArgumentError } from 'commander';
import { Dice } from '#test/simulation/dice.ts';
import { hasStrace } from './disk.ts';
import { type FlowName, flows, type Pair, USUAL_PAIR } from './flows.ts';
import {
  type Counts,
  type Crash,
  crashesAt,
  describeCrash,
  type Point,
  pointsOf,
} from './moments.ts';
import { runAll, runRecorded } from './pool.ts';
import { type RunOptions, runCrashes } from './run.ts';
import type { Done } from './worker.ts';

const EXIT_FOUND = 1;
const EXIT_USAGE = 2;
const WORKERS_MAX = 64;
/** So many first crashes are followed by a second one at every point of their recovery. */
const SECOND_CRASHES_DEFAULT = 2;
const PROGRESS_EVERY = 250;
/** Histories that are told whole; the same defect shows at many points. */
const HISTORIES_MAX = 3;

interface Options extends Pair {
  readonly seed: string;
  readonly secondCrashes: number;
  readonly workers: number;
  readonly flow?: readonly FlowName[];
  readonly realCrypto?: boolean;
  readonly everyWay?: boolean;
  readonly json?: boolean;
  readonly replay?: string;
}

/** One way of dying at one point. */
interface Trial {
  /** The point, counted over all of them. */
  readonly point: number;
  readonly name: string;
  readonly options: RunOptions;
}

const say = (line: string): void => void process.stdout.write(`${line}\n`);
const progress = (line: string): void => void process.stderr.write(`${line}\n`);

/** Everything that was found. */
class Enumeration {
  readonly counts = { writes: 0, bytes: 0, events: 0 };
  points = 0;
  readonly trials: Trial[] = [];
  violations = 0;
  readonly #failed = new Set<number>();
  readonly #options: Options;
  readonly #isTraced = hasStrace();

  constructor(options: Options) {
    this.#options = options;
    progress(`the disk is watched by ${this.#isTraced ? 'strace' : 'the log itself'}`);
  }

  get recovered(): number {
    return this.points - this.#failed.size;
  }

  run(name: FlowName, crashes: readonly Crash[]): RunOptions {
    const { seed, validator, dispenser, realCrypto = false } = this.#options;
    return { flow: flows[name], pair: { validator, dispenser }, crashes, seed, realCrypto };
  }

  /** Records a run, compares the two recorders, and adds its points. */
  async list(name: FlowName, crashes: readonly Crash[]): Promise<readonly Point[]> {
    const words = [name, ...crashes.map(describeCrash)].join(', ');
    const options = this.run(name, crashes);
    const { done, writesOnDisk } = await runRecorded(options, this.#isTraced);
    const { recorded } = done;
    if (done.violation || !recorded) {
      this.#tellViolation(words, options, done);
      return [];
    }
    const { counted, far } = recorded;
    this.#compare(words, counted, { writes: writesOnDisk, bytes: far.bytes, events: far.events });
    for (const kind of ['writes', 'bytes', 'events'] as const) this.counts[kind] += counted[kind];
    progress(
      `${words}: ${counted.writes} writes, ${counted.bytes} bytes (${far.allBytes} with idle ` +
        `polls), ${counted.events} events`,
    );
    return pointsOf(recorded.recording);
  }

  /** Adds what is to be tried at a point. */
  add(name: FlowName, before: readonly Crash[], ways: readonly Crash[]): void {
    this.points += 1;
    for (const crash of ways) {
      const crashes = [...before, crash];
      const words = [name, ...crashes.map(describeCrash)].join(', ');
      this.trials.push({ point: this.points, name: words, options: this.run(name, crashes) });
    }
  }

  async tryAll(): Promise<void> {
    const { trials } = this;
    progress(`${this.points} points, ${trials.length} runs`);
    const runs = trials.map(({ options }) => options);
    const results = await runAll(runs, this.#options.workers, (done) => {
      if (done % PROGRESS_EVERY === 0) progress(`${done} of ${trials.length}`);
    });
    for (const [at, trial] of trials.entries()) {
      const done = results[at];
      if (done && !done.violation) continue;
      this.#failed.add(trial.point);
      if (done) this.#tellViolation(trial.name, trial.options, done);
    }
  }

  #compare(words: string, own: Counts, other: Counts): void {
    if (JSON.stringify(own) === JSON.stringify(other)) return;
    this.violations += 1;
    say(`violation: the recorders disagree about ${words}:`);
    say(`  at the program ${JSON.stringify(own)}`);
    say(`  at disk, port and socket ${JSON.stringify(other)}`);
  }

  #tellViolation(words: string, { flow, crashes }: RunOptions, done: Done): void {
    this.violations += 1;
    say(`violation: ${words}: ${done.violation?.message ?? 'nothing was recorded'}`);
    const name = Object.entries(flows).find(([, one]) => one.doing === flow.doing)?.[0];
    say(`  again: --replay '${JSON.stringify({ flow: words.split(',')[0] ?? name, crashes })}'`);
    if (this.violations > HISTORIES_MAX) return;
    for (const line of done.history) say(`  | ${line}`);
  }
}

async function enumerate(options: Options): Promise<number> {
  const found = new Enumeration(options);
  const dice = new Dice(`second crashes ${options.seed}`);
  const firsts: { readonly name: FlowName; readonly points: readonly Point[] }[] = [];
  for (const name of options.flow ?? (Object.keys(flows) as FlowName[])) {
    const points = await found.list(name, []);
    if (points.length > 0) firsts.push({ name, points });
    for (const point of points) found.add(name, [], crashesAt(point, options.everyWay));
  }
  for (let count = 0; count < options.secondCrashes && firsts.length > 0; count++) {
    const { name, points } = dice.pick(firsts);
    const kind = dice.pick([...new Set(points.map((point) => point.kind))]);
    const first = dice.pick(crashesAt(dice.pick(points.filter((point) => point.kind === kind))));
    for (const point of await found.list(name, [first])) {
      found.add(name, [first], [dice.pick(crashesAt(point))]);
    }
  }
  await found.tryAll();
  const { points, counts, recovered, violations } = found;
  say(JSON.stringify({ points, ...counts, recovered, violations }));
  return violations > 0 ? EXIT_FOUND : 0;
}

/** Runs one history again and tells all of it. */
async function replay(text: string, { seed, validator, dispenser }: Options): Promise<number> {
  const { flow, crashes } = JSON.parse(text) as { flow: FlowName; crashes: readonly Crash[] };
  const pair = { validator, dispenser };
  const { violation } = await runCrashes({ flow: flows[flow], pair, crashes, seed, tell: say });
  say(violation ? `violation: ${violation.message}` : 'recovered');
  return violation ? EXIT_FOUND : 0;
}

function wholeNumber(text: string): number {
  const number = Number(text);
  if (Number.isSafeInteger(number) && number >= 0) return number;
  throw new InvalidArgumentError('Must be a whole number.');
}

function flowName(text: string, before: readonly FlowName[] = []): readonly FlowName[] {
  if (Object.hasOwn(flows, text)) return [...before, text as FlowName];
  throw new InvalidArgumentError(`Must be one of ${Object.keys(flows).join(', ')}.`);
}

const workersDefault = Math.min(availableParallelism(), WORKERS_MAX);
const command = new Command('npm run crash --')
  .description('Ends the program at every moment. Exit code 1 when a promise breaks.')
  .option('--seed <seed>', 'any text; the same seed gives the same runs', '1')
  .option(
    '--second-crashes <n>',
    'first crashes that get a second',
    wholeNumber,
    SECOND_CRASHES_DEFAULT,
  )
  .option('--workers <n>', `processes, 1 to ${WORKERS_MAX}`, wholeNumber, workersDefault)
  .option('--every-way', 'also inside of a chunk: killed and cut at each byte')
  .option('--flow <name>', 'this flow only; may be given again', flowName)
  .option('--validator <protocol>', 'the simulated validator', USUAL_PAIR.validator)
  .option('--dispenser <protocol>', 'the simulated dispenser', USUAL_PAIR.dispenser)
  .option('--real-crypto', 'real signatures and encryption, ten times as slow')
  .option('--replay <history>', 'one history again, with all that happens in it')
  .option('--json', 'nothing but violations before the last line')
  .exitOverride();

try {
  command.parse();
  const options = command.opts<Options>();
  const isWrong = options.workers < 1 || options.workers > WORKERS_MAX;
  if (isWrong) process.exitCode = EXIT_USAGE;
  else if (options.replay === undefined) process.exitCode = await enumerate(options);
  else process.exitCode = await replay(options.replay, options);
} catch (error) {
  if (!(error instanceof CommanderError)) throw error;
  process.exitCode = error.exitCode === 0 ? 0 : EXIT_USAGE;
}
