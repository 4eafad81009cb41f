/** `npm run fuzz -- --protocol <name> --inputs <n> --seed <n>`: see fuzz.ts. */
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { systemClock } from '#protocol/base/clock.ts';
import { FuzzFailure, fuzz } from './fuzz.ts';
import { fuzzTargets } from './targets.ts';

const EXIT_FOUND = 1;
const EXIT_USAGE = 2;

interface Options {
  readonly protocol: string;
  readonly inputs: number;
  readonly seed: string;
  readonly json?: boolean;
}

function parseInputs(text: string): number {
  const inputs = Number(text);
  if (Number.isSafeInteger(inputs) && inputs > 0) return inputs;
  throw new InvalidArgumentError('Must be a whole number above 0.');
}

function run({ protocol, inputs, seed, json = false }: Options): number {
  for (const target of fuzzTargets) {
    if (protocol !== 'all' && target.protocol !== protocol) continue;
    const start = systemClock.monotonic();
    try {
      const report = fuzz(target, { inputs, seed }, (done) => {
        if (process.stderr.isTTY) process.stderr.write(`\r${target.protocol} ${done}`);
      });
      const seconds = (systemClock.monotonic() - start) / 1000;
      const perSecond = Math.round(inputs / seconds);
      const line = json
        ? JSON.stringify({ ...report, seconds: Number(seconds.toFixed(1)), perSecond, failures: 0 })
        : `${target.protocol}: ${report.inputs} inputs, ${report.bytes} bytes, ` +
          `${report.moneyFrames} money frames, ${report.probes} probes heard, ` +
          `${perSecond} inputs per second, no failure (seed ${seed})`;
      process.stdout.write(`${process.stderr.isTTY ? '\r' : ''}${line}\n`);
    } catch (error) {
      if (!(error instanceof FuzzFailure)) throw error;
      process.stdout.write(`${target.protocol}, seed ${seed}: ${error.message}\n`);
      return EXIT_FOUND;
    }
  }
  return 0;
}

const names = fuzzTargets.map(({ protocol }) => protocol);
const command = new Command('npm run fuzz --')
  .description('Broken bytes against the parsers. Exit code 1 when one fails.')
  .addOption(new Option('--protocol <name>', 'which one').choices([...names, 'all']).default('all'))
  .option('--inputs <n>', 'how many, for each protocol', parseInputs, 1_000_000)
  .option('--seed <seed>', 'any text; the same seed gives the same inputs', '1')
  .option('--json', 'one JSON object for each protocol')
  .exitOverride();

try {
  command.parse();
  process.exitCode = run(command.opts<Options>());
} catch (error) {
  if (!(error instanceof CommanderError)) throw error;
  process.exitCode = error.exitCode === 0 ? 0 : EXIT_USAGE;
}
