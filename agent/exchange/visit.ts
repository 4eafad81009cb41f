/** What a person on site, and the owner, may ask: who asks is looked at before every act. */
import type { z } from 'zod';
import type {
  answerRequest,
  BagCountResult,
  BagView,
  EndTechnicianResult,
  ExchangeEndResult,
  ExchangeState,
  ExchangeView,
  InviteResult,
  inviteRequest,
  Permission,
  RecordView,
  recordsQuery,
  SignInResult,
  TechniciansView,
  TotalsView,
} from '../api/visit-schemas.ts';
import type { Parts } from '../parts.ts';
import { type BagCount, bagsView, countBag } from './bags.ts';
import type { ExchangeDesk, ExchangeStepAddress } from './exchange-desk.ts';
import { recordView } from './record.ts';
import { Refusal } from './refusal.ts';
import type { Actor, Credential, TechnicianDesk } from './technicians.ts';
import { totalsView } from './totals.ts';

/** Who is ended, or let in again, and why. */
export interface Ending {
  readonly who: string;
  readonly reason: string;
}

/** The field visit as the local API calls it. Everything throws `Refusal` for a no. */
export interface VisitService {
  /** Who acts, when they may; the owner may. */
  permitted(who: Credential, needed: Permission): Actor;
  /** The owner alone. */
  owner(who: Credential): Actor;
  /** The owner, or whoever is signed in. */
  anyone(who: Credential): Actor;
  /** Whether who asks may see counts now: while hands count, the owner alone. */
  seesCounts(who: Credential): boolean;
  /** @throws Refusal `exchangeOpen` when they may not see counts now */
  assertSeesCounts(who: Credential): void;
  /** Owner: makes an invite, told once. */
  invite(who: Credential, request: z.output<typeof inviteRequest>): InviteResult;
  technicians(who: Credential): TechniciansView;
  /** Uses an invite up, and signs in. */
  redeem(invite: string, pin: string): Promise<SignInResult>;
  /** Owner: shuts a technician out, or ends an open invite. */
  end(who: Credential, state: 'revoked' | 'deleted', ending: Ending): EndTechnicianResult;
  /** Owner: lets one in again that a restore suspended. */
  confirm(who: Credential, ending: Ending): EndTechnicianResult;
  signIn(name: string, pin: string): Promise<SignInResult>;
  signOut(who: Credential): void;
  /** Totals by the books, without closing anything. */
  totals(who: Credential): TotalsView;
  exchange(who: Credential): ExchangeState;
  /** Begins an exchange, or gives the open one. */
  begin(who: Credential): ExchangeView;
  answer(who: Credential, request: z.output<typeof answerRequest>): ExchangeView;
  undo(who: Credential, at: ExchangeStepAddress): ExchangeView;
  close(who: Credential, at: ExchangeStepAddress): ExchangeEndResult;
  abandon(who: Credential, at: ExchangeStepAddress, reason: string): ExchangeEndResult;
  records(who: Credential, query: z.output<typeof recordsQuery>): RecordView[];
  bags(who: Credential): BagView[];
  countBag(who: Credential, bag: BagCount): BagCountResult;
}

/** The one `VisitService`. */
export class Visits implements VisitService {
  readonly #parts: Parts;
  readonly #desk: TechnicianDesk;
  readonly #exchange: ExchangeDesk;

  constructor(parts: Parts, desk: TechnicianDesk, exchange: ExchangeDesk) {
    this.#parts = parts;
    this.#desk = desk;
    this.#exchange = exchange;
  }

  permitted(who: Credential, needed: Permission): Actor {
    return this.#desk.permitted(who, needed);
  }

  owner(who: Credential): Actor {
    return this.#desk.owner(who);
  }

  anyone(who: Credential): Actor {
    return this.#desk.actor(who);
  }

  seesCounts(who: Credential): boolean {
    return who.kind === 'owner' || this.#parts.store.exchanges.open() === undefined;
  }

  assertSeesCounts(who: Credential): void {
    if (!this.seesCounts(who)) this.#assertNotBlind();
  }

  invite(who: Credential, request: z.output<typeof inviteRequest>): InviteResult {
    this.#desk.owner(who);
    return this.#desk.invite(request);
  }

  technicians(who: Credential): TechniciansView {
    this.#desk.actor(who);
    return this.#desk.view();
  }

  redeem(invite: string, pin: string): Promise<SignInResult> {
    return this.#desk.redeem(invite, pin);
  }

  end(who: Credential, state: 'revoked' | 'deleted', ending: Ending): EndTechnicianResult {
    return this.#desk.end(ending.who, state, byOwner(this.#desk.owner(who), ending));
  }

  confirm(who: Credential, ending: Ending): EndTechnicianResult {
    return this.#desk.confirm(ending.who, byOwner(this.#desk.owner(who), ending));
  }

  signIn(name: string, pin: string): Promise<SignInResult> {
    return this.#desk.signIn(name, pin);
  }

  signOut(who: Credential): void {
    this.#desk.signOut(who);
  }

  totals(who: Credential): TotalsView {
    this.#desk.permitted(who, 'counts');
    this.#assertNotBlind();
    return totalsView(this.#parts);
  }

  exchange(who: Credential): ExchangeState {
    const { technician } = this.#desk.actor(who);
    return { exchange: this.#exchange.view(technician) ?? null };
  }

  begin(who: Credential): ExchangeView {
    return this.#exchange.begin(this.#desk.technician(who, 'exchange'));
  }

  answer(who: Credential, { answer, ...at }: z.output<typeof answerRequest>): ExchangeView {
    return this.#exchange.answer(this.#desk.technician(who, 'exchange'), at, answer);
  }

  undo(who: Credential, at: ExchangeStepAddress): ExchangeView {
    return this.#exchange.undo(this.#desk.technician(who, 'exchange'), at);
  }

  close(who: Credential, at: ExchangeStepAddress): ExchangeEndResult {
    return this.#exchange.close(this.#desk.technician(who, 'exchange'), at);
  }

  abandon(who: Credential, at: ExchangeStepAddress, reason: string): ExchangeEndResult {
    return this.#exchange.abandon(this.#desk.technician(who, 'exchange'), at, reason);
  }

  records(who: Credential, { after, limit, last }: z.output<typeof recordsQuery>): RecordView[] {
    this.#desk.actor(who);
    const { visitRecords } = this.#parts.store;
    if (last === undefined) return visitRecords.list(after, limit).map(recordView);
    const before = Math.max(0, visitRecords.head().number - last);
    return visitRecords.list(before, last).map(recordView);
  }

  bags(who: Credential): BagView[] {
    this.#desk.permitted(who, 'collect');
    return bagsView(this.#parts);
  }

  countBag(who: Credential, bag: BagCount): BagCountResult {
    const actor = this.#desk.permitted(who, 'collect');
    // While an answer can be taken back, what it moves into a bag can be as well.
    this.#assertNotBlind();
    return countBag(this.#parts, actor, bag);
  }

  /** @throws Refusal `exchangeOpen` */
  #assertNotBlind(): void {
    const open = this.#parts.store.exchanges.open();
    if (!open) return;
    const { reference } = open;
    const words = `Exchange ${reference} is open, and counts are made without knowing the books.`;
    throw new Refusal('sequenceError', 'exchangeOpen', words, { reference });
  }
}

const byOwner = ({ name }: Actor, { reason }: Ending): string => `${name}: ${reason}`;
