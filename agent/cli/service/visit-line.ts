/** The technician's side of the local API: one sign-in, and the calls of a field visit. */
import { z } from 'zod';
import {
  type MachineView,
  machineView,
  type ObligationView,
  obligationView,
  settleResult,
} from '../../api/schemas.ts';
import {
  type BagCountResult,
  type BagView,
  bagCountResult,
  bagView,
  type ExchangeAnswer,
  type ExchangeEndResult,
  type ExchangeView,
  exchangeEndResult,
  exchangeState,
  exchangeView,
  type RecordView,
  recordView,
  type SignInResult,
  signInResult,
  type TechnicianView,
  type TotalsView,
  totalsView,
} from '../../api/visit-schemas.ts';
import { ask } from '../client.ts';

/** Where an exchange stands: what an answer is addressed to. */
export type At = Pick<ExchangeView, 'id' | 'step'>;

const address = ({ id, step }: At) => ({ exchange: id, step });

/** Calls of the agent. All throw CommandError as `ask` does. */
export class VisitLine {
  readonly #socketPath: string;
  #token: string | undefined;

  constructor(socketPath: string) {
    this.#socketPath = socketPath;
  }

  #get<Value>(name: string, schema: z.ZodType<Value>): Promise<Value> {
    const { socketPath, token } = this.#who();
    return ask({ socketPath, path: `/v1/${name}`, schema, token });
  }

  #post<Value>(name: string, body: unknown, schema: z.ZodType<Value>): Promise<Value> {
    const { socketPath, token } = this.#who();
    return ask({ socketPath, path: `/v1/${name}`, schema, body, token });
  }

  #who() {
    return { socketPath: this.#socketPath, token: this.#token };
  }

  /** The machine as everybody may see it. */
  machine(): Promise<MachineView> {
    return this.#get('machine', machineView);
  }

  async #signedIn(result: Promise<SignInResult>): Promise<TechnicianView> {
    const { token, technician } = await result;
    this.#token = token;
    return technician;
  }

  signIn(name: string, pin: string): Promise<TechnicianView> {
    return this.#signedIn(this.#post('service/sign-ins', { name, pin }, signInResult));
  }

  /** Uses an invite up, with a PIN of one's own. */
  redeem(invite: string, pin: string): Promise<TechnicianView> {
    return this.#signedIn(this.#post('service/technicians', { invite, pin }, signInResult));
  }

  async signOut(): Promise<void> {
    await this.#post('service/sign-outs', {}, z.object({}));
  }

  /** The open exchange, or null. */
  async exchange(): Promise<ExchangeView | null> {
    return (await this.#get('service/exchange', exchangeState)).exchange;
  }

  begin(): Promise<ExchangeView> {
    return this.#post('service/exchange', {}, exchangeView);
  }

  answer(at: At, answer: ExchangeAnswer): Promise<ExchangeView> {
    return this.#post('service/exchange/answers', { ...address(at), answer }, exchangeView);
  }

  undo(at: At): Promise<ExchangeView> {
    return this.#post('service/exchange/undo', address(at), exchangeView);
  }

  close(at: At): Promise<ExchangeEndResult> {
    return this.#post('service/exchange/close', address(at), exchangeEndResult);
  }

  abandon(at: At, reason: string): Promise<ExchangeEndResult> {
    return this.#post('service/exchange/abandon', { ...address(at), reason }, exchangeEndResult);
  }

  totals(): Promise<TotalsView> {
    return this.#get('service/totals', totalsView);
  }

  /** Records of visits after a number, oldest first. */
  records(after: number, limit: number): Promise<RecordView[]> {
    return this.#get(`service/records?after=${after}&limit=${limit}`, z.array(recordView));
  }

  /** The record of the visit before, if there was one. */
  async lastRecord(): Promise<RecordView | undefined> {
    const [last] = await this.#get('service/records?last=1', z.array(recordView));
    return last;
  }

  /** What is owed or not known. */
  obligations(): Promise<ObligationView[]> {
    return this.#get('obligations', z.array(obligationView));
  }

  /** Says that something was settled by hand, by whoever has signed in. */
  async settle(obligation: string, by: string, reason: string): Promise<void> {
    await this.#post('settlements', { obligation, by, reason }, settleResult);
  }

  bags(): Promise<BagView[]> {
    return this.#get('service/bags', z.array(bagView));
  }

  countBag(bag: {
    readonly seal: string;
    readonly counts: Extract<ExchangeAnswer, { kind: 'boxCount' }>['counts'];
    readonly reason: Extract<ExchangeAnswer, { kind: 'reason' }>['reason'] | null;
    readonly note: string;
  }): Promise<BagCountResult> {
    return this.#post('service/bags', bag, bagCountResult);
  }
}
