/** Leads an exchange to its end, whoever answers: a person at a terminal, or a file. */
import { type Clock, sleep } from '#protocol/base/clock.ts';
import type {
  ExchangeEndResult,
  ExchangeQuestion,
  ExchangeView,
  RecordView,
} from '../../api/visit-schemas.ts';
import { CommandError } from '../exit.ts';
import type { Wish } from './ask-question.ts';
import type { At, VisitLine } from './visit-line.ts';

/** How often the agent is asked while it does something itself, ms: soon for a person. */
const POLL_MS = 500;

/** An exchange that asks something. */
export type Asking = ExchangeView & { readonly asks: ExchangeQuestion };

const isAsking = (view: ExchangeView): view is Asking => view.asks !== null;

/** Who answers. */
export interface Answerer {
  /** What is wanted at this question. */
  wish(view: Asking): Promise<Wish>;
  /** Why an exchange that was started is given up; null to go on after all. */
  whyAbandon(view: ExchangeView): Promise<string | null>;
  /** The agent does something by itself: customers finish, or a note is dispensed. */
  waiting(state: 'draining' | 'testing'): void;
  /** An answer was taken; `before` is where it was given. */
  taken(wish: Wish, before: ExchangeView, after: ExchangeView): void;
  /** Makes up for a failed call, such as by signing in again, or throws it on. */
  recover(error: unknown, at: ExchangeView): Promise<void>;
}

/** How it ended; without a record when somebody else has ended it. */
export interface Ended {
  readonly exchange: ExchangeView;
  readonly record: RecordView | null;
}

/**
 * Goes on from where the exchange stands. Every step is asked of the agent anew, so that it does
 * not matter what was cut off before.
 */
export async function drive(
  line: VisitLine,
  answerer: Answerer,
  clock: Clock,
  begun: ExchangeView,
): Promise<Ended> {
  let view = begun;
  /** The end that was asked for last: when its answer was lost, it is asked for once more. */
  let end: (() => Promise<ExchangeEndResult>) | undefined;
  for (;;) {
    try {
      if (view.state === 'closed' || view.state === 'abandoned') {
        return { exchange: view, record: null };
      }
      if (!isAsking(view)) {
        view = await waitFor(line, answerer, clock, view);
        continue;
      }
      const wish = await answerer.wish(view);
      end = await endOf(line, answerer, view, wish);
      const next = await (end?.() ?? act(line, view, wish));
      if ('record' in next) return next;
      answerer.taken(wish, view, next);
      view = next;
    } catch (error) {
      await answerer.recover(error, view);
      const now = await sure(answerer, view, () => line.exchange());
      if (now === null) return endedMeanwhile(answerer, view, end);
      view = now;
    }
  }
}

/** Asks until the agent answers. */
async function sure<Value>(
  answerer: Answerer,
  view: ExchangeView,
  ask: () => Promise<Value>,
): Promise<Value> {
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      await answerer.recover(error, view);
    }
  }
}

/**
 * Ended by an end of ours whose answer was lost, of which the agent gives the same record again; or
 * by somebody else: what there is to say of it has been said there.
 */
async function endedMeanwhile(
  answerer: Answerer,
  view: ExchangeView,
  end: (() => Promise<ExchangeEndResult>) | undefined,
): Promise<Ended> {
  const elsewhere: Ended = { exchange: { ...view, state: 'closed' }, record: null };
  if (!end) return elsewhere;
  return sure(answerer, view, async () => {
    try {
      return await end();
    } catch (error) {
      if (error instanceof CommandError && error.refusal?.why?.code === 'noExchange') {
        return elsewhere;
      }
      throw error;
    }
  });
}

async function waitFor(
  line: VisitLine,
  answerer: Answerer,
  clock: Clock,
  view: ExchangeView,
): Promise<ExchangeView> {
  answerer.waiting(view.state === 'draining' ? 'draining' : 'testing');
  for (;;) {
    await sleep(clock, POLL_MS);
    const next = await line.exchange();
    // Ended by somebody else: what there is to say of it has been said there.
    if (!next) return { ...view, state: 'closed' };
    if (next.asks !== null) return next;
  }
}

/** The call that ends it, when that is wanted. */
async function endOf(
  line: VisitLine,
  answerer: Answerer,
  view: ExchangeView & At,
  { kind }: Wish,
): Promise<(() => Promise<ExchangeEndResult>) | undefined> {
  if (kind === 'close') return () => line.close(view);
  const reason = kind === 'abandon' ? await answerer.whyAbandon(view) : null;
  return reason === null ? undefined : () => line.abandon(view, reason);
}

async function act(line: VisitLine, view: ExchangeView & At, wish: Wish): Promise<ExchangeView> {
  if (wish.kind === 'answer') return line.answer(view, wish.answer);
  return wish.kind === 'undo' ? line.undo(view) : view;
}

/** Names a question in a file's own words: `bays.1.load`. */
export function pathOf(asks: ExchangeQuestion): string {
  switch (asks.kind) {
    case 'bay':
      return `bays.${asks.position}`;
    case 'bayCount':
      return `bays.${asks.position}.out`;
    case 'denomination':
    case 'load':
    case 'test':
      return `bays.${asks.position}.${asks.kind}`;
    case 'box':
      return `boxes.${asks.place}`;
    case 'boxCount':
      return `boxes.${asks.place}.counts`;
    case 'reason':
    case 'seal': {
      const [kind, at = ''] = asks.place.split(':', 2);
      return kind === 'bay' ? `bays.${at}.${asks.kind}` : `boxes.${asks.place}.${asks.kind}`;
    }
    case 'close':
      return 'end';
  }
}
