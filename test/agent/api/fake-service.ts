/**
 * A scripted service: it shows the view it is told to and answers commands as the contract
 * says.
 */

import type { DisputeBundle, ObligationsQuery } from '#agent/api/owed-schemas.ts';
import type {
  BackupResult,
  CommandResult,
  CustomerCommand,
  DeviceView,
  DoctorReport,
  DocumentView,
  JournalEntryView,
  JournalQuery,
  MachineView,
  ObligationView,
  OperatorResult,
  StatusView,
} from '#agent/api/schemas.ts';
import { Refusal } from '#agent/exchange/refusal.ts';
import type { VisitService } from '#agent/exchange/visit.ts';
import type { AcceptOutcome, AnchorAcceptance } from '#agent/identity/anchor.ts';
import type { OperatorChange } from '#agent/identity/operator.ts';
import type { Settlement, SettleOutcome } from '#agent/recovery/settle.ts';
import type { SpireService } from '#agent/service/service.ts';
import type { Confirmation, ConfirmOutcome } from '#agent/upkeep/restore.ts';
import type { DeviceAcceptance } from '#agent/watch/replug.ts';
import { parsePublicKey } from '#protocol/pairing/public-key.ts';
import { idleView } from './views.ts';

const HASH = 'ab'.repeat(32);

/** Field visits are tested on whole machines; here everyone is the owner, and nothing else is. */
const owner = () => ({ technician: undefined, name: 'owner' });
const nothing = (): never => {
  throw new Refusal('notFound', 'noExchange', 'the fake knows no field visits');
};
const fakeVisit: VisitService = {
  ...{ permitted: owner, owner, anyone: owner },
  ...{ seesCounts: () => true, assertSeesCounts: () => undefined },
  technicians: () => ({ technicians: [], invites: [] }),
  totals: () => ({ currency: 'USD', atUnixMs: 0, accounts: [] }),
  exchange: () => ({ exchange: null }),
  records: () => [],
  bags: () => [],
  ...{ invite: nothing, redeem: nothing, end: nothing, confirm: nothing },
  ...{ signIn: nothing, signOut: nothing, begin: nothing },
  ...{ answer: nothing, undo: nothing, close: nothing, abandon: nothing },
  countBag: nothing,
};

export class FakeService implements SpireService {
  readonly visit = fakeVisit;
  readonly commands: CustomerCommand[] = [];
  readonly journalQueries: JournalQuery[] = [];
  readonly settlements: Settlement[] = [];
  settled: SettleOutcome = 'settled';
  readonly operators: OperatorChange[] = [];
  readonly acceptances: unknown[] = [];
  accepted: AcceptOutcome = 'accepted';
  deviceAccepted: 'accepted' | 'nothingFound' | 'notThere' = 'accepted';
  views: readonly DeviceView[] = [];
  #operator = 'bb'.repeat(32);
  readonly confirmations: Confirmation[] = [];
  confirmed: ConfirmOutcome = 'confirmed';
  backupFault: Error | undefined;
  /** What the one obligation is in. */
  obligationState = 'open';
  readonly obligationQueries: (ObligationsQuery | undefined)[] = [];
  /** What there is of the one transaction that it knows. */
  bundle: DisputeBundle | undefined;
  report: DoctorReport = {
    level: 'ok',
    agent: 'running',
    version: '0.1.0',
    atUnixMs: Date.UTC(2026, 10, 21, 12),
    findings: [{ subject: 'signer', level: 'ok', text: 'The bunker signed in 80 ms.', next: null }],
  };
  readonly results = new Map<string, CommandResult>();
  readonly listeners = new Set<(view: MachineView) => void>();
  entries: JournalEntryView[] = [1, 2, 3].map((seq) => entry(seq));
  /** What the next commands come to; without it they are done. */
  answer: (command: CustomerCommand) => Promise<CommandResult> | CommandResult = (command) => ({
    ok: true,
    session: command.session,
    step: command.step + 1,
  });
  #view: MachineView;

  constructor(view: MachineView = idleView) {
    this.#view = view;
  }

  view(): MachineView {
    return this.#view;
  }

  /** Changes the view and tells everyone. */
  show(view: MachineView): void {
    this.#view = view;
    for (const listener of this.listeners) listener(view);
  }

  subscribe(listener: (view: MachineView) => void): () => void {
    this.listeners.add(listener);
    return () => {
      this.listeners.delete(listener);
    };
  }

  async command(command: CustomerCommand): Promise<CommandResult> {
    this.commands.push(command);
    const key = `${command.session}:${command.step}`;
    const first = this.results.get(key) ?? (await this.answer(command));
    this.results.set(key, first);
    return first;
  }

  status(): StatusView {
    return statusOf(this.#view);
  }

  journal(query: JournalQuery): readonly JournalEntryView[] {
    this.journalQueries.push(query);
    const found = this.entries
      .filter((one) => query.after === undefined || one.seq > query.after)
      .filter((one) => query.kind === undefined || one.kind === query.kind)
      .filter((one) => query.transaction === undefined || one.transactionId === query.transaction);
    return query.after === undefined ? found.slice(-query.limit) : found.slice(0, query.limit);
  }

  async backup(): Promise<BackupResult> {
    if (this.backupFault) throw this.backupFault;
    return { path: '/var/lib/spire/backups/state-000001.sqlite', bytes: 4_096, entries: 3 };
  }

  confirm(confirmation: Confirmation): ConfirmOutcome {
    this.confirmations.push(confirmation);
    return this.confirmed;
  }

  documents(): readonly DocumentView[] {
    return documents;
  }

  obligations(query?: ObligationsQuery): readonly ObligationView[] {
    this.obligationQueries.push(query);
    return obligations.map((one) => ({ ...one, state: this.obligationState }));
  }

  async dispute(name: string): Promise<DisputeBundle | undefined> {
    return name === 'K7Q4-9XMB' ? this.bundle : undefined;
  }

  settle(settlement: Settlement): SettleOutcome {
    this.settlements.push(settlement);
    return this.settled;
  }

  async devices(): Promise<readonly DeviceView[]> {
    return this.views;
  }

  acceptDevice(device: DeviceView['device'], acceptance: DeviceAcceptance) {
    this.acceptances.push({ device, ...acceptance });
    return this.deviceAccepted;
  }

  acceptAnchor(acceptance: AnchorAcceptance): AcceptOutcome {
    this.acceptances.push(acceptance);
    return this.accepted;
  }

  setOperator(change: OperatorChange): OperatorResult {
    const outcome = this.#operator === change.operator ? 'unchanged' : 'set';
    this.#operator = parsePublicKey(change.operator, 'operator');
    this.operators.push(change);
    return { outcome, operatorPubkey: this.#operator };
  }

  async doctor(): Promise<DoctorReport> {
    return this.report;
  }
}

/** One journal entry of the fake. */
export function entry(seq: number, kind = 'note.deposited'): JournalEntryView {
  return {
    seq,
    atUnixMs: Date.UTC(2026, 10, 21, 12, 0, seq),
    kind,
    transactionId: '0123456789abcdef0123456789abcdef',
    body: { note: { id: 'a'.repeat(32), minor: 2_000 }, evidence: 'VEND VALID', seen: [1, null] },
    hash: HASH,
  };
}

function statusOf(machine: MachineView): StatusView {
  return {
    machine,
    spirePubkey: 'aa'.repeat(32),
    operatorPubkey: 'bb'.repeat(32),
    walletId: 'c0ffee00c0ffee00c0ffee00c0ffee00',
    signer: { code: 'ok', text: 'The bunker signs.' },
    relays: [
      { url: 'wss://relay.example.org/nostr', state: 'open', reason: '' },
      { url: 'wss://second.example.org', state: 'waiting', reason: 'connection refused' },
    ],
    clockOffsetMs: -12,
    acceptor: { code: 'ok', text: 'ID-003 ready' },
    dispenser: { code: 'jam', text: 'Notes are jammed at the exit of the second bay.' },
    cashUnits: [
      {
        position: 1,
        denomination: 20,
        count: 412,
        accuracy: 'accurate',
        parked: false,
        swapped: false,
      },
      {
        position: 2,
        denomination: 50,
        count: 88,
        accuracy: 'inaccurate',
        parked: true,
        swapped: true,
      },
    ],
    accounts: [
      { account: 'bay:1', denomination: 20, count: 412 },
      { account: 'cashbox', denomination: 5, count: 31 },
    ],
    bayUse: [
      {
        ...{ position: 1, days: 28, dispensed: 504, rejected: 6, perDay: 18.214 },
        ...{ daysToEmpty: 12, notesPerReject: 85 },
      },
      {
        ...{ position: 2, days: 0, dispensed: 0, rejected: 0, perDay: null },
        ...{ daysToEmpty: null, notesPerReject: null },
      },
    ],
    overShort: [
      {
        ...{ atUnixMs: Date.UTC(2026, 10, 20, 9), reference: 'K7Q4-9XMB', account: 'bay:1' },
        ...{ denomination: 20, difference: -3, reason: 'miscountAtRefill', note: 'torn' },
      },
      {
        ...{ atUnixMs: Date.UTC(2026, 10, 19, 9), reference: 'K7Q4-9XMC', account: 'cashbox' },
        ...{ denomination: 50, difference: 1, reason: 'unexplained', note: '' },
      },
    ],
    documents: [
      {
        ...{ type: 'bitspire-fees', direction: 'in', ageMs: 7_200_000 },
        ...{ refused: 'schema_version 9', pending: false },
      },
      { type: 'bitspire-limits', direction: 'in', ageMs: null, refused: null, pending: false },
      { type: 'beacon', direction: 'out', ageMs: 0, refused: null, pending: true },
    ],
    openObligations: 1,
    openIntents: 0,
    journal: { entries: 3, head: HASH, chain: 'ok' },
  };
}

const documents: readonly DocumentView[] = [
  {
    type: 'bitspire-fees',
    direction: 'in',
    appliedAtUnixMs: Date.UTC(2026, 10, 20),
    createdAtUnixMs: Date.UTC(2026, 10, 19),
    eventId: 'dd'.repeat(32),
    content: { schema_version: 1 },
    refused: 'The parts of the newer one do not sum up to its total.',
    pending: false,
    relays: [],
  },
  {
    type: 'bitspire-cassettes-state',
    direction: 'out',
    appliedAtUnixMs: null,
    createdAtUnixMs: null,
    eventId: null,
    content: null,
    refused: null,
    pending: true,
    relays: [{ url: 'wss://relay.example', outcome: 'silent', reason: 'no link' }],
  },
];

const obligations: readonly ObligationView[] = [
  {
    id: 'ee'.repeat(16),
    reference: 'K7Q4-9XMB',
    kind: 'dispenseUnknown',
    state: 'open',
    amountSats: 109_970,
    amountMinor: 10_000,
    currency: 'USD',
    openedAtUnixMs: Date.UTC(2026, 10, 20),
    ageMs: 93_784_000,
    transactionId: '0123456789abcdef0123456789abcdef',
    evidence: { evidence: 'no answer within 60 s' },
    wayOut: 'Count the bays.',
    acts: [{ kind: 'payment', outcome: 'paid', evidence: { isLate: false } }],
    partialDispense: null,
    settled: null,
  },
];
