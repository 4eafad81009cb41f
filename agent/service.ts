/** What the agent offers to whoever stands in front of it: the local API calls this and no more. */
import type {
  CommandResult,
  CustomerCommand,
  DocumentView,
  JournalEntryView,
  JournalQuery,
  MachineView,
  ObligationView,
  StatusView,
} from './api/schemas.ts';
import type { Settlement, SettleOutcome } from './settle.ts';

/** The running agent. Reads are cheap and current; commands are idempotent by session and step. */
export interface SpireService {
  /** The machine as a customer may see it now. */
  view(): MachineView;
  /** Calls back after every change of the view, coalesced; returns how to stop. */
  subscribe(listener: (view: MachineView) => void): () => void;
  /** Carries out a customer's command; a repeat returns the first result. Never throws. */
  command(command: CustomerCommand): Promise<CommandResult>;
  /** Service scope. */
  status(): StatusView;
  /** Service scope: journal entries, oldest first. */
  journal(query: JournalQuery): readonly JournalEntryView[];
  /** Service scope: documents in and out, with their ages. */
  documents(): readonly DocumentView[];
  /** Service scope: open obligations, oldest first. */
  obligations(): readonly ObligationView[];
  /** Service scope: a person has settled an obligation outside the machine; its code is void. */
  settle(settlement: Settlement): SettleOutcome;
}
