/** A technician with a van, at a whole machine: what a person does there, by the agent's service. */
import type { ExchangeAnswer, ExchangeView, Permission } from '#agent/api/visit-schemas.ts';
import { Refusal } from '#agent/exchange/refusal.ts';
import type { Credential } from '#agent/exchange/technicians.ts';
import { type MachineOptions, WholeMachine } from '#test/support/whole-machine.ts';
import { hiddenText } from '#test/support/written.ts';

export const OWNER: Credential = { kind: 'owner' };
export const NOBODY: Credential = { kind: 'nobody' };
export const PIN = '482915';
export const ALL: readonly Permission[] = ['counts', 'exchange', 'test', 'collect', 'settle'];

/** The word of a refusal; what was done when nothing was refused. */
export async function whyOf(act: () => unknown): Promise<string> {
  try {
    await act();
    return 'done';
  } catch (error) {
    if (error instanceof Refusal) return error.why;
    throw error;
  }
}

/** What the technician finds and does, place by place. */
export interface Plan {
  readonly bays?: Readonly<
    Record<number, { readonly out?: number; readonly load?: number } | 'seal'>
  >;
  readonly boxes?: 'leave' | 'count' | 'seal';
  /** Notes in the cash box by denomination. */
  readonly cashBox?: Readonly<Record<number, number>>;
  readonly reject?: Readonly<Record<number, number>>;
  readonly tests?: 'run' | 'skip';
}

/** One visit at one machine. */
export class Visit {
  readonly machine: WholeMachine;
  who: Credential = NOBODY;
  #seal = 0;

  constructor(machine: WholeMachine) {
    this.machine = machine;
  }

  /** A machine in service, and a technician who is signed in. */
  static async begin(
    options: MachineOptions = {},
    permissions: readonly Permission[] = ALL,
  ): Promise<Visit> {
    const visit = new Visit(await WholeMachine.inService(options));
    await visit.join('Ana', permissions);
    return visit;
  }

  get service() {
    return this.machine.running.service.visit;
  }

  get store() {
    return this.machine.running.store;
  }

  /** Invites and redeems; who joined last is who acts. */
  async join(name: string, permissions: readonly Permission[] = ALL): Promise<Credential> {
    const request = { name, permissions: [...permissions], expiresAtUnixMs: null };
    const { invite } = this.service.invite(OWNER, request);
    this.machine.hide('an invite', hiddenText, invite);
    return this.#signedIn(this.service.redeem(invite, PIN));
  }

  async signIn(name = 'Ana', pin = PIN): Promise<Credential> {
    return this.#signedIn(this.service.signIn(name, pin));
  }

  async #signedIn(result: Promise<{ readonly token: string }>): Promise<Credential> {
    const { token } = await result;
    this.machine.hide('a sign-in', hiddenText, token);
    this.who = { kind: 'token', token };
    return this.who;
  }

  get view(): ExchangeView {
    const { exchange } = this.service.exchange(this.who);
    if (!exchange) throw new Error('no exchange is open');
    return exchange;
  }

  /** Begins an exchange and waits until it asks. */
  async open(): Promise<ExchangeView> {
    this.service.begin(this.who);
    return this.asking();
  }

  /** Waits out customers and test dispenses. */
  async asking(): Promise<ExchangeView> {
    await this.machine.clock.until(() => this.view.state === 'asking', 900_000);
    return this.view;
  }

  answer(answer: ExchangeAnswer): ExchangeView {
    const { id, step } = this.view;
    return this.service.answer(this.who, { exchange: id, step, answer });
  }

  undo(): ExchangeView {
    const { id, step } = this.view;
    return this.service.undo(this.who, { exchange: id, step });
  }

  close() {
    const { id, step } = this.view;
    return this.service.close(this.who, { exchange: id, step });
  }

  abandon(reason = 'rain') {
    const { id, step } = this.view;
    return this.service.abandon(this.who, { exchange: id, step }, reason);
  }

  /** The answer of a plan to what is asked now. */
  answerOf(plan: Plan): ExchangeAnswer | undefined {
    const { asks } = this.view;
    switch (asks?.kind) {
      case 'bay': {
        const bay = plan.bays?.[asks.position];
        if (bay === undefined) return { kind: 'bay', choice: 'leave' };
        return { kind: 'bay', choice: bay === 'seal' ? 'seal' : 'count' };
      }
      case 'bayCount': {
        const bay = plan.bays?.[asks.position];
        return { kind: 'bayCount', count: typeof bay === 'object' ? (bay.out ?? 0) : 0 };
      }
      case 'denomination':
        return { kind: 'denomination', denomination: asks.current ?? 20 };
      case 'load': {
        const bay = plan.bays?.[asks.position];
        return { kind: 'load', count: typeof bay === 'object' ? (bay.load ?? 0) : 0 };
      }
      case 'reason':
        return { kind: 'reason', reason: 'miscountAtRefill', note: '' };
      case 'seal':
        return { kind: 'seal', seal: `S-${++this.#seal}` };
      case 'box':
        return { kind: 'box', choice: plan.boxes ?? 'leave' };
      case 'boxCount': {
        const counts = (asks.place === 'cashbox' ? plan.cashBox : plan.reject) ?? {};
        const piles = Object.entries(counts).map(([denomination, count]) => {
          return { denomination: Number(denomination), count };
        });
        return { kind: 'boxCount', counts: piles };
      }
      case 'test':
        return { kind: 'test', choice: plan.tests ?? 'skip' };
      default:
        return undefined;
    }
  }

  /** Answers all that is asked, up to the end. */
  walk(plan: Plan): Promise<ExchangeView> {
    return this.walkTo('close', plan);
  }

  /** Answers up to the first question of a kind. */
  async walkTo(kind: string, plan: Plan): Promise<ExchangeView> {
    for (;;) {
      const { asks } = await this.asking();
      if (asks?.kind === kind) return this.view;
      const answer = asks ? this.answerOf(plan) : undefined;
      if (!answer) return this.view;
      this.answer(answer);
    }
  }

  /** Puts notes into a cassette, as a hand does. */
  fill(position: number, denomination: number, count: number): void {
    this.machine.dispenser.control({ do: 'cassette', position, denomination, count });
  }

  accuracy(): Record<number, string> {
    return Object.fromEntries(
      this.store.cashUnits.list().map(({ position, accuracy }) => [position, accuracy]),
    );
  }

  /** Counts by account, `bay:1 20: 10`. */
  counts(): readonly string[] {
    return this.store.ledger
      .balances()
      .map(({ account, value, count }) => `${account} ${value / 100}: ${count}`);
  }
}
