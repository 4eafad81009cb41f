import type { Migration } from './migrate.ts';

/** Largest integer that JavaScript reads back unchanged, 2^53 - 1. */
const SAFE = Number.MAX_SAFE_INTEGER;

/** Asks for the type only of what is JSON: SQLite's integrity check must not trip over the rest. */
const jsonObject = (name: string): string => `${name} TEXT CHECK (${name} IS NULL OR
    iif(json_valid(${name}), json_type(${name}), '') = 'object' AND length(${name}) <= 65536)`;

const journal = `
CREATE TABLE journal (
  seq INTEGER PRIMARY KEY CHECK (seq > 0),
  epoch INTEGER NOT NULL CHECK (epoch > 0),
  boot_id TEXT NOT NULL CHECK (length(boot_id) BETWEEN 1 AND 64),
  at_unix_ms INTEGER NOT NULL CHECK (at_unix_ms >= 0),
  monotonic_ms INTEGER NOT NULL CHECK (monotonic_ms >= 0),
  kind TEXT NOT NULL CHECK (length(kind) BETWEEN 1 AND 64),
  transaction_id TEXT CHECK (length(transaction_id) BETWEEN 1 AND 64),
  ${jsonObject('body')} NOT NULL,
  previous_hash TEXT NOT NULL CHECK (length(previous_hash) = 64),
  hash TEXT NOT NULL CHECK (length(hash) = 64)
) STRICT;
CREATE INDEX journal_by_transaction ON journal (transaction_id, seq)
  WHERE transaction_id IS NOT NULL;
CREATE INDEX journal_by_kind ON journal (kind, seq);

CREATE TRIGGER journal_no_update BEFORE UPDATE ON journal
BEGIN SELECT raise(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER journal_no_delete BEFORE DELETE ON journal
BEGIN SELECT raise(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER journal_no_gap BEFORE INSERT ON journal
WHEN NEW.seq IS NOT (SELECT ifnull(max(seq), 0) + 1 FROM journal)
BEGIN SELECT raise(ABORT, 'the journal has no gaps'); END;
`;

const account = (name: string): string => `${name} TEXT NOT NULL CHECK (
    ${name} IN ('reject', 'cashbox', 'transport', 'customer', 'technician', 'unaccounted')
    OR ${name} GLOB 'bay:[1-9]*' OR ${name} GLOB 'bag:?*')`;

const currency = `currency TEXT NOT NULL CHECK (currency GLOB '[A-Z][A-Z][A-Z]')`;

// The balance is kept by triggers, so that no way of writing a movement can forget it.
const noteLedger = `
CREATE TABLE note_movement (
  seq INTEGER PRIMARY KEY CHECK (seq > 0),
  at_unix_ms INTEGER NOT NULL CHECK (at_unix_ms >= 0),
  ${account('from_account')},
  ${account('to_account')},
  ${currency},
  value_minor INTEGER NOT NULL CHECK (value_minor BETWEEN 1 AND ${SAFE}),
  count INTEGER NOT NULL CHECK (count BETWEEN 1 AND 100000),
  cause TEXT NOT NULL CHECK (length(cause) BETWEEN 1 AND 200),
  transaction_id TEXT REFERENCES "transaction" (id) DEFERRABLE INITIALLY DEFERRED,
  CHECK (from_account <> to_account)
) STRICT;
CREATE INDEX note_movement_by_from ON note_movement (from_account, seq);
CREATE INDEX note_movement_by_to ON note_movement (to_account, seq);
CREATE INDEX note_movement_by_transaction ON note_movement (transaction_id, seq)
  WHERE transaction_id IS NOT NULL;

CREATE TABLE note_balance (
  ${account('account')},
  ${currency},
  value_minor INTEGER NOT NULL CHECK (value_minor BETWEEN 1 AND ${SAFE}),
  count INTEGER NOT NULL,
  PRIMARY KEY (account, currency, value_minor),
  CONSTRAINT physical_count_not_negative
    CHECK (count >= 0 OR account IN ('customer', 'technician', 'unaccounted'))
) STRICT, WITHOUT ROWID;

CREATE TRIGGER note_movement_no_update BEFORE UPDATE ON note_movement
BEGIN SELECT raise(ABORT, 'note movements are append-only'); END;
CREATE TRIGGER note_movement_no_delete BEFORE DELETE ON note_movement
BEGIN SELECT raise(ABORT, 'note movements are append-only'); END;
CREATE TRIGGER note_movement_balance AFTER INSERT ON note_movement
BEGIN
  INSERT INTO note_balance (account, currency, value_minor, count)
    VALUES (NEW.from_account, NEW.currency, NEW.value_minor, 0),
           (NEW.to_account, NEW.currency, NEW.value_minor, 0)
    ON CONFLICT DO NOTHING;
  UPDATE note_balance SET count = count - NEW.count WHERE account = NEW.from_account
    AND currency = NEW.currency AND value_minor = NEW.value_minor;
  UPDATE note_balance SET count = count + NEW.count WHERE account = NEW.to_account
    AND currency = NEW.currency AND value_minor = NEW.value_minor;
END;

CREATE TABLE cash_unit (
  position INTEGER PRIMARY KEY CHECK (position BETWEEN 1 AND 16),
  ${currency},
  value_minor INTEGER NOT NULL CHECK (value_minor BETWEEN 1 AND ${SAFE}),
  parked INTEGER NOT NULL CHECK (parked IN (0, 1)),
  accuracy TEXT NOT NULL CHECK (accuracy IN ('accurate', 'set', 'inaccurate', 'unknown')),
  counted_at_unix_ms INTEGER CHECK (counted_at_unix_ms >= 0)
) STRICT;
`;

const sats = (name: string): string =>
  `${name} INTEGER NOT NULL CHECK (${name} BETWEEN 0 AND ${SAFE})`;

const transactions = `
CREATE TABLE "transaction" (
  id TEXT PRIMARY KEY CHECK (length(id) BETWEEN 1 AND 64),
  kind TEXT NOT NULL CHECK (kind IN ('cashIn', 'cashOut')),
  reference TEXT NOT NULL UNIQUE CHECK (length(reference) BETWEEN 1 AND 32),
  state TEXT NOT NULL CHECK (length(state) BETWEEN 1 AND 64),
  ${currency},
  fiat_minor INTEGER NOT NULL CHECK (fiat_minor BETWEEN 0 AND ${SAFE}),
  rate_minor_per_btc INTEGER NOT NULL CHECK (rate_minor_per_btc BETWEEN 1 AND ${SAFE}),
  ${sats('principal_sat')},
  ${sats('fee_sat')},
  ${sats('wire_sat')},
  payment_hash TEXT UNIQUE
    CHECK (length(payment_hash) = 64 AND payment_hash NOT GLOB '*[^0-9a-f]*'),
  claim_hash TEXT UNIQUE CHECK (length(claim_hash) BETWEEN 1 AND 128),
  created_at_unix_ms INTEGER NOT NULL CHECK (created_at_unix_ms >= 0),
  ended_at_unix_ms INTEGER CHECK (ended_at_unix_ms >= 0),
  outcome TEXT CHECK (length(outcome) BETWEEN 1 AND 64)
) STRICT;
CREATE INDEX transaction_open ON "transaction" (created_at_unix_ms)
  WHERE ended_at_unix_ms IS NULL;
CREATE INDEX transaction_by_time ON "transaction" (created_at_unix_ms);
`;

const intents = `
CREATE TABLE intent (
  id TEXT PRIMARY KEY CHECK (length(id) BETWEEN 1 AND 64),
  transaction_id TEXT REFERENCES "transaction" (id) DEFERRABLE INITIALLY DEFERRED,
  kind TEXT NOT NULL CHECK (length(kind) BETWEEN 1 AND 64),
  device TEXT CHECK (length(device) BETWEEN 1 AND 64),
  ordinal INTEGER CHECK (ordinal BETWEEN 0 AND 1000000),
  ${jsonObject('body')} NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('open', 'settled')),
  outcome TEXT CHECK (length(outcome) BETWEEN 1 AND 64),
  ${jsonObject('evidence')},
  opened_at_unix_ms INTEGER NOT NULL CHECK (opened_at_unix_ms >= 0),
  opened_seq INTEGER NOT NULL CHECK (opened_seq >= 0),
  settled_at_unix_ms INTEGER CHECK (settled_at_unix_ms >= 0),
  CHECK (ordinal IS NULL OR transaction_id IS NOT NULL),
  CHECK ((state = 'settled') = (outcome IS NOT NULL)),
  CHECK ((state = 'settled') = (evidence IS NOT NULL)),
  CHECK ((state = 'settled') = (settled_at_unix_ms IS NOT NULL))
) STRICT;
CREATE UNIQUE INDEX intent_one_open_per_device ON intent (device)
  WHERE state = 'open' AND device IS NOT NULL;
CREATE UNIQUE INDEX intent_ordinal_once ON intent (transaction_id, kind, ordinal)
  WHERE ordinal IS NOT NULL;
CREATE INDEX intent_open ON intent (opened_seq, opened_at_unix_ms) WHERE state = 'open';
CREATE INDEX intent_by_transaction ON intent (transaction_id) WHERE transaction_id IS NOT NULL;
CREATE TRIGGER intent_settled_is_final BEFORE UPDATE ON intent WHEN OLD.state = 'settled'
BEGIN SELECT raise(ABORT, 'a settled intent does not change'); END;
CREATE TRIGGER intent_no_delete BEFORE DELETE ON intent
BEGIN SELECT raise(ABORT, 'an intent stays'); END;
`;

const obligations = `
CREATE TABLE obligation (
  id TEXT PRIMARY KEY CHECK (length(id) BETWEEN 1 AND 64),
  transaction_id TEXT REFERENCES "transaction" (id) DEFERRABLE INITIALLY DEFERRED,
  reference TEXT NOT NULL CHECK (length(reference) BETWEEN 1 AND 32),
  kind TEXT NOT NULL CHECK (length(kind) BETWEEN 1 AND 64),
  state TEXT NOT NULL CHECK (
    state IN ('open', 'redeeming', 'redeemed', 'reduced', 'unknown', 'settled')),
  amount_sat INTEGER CHECK (amount_sat BETWEEN 0 AND ${SAFE}),
  amount_minor INTEGER CHECK (amount_minor BETWEEN 0 AND ${SAFE}),
  ${currency},
  ${jsonObject('body')} NOT NULL,
  created_at_unix_ms INTEGER NOT NULL CHECK (created_at_unix_ms >= 0),
  settled_at_unix_ms INTEGER CHECK (settled_at_unix_ms >= 0),
  settled_by TEXT CHECK (length(settled_by) BETWEEN 1 AND 200),
  settled_reason TEXT CHECK (length(settled_reason) BETWEEN 1 AND 2000),
  CHECK ((state IN ('redeemed', 'settled')) = (settled_at_unix_ms IS NOT NULL))
) STRICT;
CREATE INDEX obligation_open ON obligation (created_at_unix_ms)
  WHERE state NOT IN ('redeemed', 'settled');
CREATE INDEX obligation_by_transaction ON obligation (transaction_id)
  WHERE transaction_id IS NOT NULL;
CREATE TRIGGER obligation_closed_is_final BEFORE UPDATE ON obligation
WHEN OLD.state IN ('redeemed', 'settled')
BEGIN SELECT raise(ABORT, 'a closed obligation does not change'); END;
CREATE TRIGGER obligation_no_delete BEFORE DELETE ON obligation
BEGIN SELECT raise(ABORT, 'an obligation stays'); END;
`;

// An erased secret leaves its row: what was written first stays first, also when it is spent.
const others = `
CREATE TABLE secret (
  transaction_id TEXT NOT NULL REFERENCES "transaction" (id) DEFERRABLE INITIALLY DEFERRED,
  kind TEXT NOT NULL CHECK (length(kind) BETWEEN 1 AND 64),
  sealed BLOB CHECK (length(sealed) BETWEEN 1 AND 65536),
  PRIMARY KEY (transaction_id, kind)
) STRICT;

CREATE TABLE outbox (
  type TEXT PRIMARY KEY CHECK (length(type) BETWEEN 1 AND 200),
  version INTEGER NOT NULL CHECK (version > 0),
  content TEXT CHECK (length(content) <= 262144),
  since_unix_ms INTEGER NOT NULL CHECK (since_unix_ms >= 0)
) STRICT;

CREATE TABLE published (
  d TEXT PRIMARY KEY CHECK (length(d) BETWEEN 1 AND 200),
  created_at_unix_s INTEGER NOT NULL CHECK (created_at_unix_s >= 0)
) STRICT;

CREATE TABLE document (
  ordinal INTEGER PRIMARY KEY AUTOINCREMENT,
  type TEXT NOT NULL CHECK (length(type) BETWEEN 1 AND 200),
  author TEXT NOT NULL CHECK (length(author) = 64),
  event_id TEXT NOT NULL CHECK (length(event_id) = 64),
  created_at_unix_s INTEGER NOT NULL CHECK (created_at_unix_s >= 0),
  received_at_unix_ms INTEGER NOT NULL CHECK (received_at_unix_ms >= 0),
  state TEXT NOT NULL CHECK (state IN ('applied', 'refused')),
  reason TEXT CHECK (length(reason) BETWEEN 1 AND 2000),
  content TEXT NOT NULL CHECK (length(content) <= 262144),
  CHECK (state = 'applied' OR reason IS NOT NULL),
  UNIQUE (type, author, state)
) STRICT;

CREATE TABLE fact (
  key TEXT PRIMARY KEY CHECK (length(key) BETWEEN 1 AND 200),
  value TEXT NOT NULL CHECK (json_valid(value) AND length(value) <= 65536),
  at_unix_ms INTEGER NOT NULL CHECK (at_unix_ms >= 0)
) STRICT;

CREATE TABLE wrong_try (
  ordinal INTEGER PRIMARY KEY AUTOINCREMENT,
  scope TEXT NOT NULL CHECK (length(scope) BETWEEN 1 AND 200),
  at_unix_ms INTEGER NOT NULL CHECK (at_unix_ms >= 0)
) STRICT;
CREATE INDEX wrong_try_by_scope ON wrong_try (scope, ordinal);
`;

/** The first schema: journal, note ledger, money rows, sealed secrets, documents. */
export const migration0001: Migration = {
  version: 1,
  sql: [journal, noteLedger, transactions, intents, obligations, others].join('\n'),
};
