/**
 * The promises of design 1, held against the truth after every journal entry. It knows what the
 * devices did, what the customers saw and paid, and what the journal said; never what the agent
 * thinks.
 */
import type { DeviceTruth } from '#hal/simulator/device.ts';
import type { ObligationId, TransactionId } from '#protocol/base/ids.ts';
import { minorPerBtc, minorUnits, principalOfNote } from '#protocol/base/money.ts';
import type { JournalEntry } from '#state/journal.ts';
import type { JsonObject } from '#state/json.ts';
import type { Obligation } from '#state/obligations.ts';
import type { Store } from '#state/store.ts';
import type { DeviceAct } from '#test/support/whole-machine.ts';
import { worth } from './hands.ts';
import { Violation } from './violation.ts';

/** Notes by face value. */
type Tally = Map<number, number>;

/** What is known of one transaction from outside. */
export interface Known {
  readonly id: TransactionId;
  readonly kind: 'cashIn' | 'cashOut';
  readonly reference: string;
  /** The five words, once they were on the screen. */
  code: string | undefined;
  /** Links that were on the screen. */
  readonly links: Set<string>;
  /** A customer has taken what the link holds. */
  claimed: boolean;
  /** Invoices that were on the screen, and whether one was paid. */
  readonly bolt11s: Set<string>;
  paid: boolean;
  /** The wallet had no right preimage for it when it was paid. */
  isForeign: boolean;
  /** Principal of the notes that are in the box by the journal, sats. */
  principalSats: number;
  /** What of it the customer was promised, sats. */
  netSats: number;
  /** What a sale is over, minor units. */
  fiatMinor: number;
  /** Notes that the dispenser gave out for it, in truth, minor units. */
  handedMinor: number;
  /** Notes that were asked of the dispenser for it, and that came out. */
  askedNotes: number;
  handedNotes: number;
  /** The wallet was asked so often. */
  attempts: number;
  answers: number;
  /** Requests by which the wallet was asked. */
  readonly events: Set<string>;
  /** A person has paid it: the cash of a sale, minor units, or a whole deposit. */
  settledMinor: number;
  isSettled: boolean;
  inDoubt: boolean;
}

/** How the watch sees the world. */
export interface Eyes {
  readonly capSats: number | null;
  validator(): DeviceTruth;
  dispenser(): DeviceTruth;
  /** Notes that hands took out of the cash box. */
  collected(value: number): number;
  /** Notes that hands took off the validator's path, and that the books may have in the box. */
  taken(value: number): number;
  /** Notes that the dispenser said it delivered and lost, minor units: nobody can know. */
  lostMinor(): number;
  /** The wallet tells preimages that are of no payment. */
  givesForeignPreimages(): boolean;
  /** The validator's words may be wrong or unheard, and nothing in them tells. */
  mayMisstateNotes(): boolean;
  /** The dispenser may pick notes from another bay than it was asked. */
  mayPickElsewhere(): boolean;
  /** The dispenser may have picked from a bay that it was not asked, and not have said so. */
  mayHideBay(): boolean;
}

const add = (tally: Tally, value: number, count = 1): number => {
  const sum = (tally.get(value) ?? 0) + count;
  tally.set(value, sum);
  return sum;
};

/** Entries by which the journal takes a credit, as a deposit, as a debt or as a repetition. */
const creditKinds: ReadonlySet<string> = new Set([
  ...['note.deposited', 'credit.unexpected', 'credit.repeated'],
]);

/** Classes of dispense commands, and what else an ending is counted by. */
export type Outcome = 'exact' | 'partial' | 'none' | 'unknown' | 'remainder' | 'obligation';
export const outcomeNames: readonly Outcome[] = [
  ...(['exact', 'partial', 'none', 'unknown', 'remainder', 'obligation'] as const),
];

/** Watches one machine over all its lives. */
export class Watch {
  readonly transactions = new Map<TransactionId, Known>();
  readonly outcomes = new Map<string, number>();
  readonly #eyes: Eyes;
  readonly #byReference = new Map<string, Known>();
  readonly #booked: Tally = new Map();
  /** Notes of which the journal says that nobody knows where they are. */
  readonly doubted: Tally = new Map();
  /** When a command ended of which nobody knows what became, until counts of later are told. */
  #doubtedSinceSec: number | undefined;
  /** Notes that were credited without their value. */
  unvalued = 0;
  #lastSeq = 0;
  #lastHash = '0'.repeat(64);
  #customerMinor = 0;
  #customerNotes = 0;
  #countsSinceSec: number | undefined;
  #lostMinor = 0;
  #dispensing: Known | undefined;
  /** The end of its last command is not written down. */
  isDispensing: boolean = false;
  /** As it was before the command that is on its way. */
  #before = { handedMinor: 0, lostMinor: 0 };
  readonly #ordinals = new Set<string>();
  /** The journal has taken a credit since the device was last told of one. */
  #hasCredit: boolean = false;
  /** Intents whose command was given. */
  readonly #commanded = new Set<string>();

  constructor(eyes: Eyes) {
    this.#eyes = eyes;
  }

  /** False while the operator's document of what is in the bays is under way. */
  get hasCounts(): boolean {
    return this.#countsSinceSec === undefined;
  }

  /** Since the last counts nobody knows what became of a command. */
  get isDoubted(): boolean {
    return this.#doubtedSinceSec !== undefined;
  }

  /** The bays were filled, and a document of this time tells the machine. */
  countsFrom(atUnixMs: number): void {
    this.#countsSinceSec = Math.floor(atUnixMs / 1_000);
  }

  get lastSeq(): number {
    return this.#lastSeq;
  }

  /** A transaction by what its customer reads out. */
  byReference(reference: string): Known | undefined {
    return this.#byReference.get(reference);
  }

  /** A program has opened the state again: nothing that was told as written may be missing. */
  reopened(store: Store): void {
    const { seq } = store.journal.head();
    if (seq < this.#lastSeq) {
      throw new Violation('nothing written is lost', `${this.#lastSeq - seq} entries are gone`);
    }
    if (this.#lastSeq > 0) {
      const [entry] = store.journal.read({ afterSeq: this.#lastSeq - 1, limit: 1 });
      if (entry?.hash !== this.#lastHash) {
        throw new Violation('nothing written is lost', `entry ${this.#lastSeq} is another one`);
      }
    }
    for (const entry of store.journal.read({ afterSeq: this.#lastSeq, limit: 10_000 })) {
      this.see(entry, store);
    }
    this.#hasCredit = false;
  }

  /** One more journal entry. @throws Violation */
  see(entry: JournalEntry, store: Store): void {
    if (entry.seq !== this.#lastSeq + 1 || entry.previousHash !== this.#lastHash) {
      throw new Violation('the hash chain is whole', `entry ${entry.seq} does not follow`);
    }
    this.#lastSeq = entry.seq;
    this.#lastHash = entry.hash;
    if (creditKinds.has(entry.kind)) this.#hasCredit = true;
    const known =
      entry.transactionId === undefined ? undefined : this.transactions.get(entry.transactionId);
    if (entry.kind === 'cashIn.opened' || entry.kind === 'cashOut.reserved') this.#open(entry);
    else if (known) this.#seeOf(known, entry, store);
    else if (entry.kind === 'credit.unexpected') this.#credit(entry);
    else if (entry.kind === 'initialise.settled') this.#initialised(entry);
    else if (entry.kind === 'document.applied') this.#applied(entry);
  }

  /**
   * The agent gives a command that cannot be taken back. What it is about must be on the disk by
   * then, and each intent has one command. @throws Violation
   */
  seeAct(act: DeviceAct, store: Store): void {
    const device = act === 'dispense' ? 'dispenser' : 'acceptor';
    const intent = store.intents.listOpen().find((one) => one.device === device);
    if (act === 'confirmDeposit') {
      // The device forgets the note now: what the journal has of it is all that is left.
      if (!this.#hasCredit) {
        throw new Violation('written before it is done', 'a note confirmed and not booked');
      }
      this.#hasCredit = false;
      return;
    }
    const kinds = { deposit: 'deposit', returnNote: 'return', dispense: 'dispense' } as const;
    // A note that nobody asked for goes back without an intent: it is nobody's money yet.
    const isOwn = intent?.kind === 'return' || intent?.kind === 'deposit';
    const isOther = intent === undefined || !isOwn || this.#commanded.has(intent.id);
    if (act === 'returnNote' && isOther) return;
    if (intent?.kind !== kinds[act]) {
      throw new Violation('written before it is done', `${act} with ${intent?.kind ?? 'nothing'}`);
    }
    if (this.#commanded.has(intent.id)) {
      throw new Violation('at most once', `${act} was sent twice for one intent`);
    }
    this.#commanded.add(intent.id);
  }

  /** The screen shows this to whoever stands there. @throws Violation */
  seeSession(session: {
    readonly reference: string | null;
    readonly claimCode: string | null;
    readonly lnurl?: string | null;
    readonly bolt11?: string | null;
    readonly notes?: number;
  }): void {
    const { reference, claimCode, lnurl, bolt11 } = session;
    const known = reference === null ? undefined : this.#byReference.get(reference);
    if (!known) return;
    if (claimCode !== null) {
      if (known.code !== undefined && known.code !== claimCode) {
        throw new Violation('the code stays the same', known.reference);
      }
      known.code = claimCode;
    }
    const atRisk = (bolt11 ?? null) !== null || (session.notes ?? 0) > 0;
    if (atRisk && known.code === undefined) {
      throw new Violation('value at risk has a code', `${known.reference} shows none`);
    }
    if (lnurl) known.links.add(lnurl);
    if (lnurl && known.isSettled) {
      throw new Violation('at most once', `${known.reference} shows a link and was paid by hand`);
    }
    if (bolt11) known.bolt11s.add(bolt11);
    if (known.links.size > 1) {
      throw new Violation('at most one link is shown', known.reference);
    }
  }

  /** Notes that came out since the last look belong to the last command. @throws Violation */
  attribute(): void {
    const { customer } = this.#eyes.dispenser();
    const now = worth(customer);
    const came = now - this.#customerMinor;
    this.#customerMinor = now;
    const notesNow = Object.values(customer).reduce((sum, count) => sum + count, 0);
    const notes = notesNow - this.#customerNotes;
    this.#customerNotes = notesNow;
    this.#lostMinor = this.#eyes.lostMinor();
    const known = this.#dispensing;
    if (came === 0) return;
    if (!known) throw new Violation('notes come out for a payment', `${came} for nobody`);
    known.handedMinor += came;
    known.handedNotes += notes;
    if (!known.paid) throw new Violation('notes come out for a payment', known.reference);
    const byHand = known.inDoubt ? 0 : known.settledMinor;
    // One that picks from another bay gives notes of another value, and never more notes.
    const isMore = this.#eyes.mayPickElsewhere()
      ? known.handedNotes > known.askedNotes
      : known.handedMinor + byHand > known.fiatMinor;
    if (isMore) {
      const much = `${known.handedMinor} of ${known.fiatMinor} came out, ${byHand} paid by hand`;
      throw new Violation('at most once', `${known.reference}: ${much}`);
    }
  }

  #count(name: string): void {
    this.outcomes.set(name, (this.outcomes.get(name) ?? 0) + 1);
  }

  #open({ transactionId, kind, body }: JournalEntry): void {
    if (transactionId === undefined) return;
    const known: Known = {
      id: transactionId,
      kind: kind === 'cashIn.opened' ? 'cashIn' : 'cashOut',
      reference: String(body.reference),
      links: new Set(),
      bolt11s: new Set(),
      ...{ code: undefined, claimed: false, paid: false, isForeign: false },
      ...{ principalSats: 0, netSats: 0, fiatMinor: Number(body.amountMinor ?? 0), handedMinor: 0 },
      ...{ askedNotes: 0, handedNotes: 0 },
      events: new Set(),
      ...{ attempts: 0, answers: 0, inDoubt: false, settledMinor: 0, isSettled: false },
    };
    this.transactions.set(transactionId, known);
    this.#byReference.set(known.reference, known);
  }

  #seeOf(known: Known, entry: JournalEntry, store: Store): void {
    const { body } = entry;
    switch (entry.kind) {
      case 'deposit.intended':
        this.#depositIntended(known, body);
        break;
      case 'note.deposited':
        this.#bookNote(known, body);
        break;
      case 'note.unknown':
        add(this.doubted, Number(body.valueMinor));
        known.inDoubt = true;
        this.#count('noteUnknown');
        break;
      case 'note.returned':
        this.#count('noteReturned');
        break;
      case 'withdraw.sent':
        known.attempts += 1;
        known.events.add(String(body.eventId));
        if (known.isSettled) throw new Violation('at most once', `${known.reference} asked again`);
        break;
      case 'withdraw.answered':
        known.answers += 1;
        if (known.answers > 1) throw new Violation('at most one link is shown', known.reference);
        break;
      case 'withdraw.claimed':
        if (!known.claimed) throw new Violation('no success without proof', `${known.reference}`);
        this.#count('claimed');
        break;
      case 'payment.settled':
        this.#paid(known, body);
        break;
      case 'dispense.intended':
        this.#dispenseIntended(known, body);
        break;
      case 'dispense.settled':
        this.#dispenseSettled(known, entry, store);
        break;
      case 'obligation.settled':
        this.#settled(known, store.obligations.get(body.obligationId as ObligationId));
        break;
      case 'obligation.opened':
        if (body.kind === 'dispenseUnknown') known.inDoubt = true;
        break;
      case 'cashIn.ended':
      case 'cashOut.ended':
        this.#ended(known, entry, store);
        break;
      default:
    }
  }

  #paid(known: Known, { doubt }: JournalEntry['body']): void {
    const { reference } = known;
    if (!known.paid) throw new Violation('no success without proof', `${reference} paid`);
    if (doubt !== null || !known.isForeign || !this.#eyes.givesForeignPreimages()) return;
    throw new Violation('no success without proof', `${reference}: a preimage of another payment`);
  }

  #settled(known: Known, obligation: Obligation | undefined): void {
    if (!obligation) throw new Violation('nothing written is lost', known.reference);
    const { kind, amountMinor = 0, amountSats = 0 } = obligation;
    if (known.kind === 'cashOut') known.settledMinor += amountMinor;
    else if (kind.startsWith('withdraw')) known.isSettled ||= amountSats >= known.netSats;
  }

  #depositIntended(known: Known, body: JournalEntry['body']): void {
    if (known.code === undefined) {
      throw new Violation('value at risk has a code', `${known.reference}: no words at a note`);
    }
    const principal = this.#principal(body);
    const { capSats } = this.#eyes;
    if (capSats !== null && known.principalSats + principal > capSats) {
      const sum = `${known.principalSats} + ${principal} of ${capSats}`;
      throw new Violation('the cap holds', `${known.reference}: ${sum}`);
    }
  }

  #principal(body: JournalEntry['body']): number {
    const value = minorUnits(Number(body.valueMinor));
    return principalOfNote(value, minorPerBtc(Number(body.rateMinorPerBtc)));
  }

  #bookNote(known: Known, body: JournalEntry['body']): void {
    this.#inBox(Number(body.valueMinor));
    known.principalSats += Number(body.principalSats);
    known.netSats = Number((body.total as JsonObject).netSats);
    this.#count('noteDeposited');
  }

  #credit({ body }: JournalEntry): void {
    if (typeof body.valueMinor === 'number') this.#inBox(body.valueMinor);
    else this.unvalued += 1;
  }

  /** A note that initialising put in the box without a credit has no place in the books. */
  #initialised({ body }: JournalEntry): void {
    if (body.note === 'unknown') this.unvalued += 1;
  }

  #applied({ body }: JournalEntry): void {
    if (body.type !== 'cassettes' || this.#countsSinceSec === undefined) return;
    if (Number(body.createdAt) < this.#countsSinceSec) return;
    this.#countsSinceSec = undefined;
    // Counts that come late say nothing of what moved after they were taken.
    if (Number(body.createdAt) >= (this.#doubtedSinceSec ?? 0)) this.#doubtedSinceSec = undefined;
  }

  /** One more note is in the box by the journal: it must be there, or past the point of return. */
  #inBox(valueMinor: number): void {
    const booked = add(this.#booked, valueMinor);
    const value = valueMinor / 100;
    const { cashbox, path } = this.#eyes.validator();
    const hands = this.#eyes.collected(value) + this.#eyes.taken(value);
    const inside = (cashbox[value] ?? 0) + (path[value] ?? 0) + hands;
    if (booked > inside && !this.#eyes.mayMisstateNotes()) {
      throw new Violation('no note is made up', `${booked} notes of ${value} booked, ${inside} in`);
    }
  }

  #dispenseIntended(known: Known, body: JournalEntry['body']): void {
    this.attribute();
    const name = `${known.id} ${String(body.ordinal)}`;
    if (this.#ordinals.has(name)) throw new Violation('at most once', `${name} sent twice`);
    this.#ordinals.add(name);
    if (!known.paid) throw new Violation('notes come out for a payment', known.reference);
    this.#dispensing = known;
    this.isDispensing = true;
    const units = body.units as readonly { readonly count: number }[];
    known.askedNotes += units.reduce((sum, { count }) => sum + count, 0);
    this.#before = { handedMinor: known.handedMinor, lostMinor: this.#lostMinor };
  }

  #dispenseSettled(known: Known, { body, atUnixMs }: JournalEntry, store: Store): void {
    const before = this.#before;
    this.isDispensing = false;
    this.attribute();
    const dispenseClass = String(body.class);
    this.#count(dispenseClass);
    if (dispenseClass === 'unknown') {
      known.inDoubt = true;
      this.#doubtedSinceSec = Math.floor(atUnixMs / 1_000);
      return;
    }
    const units = body.units as readonly { position: number; presented: number }[];
    const said = units.reduce((sum, { position, presented }) => {
      const unit = store.cashUnits.list().find((one) => one.position === position);
      return sum + presented * (unit?.value ?? 0);
    }, 0);
    // A note that the device lost and counted is one that it said it delivered.
    const lost = this.#lostMinor - before.lostMinor;
    const came = known.handedMinor - before.handedMinor + lost;
    if (said !== came) {
      const words = `${known.reference}: ${dispenseClass} of ${said}, in truth ${came}`;
      throw new Violation('no success without proof', `${words} (${String(body.evidence)})`);
    }
  }

  #ended(known: Known, { kind, body }: JournalEntry, store: Store): void {
    const acts = store.intents
      .forTransaction(known.id)
      .filter(({ device, state }) => device !== undefined && state === 'open');
    if (acts.length > 0) {
      throw new Violation('only the device ends an act', `${known.reference} ended in one`);
    }
    this.#count(`${kind === 'cashIn.ended' ? 'cashIn' : 'cashOut'}.${String(body.end)}`);
    if (body.end === 'claimed' && !known.claimed) {
      throw new Violation('no success without proof', `${known.reference} claimed`);
    }
  }
}
