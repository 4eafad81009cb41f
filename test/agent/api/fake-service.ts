/**
 * A scripted service: it shows the view it is told to and answers commands as the contract
 * says.
 */
import type {
  CommandResult,
  CustomerCommand,
  DocumentView,
  JournalEntryView,
  JournalQuery,
  MachineView,
  ObligationView,
  StatusView,
} from '#agent/api/schemas.ts';
import type { SpireService } from '#agent/service.ts';
import type { Settlement, SettleOutcome } from '#agent/settle.ts';
import { idleView } from './views.ts';

const HASH = 'ab'.repeat(32);

export class FakeService implements SpireService {
  readonly commands: CustomerCommand[] = [];
  readonly journalQueries: JournalQuery[] = [];
  readonly settlements: Settlement[] = [];
  settled: SettleOutcome = 'settled';
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

  documents(): readonly DocumentView[] {
    return documents;
  }

  obligations(): readonly ObligationView[] {
    return obligations;
  }

  settle(settlement: Settlement): SettleOutcome {
    this.settlements.push(settlement);
    return this.settled;
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
      { position: 1, denomination: 20, count: 412, accuracy: 'accurate', parked: false },
      { position: 2, denomination: 50, count: 88, accuracy: 'inaccurate', parked: true },
    ],
    accounts: [
      { account: 'bay:1', denomination: 20, count: 412 },
      { account: 'cashbox', denomination: 5, count: 31 },
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
    ageMs: 93_784_000,
    transactionId: '0123456789abcdef0123456789abcdef',
  },
];
