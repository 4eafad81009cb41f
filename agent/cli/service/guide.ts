/** A person at a terminal who is led through a visit: sign-in, what to do, and each question. */
import { type Clock, sleep } from '#protocol/base/clock.ts';
import type {
  BagView,
  ExchangeEndResult,
  ExchangeView,
  RecordView,
  TechnicianView,
} from '../../api/visit-schemas.ts';
import { overShortReasons } from '../../api/visit-schemas.ts';
import { formatMoney } from '../../format.ts';
import type { Language } from '../../texts/fill.ts';
import { type Speak, whyText } from '../../texts/technician.ts';
import { CommandError, type ExitCode, exitCode } from '../exit.ts';
import { formatObligations } from '../format.ts';
import { type Asking, askQuestion, typeNote, typePiles, type Wish } from './ask-question.ts';
import { type Answerer, drive } from './drive.ts';
import { type Prompter, Stopped } from './prompter.ts';
import type { VisitLine } from './visit-line.ts';
import {
  differenceWords,
  minuteOf,
  owedLabel,
  placeWords,
  recordLabel,
  recordQr,
  summaryLines,
  totalsLines,
} from './words.ts';

/** How often an agent that is away is tried again, ms, and for how long: a restart takes seconds. */
const AWAY_POLL_MS = 1_000;
const AWAY_TRIES_MAX = 120;
/** Most notes of one denomination in a bag; the agent has the last word. */
const BAG_NOTES_MAX = 10_000;

/** What the guide works with. */
export interface GuideOptions {
  readonly line: VisitLine;
  readonly prompter: Prompter;
  readonly speak: Speak;
  readonly language: Language;
  readonly clock: Clock;
  /** Whether the terminal shows colours. */
  readonly isColoured: boolean;
}

const isRefusal = (error: unknown, ...codes: readonly string[]): error is CommandError =>
  error instanceof CommandError && codes.some((code) => code === error.refusal?.code);
const isWhy = (error: unknown, why: string): error is CommandError =>
  error instanceof CommandError && error.refusal?.why?.code === why;
/** Refusals of an answer, which can be given otherwise; whoever is shut out goes no further. */
const MENDED = ['usage', 'notPermitted', 'notFound', 'sequenceError', 'busy'] as const;
const isAway = (error: unknown): boolean =>
  error instanceof CommandError && error.exit === exitCode.unavailable;

/** Leads one person. */
export class Guide implements Answerer {
  readonly #options: GuideOptions;
  readonly #asking: Asking;
  #technician: TechnicianView | undefined;
  #open: ExchangeView | null = null;

  constructor(options: GuideOptions) {
    this.#options = options;
    this.#asking = options;
  }

  /** Signs in and does what is wanted, until the person leaves. Gives the exit code. */
  async run(isInvited: boolean): Promise<ExitCode> {
    const { prompter, speak } = this.#options;
    try {
      await this.#enter(isInvited);
      for (;;) {
        const isOver = await this.#choose().catch((error: unknown) => this.#mend(error));
        if (isOver) break;
      }
      await this.#options.line.signOut();
      prompter.tell(speak('flow.leftNothing'));
      return exitCode.done;
    } catch (error) {
      if (!(error instanceof Stopped)) throw error;
      const reference = this.#open?.reference;
      if (reference === undefined) {
        prompter.tell(speak('flow.leftNothing'));
        return exitCode.done;
      }
      prompter.tell(speak('flow.left', { reference }));
      return exitCode.tryAgain;
    }
  }

  async #enter(isInvited: boolean): Promise<void> {
    const { prompter, speak } = this.#options;
    const technician = isInvited ? await this.#redeem() : await this.#signIn();
    this.#technician = technician;
    prompter.tell(speak('sign.welcome', { name: technician.name }));
  }

  readonly #needed = (typed: string): string | undefined =>
    typed === '' ? this.#options.speak('sign.needed') : undefined;

  /** Asks until it is right; the agent says when it was wrong too often. */
  async #signIn(name?: string): Promise<TechnicianView> {
    const { line, prompter, speak } = this.#options;
    for (;;) {
      const who = name ?? (await prompter.type(speak('sign.name'), { judge: this.#needed }));
      const pin = await prompter.secret(speak('sign.pin'), this.#needed);
      try {
        return await line.signIn(who, pin);
      } catch (error) {
        if (!isRefusal(error, 'notAuthorized')) throw error;
        prompter.warn(this.#wordsOf(error));
      }
    }
  }

  async #redeem(): Promise<TechnicianView> {
    const { line, prompter, speak } = this.#options;
    const invite = await prompter.secret(speak('sign.invite'), this.#needed);
    for (;;) {
      const pin = await prompter.secret(speak('sign.pinNew'), this.#needed);
      const again = await prompter.secret(speak('sign.pinAgain'), this.#needed);
      if (pin !== again) {
        prompter.warn(speak('sign.pinDiffers'));
        continue;
      }
      try {
        return await line.redeem(invite, pin);
      } catch (error) {
        // Only the PIN can be mended; an invite that is not good stays so.
        if (!isWhy(error, 'weakPin')) throw error;
        prompter.warn(this.#wordsOf(error));
      }
    }
  }

  /** One thing that the person wants; true when it is to leave. */
  async #choose(): Promise<boolean> {
    const { line, prompter, speak } = this.#options;
    this.#open = await line.exchange();
    const may = (wanted: TechnicianView['permissions'][number]) =>
      this.#technician?.permissions.includes(wanted);
    const reference = this.#open?.reference ?? '';
    // A line that was lost at the very end has taken it along unseen.
    const last = await line.lastRecord();
    const chosen = await prompter.choose(speak('menu.ask'), [
      ...(may('exchange')
        ? [
            {
              value: 'exchange' as const,
              label: this.#open ? speak('menu.resume', { reference }) : speak('menu.exchange'),
            },
          ]
        : []),
      ...(may('counts') ? [{ value: 'totals' as const, label: speak('menu.totals') }] : []),
      ...(may('collect') ? [{ value: 'bag' as const, label: speak('menu.bag') }] : []),
      ...(may('settle') ? [{ value: 'settle' as const, label: speak('menu.settle') }] : []),
      ...(last ? [{ value: 'record' as const, label: recordLabel(speak, last) }] : []),
      { value: 'leave' as const, label: speak('menu.leave') },
    ]);
    if (chosen === 'exchange') await this.#exchange();
    else if (chosen === 'totals') await this.#totals();
    else if (chosen === 'bag') await this.#bag();
    else if (chosen === 'settle') await this.#settle();
    else if (chosen === 'record' && last) await this.#showAgain(last);
    return chosen === 'leave';
  }

  async #exchange(): Promise<void> {
    const { line, prompter, speak, clock } = this.#options;
    const isResumed = this.#open !== null;
    const view = await line.begin();
    this.#open = view;
    const { reference, technician } = view;
    prompter.tell(speak(isResumed ? 'flow.resumed' : 'flow.begun', { reference, technician }));
    const ended = await drive(line, this, clock, view);
    this.#open = null;
    const { exchange, record } = ended;
    if (record !== null) await this.#showRecord({ exchange, record });
  }

  async #showRecord({ exchange, record }: ExchangeEndResult): Promise<void> {
    const { prompter, speak } = this.#options;
    const { number } = record;
    prompter.tell(speak(exchange.state === 'closed' ? 'close.done' : 'abandon.done', { number }));
    await this.#showQr(record);
  }

  async #showAgain(record: RecordView): Promise<void> {
    const { prompter, speak } = this.#options;
    const { number, atUnixMs } = record;
    prompter.tell(speak('record.again', { number, time: minuteOf(atUnixMs) }));
    await this.#showQr(record);
  }

  async #showQr(record: RecordView): Promise<void> {
    const { prompter, speak, isColoured } = this.#options;
    const { hash } = record;
    prompter.print(await recordQr(record, isColoured));
    prompter.tell(`${speak('record.hash', { hash })}\n${speak('record.scan')}`);
    if (record.signature === 'queued') prompter.tell(speak('record.queued'));
  }

  /** What a person says was settled by hand, after a look at all that is known of it. */
  async #settle(): Promise<void> {
    const { line, prompter, speak, language } = this.#options;
    const owed = await line.obligations();
    if (owed.length === 0) return prompter.tell(speak('settle.none'));
    const chosen = await prompter.choose(speak('settle.ask'), [
      ...owed.map((one) => ({ value: one.id, label: owedLabel(speak, one) })),
      { value: 'no', label: speak('flow.back') },
    ]);
    for (const one of owed.filter(({ id }) => id === chosen)) {
      prompter.print(formatObligations([one], language));
      const reason = await prompter.type(speak('settle.reason'), { judge: this.#needed });
      const { reference } = one;
      const sure = await prompter.choose(speak('settle.sure', { reference }), [
        { value: 'no', label: speak('flow.back') },
        { value: 'yes', label: speak('settle.yes') },
      ]);
      if (sure === 'no') return;
      await line.settle(one.id, this.#technician?.name ?? '', reason);
      prompter.tell(speak('settle.done', { reference }));
    }
  }

  async #totals(): Promise<void> {
    const { line, prompter, speak } = this.#options;
    const totals = await line.totals();
    const title = speak('totals.title', { time: minuteOf(totals.atUnixMs) });
    prompter.show(title, totalsLines(speak, totals));
  }

  async #bag(): Promise<void> {
    const { line, prompter, speak } = this.#options;
    const bags = await line.bags();
    if (bags.length === 0) return prompter.tell(speak('bag.none'));
    const seal = await prompter.choose(
      speak('bag.ask'),
      bags.map((bag) => ({ value: bag.seal, label: bag.seal })),
    );
    for (const bag of bags.filter((one) => one.seal === seal)) await this.#countBag(bag);
  }

  async #countBag({ seal, denominations }: BagView): Promise<void> {
    const { line, prompter, speak } = this.#options;
    const { currency } = await line.machine();
    const where = placeWords(speak, `bag:${seal}`);
    const piles = { where, denominations, countMax: BAG_NOTES_MAX, currency };
    const counts = await typePiles(this.#asking, piles);
    if (typeof counts === 'string') return;
    const result = await line
      .countBag({ seal, counts, reason: null, note: '' })
      .catch(async (error: unknown) => {
        if (!isWhy(error, 'reasonNeeded')) throw error;
        return line.countBag({ seal, counts, ...(await this.#reason()) });
      });
    const { number } = result.record;
    const differences = differenceWords(speak, result.differences);
    const words = differences === '' ? 'bag.right' : 'bag.differs';
    prompter.tell(speak(words, { seal, differences, number }));
  }

  async #reason() {
    const { prompter, speak } = this.#options;
    const reason = await prompter.choose(
      speak('why.reasonNeeded'),
      overShortReasons.map((value) => ({ value, label: speak(`reason.${value}`) })),
    );
    return { reason, note: await typeNote(this.#asking, reason === 'other') };
  }

  wish(view: ExchangeView): Promise<Wish> {
    this.#open = view;
    const { prompter, speak } = this.#options;
    if (view.asks?.kind === 'close') {
      const title = speak('summary.title', { reference: view.reference });
      prompter.show(title, summaryLines(speak, view));
    }
    return askQuestion(this.#asking, view);
  }

  async whyAbandon({ reference }: ExchangeView): Promise<string | null> {
    const { prompter, speak } = this.#options;
    const sure = await prompter.choose(speak('abandon.sure', { reference }), [
      { value: 'no', label: speak('flow.back') },
      { value: 'yes', label: speak('abandon.yes') },
    ]);
    if (sure === 'no') return null;
    return prompter.type(speak('abandon.ask'), { judge: this.#needed });
  }

  waiting(state: 'draining' | 'testing'): void {
    const { prompter, speak } = this.#options;
    prompter.tell(speak(`flow.${state}`));
  }

  taken(wish: Wish, before: ExchangeView, after: ExchangeView): void {
    const { prompter, speak } = this.#options;
    const { asks, currency } = before;
    if (wish.kind !== 'answer' || asks?.kind !== 'load') return;
    const { position } = asks;
    const bay = after.bays.find((one) => one.position === position);
    if (!bay || bay.count === null || bay.sumMinor === null) return;
    const { count, sumMinor } = bay;
    const sum = formatMoney(sumMinor, currency);
    const values = { position, count, denomination: asks.denomination, currency, sum };
    prompter.tell(speak('load.sum', values));
  }

  /** A refusal is said and the question asked again; an agent that is away is waited for. */
  async recover(error: unknown): Promise<void> {
    const { prompter, speak } = this.#options;
    if (isAway(error)) return this.#waitForAgent(error);
    if (isRefusal(error, 'notAuthorized')) {
      prompter.warn(speak('sign.again'));
      this.#technician = await this.#signIn(this.#technician?.name);
      return;
    }
    const isForbidden = isRefusal(error, 'notPermitted') && !isWhy(error, 'permission');
    if (isForbidden || !isRefusal(error, ...MENDED)) throw error;
    prompter.warn(isWhy(error, 'step') ? speak('flow.elsewhere') : this.#wordsOf(error));
  }

  /** The same for what is done beside an exchange. */
  async #mend(error: unknown): Promise<false> {
    if (error instanceof Stopped) throw error;
    await this.recover(error);
    return false;
  }

  async #waitForAgent(cause: unknown): Promise<void> {
    const { line, prompter, speak, clock } = this.#options;
    prompter.warn(speak('agent.away'));
    for (let tries = 0; tries < AWAY_TRIES_MAX; tries++) {
      await sleep(clock, AWAY_POLL_MS);
      try {
        await line.machine();
        return prompter.tell(speak('agent.back'));
      } catch (error) {
        if (!isAway(error)) throw error;
      }
    }
    throw cause;
  }

  #wordsOf(error: CommandError): string {
    return whyText(this.#options.speak, error.refusal?.why) ?? error.message;
  }
}
