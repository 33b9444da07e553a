-- portcullis, schema version 1: keys, their secrets, the history of their changes, and their trail.
--
-- Moments are whole microseconds since 1970-01-01 UTC. The triggers below do all the accounting
-- of changes, so that SQL typed by hand counts like everything else. To end a key in an emergency:
--
--   UPDATE portcullis_keys SET revoked_at = unixepoch() * 1000000 WHERE id = 'key_...';

CREATE TABLE portcullis_migrations (
    version    INTEGER NOT NULL PRIMARY KEY,
    applied_at INTEGER NOT NULL
) STRICT;

-- One row: which store this is, and how far its history goes.
CREATE TABLE portcullis_meta (
    one              INTEGER NOT NULL PRIMARY KEY DEFAULT 1 CHECK (one = 1),
    store_id         BLOB    NOT NULL CHECK (length(store_id) = 16),
    revision         INTEGER NOT NULL CHECK (revision >= 0),
    nonce            INTEGER NOT NULL,
    cursor_key       BLOB    NOT NULL CHECK (length(cursor_key) = 32),
    ever_had_a_key   INTEGER NOT NULL CHECK (ever_had_a_key IN (0, 1)),
    -- How digests are made, by the name that a keyring gives it; NULL until one has.
    digest_algorithm TEXT    CHECK (digest_algorithm <> '')
) STRICT;

-- Without rowid, as the secrets below: a REPLACE that meets another row by its rowid would
-- delete that row behind the triggers' backs.
CREATE TABLE portcullis_keys (
    id             TEXT    NOT NULL PRIMARY KEY
                           CHECK (id GLOB 'key_*' AND length(id) BETWEEN 20 AND 36),
    name           TEXT    NOT NULL CHECK (name <> ''),
    owner          TEXT    NOT NULL CHECK (owner <> ''),
    environment    TEXT    NOT NULL CHECK (environment <> ''),
    hint           TEXT    NOT NULL CHECK (hint <> ''),
    scopes         TEXT    NOT NULL,
    roles          TEXT    NOT NULL DEFAULT '',
    -- A JSON object, of each kind the ids; NULL is everything.
    resources      TEXT    CHECK (json_valid(resources) AND json_type(resources) = 'object'),
    -- Networks with a space between them; NULL is anywhere.
    allowed_ips    TEXT    CHECK (allowed_ips <> ''),
    enabled        INTEGER NOT NULL DEFAULT 1 CHECK (enabled IN (0, 1)),
    created_at     INTEGER NOT NULL
                           CHECK (created_at BETWEEN -62167219200000000 AND 253402300799999999),
    created_by     TEXT    NOT NULL DEFAULT 'system',
    expires_at     INTEGER CHECK (expires_at BETWEEN -62167219200000000 AND 253402300799999999),
    revoked_at     INTEGER CHECK (revoked_at BETWEEN -62167219200000000 AND 253402300799999999),
    revoked_by     TEXT,
    revoked_reason TEXT,
    -- A JSON object of the application's.
    metadata       TEXT    NOT NULL DEFAULT '{}'
                           CHECK (length(CAST(metadata AS BLOB)) <= 4096)
                           CHECK (json_valid(metadata) AND json_type(metadata) = 'object'),
    -- A statistic: written at most every few minutes, and no change of the key.
    last_used_at   INTEGER CHECK (last_used_at BETWEEN -62167219200000000 AND 253402300799999999),
    CHECK (revoked_at IS NOT NULL OR (revoked_by IS NULL AND revoked_reason IS NULL))
) STRICT, WITHOUT ROWID;

CREATE INDEX portcullis_keys_newest ON portcullis_keys (created_at DESC, id DESC);
CREATE INDEX portcullis_keys_newest_of_owner
    ON portcullis_keys (owner, created_at DESC, id DESC);
CREATE INDEX portcullis_keys_made_by ON portcullis_keys (created_by);
-- To count the living keys of an owner, however many dead ones there are.
CREATE INDEX portcullis_keys_living ON portcullis_keys (owner, expires_at) WHERE revoked_at IS NULL;
-- To find those that have been dead for long.
CREATE INDEX portcullis_keys_by_revocation ON portcullis_keys (revoked_at)
    WHERE revoked_at IS NOT NULL;
CREATE INDEX portcullis_keys_by_end ON portcullis_keys (expires_at) WHERE expires_at IS NOT NULL;

-- What opens a key, as a digest: the current secret and, after a rotation, the previous one until
-- its end. The hint of the current one is the key's.
CREATE TABLE portcullis_secrets (
    digest       BLOB    NOT NULL PRIMARY KEY CHECK (length(digest) = 32),
    key_id       TEXT    NOT NULL REFERENCES portcullis_keys (id) ON DELETE CASCADE,
    slot         TEXT    NOT NULL DEFAULT 'current' CHECK (slot IN ('current', 'previous')),
    hint         TEXT    CHECK (hint <> ''),
    expires_at   INTEGER CHECK (expires_at BETWEEN -62167219200000000 AND 253402300799999999),
    last_used_at INTEGER CHECK (last_used_at BETWEEN -62167219200000000 AND 253402300799999999),
    CHECK (slot = 'current' OR (hint IS NOT NULL AND expires_at IS NOT NULL))
) STRICT, WITHOUT ROWID;

-- At most one of each.
CREATE UNIQUE INDEX portcullis_secrets_of_key ON portcullis_secrets (key_id, slot);

-- The digest of every secret that a key ever had, also of those that are gone: none is given again,
-- or else whoever learned an old secret could take it for a key of their own, and what a forgotten
-- client still sends would come in as theirs. Never pruned: a client may be forgotten for years.
-- Whose it was is not kept, since nobody gets it back.
CREATE TABLE portcullis_digests (
    digest BLOB NOT NULL PRIMARY KEY CHECK (length(digest) = 32)
) STRICT, WITHOUT ROWID;

-- Which keys were made by requests that may come again, until they may not. No change of a key.
CREATE TABLE portcullis_replays (
    replay     BLOB    NOT NULL PRIMARY KEY CHECK (length(replay) = 32),
    request    BLOB    NOT NULL CHECK (length(request) = 32),
    key_id     TEXT    NOT NULL,
    expires_at INTEGER NOT NULL
                       CHECK (expires_at BETWEEN -62167219200000000 AND 253402300799999999)
) STRICT, WITHOUT ROWID;

CREATE INDEX portcullis_replays_by_end ON portcullis_replays (expires_at);
CREATE INDEX portcullis_replays_of_key ON portcullis_replays (key_id);

-- What was done to each key, when, and by whom. It outlives the keys, and is no change of them. No
-- number is given twice.
CREATE TABLE portcullis_events (
    seq     INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    key_id  TEXT    NOT NULL,
    done_at INTEGER NOT NULL
                    CHECK (done_at BETWEEN -62167219200000000 AND 253402300799999999),
    done_by TEXT    NOT NULL DEFAULT 'system',
    what    TEXT    NOT NULL CHECK (what <> ''),
    detail  TEXT    NOT NULL DEFAULT '{}'
                    CHECK (json_valid(detail) AND json_type(detail) = 'object')
) STRICT;

CREATE INDEX portcullis_events_of_key ON portcullis_events (key_id, seq DESC);
CREATE INDEX portcullis_events_by_age ON portcullis_events (done_at);

-- Which remembered answers each revision put out of date: those about the digests whose first
-- 16 bits are the shard (NULL: about any), either "no such key" alone or every answer.
CREATE TABLE portcullis_changes (
    revision INTEGER NOT NULL PRIMARY KEY,
    nonce    INTEGER NOT NULL,
    shard    INTEGER CHECK (shard BETWEEN 0 AND 65535),
    kind     TEXT    NOT NULL CHECK (kind IN ('absence', 'everything'))
) STRICT;

INSERT INTO portcullis_meta
    (store_id, revision, nonce, cursor_key, ever_had_a_key)
    VALUES (randomblob(16), 0, random(), randomblob(32), 0);

INSERT INTO portcullis_changes (revision, nonce, shard, kind)
    SELECT revision, nonce, NULL, 'everything' FROM portcullis_meta;

-- What the triggers write to: a row put in here takes the next revision.
CREATE VIEW portcullis_touch (digest, kind) AS SELECT x'', '' WHERE 0;

CREATE TRIGGER portcullis_touch INSTEAD OF INSERT ON portcullis_touch
BEGIN
    UPDATE portcullis_meta SET revision = revision + 1, nonce = random();
    INSERT INTO portcullis_changes (revision, nonce, shard, kind)
        SELECT revision, nonce,
               (instr('0123456789ABCDEF', substr(hex(NEW.digest), 1, 1)) - 1) * 4096
             + (instr('0123456789ABCDEF', substr(hex(NEW.digest), 2, 1)) - 1) * 256
             + (instr('0123456789ABCDEF', substr(hex(NEW.digest), 3, 1)) - 1) * 16
             + (instr('0123456789ABCDEF', substr(hex(NEW.digest), 4, 1)) - 1),
               NEW.kind
        FROM portcullis_meta;
    DELETE FROM portcullis_changes
        WHERE revision < (SELECT revision FROM portcullis_meta) - 10000;
END;

-- A REPLACE deletes the row in its way without asking the delete triggers, so what is in the way
-- is touched first.
CREATE TRIGGER portcullis_secret_replaced BEFORE INSERT ON portcullis_secrets
BEGIN
    -- Raised, since a constraint would do what the statement says: OR IGNORE, OR REPLACE. What a key
    -- has at this moment is for the constraint of its own table.
    SELECT RAISE(ABORT, 'a secret that is over stays over')
        WHERE EXISTS (SELECT 1 FROM portcullis_digests WHERE digest = NEW.digest)
          AND NOT EXISTS (SELECT 1 FROM portcullis_secrets WHERE digest = NEW.digest);
    INSERT INTO portcullis_touch (digest, kind)
        SELECT digest, 'everything' FROM portcullis_secrets
        WHERE digest = NEW.digest OR (key_id = NEW.key_id AND slot = NEW.slot);
END;

CREATE TRIGGER portcullis_secret_displaced BEFORE UPDATE OF key_id, slot ON portcullis_secrets
BEGIN
    INSERT INTO portcullis_touch (digest, kind)
        SELECT digest, 'everything' FROM portcullis_secrets
        WHERE key_id = NEW.key_id AND slot = NEW.slot AND digest <> OLD.digest;
END;

CREATE TRIGGER portcullis_secret_exchanged BEFORE UPDATE OF digest ON portcullis_secrets
BEGIN
    SELECT RAISE(ABORT, 'a secret that is over stays over')
        WHERE EXISTS (SELECT 1 FROM portcullis_digests WHERE digest = NEW.digest)
          AND NOT EXISTS (SELECT 1 FROM portcullis_secrets WHERE digest = NEW.digest);
END;

-- Written down when it comes, here and when a digest is exchanged: there is no way to go on which it
-- could be forgotten.
CREATE TRIGGER portcullis_secret_added AFTER INSERT ON portcullis_secrets
BEGIN
    INSERT INTO portcullis_digests (digest)
        SELECT NEW.digest
        WHERE NOT EXISTS (SELECT 1 FROM portcullis_digests WHERE digest = NEW.digest);
    INSERT INTO portcullis_touch (digest, kind) VALUES (NEW.digest, 'absence');
END;

-- Here and below: of the columns that answers are made of. What only keeps statistics
-- (last_used_at) stays out of these lists.
CREATE TRIGGER portcullis_secret_changed AFTER UPDATE OF digest, key_id, slot, hint, expires_at
    ON portcullis_secrets
BEGIN
    INSERT INTO portcullis_digests (digest)
        SELECT NEW.digest
        WHERE NOT EXISTS (SELECT 1 FROM portcullis_digests WHERE digest = NEW.digest);
    INSERT INTO portcullis_touch (digest, kind) VALUES (OLD.digest, 'everything');
    INSERT INTO portcullis_touch (digest, kind)
        SELECT NEW.digest, 'everything' WHERE NEW.digest <> OLD.digest;
END;

CREATE TRIGGER portcullis_secret_deleted AFTER DELETE ON portcullis_secrets
BEGIN
    INSERT INTO portcullis_touch (digest, kind) VALUES (OLD.digest, 'everything');
END;

CREATE TRIGGER portcullis_key_replaced BEFORE INSERT ON portcullis_keys
BEGIN
    SELECT RAISE(ABORT, 'a revoked key stays revoked')
        FROM portcullis_keys
        WHERE id = NEW.id AND revoked_at IS NOT NULL AND revoked_at IS NOT NEW.revoked_at;
    -- Also the secrets that a deletion without foreign keys has left behind.
    INSERT INTO portcullis_touch (digest, kind)
        SELECT digest, 'everything' FROM portcullis_secrets WHERE key_id = NEW.id;
END;

CREATE TRIGGER portcullis_key_added AFTER INSERT ON portcullis_keys
BEGIN
    UPDATE portcullis_meta SET ever_had_a_key = 1 WHERE ever_had_a_key = 0;
END;

CREATE TRIGGER portcullis_key_stays BEFORE UPDATE OF id, revoked_at ON portcullis_keys
BEGIN
    SELECT RAISE(ABORT, 'a key keeps its id') WHERE NEW.id <> OLD.id;
    SELECT RAISE(ABORT, 'a revoked key stays revoked')
        WHERE OLD.revoked_at IS NOT NULL AND NEW.revoked_at IS NOT OLD.revoked_at;
END;

CREATE TRIGGER portcullis_key_changed AFTER UPDATE OF
    name, owner, environment, hint, scopes, roles, resources, allowed_ips, enabled, created_at,
    created_by, expires_at, revoked_at, revoked_by, revoked_reason, metadata
    ON portcullis_keys
BEGIN
    INSERT INTO portcullis_touch (digest, kind)
        SELECT digest, 'everything' FROM portcullis_secrets WHERE key_id = NEW.id
        UNION ALL
        -- Every change takes a revision. That of a key without secrets matters to no answer, so
        -- any shard will do.
        SELECT x'0000', 'absence'
        WHERE NOT EXISTS (SELECT 1 FROM portcullis_secrets WHERE key_id = NEW.id);
END;

-- Before, while the secrets are still there: the cascade may be off in the client at work.
CREATE TRIGGER portcullis_key_deleted BEFORE DELETE ON portcullis_keys
BEGIN
    INSERT INTO portcullis_touch (digest, kind)
        SELECT digest, 'everything' FROM portcullis_secrets WHERE key_id = OLD.id;
    DELETE FROM portcullis_replays WHERE key_id = OLD.id;
END;

INSERT INTO portcullis_migrations (version, applied_at) VALUES (1, unixepoch() * 1000000);
