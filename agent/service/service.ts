/** What the agent offers to whoever stands in front of it: the local API calls this and no more. */

import type { DisputeBundle, ObligationsQuery } from '../api/owed-schemas.ts';
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
} from '../api/schemas.ts';
import type { VisitService } from '../exchange/visit.ts';
import type { AcceptOutcome, AnchorAcceptance } from '../identity/anchor.ts';
import type { OperatorChange } from '../identity/operator.ts';
import type { Settlement, SettleOutcome } from '../recovery/settle.ts';
import type { Confirmation, ConfirmOutcome } from '../upkeep/restore.ts';
import type { DeviceAcceptance } from '../watch/replug.ts';

/**
 * Whether counts are shown also while hands count without knowing the books: `blind` shows none
 * then, and is what is meant when nothing is said.
 */
export type Sight = 'blind' | 'counts';

/** The running agent. Reads are cheap and current; commands are idempotent by session and step. */
export interface SpireService {
  /** The machine as a customer may see it now. */
  view(): MachineView;
  /** Calls back after every change of the view, coalesced; returns how to stop. */
  subscribe(listener: (view: MachineView) => void): () => void;
  /** Carries out a customer's command; a repeat returns the first result. Never throws. */
  command(command: CustomerCommand): Promise<CommandResult>;
  /** Service scope. While an exchange is open, with counts only for who sees them. */
  status(sight?: Sight): StatusView;
  /** Service scope: journal entries, oldest first. Counts follow from them. */
  journal(query: JournalQuery): readonly JournalEntryView[];
  /** Service scope: documents in and out, with their ages; counts as in the status. */
  documents(sight?: Sight): readonly DocumentView[];
  /** Service scope: obligations with their evidence, oldest first; the open ones unless told. */
  obligations(query?: ObligationsQuery): readonly ObligationView[];
  /** Service scope: all that is known of a transaction; undefined when there is none. */
  dispute(name: string): Promise<DisputeBundle | undefined>;
  /** Service scope: a person has settled an obligation outside the machine; its code is void. */
  settle(settlement: Settlement): SettleOutcome;
  /**
   * Service scope: copies the state into its own folder of backups and proves the copy.
   * @throws AtmError `locked` while a session or another backup is on, StoreError for the disk.
   */
  backup(): Promise<BackupResult>;
  /** Service scope: the operator has found that a claim suspended by a restore is still due. */
  confirm(confirmation: Confirmation): ConfirmOutcome;
  /**
   * Service scope: obeys another operator's key. @throws ConfigError `invalidData` for none that
   * can be one, StoreError when the disk does not take it.
   */
  setOperator(change: OperatorChange): OperatorResult;
  /** Service scope: a person says that this is the right machine, and that its twin is stopped. */
  acceptAnchor(acceptance: AnchorAcceptance): AcceptOutcome;
  /** Service scope: both devices, as they are now. */
  devices(): Promise<readonly DeviceView[]>;
  /** Service scope: a person accepts a device that was unplugged, or is another one. */
  acceptDevice(
    device: DeviceView['device'],
    acceptance: DeviceAcceptance,
  ): 'accepted' | 'nothingFound' | 'notThere';
  /** Service scope: the real handshake with everything; takes up to about a minute. */
  doctor(): Promise<DoctorReport>;
  /** Service scope: who comes to the machine, and what they do there. */
  readonly visit: VisitService;
}
