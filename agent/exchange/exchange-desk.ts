/**
 * The exchange: a technician opens the machine, and every answer is one commit (design 11). What an
 * answer means is `standing.ts`'s, what it moves `bookings.ts`'s; here is when it may be given.
 */
import { AtmError } from '#protocol/base/errors.ts';
import { newReference } from '#protocol/base/ids.ts';
import type { Exchange, ExchangeStep } from '#state/exchanges.ts';
import { canonicalJson } from '#state/json.ts';
import type { Technician } from '#state/technicians.ts';
import type { ExchangeAnswer, ExchangeEndResult, ExchangeView } from '../api/visit-schemas.ts';
import type { Parts } from '../parts.ts';
import { bookAnswers, type Running, runningOf } from './books.ts';
import { type ExchangeEnd, endExchange, setUpExchange } from './open-close.ts';
import { factsOf, placesView, questionView } from './questions.ts';
import { recordView, technicianOf } from './record.ts';
import { Refusal } from './refusal.ts';
import { assertPermitted } from './technicians.ts';
import { concludeUnbegun, runTest, type TestAsked } from './test-dispense.ts';

const ID_BYTES = 16;
const CLOSED = 'A technician is at the machine.';

/** What the exchange has to know of the rest of the agent. */
export interface ExchangeHooks {
  /** No customer is there, and what the last run left open was asked. */
  isAtRest(): boolean;
  /** Asks the dispenser how it is, tells it what its bays hold, makes it ready. */
  checkDispenser(): Promise<void>;
  /** The exchange is over: what waited for that may go on. */
  ended(): void;
}

/** One answer, undo or end with the step that it is for. */
export interface ExchangeStepAddress {
  readonly exchange: string;
  readonly step: number;
}

/** See the head of the file. */
export class ExchangeDesk {
  readonly #parts: Parts;
  readonly #hooks: ExchangeHooks;
  #isOpen: boolean;
  #isTesting: boolean = false;

  /** An exchange that was open goes on, and the doors stay closed. */
  constructor(parts: Parts, hooks: ExchangeHooks) {
    this.#parts = parts;
    this.#hooks = hooks;
    this.#isOpen = parts.store.exchanges.open() !== undefined;
    this.#tell();
  }

  /** Whether one is open. */
  isOpen(): boolean {
    return this.#isOpen;
  }

  /** Whether a test dispense is on its way. */
  isTesting(): boolean {
    return this.#isTesting;
  }

  /** Goes on where it can by itself. To be called after every change. */
  proceed(): void {
    const exchange = this.#isOpen ? this.#parts.store.exchanges.open() : undefined;
    if (!exchange || this.#isTesting) return;
    try {
      if (exchange.setup !== undefined) this.#concludeLeft(exchange);
      else if (this.#hooks.isAtRest()) setUpExchange(this.#parts, exchange);
    } catch (err) {
      if (!(err instanceof AtmError)) throw err;
      this.#parts.log.warn({ err }, 'the exchange waits for the disk');
    }
  }

  /** How the open one stands. */
  view(technician: Technician | undefined): ExchangeView | undefined {
    this.proceed();
    const exchange = this.#parts.store.exchanges.open();
    return exchange && this.#viewOf(exchange, technician);
  }

  /** Begins one, or gives the open one. @throws Refusal `updating`, `stopping` */
  begin(technician: Technician): ExchangeView {
    const { store, clock, random, board } = this.#parts;
    const open = this.view(technician);
    if (open) return open;
    for (const code of ['updating', 'stopping'] as const) {
      const reason = board.list('cashIn').find((one) => one.code === code);
      if (reason) throw new Refusal('busy', code, reason.text);
    }
    const id = Buffer.from(random.bytes(ID_BYTES)).toString('hex');
    const reference = newReference(random);
    const by = { technicianId: technician.id, openedAtUnixMs: clock.now() };
    store.commit(() => {
      store.exchanges.insert({ id, reference, ...by });
      const body = { exchange: id, reference, technician: technician.id, name: technician.name };
      store.journal.append('exchange.opened', body);
    });
    this.#isOpen = true;
    this.#tell();
    this.proceed();
    return this.#viewOf(this.#get(id), technician);
  }

  /** Takes an answer; the same once more gives the view. @throws Refusal */
  answer(
    technician: Technician,
    { exchange: id, step }: ExchangeStepAddress,
    answer: ExchangeAnswer,
  ): ExchangeView {
    const { store, clock } = this.#parts;
    const exchange = this.#openBy(id);
    const last = store.exchanges.steps(id).at(-1);
    const isRepeat = last?.ordinal === step && canonicalJson(last.answer) === textOf(answer);
    if (isRepeat) return this.#viewOf(exchange, technician);
    const running = this.#asking(exchange, step);
    assertMayAnswer(technician, answer);
    const facts = factsOf(this.#parts, running, answer);
    const question = running.standing.asks;
    store.commit(() => {
      const by = { technicianId: technician.id, atUnixMs: clock.now() };
      store.exchanges.insertStep(id, { ordinal: step, ...by, question, answer, facts });
      this.#journal('answered', exchange, technician, { step, question, answer });
      bookAnswers(this.#parts, exchange);
    });
    if (question.kind === 'test' && answer.kind === 'test' && answer.choice === 'run') {
      const { position } = question;
      this.#startTest({ exchange: id, step, position, to: running.setup.testTo });
    }
    this.#parts.changed();
    return this.#viewOf(exchange, technician);
  }

  /** Takes the last answer back; the same once more gives the view. @throws Refusal */
  undo(technician: Technician, { exchange: id, step }: ExchangeStepAddress): ExchangeView {
    const { store, clock } = this.#parts;
    const exchange = this.#openBy(id);
    const last = store.exchanges.steps(id).at(-1);
    if (last?.ordinal === step && last.question.kind === 'undo') {
      return this.#viewOf(exchange, technician);
    }
    const undone = this.#asking(exchange, step).standing.last;
    if (undone === undefined) {
      throw new Refusal('sequenceError', 'nothingToUndo', 'There is no answer to take back.');
    }
    store.commit(() => {
      const atUnixMs = clock.now();
      store.exchanges.undo(id, undone, atUnixMs);
      const row = { ordinal: step, technicianId: technician.id, atUnixMs };
      const asWords = { question: { kind: 'undo' }, answer: { undoes: undone }, facts: {} };
      store.exchanges.insertStep(id, { ...row, ...asWords });
      this.#journal('undone', exchange, technician, { step, undoes: undone });
      bookAnswers(this.#parts, exchange);
    });
    this.#parts.changed();
    return this.#viewOf(exchange, technician);
  }

  /** Closes it: counts are accurate from now on, and a record says so. @throws Refusal `notDone` */
  close(technician: Technician, { exchange: id, step }: ExchangeStepAddress): ExchangeEndResult {
    const ended = this.#endedAs(id, step, 'closed', technician);
    if (ended) return ended;
    const exchange = this.#openBy(id);
    const running = this.#asking(exchange, step);
    if (running.standing.asks.kind !== 'close') {
      const words = 'There are questions left: answer them, or abandon the exchange.';
      throw new Refusal('sequenceError', 'notDone', words);
    }
    return this.#end(technician, { exchange, running, outcome: 'closed', reason: null });
  }

  /** Gives it up, at any time: bays that were touched are `unknown`. @throws Refusal */
  abandon(
    technician: Technician,
    { exchange: id, step }: ExchangeStepAddress,
    reason: string,
  ): ExchangeEndResult {
    const ended = this.#endedAs(id, step, 'abandoned', technician);
    if (ended) return ended;
    const exchange = this.#openBy(id);
    this.#assertStep(exchange, step);
    const running = runningOf(this.#parts, exchange);
    return this.#end(technician, { exchange, running, outcome: 'abandoned', reason });
  }

  #end(technician: Technician, end: Omit<ExchangeEnd, 'technician'>): ExchangeEndResult {
    const record = endExchange(this.#parts, { ...end, technician });
    this.#isOpen = false;
    this.#tell();
    this.#hooks.ended();
    this.#parts.changed();
    const exchange = this.#viewOf(this.#get(end.exchange.id), technician);
    return { exchange, record: recordView(record) };
  }

  /** What an end that was asked for once more came to; undefined when it did not end so. */
  #endedAs(
    id: string,
    step: number,
    outcome: 'closed' | 'abandoned',
    technician: Technician,
  ): ExchangeEndResult | undefined {
    const { store } = this.#parts;
    const exchange = store.exchanges.get(id);
    if (exchange?.state !== outcome || nextStep(store.exchanges.steps(id)) !== step)
      return undefined;
    const record = store.visitRecords.byReference(exchange.reference);
    return record && { exchange: this.#viewOf(exchange, technician), record: recordView(record) };
  }

  #get(id: string): Exchange {
    const exchange = this.#parts.store.exchanges.get(id);
    if (exchange) return exchange;
    throw new Refusal('notFound', 'noExchange', 'There is no such exchange.');
  }

  #openBy(id: string): Exchange {
    this.proceed();
    const exchange = this.#get(id);
    if (exchange.state === 'open') return exchange;
    throw new Refusal('notFound', 'noExchange', 'This exchange is over.');
  }

  /** @throws Refusal `notAsking`, `step` */
  #asking(exchange: Exchange, step: number): Running {
    this.#assertStep(exchange, step);
    const running = runningOf(this.#parts, exchange);
    if (running && !running.standing.testing) return running;
    const state = running ? 'testing' : 'draining';
    const words = running ? 'The dispenser is at work.' : 'A customer is still at the machine.';
    throw new Refusal('sequenceError', 'notAsking', `${words} Please wait.`, { state });
  }

  #assertStep({ id }: Exchange, step: number): void {
    const right = nextStep(this.#parts.store.exchanges.steps(id));
    if (step === right) return;
    const words = `The exchange is at step ${right}, and not at ${step}.`;
    throw new Refusal('sequenceError', 'step', words, { step: right });
  }

  /** A test that was answered and never begun, since a cut fell between the two, has an end. */
  #concludeLeft(exchange: Exchange): void {
    const running = runningOf(this.#parts, exchange);
    if (!running?.standing.testing) return;
    const asked = { exchange: exchange.id, ...running.standing.testing };
    concludeUnbegun(this.#parts, { ...asked, to: running.setup.testTo });
  }

  #startTest(asked: TestAsked): void {
    const { log, changed } = this.#parts;
    this.#isTesting = true;
    void this.#hooks
      .checkDispenser()
      .then(() => runTest(this.#parts, asked))
      .catch((err: unknown) => {
        // Disk or device: what is open is asked about by the watch, as after a cut.
        if (!(err instanceof AtmError)) throw err;
        log.error({ err }, 'test dispense not concluded');
      })
      .finally(() => {
        this.#isTesting = false;
        this.#tell();
        changed();
      });
  }

  #journal(what: string, exchange: Exchange, { id, name }: Technician, more: object): void {
    const { reference } = exchange;
    const body = JSON.parse(JSON.stringify({ reference, technician: id, name, ...more }));
    this.#parts.store.journal.append(`exchange.${what}`, body);
  }

  /** Nobody is served while hands are in the machine, or a note of a test is on its way. */
  #tell(): void {
    const isBusy = this.#isOpen || this.#isTesting;
    this.#parts.board.setBoth('exchangeActive', isBusy ? CLOSED : undefined);
  }

  #viewOf({ id }: Exchange, technician: Technician | undefined): ExchangeView {
    const { store, config } = this.#parts;
    const exchange = this.#get(id);
    const running = runningOf(this.#parts, exchange);
    const state = exchange.state === 'open' ? stateOf(running) : exchange.state;
    const mayTest = technician?.permissions.includes('test') ?? false;
    return {
      ...{ id, reference: exchange.reference, state, currency: config.currency },
      step: nextStep(store.exchanges.steps(id)),
      technician: technicianOf(store, exchange.technicianId).name,
      openedAtUnixMs: exchange.openedAtUnixMs,
      canUndo: state === 'asking' && running?.standing.last !== undefined,
      asks: state === 'asking' && running ? questionView(this.#parts, running, mayTest) : null,
      ...placesView(this.#parts, running),
    };
  }
}

const textOf = (answer: ExchangeAnswer): string => canonicalJson(answer);

const nextStep = (steps: readonly ExchangeStep[]): number => (steps.at(-1)?.ordinal ?? 0) + 1;

function stateOf(running: Running | undefined): 'draining' | 'testing' | 'asking' {
  if (!running) return 'draining';
  return running.standing.testing ? 'testing' : 'asking';
}

/** @throws Refusal `permission` */
function assertMayAnswer(technician: Technician, answer: ExchangeAnswer): void {
  const takes = answer.kind === 'box' && (answer.choice === 'count' || answer.choice === 'seal');
  if (takes || answer.kind === 'boxCount') assertPermitted(technician, 'collect');
  if (answer.kind === 'test' && answer.choice === 'run') assertPermitted(technician, 'test');
}
