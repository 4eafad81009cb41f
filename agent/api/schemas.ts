/**
 * Everything that is said over the local API, as zod schemas: the server checks with them, the
 * screen is written against them, and the API's documentation is made from them.
 */
import { z } from 'zod';
import { languages } from '../texts/fill.ts';

const count = z.int().nonnegative();

/** Any JSON value; one schema, so that the documentation can name it. */
export const anyJson = z.json();
/** A JSON object. */
export const jsonObject = z.record(z.string(), anyJson);

/** What a customer does. `session` is made by the screen: 32 random hex digits a session. */
const address = {
  session: z
    .string()
    .regex(/^[0-9a-f]{32}$/)
    .describe('The session, made by the screen: 128 random bits in hex, new for each session.'),
  step: count
    .max(10_000)
    .describe('0 for the command that opens the session, then as the last result says.'),
};

/** Customer commands. A repeat of the same session and step returns the first result. */
export const customerCommand = z.discriminatedUnion('do', [
  z.strictObject({ ...address, do: z.literal('startCashIn') }).describe('Notes in, sats out.'),
  z.strictObject({ ...address, do: z.literal('startCashOut') }).describe('Sats in, notes out.'),
  z
    .strictObject({
      ...address,
      do: z.literal('redeem'),
      code: z.string().max(200).describe('The five words of a claim code, in any case.'),
    })
    .describe('Opens the session that gives what a claim code is good for.'),
  z
    .strictObject({ ...address, do: z.literal('chooseAmount'), amountMinor: count.positive() })
    .describe('One of the amounts offered; cash-out only.'),
  z
    .strictObject({ ...address, do: z.literal('finish') })
    .describe('No more notes: give me my sats. Cash-in only.'),
  z
    .strictObject({ ...address, do: z.literal('cancel') })
    .describe('Leave without a trade; refused once money is in the machine.'),
  z
    .strictObject({ ...address, do: z.literal('dismiss') })
    .describe('I have seen it: leave the last screen.'),
]);
export type CustomerCommand = z.infer<typeof customerCommand>;

/** What another language needs to say the same sentence. */
const translation = {
  key: z.string().optional().describe("The sentence's name in the catalogue (agent/texts)."),
  values: z
    .record(z.string(), z.union([z.string(), z.number()]))
    .optional()
    .describe('What is put in for its {names}.'),
};

/** What came of a command. `step` is the one that the next command has to carry. */
export const commandResult = z.discriminatedUnion('ok', [
  z.strictObject({ ok: z.literal(true), session: z.string(), step: count }),
  z.strictObject({
    ok: z.literal(false),
    code: z.enum([
      'usage',
      'sequenceError',
      'closed',
      'busy',
      'notFound',
      'tooManyTries',
      'canceled',
    ]),
    reason: z.string(),
    step: count,
    ...translation,
  }),
]);
export type CommandResult = z.infer<typeof commandResult>;

const words = z.strictObject({
  code: z.string().describe('Stable word for programs.'),
  text: z.string().describe('Sentence for people, in English.'),
  ...translation,
});

const direction = z.strictObject({
  open: z.boolean(),
  reasons: z.array(words).describe('Why it is closed; empty when open.'),
});

const session = {
  session: z.string(),
  step: count.describe('The step that the next command has to carry.'),
  reference: z.string().nullable().describe('What to read to the operator.'),
  claimCode: z
    .string()
    .nullable()
    .describe('Five words that are good for whatever is owed; from the first money on.'),
  notice: words.nullable().describe('The latest news, such as why a note came back.'),
  outcome: words.nullable().describe('How it ended; null while it goes on.'),
};

/** A cash-in on the screen. */
export const cashInView = z.strictObject({
  kind: z.literal('cashIn'),
  ...session,
  phase: z
    .enum(['quoting', 'inserting', 'moving', 'issuing', 'offering', 'ended'])
    .describe('`moving`: a note is on its way, nothing can be pressed.'),
  terms: z
    .strictObject({
      rateMinorPerBtc: count,
      feeFraction: z.number(),
      capSats: count.nullable().describe('Most that one cash-in may come to; null for no cap.'),
      capMinor: count.nullable().describe('The same in fiat at this rate.'),
      acceptedMinor: z.array(count).describe('Values of the notes that still fit now.'),
    })
    .nullable(),
  notes: count,
  fiatMinor: count,
  principalSats: count,
  feeSats: count,
  netSats: count,
  lnurl: z.string().nullable().describe('QR payload while it is shown; null when dark.'),
});
export type CashInView = z.infer<typeof cashInView>;

/** A cash-out on the screen, also the redeeming of a claim in cash. */
export const cashOutView = z.strictObject({
  kind: z.literal('cashOut'),
  ...session,
  phase: z.enum(['choosing', 'preparing', 'awaitingPayment', 'dispensing', 'presenting', 'ended']),
  offeredMinor: z.array(count).describe('Amounts that the bays can make now.'),
  fiatMinor: count,
  principalSats: count,
  feeSats: count,
  wireSats: count,
  feeFraction: z.number(),
  rateMinorPerBtc: count,
  bolt11: z.string().nullable().describe('QR payload while it can be paid.'),
  expiresAtUnixMs: count.nullable(),
  dispensedMinor: count,
  dispensed: z.record(z.string(), count).describe('Notes handed out by bay position.'),
  remainderMinor: count.describe('Proven not handed out, held by the claim code.'),
});
export type CashOutView = z.infer<typeof cashOutView>;

/** The machine as a customer may see it. */
export const machineView = z.strictObject({
  state: z.enum([
    'starting',
    'recovering',
    'outOfService',
    'idle',
    'cashIn',
    'cashOut',
    'exchange',
    'stopping',
  ]),
  language: z.enum(languages).describe('Of the screen, until a customer chooses another.'),
  currency: z.string(),
  minorDigits: count,
  supportContact: z.string(),
  cashIn: direction.extend({ feeFraction: z.number().nullable() }),
  cashOut: direction.extend({ feeFraction: z.number().nullable() }),
  rateMinorPerBtc: count.nullable(),
  session: z.discriminatedUnion('kind', [cashInView, cashOutView]).nullable(),
});
export type MachineView = z.infer<typeof machineView>;

/** Service scope: how the machine is, for `spire status`. */
export const statusView = z.strictObject({
  machine: machineView,
  spirePubkey: z.string(),
  operatorPubkey: z.string(),
  walletId: z.string().nullable(),
  signer: words,
  relays: z.array(z.strictObject({ url: z.string(), state: z.string(), reason: z.string() })),
  clockOffsetMs: z.number().nullable(),
  acceptor: words,
  dispenser: words,
  cashUnits: z.array(
    z.strictObject({
      position: count,
      denomination: z.number(),
      count: z.int(),
      accuracy: z.string(),
      parked: z.boolean(),
      swapped: z.boolean().describe('Closed because another cassette than before stands there.'),
    }),
  ),
  accounts: z.array(
    z.strictObject({ account: z.string(), denomination: z.number(), count: z.int() }),
  ),
  bayUse: z
    .array(
      z.strictObject({
        position: count,
        days: count.describe('Whole days that are looked back on, 28 at most.'),
        dispensed: count.describe('Notes that customers got in that time.'),
        rejected: count.describe('Notes that went to the reject tray instead.'),
        perDay: z.number().nullable().describe('null with less than a day to look back on.'),
        daysToEmpty: count.nullable().describe('null when nothing is used.'),
        notesPerReject: count.nullable().describe('null when none was rejected.'),
      }),
    )
    .describe('What the last four weeks took out of each bay.'),
  overShort: z
    .array(
      z.strictObject({
        atUnixMs: count,
        reference: z.string(),
        account: z.string(),
        denomination: z.number(),
        difference: z.int().describe('Counted less expected: below zero is short.'),
        reason: z.string().nullable(),
        note: z.string(),
      }),
    )
    .describe('Counts of the last 90 days that were over or short, newest first.'),
  documents: z.array(
    z.strictObject({
      type: z.string(),
      direction: z.enum(['in', 'out']),
      ageMs: count.nullable().describe('null for one that never came or was never published.'),
      refused: z.string().nullable(),
      pending: z.boolean(),
    }),
  ),
  openObligations: count,
  openIntents: count,
  journal: z.strictObject({ entries: count, head: z.string(), chain: z.enum(['ok', 'broken']) }),
});
export type StatusView = z.infer<typeof statusView>;

/** Service scope: one journal entry. */
export const journalEntryView = z.strictObject({
  seq: count,
  atUnixMs: count,
  kind: z.string(),
  transactionId: z.string().nullable(),
  body: z.record(z.string(), anyJson),
  hash: z.string(),
});
export type JournalEntryView = z.infer<typeof journalEntryView>;

/** Service scope: what to read of the journal. */
export const journalQuery = z.strictObject({
  after: z.coerce.number().int().nonnegative().optional().describe('Entries after this number.'),
  transaction: z.string().optional().describe('A transaction id or a reference.'),
  kind: z.string().optional(),
  limit: z.coerce.number().int().min(1).max(1_000).default(100),
});
export type JournalQuery = z.infer<typeof journalQuery>;

/** Service scope: the state of one document type. */
export const documentView = z.strictObject({
  type: z.string(),
  direction: z.enum(['in', 'out']),
  appliedAtUnixMs: count.nullable(),
  createdAtUnixMs: count.nullable(),
  eventId: z.string().nullable(),
  content: anyJson,
  refused: z.string().nullable().describe('Why a newer one was refused.'),
  pending: z.boolean().describe('Waits to be published.'),
  relays: z
    .array(z.strictObject({ url: z.string(), outcome: z.string(), reason: z.string() }))
    .describe('What each relay said to the last one of ours.'),
});
export type DocumentView = z.infer<typeof documentView>;

/** Service scope: something owed or not known. */
export const obligationView = z.strictObject({
  id: z.string(),
  reference: z.string().describe('What the customer reads out.'),
  kind: z.string(),
  state: z.string(),
  amountSats: count.nullable(),
  amountMinor: count.nullable(),
  currency: z.string(),
  openedAtUnixMs: count,
  ageMs: count.describe('Until now, or until it was closed.'),
  transactionId: z.string().nullable(),
  evidence: jsonObject.describe('Why it was opened, in the words of the device or the wallet.'),
  wayOut: z.string().describe('What a person does about it, before it is settled.'),
  acts: z
    .array(z.strictObject({ kind: z.string(), outcome: z.string(), evidence: jsonObject }))
    .describe('Every act of its transaction that has ended, oldest first, with its evidence.'),
  partialDispense: z
    .strictObject({
      dispensed_sats: count.describe('The part of `wire_sats` for which notes came out.'),
      dispensed_fraction: z.number().min(0).max(1),
    })
    .nullable()
    .describe(
      "For the operator's form, which takes one of the two. Null unless notes are proven short.",
    ),
  settled: z
    .strictObject({ atUnixMs: count, by: z.string().nullable(), reason: z.string().nullable() })
    .nullable()
    .describe('Who closed it, and why; null while it is open.'),
});
export type ObligationView = z.infer<typeof obligationView>;

/** Service scope: a person says that something owed or not known is settled outside the machine. */
export const settleRequest = z.strictObject({
  obligation: z.string().max(64).describe('Id of the obligation.'),
  by: z.string().trim().min(1).max(200).describe('Who settled it.'),
  reason: z.string().trim().min(1).max(2_000).describe('What was found, or paid, and how.'),
});

/** What came of it. */
export const settleResult = z.strictObject({ outcome: z.enum(['settled', 'alreadySettled']) });
export type SettleResult = z.infer<typeof settleResult>;

/** Service scope: a person confirms that a claim suspended by a restore was not paid since. */
export const confirmRequest = settleRequest.extend({
  obligation: z.string().max(64).describe('Id of the suspended claim.'),
  reason: z.string().trim().min(1).max(2_000).describe('How it is known that it is still due.'),
});

/** What came of it. */
export const confirmResult = z.strictObject({ outcome: z.literal('confirmed') });
export type ConfirmResult = z.infer<typeof confirmResult>;

/** Service scope: a copy of the state that was proven. */
export const backupResult = z.strictObject({
  path: z.string(),
  bytes: count,
  entries: count.describe('Journal entries in it.'),
});
export type BackupResult = z.infer<typeof backupResult>;

/** Service scope: whose documents are obeyed from now on. */
export const operatorRequest = z.strictObject({
  operator: z.string().max(200).describe('npub, or 64 hex digits.'),
  by: z.string().trim().min(1).max(200).describe('Who sets it.'),
  reason: z.string().trim().min(1).max(2_000).describe('Why the key is another one.'),
});

/** What came of it. */
export const operatorResult = z.strictObject({
  outcome: z.enum(['set', 'unchanged']),
  operatorPubkey: z.string(),
});
export type OperatorResult = z.infer<typeof operatorResult>;

/** Service scope: who says that something is right that the machine cannot know, and why. */
export const acceptRequest = z.strictObject({
  by: z.string().trim().min(1).max(200).describe('Who says so.'),
  reason: z.string().trim().min(1).max(2_000).describe('What was found, and done.'),
});
export const acceptResult = z.strictObject({ outcome: z.literal('accepted') });
export type AcceptResult = z.infer<typeof acceptResult>;

/** Service scope: which device is accepted as it is now, by whom, and why. */
export const acceptDeviceRequest = acceptRequest.extend({
  device: z.enum(['validator', 'dispenser']),
});

/** Service scope: a device as the agent knows it. */
export const deviceView = z.strictObject({
  device: z.enum(['validator', 'dispenser']),
  protocol: z.string(),
  port: z.string(),
  identity: z
    .strictObject({
      protocol: z.string(),
      model: z.string(),
      firmware: z.string(),
      serialNumber: z.string().nullable(),
    })
    .nullable()
    .describe('Who it says it is; null while it was not opened.'),
  condition: words,
  status: z.record(z.string(), anyJson),
  capabilities: z.record(z.string(), anyJson).describe('What it can do and prove.'),
  counters: z.record(z.string(), count).nullable().describe('Its own, where it has some.'),
});
export type DeviceView = z.infer<typeof deviceView>;

const saidInCatalogue = z
  .strictObject({
    key: z.string().describe('Names the sentence.'),
    values: z.record(z.string(), z.union([z.string(), z.number()])),
  })
  .nullable()
  // An agent of an earlier release, which an update asks, does not say it.
  .optional();

/** Service scope: one thing that was looked at. */
export const findingView = z.strictObject({
  subject: z.string().describe('What was looked at; stable word for programs.'),
  level: z.enum(['ok', 'warning', 'fault']),
  text: z.string().describe('What was found, and why; for people.'),
  next: z.string().nullable().describe('The next thing to do; null when there is none.'),
  said: saidInCatalogue.describe('The text, for other languages; null for words of others.'),
  nextSaid: saidInCatalogue.describe('The next thing, for other languages.'),
});
export type FindingView = z.infer<typeof findingView>;

/** Service scope: the real handshake with everything, for `spire doctor`. */
export const doctorReport = z.strictObject({
  level: z.enum(['ok', 'warning', 'fault']).describe('The worst of the findings.'),
  agent: z.enum(['running', 'notRunning']),
  version: z.string(),
  atUnixMs: count,
  findings: z.array(findingView),
});
export type DoctorReport = z.infer<typeof doctorReport>;
