/** Sealed bags counted at the depot, from a file instead of a person. */
import type { BagCountResult } from '../../api/visit-schemas.ts';
import { type Speak, whyText } from '../../texts/technician.ts';
import { CommandError } from '../exit.ts';
import { print, type Terminal } from '../terminal.ts';
import { type BagFile, pilesOf } from './visit-file.ts';
import type { VisitLine } from './visit-line.ts';
import { differenceWords, recordText } from './words.ts';

/** Who counts, and where it is said. */
export interface BagCounting {
  readonly terminal: Terminal;
  readonly options: { readonly json?: true };
  readonly line: VisitLine;
  readonly speak: Speak;
}

interface Counted extends BagCountResult {
  readonly seal: string;
}

/**
 * Signs in and counts the bags of the file, one after the other. One that is refused ends it: those
 * before it are counted, and said to be. @throws CommandError
 */
export async function countBags(counting: BagCounting, file: BagFile): Promise<void> {
  const { line } = counting;
  await line.signIn(file.name, file.pin);
  const counted: Counted[] = [];
  try {
    for (const [seal, bag] of Object.entries(file.bags)) {
      counted.push({ seal, ...(await countBag(counting, seal, bag)) });
    }
  } finally {
    await line.signOut();
    tell(counting, counted);
  }
}

async function countBag(
  { line, speak }: BagCounting,
  seal: string,
  { counts, reason }: BagFile['bags'][string],
): Promise<BagCountResult> {
  const why = { reason: reason?.reason ?? null, note: reason?.note ?? '' };
  try {
    return await line.countBag({ seal, counts: pilesOf(counts), ...why });
  } catch (error) {
    if (!(error instanceof CommandError) || !error.refusal) throw error;
    const words = whyText(speak, error.refusal.why) ?? error.message;
    const said = speak('file.bagRefused', { seal, why: words });
    // Without the agent's own word: this sentence is the one to be read.
    throw new CommandError(error.exit, said, { cause: error });
  }
}

function tell({ terminal, options, speak }: BagCounting, counted: readonly Counted[]): void {
  print(terminal, options, counted, () =>
    counted
      .map(({ seal, differences, record }) => {
        const found = differenceWords(speak, differences);
        const values = { seal, differences: found, number: record.number };
        return `${speak(found === '' ? 'bag.right' : 'bag.differs', values)}\n${recordText(record)}`;
      })
      .join('\n'),
  );
}
