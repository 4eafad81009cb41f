import type { Migration } from './migrate.ts';

/** Largest integer that JavaScript reads back unchanged, 2^53 - 1. */
const SAFE = Number.MAX_SAFE_INTEGER;

const time = (name: string): string => `${name} INTEGER CHECK (${name} >= 0)`;

/** The guards ask for the type only of what is JSON: an integrity check must not trip over it. */
const json = (name: string, type: 'object' | 'array', lengthMax: number): string =>
  `${name} TEXT CHECK (${name} IS NULL OR length(${name}) <= ${lengthMax} AND
    iif(json_valid(${name}), json_type(${name}), '') = '${type}')`;

// A name is free again when its bearer is deleted; the row stays for the records that name it.
const technicians = `
CREATE TABLE technician (
  id TEXT PRIMARY KEY CHECK (length(id) = 32),
  name TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 64),
  name_key TEXT NOT NULL CHECK (length(name_key) BETWEEN 1 AND 64),
  ${json('permissions', 'array', 200)} NOT NULL,
  pin_salt BLOB CHECK (length(pin_salt) = 16),
  pin_hash BLOB CHECK (length(pin_hash) = 32),
  state TEXT NOT NULL CHECK (state IN ('active', 'suspended', 'revoked', 'deleted')),
  ${time('created_at_unix_ms')} NOT NULL,
  ${time('expires_at_unix_ms')},
  ${time('last_sign_in_unix_ms')},
  ${time('ended_at_unix_ms')},
  ended_by TEXT CHECK (length(ended_by) BETWEEN 1 AND 1000),
  CHECK ((pin_hash IS NULL) = (state = 'deleted')),
  CHECK ((pin_salt IS NULL) = (pin_hash IS NULL)),
  CHECK ((ended_by IS NULL) = (ended_at_unix_ms IS NULL)),
  CHECK (state IN ('active', 'suspended') OR ended_by IS NOT NULL)
) STRICT;
CREATE UNIQUE INDEX technician_name_once ON technician (name_key) WHERE state <> 'deleted';
CREATE TRIGGER technician_no_delete BEFORE DELETE ON technician
BEGIN SELECT raise(ABORT, 'a technician stays for the records'); END;
CREATE TRIGGER technician_deleted_is_final BEFORE UPDATE ON technician
WHEN OLD.state = 'deleted'
BEGIN SELECT raise(ABORT, 'a deleted technician does not change'); END;
CREATE TRIGGER technician_does_not_come_back BEFORE UPDATE ON technician
WHEN OLD.state = 'revoked' AND NEW.state NOT IN ('revoked', 'deleted')
BEGIN SELECT raise(ABORT, 'a revoked technician does not come back'); END;

CREATE TABLE invite (
  id TEXT PRIMARY KEY CHECK (length(id) = 32),
  hash TEXT NOT NULL UNIQUE CHECK (length(hash) = 64 AND hash NOT GLOB '*[^0-9a-f]*'),
  name TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 64),
  ${json('permissions', 'array', 200)} NOT NULL,
  ${time('technician_expires_at_unix_ms')},
  ${time('created_at_unix_ms')} NOT NULL,
  ${time('expires_at_unix_ms')} NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('open', 'used', 'revoked')),
  technician_id TEXT UNIQUE REFERENCES technician (id) DEFERRABLE INITIALLY DEFERRED,
  ended_by TEXT CHECK (length(ended_by) BETWEEN 1 AND 1000),
  CHECK ((technician_id IS NOT NULL) = (state = 'used')),
  CHECK ((ended_by IS NOT NULL) = (state = 'revoked'))
) STRICT;
CREATE TRIGGER invite_is_used_once BEFORE UPDATE ON invite WHEN OLD.state <> 'open'
BEGIN SELECT raise(ABORT, 'an invite that is used or revoked does not change'); END;
CREATE TRIGGER invite_no_delete BEFORE DELETE ON invite
BEGIN SELECT raise(ABORT, 'an invite stays'); END;
`;

const exchanges = `
CREATE TABLE exchange (
  id TEXT PRIMARY KEY CHECK (length(id) = 32),
  reference TEXT NOT NULL UNIQUE CHECK (length(reference) BETWEEN 1 AND 32),
  technician_id TEXT NOT NULL REFERENCES technician (id) DEFERRABLE INITIALLY DEFERRED,
  state TEXT NOT NULL CHECK (state IN ('open', 'closed', 'abandoned')),
  ${json('setup', 'object', 65536)},
  ${json('booked', 'array', 65536)} NOT NULL,
  ${time('opened_at_unix_ms')} NOT NULL,
  ${time('ended_at_unix_ms')},
  CHECK ((state = 'open') = (ended_at_unix_ms IS NULL))
) STRICT;
CREATE UNIQUE INDEX exchange_one_open ON exchange (state) WHERE state = 'open';
CREATE TRIGGER exchange_ended_is_final BEFORE UPDATE ON exchange WHEN OLD.state <> 'open'
BEGIN SELECT raise(ABORT, 'an exchange that has ended does not change'); END;
CREATE TRIGGER exchange_setup_is_kept BEFORE UPDATE ON exchange
WHEN OLD.setup IS NOT NULL AND NEW.setup IS NOT OLD.setup
BEGIN SELECT raise(ABORT, 'what was expected does not change'); END;
CREATE TRIGGER exchange_no_delete BEFORE DELETE ON exchange
BEGIN SELECT raise(ABORT, 'an exchange stays'); END;

CREATE TABLE exchange_step (
  exchange_id TEXT NOT NULL REFERENCES exchange (id) DEFERRABLE INITIALLY DEFERRED,
  ordinal INTEGER NOT NULL CHECK (ordinal BETWEEN 1 AND 10000),
  technician_id TEXT NOT NULL REFERENCES technician (id) DEFERRABLE INITIALLY DEFERRED,
  ${time('at_unix_ms')} NOT NULL,
  ${json('question', 'object', 16384)} NOT NULL,
  ${json('answer', 'object', 16384)} NOT NULL,
  ${json('facts', 'object', 16384)} NOT NULL,
  ${json('outcome', 'object', 16384)},
  ${time('undone_at_unix_ms')},
  PRIMARY KEY (exchange_id, ordinal)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER exchange_step_is_kept BEFORE UPDATE ON exchange_step
WHEN NEW.answer IS NOT OLD.answer OR NEW.question IS NOT OLD.question
  OR NEW.facts IS NOT OLD.facts OR NEW.at_unix_ms IS NOT OLD.at_unix_ms
  OR OLD.outcome IS NOT NULL AND NEW.outcome IS NOT OLD.outcome
  OR OLD.undone_at_unix_ms IS NOT NULL AND NEW.undone_at_unix_ms IS NOT OLD.undone_at_unix_ms
BEGIN SELECT raise(ABORT, 'an answer is taken back, never changed'); END;
CREATE TRIGGER exchange_step_no_delete BEFORE DELETE ON exchange_step
BEGIN SELECT raise(ABORT, 'an answer is taken back, never removed'); END;
`;

const account = `account TEXT NOT NULL CHECK (
    account IN ('reject', 'cashbox') OR account GLOB 'bay:[1-9]*' OR account GLOB 'bag:?*')`;

const counts = `
CREATE TABLE cash_count (
  seq INTEGER PRIMARY KEY CHECK (seq > 0),
  ${time('at_unix_ms')} NOT NULL,
  reference TEXT NOT NULL CHECK (length(reference) BETWEEN 1 AND 32),
  technician_id TEXT REFERENCES technician (id) DEFERRABLE INITIALLY DEFERRED,
  ${account},
  currency TEXT NOT NULL CHECK (currency GLOB '[A-Z][A-Z][A-Z]'),
  value_minor INTEGER NOT NULL CHECK (value_minor BETWEEN 1 AND ${SAFE}),
  expected INTEGER NOT NULL CHECK (expected BETWEEN 0 AND ${SAFE}),
  counted INTEGER NOT NULL CHECK (counted BETWEEN 0 AND ${SAFE}),
  reason TEXT CHECK (length(reason) BETWEEN 1 AND 64),
  note TEXT NOT NULL CHECK (length(note) <= 200),
  CHECK (reason IS NOT NULL OR expected = counted)
) STRICT;
CREATE INDEX cash_count_by_account ON cash_count (account, seq);
CREATE TRIGGER cash_count_no_update BEFORE UPDATE ON cash_count
BEGIN SELECT raise(ABORT, 'counts are append-only'); END;
CREATE TRIGGER cash_count_no_delete BEFORE DELETE ON cash_count
BEGIN SELECT raise(ABORT, 'counts are append-only'); END;
`;

const records = `
CREATE TABLE record (
  number INTEGER PRIMARY KEY CHECK (number > 0),
  kind TEXT NOT NULL CHECK (kind IN ('exchange', 'bag')),
  reference TEXT NOT NULL CHECK (length(reference) BETWEEN 1 AND 32),
  ${time('at_unix_ms')} NOT NULL,
  ${json('body', 'object', 65536)} NOT NULL,
  previous_hash TEXT NOT NULL CHECK (length(previous_hash) = 64),
  hash TEXT NOT NULL UNIQUE CHECK (length(hash) = 64),
  ${json('event', 'object', 131072)}
) STRICT;
CREATE INDEX record_unsigned ON record (number) WHERE event IS NULL;
CREATE TRIGGER record_no_gap BEFORE INSERT ON record
WHEN NEW.number IS NOT (SELECT ifnull(max(number), 0) + 1 FROM record)
BEGIN SELECT raise(ABORT, 'the records have no gaps'); END;
CREATE TRIGGER record_is_kept BEFORE UPDATE ON record
WHEN OLD.event IS NOT NULL OR NEW.body IS NOT OLD.body OR NEW.hash IS NOT OLD.hash
  OR NEW.previous_hash IS NOT OLD.previous_hash OR NEW.number IS NOT OLD.number
  OR NEW.kind IS NOT OLD.kind OR NEW.reference IS NOT OLD.reference
  OR NEW.at_unix_ms IS NOT OLD.at_unix_ms
BEGIN SELECT raise(ABORT, 'a record is signed once and never changed'); END;
CREATE TRIGGER record_no_delete BEFORE DELETE ON record
BEGIN SELECT raise(ABORT, 'a record stays'); END;
`;

/** Who comes to the machine, what they did there, and the records of it (design 11). */
export const migration0002: Migration = {
  version: 2,
  sql: [technicians, exchanges, counts, records].join('\n'),
};
