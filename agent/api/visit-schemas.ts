/**
 * What a technician and the agent say to one another: signing in, the exchange one question at a
 * time, the records. Part of the local API's schemas; service scope only.
 */
import { z } from 'zod';
import { anyJson } from './schemas.ts';

const count = z.int().nonnegative();
const hex = (bytes: number) => z.string().regex(new RegExp(`^[0-9a-f]{${bytes * 2}}$`));

/** Most notes of one answer: above any cassette and any cash box; only a typing error passes it. */
export const NOTES_MAX = 10_000;
const notes = count.max(NOTES_MAX);
const denomination = z.int().positive().max(1_000_000).describe('Face value in whole units, 20.');

/** What a technician may do (design 11). */
export const permissions = ['counts', 'exchange', 'test', 'collect', 'settle'] as const;
export const permission = z.enum(permissions);
export type Permission = z.infer<typeof permission>;

/** A name as it stands in records and is typed at the machine; case does not count. */
export const technicianName = z
  .string()
  .trim()
  .regex(/^[\p{L}\p{N}][\p{L}\p{N} .'_-]{0,39}$/u, "must be 1 to 40 letters, digits, . _ ' or -");
const why = z.string().trim().min(1).max(500);
const pin = z.string().max(64).describe('At least 6 digits.');

/** Owner: makes an invite, which is told once. */
export const inviteRequest = z.strictObject({
  name: technicianName,
  permissions: z.array(permission).min(1),
  expiresAtUnixMs: count.nullable().describe('When the technician expires; null for never.'),
});
export const inviteResult = z.strictObject({
  id: z.string(),
  invite: z.string().describe('Told once and kept nowhere: 64 hex digits.'),
  name: z.string(),
  permissions: z.array(permission),
  inviteExpiresAtUnixMs: count,
});
export type InviteResult = z.infer<typeof inviteResult>;

/** Uses an invite up: from then on there is a technician with this PIN. */
export const redeemRequest = z.strictObject({ invite: z.string().max(200), pin });

/** Name and PIN of a technician. */
export const signInRequest = z.strictObject({ name: z.string().max(80), pin });

export const technicianView = z.strictObject({
  id: z.string(),
  name: z.string(),
  permissions: z.array(permission),
  state: z.enum(['active', 'suspended', 'expired', 'revoked', 'deleted']),
  createdAtUnixMs: count,
  expiresAtUnixMs: count.nullable(),
  lastSignInUnixMs: count.nullable(),
  endedBy: z.string().nullable().describe('Who revoked or deleted, and why.'),
});
export type TechnicianView = z.infer<typeof technicianView>;

export const inviteView = z.strictObject({
  id: z.string(),
  name: z.string(),
  permissions: z.array(permission),
  state: z.enum(['open', 'expired', 'used', 'revoked']),
  createdAtUnixMs: count,
  inviteExpiresAtUnixMs: count,
});
export type InviteView = z.infer<typeof inviteView>;

export const techniciansView = z.strictObject({
  technicians: z.array(technicianView),
  invites: z.array(inviteView),
});
export type TechniciansView = z.infer<typeof techniciansView>;

/** A sign-in. The token goes into `Authorization: Bearer`; a restart of the agent ends it. */
export const signInResult = z.strictObject({
  token: z.string(),
  technician: technicianView,
  idleMs: count.describe('Ends after so long without a request.'),
});
export type SignInResult = z.infer<typeof signInResult>;

export const signOutResult = z.strictObject({ outcome: z.literal('signedOut') });

/** Owner: ends a technician, or an invite that is open, by id or name. */
export const endTechnicianRequest = z.strictObject({ who: z.string().max(80), reason: why });
export const endTechnicianResult = z.strictObject({
  outcome: z.enum(['ended', 'alreadyEnded', 'confirmed']),
  ended: z.enum(['technician', 'invite']),
  id: z.string(),
  name: z.string(),
});
export type EndTechnicianResult = z.infer<typeof endTechnicianResult>;

/** Notes by denomination. */
const pile = z.strictObject({ denomination, count: notes });
const difference = z.strictObject({
  denomination,
  difference: z.int().describe('Counted less expected: below zero is short.'),
});

/** Why a count is over or short; a stable word for programs. */
export const overShortReasons = [
  'miscountAtRefill',
  'notesInPath',
  'rejectsMixed',
  'deviceMiscount',
  'wrongDenomination',
  'taken',
  'unexplained',
  'other',
] as const;
export const overShortReason = z.enum(overShortReasons);

/** A place whose notes are counted: `bay:1`, `cashbox`, `reject`. */
const place = z.string();
const choice = z.enum(['leave', 'count', 'seal', 'confirm']);
const box = z.enum(['cashbox', 'reject']);

/** The one thing that the exchange asks next. */
export const exchangeQuestion = z.discriminatedUnion('kind', [
  z
    .strictObject({
      kind: z.literal('bay'),
      position: count,
      denomination: denomination.nullable().describe('What the books say it holds.'),
      parked: z.boolean(),
      swapped: z.boolean().describe('Closed because another cassette than before stands there.'),
      accuracy: z.string(),
      choices: z.array(choice),
    })
    .describe(
      'What is done with this bay? `leave`: nothing. `count`: all notes are taken out and counted. ' +
        '`seal`: the cassette goes to the depot as it is, and is counted there. `confirm`: the ' +
        'parked bay holds what the books say.',
    ),
  z
    .strictObject({ kind: z.literal('bayCount'), position: count, denomination, countMax: count })
    .describe('How many notes were taken out? Not told what is expected.'),
  z
    .strictObject({
      kind: z.literal('reason'),
      place,
      differences: z.array(difference),
      reasons: z.array(overShortReason),
    })
    .describe('Over or short: why?'),
  z.strictObject({ kind: z.literal('seal'), place }).describe('Number of the seal.'),
  z
    .strictObject({
      kind: z.literal('denomination'),
      position: count,
      current: denomination.nullable(),
      suggested: z.array(denomination),
    })
    .describe('Which notes are put in?'),
  z
    .strictObject({ kind: z.literal('load'), position: count, denomination, countMax: count })
    .describe('How many notes are in the bay when it is put back? Notes, not money; 0 for none.'),
  z
    .strictObject({ kind: z.literal('box'), place: box, choices: z.array(choice) })
    .describe('What is done with the cash box, or the reject tray?'),
  z
    .strictObject({
      kind: z.literal('boxCount'),
      place: box,
      denominations: z.array(denomination).describe('Suggested; others may be counted as well.'),
      countMax: count,
    })
    .describe('How many notes of each denomination were in it?'),
  z
    .strictObject({
      kind: z.literal('test'),
      position: count,
      denomination,
      to: z.enum(['reject', 'slot']).describe('Where the note goes.'),
      permitted: z.boolean().describe('Whether this technician may run it (`test`).'),
      last: z.enum(['none', 'unknown']).nullable().describe('How the last try of it ended.'),
    })
    .describe('Test dispense of one note: run it, or skip it?'),
  z.strictObject({ kind: z.literal('close') }).describe('All is answered: close, undo or abandon.'),
]);
export type ExchangeQuestion = z.infer<typeof exchangeQuestion>;

/** The answer to the question of the same kind. */
export const exchangeAnswer = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('bay'), choice }),
  z.strictObject({ kind: z.literal('bayCount'), count: notes }),
  z.strictObject({
    kind: z.literal('reason'),
    reason: overShortReason,
    note: z.string().trim().max(200).describe('In own words; needed for `other`.'),
  }),
  z.strictObject({
    kind: z.literal('seal'),
    seal: z.string().regex(/^[\w./-]{1,40}$/, 'must be 1 to 40 of A-Z a-z 0-9 . _ / -'),
  }),
  z.strictObject({ kind: z.literal('denomination'), denomination }),
  z.strictObject({ kind: z.literal('load'), count: notes }),
  z.strictObject({ kind: z.literal('box'), choice }),
  z.strictObject({ kind: z.literal('boxCount'), counts: z.array(pile).max(40) }),
  z.strictObject({ kind: z.literal('test'), choice: z.enum(['run', 'skip']) }),
]);
export type ExchangeAnswer = z.infer<typeof exchangeAnswer>;

const overShort = {
  differences: z.array(difference).nullable().describe('null until it is counted.'),
  reason: overShortReason.nullable(),
  note: z.string(),
};

/** One bay in an exchange. */
export const exchangeBay = z.strictObject({
  position: count,
  choice: choice.nullable(),
  denominationOut: denomination.nullable(),
  countOut: count.nullable(),
  ...overShort,
  seal: z.string().nullable(),
  denomination: denomination.nullable().describe('What was put in.'),
  count: count.nullable().describe('Notes put in.'),
  sumMinor: count.nullable(),
  test: z.enum(['exact', 'none', 'unknown', 'skipped']).nullable(),
  testNotes: count.describe('Notes that test dispenses have taken out of it.'),
  swapped: z
    .boolean()
    .describe(
      'The unit reads another cassette there than before. Unless the bay was closed for that ' +
        'already, and is counted now, it is closed at the end of the exchange.',
    ),
});
export type ExchangeBay = z.infer<typeof exchangeBay>;

/** Cash box or reject tray in an exchange. */
export const exchangeBox = z.strictObject({
  place: box,
  choice: choice.nullable(),
  counts: z.array(pile).nullable(),
  ...overShort,
  seal: z.string().nullable(),
});
export type ExchangeBox = z.infer<typeof exchangeBox>;

/** An exchange as it stands. */
export const exchangeView = z.strictObject({
  id: z.string(),
  reference: z.string(),
  state: z
    .enum(['draining', 'asking', 'testing', 'closed', 'abandoned'])
    .describe('`draining`: a customer is still there. `testing`: the dispenser is at work.'),
  step: count.describe('The step that the next answer, undo, close or abandon has to carry.'),
  technician: z.string().describe('Name of who began it.'),
  openedAtUnixMs: count,
  currency: z.string(),
  canUndo: z.boolean(),
  asks: exchangeQuestion.nullable().describe('null unless `asking`.'),
  bays: z.array(exchangeBay),
  boxes: z.array(exchangeBox),
});
export type ExchangeView = z.infer<typeof exchangeView>;

/** Whether an exchange is open, for who is signed in. */
export const exchangeState = z.strictObject({ exchange: exchangeView.nullable() });
export type ExchangeState = z.infer<typeof exchangeState>;

const address = {
  exchange: z.string().max(64),
  step: count.describe('As the view said. A repeat of the last step gives the view again.'),
};
export const answerRequest = z.strictObject({ ...address, answer: exchangeAnswer });
export const exchangeStepRequest = z.strictObject(address);
export const abandonRequest = z.strictObject({ ...address, reason: why });

/** A record: what is signed is the canonical JSON of `body`; `hash` is its SHA-256. */
export const recordView = z.strictObject({
  number: count.describe('1, 2, 3 ...'),
  hash: hex(32),
  kind: z.enum(['exchange', 'bag']),
  reference: z.string(),
  atUnixMs: count,
  body: z.record(z.string(), anyJson),
  signature: z.enum(['queued', 'signed']),
  event: anyJson.nullable().describe('The signed event; null while it is queued.'),
});
export type RecordView = z.infer<typeof recordView>;

/** What came of closing or abandoning. */
export const exchangeEndResult = z.strictObject({ exchange: exchangeView, record: recordView });
export type ExchangeEndResult = z.infer<typeof exchangeEndResult>;

/** Which records: those after a number, oldest first. */
export const recordsQuery = z.strictObject({
  after: z.coerce.number().int().nonnegative().default(0),
  limit: z.coerce.number().int().min(1).max(200).default(50),
  last: z.coerce.number().int().min(1).max(200).optional().describe('The last so many instead.'),
});

/** Totals by the books, looked at without closing anything. */
export const totalsView = z.strictObject({
  currency: z.string(),
  atUnixMs: count,
  accounts: z.array(
    z.strictObject({
      account: z.string(),
      counts: z.array(z.strictObject({ denomination: z.number(), count: z.int() })),
      sumMinor: z.int(),
    }),
  ),
});
export type TotalsView = z.infer<typeof totalsView>;

/** A sealed bag that waits to be counted at the depot; blind, so without what it should hold. */
export const bagView = z.strictObject({
  seal: z.string(),
  sealedAtUnixMs: count,
  denominations: z.array(denomination),
});
export type BagView = z.infer<typeof bagView>;
export const bagCountRequest = z.strictObject({
  seal: z.string().max(40),
  counts: z.array(pile).max(40),
  reason: overShortReason.nullable().describe('Needed when it is over or short.'),
  note: z.string().trim().max(200),
});
export const bagCountResult = z.strictObject({
  differences: z.array(difference),
  record: recordView,
});
export type BagCountResult = z.infer<typeof bagCountResult>;
