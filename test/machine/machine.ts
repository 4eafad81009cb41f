/** A machine that is installed, paired and served: what it says, and hands on all of it. */
import { copyFileSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import {
  type CashInView,
  type CashOutView,
  type CustomerCommand,
  commandResult,
  type MachineView,
  machineView,
  obligationView,
  statusView,
} from '#agent/api/schemas.ts';
import { call } from '#test/agent/api/harness.ts';
import type { Site } from './site.ts';
import { CONTROL, DEVICES, type Surroundings, surroundings } from './surroundings.ts';
import { until } from './until.ts';

/** Where the service listens. */
export const SOCKET = '/run/spire/agent.sock';
/** The service's configuration. */
export const CONFIGURATION = '/etc/spire/spire.json';
const reply = z.discriminatedUnion('ok', [
  z.object({ ok: z.literal(true), result: z.unknown() }),
  z.object({ ok: z.literal(false), reason: z.string() }),
]);
const notes = z.record(z.string(), z.number());
/** What is where, in truth. */
const look = z.object({
  validator: z.object({ cashbox: notes }),
  dispenser: z.object({ customer: notes }),
});

/** What is around a machine, as it was written down there. */
export function readSurroundings(file: string): Surroundings {
  return surroundings.parse(JSON.parse(readFileSync(file, 'utf8')));
}

/** A configuration for what is around it. */
export function configurationOf({ validator, dispenser }: Surroundings) {
  return {
    currency: 'USD',
    support: { contact: '+1 555 0100' },
    validator: { protocol: DEVICES.validator.protocol, port: validator },
    dispenser: { ...DEVICES.dispenser, port: dispenser },
    network: 'regtest',
    limits: { max_cash_in_sats: 2_000_000 },
    rate: { kind: 'fixed', minorPerBtc: 9_711_700 },
    allowPrivateHosts: true,
    // Whatever else listens on this computer.
    screen: { port: 0 },
  };
}

/** One machine. */
export class Machine {
  readonly site: Site;
  #session = 0;

  constructor(site: Site) {
    this.site = site;
  }

  /** Puts a file of this computer into the shared folder. Returns where the machine sees it. */
  give(file: string, name: string): string {
    copyFileSync(file, join(this.site.shared, name));
    return join(this.site.sharedInside, name);
  }

  /** Hands: on a device, in the wallet, or only eyes. @throws Error with what was said to it. */
  async hand(command: Readonly<Record<string, unknown>>): Promise<unknown> {
    const socket = connect(join(this.site.shared, CONTROL));
    socket.write(`${JSON.stringify(command)}\n`);
    for await (const line of createInterface({ input: socket })) {
      socket.destroy();
      const said = reply.parse(JSON.parse(line));
      if (said.ok) return said.result;
      throw new Error(said.reason);
    }
    throw new Error('nobody is around the machine');
  }

  /** Where the notes are in truth. */
  async look(): Promise<z.infer<typeof look>> {
    return look.parse(await this.hand({ to: 'look' }));
  }

  /** Asks the agent; undefined while it does not answer. */
  async #ask<T>(path: string, schema: z.ZodType<T>, body?: object): Promise<T | undefined> {
    const socketPath = this.site.path(SOCKET);
    const sent = body ? { method: 'POST', body: JSON.stringify(body) } : {};
    const answer = await call({ socketPath, path, ...sent }).catch(() => undefined);
    if (answer?.status !== 200) return undefined;
    return schema.parse(JSON.parse(answer.text));
  }

  view(): Promise<MachineView | undefined> {
    return this.#ask('/v1/machine', machineView);
  }

  status() {
    return this.#ask('/v1/status', statusView);
  }

  obligations() {
    return this.#ask('/v1/obligations', z.array(obligationView));
  }

  /** Waits until both directions are open. */
  async inService(): Promise<void> {
    await this.until('in service', (view) => view.cashIn.open && view.cashOut.open);
  }

  /** Waits until the machine says it. */
  async until(what: string, found: (view: MachineView) => boolean): Promise<void> {
    let last: MachineView | undefined;
    const see = async () => {
      last = await this.view();
      return last !== undefined && found(last);
    };
    await until(what, see).catch((cause: unknown) => {
      throw new Error(`never: ${what}; it shows ${JSON.stringify(last)}`, { cause });
    });
  }

  /** A customer's command, given until it is heard: twice is once. @throws Error when refused. */
  async act(command: Partial<CustomerCommand> & { readonly do: CustomerCommand['do'] }) {
    const opens = command.do === 'startCashIn' || command.do === 'startCashOut';
    if (opens) this.#session += 1;
    const session = this.#session.toString(16).padStart(32, '0');
    const step = opens ? 0 : ((await this.view())?.session?.step ?? 0);
    let result: z.infer<typeof commandResult> | undefined;
    await until(`an answer to ${command.do}`, async () => {
      result = await this.#ask('/v1/commands', commandResult, { session, step, ...command });
      return result !== undefined;
    });
    if (!result?.ok) throw new Error(`${command.do}: ${result?.reason}`);
  }

  /** Waits for the cash-in on the screen to say it; gives it. */
  async cashIn(what: string, found: (session: CashInView) => boolean): Promise<CashInView> {
    return this.#follow('cashIn', what, found);
  }

  /** The same of a cash-out. */
  async cashOut(what: string, found: (session: CashOutView) => boolean): Promise<CashOutView> {
    return this.#follow('cashOut', what, found);
  }

  async #follow<Kind extends 'cashIn' | 'cashOut'>(
    kind: Kind,
    what: string,
    found: (session: SessionOf<Kind>) => boolean,
  ): Promise<SessionOf<Kind>> {
    const seen: SessionOf<Kind>[] = [];
    await this.until(what, ({ session }) => {
      if (!isOf(session, kind) || !found(session)) return false;
      seen.push(session);
      return true;
    });
    const [session] = seen;
    if (!session) throw new Error(`never: ${what}`);
    return session;
  }

  /** A note of 20 in, up to the link on the screen, which is claimed. */
  async deposit(): Promise<void> {
    await this.insert();
    await this.cashIn('the note is in', ({ notes: count }) => count === 1);
    await this.act({ do: 'finish' });
    const { lnurl } = await this.cashIn('the link', (one) => one.lnurl !== null);
    await this.hand({ to: 'claim', lnurl });
    await this.leave('claimed');
  }

  /** A cash-in is begun, and its first note of 20 is in the slot. */
  async insert(): Promise<void> {
    await this.act({ do: 'startCashIn' });
    await this.cashIn('the slot is open', ({ phase }) => phase === 'inserting');
    await until('the note is taken', () =>
      this.hand({ to: 'insert', denomination: 20 }).then(
        () => true,
        () => false,
      ),
    );
  }

  /** 40 sold for sats and handed out. */
  async sell(): Promise<void> {
    const bolt11 = await this.invoice();
    await this.hand({ to: 'pay', bolt11 });
    await this.leave('dispensed');
  }

  /** A sale of 40 up to its invoice. */
  async invoice(): Promise<string> {
    await this.act({ do: 'startCashOut' });
    await this.cashOut('amounts', ({ offeredMinor }) => offeredMinor.includes(4_000));
    await this.act({ do: 'chooseAmount', amountMinor: 4_000 });
    const { bolt11 } = await this.cashOut('the invoice', (one) => one.bolt11 !== null);
    return bolt11 ?? '';
  }

  /** Waits for an outcome, which has to be this one, and leaves the last screen. */
  async leave(outcome: string): Promise<void> {
    await this.until(outcome, ({ session }) => session?.outcome?.code === outcome);
    await this.act({ do: 'dismiss' });
    await this.until('the next customer', ({ session }) => session === null);
  }
}

type Session = NonNullable<MachineView['session']>;
type SessionOf<Kind extends Session['kind']> = Extract<Session, { readonly kind: Kind }>;

function isOf<Kind extends Session['kind']>(
  session: MachineView['session'],
  kind: Kind,
): session is SessionOf<Kind> {
  return session?.kind === kind;
}
