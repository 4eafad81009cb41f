/** An end whose answer was lost: it is asked for again, and has the same record. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { CommandError } from '#agent/cli/exit.ts';
import { type Answerer, drive } from '#agent/cli/service/drive.ts';
import { type At, VisitLine } from '#agent/cli/service/visit-line.ts';
import { OpenMachine, PIN } from './open-machine.ts';

let open: OpenMachine;
beforeEach(async () => {
  open = await OpenMachine.inService();
  await open.join('Ana');
});
afterEach(() => open[Symbol.asyncDispose]());

const away = () => new CommandError(69, 'The agent does not answer.');

/** A line on which the agent hears everything, and is not heard at its first ends. */
class CutLine extends VisitLine {
  lost = 2;
  override async close(at: At) {
    const ended = await super.close(at);
    if (this.lost-- > 0) throw away();
    return ended;
  }
  override async abandon(at: At, reason: string) {
    const ended = await super.abandon(at, reason);
    if (this.lost-- > 0) throw away();
    return ended;
  }
}

/** Leaves everything as it is, or gives it up at once. */
function answerer(end: 'close' | 'abandon', recovered: unknown[]): Answerer {
  return {
    wish: async ({ asks }) => {
      if (end === 'abandon') return { kind: 'abandon' };
      if (asks?.kind === 'bay' || asks?.kind === 'box') {
        return { kind: 'answer', answer: { kind: asks.kind, choice: 'leave' } };
      }
      return { kind: 'close' };
    },
    whyAbandon: async () => 'rain',
    waiting: () => undefined,
    taken: () => undefined,
    recover: async (error) => {
      recovered.push(error);
    },
  };
}

test.each(['close', 'abandon'] as const)('%s', async (end) => {
  const line = new CutLine(open.socketPath);
  await line.signIn('Ana', PIN);
  const recovered: unknown[] = [];
  const { clock } = open.machine;
  const ended = await drive(line, answerer(end, recovered), clock, await line.begin());
  expect(recovered).toHaveLength(2);
  expect(ended.exchange.state).toBe(end === 'close' ? 'closed' : 'abandoned');
  expect(ended.record).toMatchObject({ number: 1, hash: open.store.visitRecords.get(1)?.hash });
  expect(open.store.visitRecords.head().number).toBe(1);
});

test('an end that somebody else was faster with has no record here', async () => {
  const line = new CutLine(open.socketPath);
  await line.signIn('Ana', PIN);
  const begun = await line.begin();
  await open.join('Luis');
  const luis = new VisitLine(open.socketPath);
  await luis.signIn('Luis', PIN);
  const { clock } = open.machine;
  const ours = answerer('close', []);
  const wish: Answerer['wish'] = async (view) => {
    const wanted = await ours.wish(view);
    if (wanted.kind === 'close') await luis.abandon(view, 'rain');
    return wanted;
  };
  const ended = await drive(line, { ...ours, wish }, clock, begun);
  expect(ended.record).toBeNull();
  expect(open.store.visitRecords.head().number).toBe(1);
});
