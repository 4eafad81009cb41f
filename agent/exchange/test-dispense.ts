/**
 * The test dispense of an exchange: one note of one bay. As every command that moves notes it is
 * written down first, sent once, and judged by evidence; a lost answer is `unknown`.
 */
import { z } from 'zod';
import type { DispenseOutcome, UnitCount, UnitResult } from '#hal/cash-dispenser.ts';
import { DeviceError } from '#protocol/base/errors.ts';
import { position } from '#protocol/base/ids.ts';
import type { Intent } from '#state/intents.ts';
import type { Judgement } from '../cash-out/classify.ts';
import { bookOut, judge, readBaseline } from '../cash-out/dispense-batch.ts';
import type { Parts } from '../parts.ts';
import { writeEnd } from '../recovery/open-act.ts';
import { bookAnswers } from './books.ts';
import type { TestOutcome } from './standing.ts';

/** Kind of the intent. */
export const TEST_DISPENSE = 'testDispense';

const bodySchema = z.object({
  exchange: z.string(),
  step: z.int(),
  position: z.int().transform(position),
  to: z.enum(['reject', 'slot']),
  lastResultHex: z.string().nullable(),
  sequenceNumber: z.number().nullable(),
});
type Body = z.output<typeof bodySchema>;

/** Which test of which exchange. */
export interface TestAsked extends Pick<Body, 'exchange' | 'step' | 'position' | 'to'> {}

const CUT_BEFORE: TestOutcome = {
  class: 'none',
  presented: 0,
  rejected: 0,
  evidence: 'cut before the command: nothing was sent',
};

/** Runs one; resolves when its end is on the disk. */
export async function runTest(parts: Parts, asked: TestAsked): Promise<void> {
  const { store, dispenser } = parts;
  const baseline = await readBaseline(parts);
  if (baseline === undefined) {
    const evidence = 'the dispenser did not answer before the command';
    conclude(parts, asked, { ...CUT_BEFORE, evidence });
    return;
  }
  const body = {
    ...{ exchange: asked.exchange, step: asked.step, position: asked.position, to: asked.to },
    lastResultHex: baseline.lastResultHex ?? null,
    sequenceNumber: baseline.sequenceNumber ?? null,
  };
  const intent = store.commit(() => {
    store.journal.append('testDispense.intended', body);
    return store.intents.open({ kind: TEST_DISPENSE, device: 'dispenser', body });
  });
  const units: readonly UnitCount[] = [{ position: asked.position, count: 1 }];
  const outcome = await dispenser.testDispense(units).catch((err: unknown): DispenseOutcome => {
    if (!(err instanceof DeviceError)) throw err;
    return { kind: 'unknown', evidence: err.message };
  });
  await settleTest(parts, intent, outcome);
}

/** Settles one that was on its way when the program ended, by what the device says of it. */
export async function recoverTest(parts: Parts, intent: Intent): Promise<void> {
  const cut = { kind: 'unknown', evidence: 'cut while the note was on its way' } as const;
  await settleTest(parts, intent, cut);
}

/** Ends a test that was answered and never begun: a cut fell before its intent. */
export function concludeUnbegun(parts: Parts, asked: TestAsked): void {
  const open = parts.store.intents.listOpen(TEST_DISPENSE);
  if (open.length === 0) conclude(parts, asked, CUT_BEFORE);
}

async function settleTest(parts: Parts, intent: Intent, outcome: DispenseOutcome): Promise<void> {
  const body = bodySchema.parse(intent.body);
  const baseline = {
    lastResultHex: body.lastResultHex ?? undefined,
    sequenceNumber: body.sequenceNumber ?? undefined,
  };
  const units = [{ position: body.position, count: 1 }];
  // A note in the tray is what was asked for: it counts as the slot's note does elsewhere.
  const read = body.to === 'reject' ? asPresented : undefined;
  const judgement = await judge(parts, units, outcome, baseline, read);
  const write = () => conclude(parts, body, outcomeOf(judgement, body), intent);
  await writeEnd(parts, intent, write, write);
}

function asPresented(units: readonly UnitResult[]): readonly UnitResult[] {
  return units.map(({ position: bay, presented, rejected }) => {
    const reached = Math.min(1, presented + rejected);
    return { position: bay, presented: reached, rejected: presented + rejected - reached };
  });
}

function outcomeOf(judgement: Judgement, { position: bay, to }: Body): TestOutcome {
  const said = judgement.units.find((unit) => unit.position === bay);
  const { presented, rejected } = said ?? { presented: 0, rejected: 0 };
  const moved = to === 'reject' ? { presented: 0, rejected: presented + rejected } : undefined;
  return {
    class: judgement.class === 'partial' ? 'none' : judgement.class,
    ...(moved ?? { presented, rejected }),
    evidence: judgement.evidence,
  };
}

/** Writes down how it ended, what moved, and that the act is over: one commit. */
function conclude(parts: Parts, asked: TestAsked, outcome: TestOutcome, intent?: Intent): void {
  const { store } = parts;
  store.commit(() => {
    const exchange = store.exchanges.get(asked.exchange);
    if (intent) store.intents.settle(intent.id, outcome.class, { ...outcome });
    const { step, position: bay } = asked;
    const reference = exchange?.reference ?? '';
    const said = { reference, step, position: bay, to: asked.to, ...outcome };
    store.journal.append('testDispense.settled', said);
    if (exchange?.state !== 'open') {
      // The exchange was given up meanwhile: what moved is booked all the same.
      const begunAtUnixMs = intent?.openedAtUnixMs;
      bookOut(parts, undefined, bay, 'technician', outcome.presented, begunAtUnixMs);
      bookOut(parts, undefined, bay, 'reject', outcome.rejected, begunAtUnixMs);
      return;
    }
    store.exchanges.setOutcome(exchange.id, step, { ...outcome });
    bookAnswers(parts, exchange);
  });
  parts.changed();
}
