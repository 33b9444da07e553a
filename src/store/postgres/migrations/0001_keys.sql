-- portcullis, schema version 1: keys, their secrets, the history of their changes, and their trail.
--
-- The triggers below do all the accounting of changes, so that SQL typed by hand counts like
-- everything else. To end a key in an emergency:
--
--   UPDATE portcullis.keys SET revoked_at = now() WHERE id = 'key_...';

CREATE SCHEMA IF NOT EXISTS portcullis;

CREATE TABLE portcullis.migrations (
    version    bigint      NOT NULL PRIMARY KEY,
    applied_at timestamptz NOT NULL DEFAULT now()
);

-- One row: which store this is. Its lock, taken at the end of each transaction that changes
-- something, is what puts revisions into the order of commits. The row itself hardly ever changes,
-- or else a long transaction elsewhere would leave a trail of dead versions for each look-up to walk.
CREATE TABLE portcullis.meta (
    one              boolean NOT NULL PRIMARY KEY DEFAULT true CHECK (one),
    store_id         bytea   NOT NULL CHECK (octet_length(store_id) = 16),
    cursor_key       bytea   NOT NULL CHECK (octet_length(cursor_key) = 32),
    ever_had_a_key   boolean NOT NULL DEFAULT false,
    -- How digests are made, by the name that a keyring gives it; NULL until one has.
    digest_algorithm text    CHECK (digest_algorithm <> '')
);

CREATE TABLE portcullis.keys (
    id             text COLLATE "C" NOT NULL PRIMARY KEY
                               CHECK (id ~ '^key_[0-9A-Za-z]{16,32}$'),
    name           text        NOT NULL CHECK (name <> ''),
    owner          text        NOT NULL CHECK (owner <> ''),
    environment    text        NOT NULL CHECK (environment <> ''),
    hint           text        NOT NULL CHECK (hint <> ''),
    scopes         text        NOT NULL,
    roles          text        NOT NULL DEFAULT '',
    -- A JSON object, of each kind the ids; NULL is everything.
    resources      json        CHECK (json_typeof(resources) = 'object'),
    -- Networks with a space between them; NULL is anywhere.
    allowed_ips    text        CHECK (allowed_ips <> ''),
    enabled        boolean     NOT NULL DEFAULT true,
    created_at     timestamptz NOT NULL DEFAULT now()
        CHECK (created_at BETWEEN '0001-01-01 00:00:00+00 BC' AND '9999-12-31 23:59:59.999999+00'),
    -- Compared with ids, by its index: they have to have one order.
    created_by     text COLLATE "C" NOT NULL DEFAULT 'system',
    expires_at     timestamptz
        CHECK (expires_at BETWEEN '0001-01-01 00:00:00+00 BC' AND '9999-12-31 23:59:59.999999+00'),
    revoked_at     timestamptz
        CHECK (revoked_at BETWEEN '0001-01-01 00:00:00+00 BC' AND '9999-12-31 23:59:59.999999+00'),
    revoked_by     text,
    revoked_reason text,
    -- A JSON object of the application's. Not jsonb, which would write its numbers anew.
    metadata       json        NOT NULL DEFAULT '{}'
        CHECK (octet_length(metadata::text) <= 4096 AND json_typeof(metadata) = 'object'),
    -- A statistic: written at most every few minutes, and no change of the key.
    last_used_at   timestamptz
        CHECK (last_used_at BETWEEN '0001-01-01 00:00:00+00 BC' AND '9999-12-31 23:59:59.999999+00'),
    CHECK (revoked_at IS NOT NULL OR (revoked_by IS NULL AND revoked_reason IS NULL))
) WITH (fillfactor = 90);

CREATE INDEX keys_newest ON portcullis.keys (created_at DESC, id DESC);
CREATE INDEX keys_newest_of_owner ON portcullis.keys (owner, created_at DESC, id DESC);
CREATE INDEX keys_made_by ON portcullis.keys (created_by);
-- To count the living keys of an owner, however many dead ones there are.
CREATE INDEX keys_living ON portcullis.keys (owner, expires_at) WHERE revoked_at IS NULL;
-- To find those that have been dead for long.
CREATE INDEX keys_by_revocation ON portcullis.keys (revoked_at) WHERE revoked_at IS NOT NULL;
CREATE INDEX keys_by_end ON portcullis.keys (expires_at) WHERE expires_at IS NOT NULL;

-- What opens a key, as a digest: the current secret and, after a rotation, the previous one until
-- its end. The hint of the current one is the key's.
CREATE TABLE portcullis.secrets (
    digest       bytea NOT NULL PRIMARY KEY CHECK (octet_length(digest) = 32),
    key_id       text COLLATE "C" NOT NULL
                       REFERENCES portcullis.keys (id) ON DELETE CASCADE,
    slot         text  NOT NULL DEFAULT 'current' CHECK (slot IN ('current', 'previous')),
    hint         text  CHECK (hint <> ''),
    expires_at   timestamptz
        CHECK (expires_at BETWEEN '0001-01-01 00:00:00+00 BC' AND '9999-12-31 23:59:59.999999+00'),
    last_used_at timestamptz
        CHECK (last_used_at BETWEEN '0001-01-01 00:00:00+00 BC' AND '9999-12-31 23:59:59.999999+00'),
    CHECK (slot = 'current' OR (hint IS NOT NULL AND expires_at IS NOT NULL))
) WITH (fillfactor = 90);

-- At most one of each.
CREATE UNIQUE INDEX secrets_of_key ON portcullis.secrets (key_id, slot);

-- The digest of every secret that a key ever had, also of those that are gone: none is given again,
-- or else whoever learned an old secret could take it for a key of their own, and what a forgotten
-- client still sends would come in as theirs. Never pruned: a client may be forgotten for years.
-- Whose it was is not kept, since nobody gets it back.
CREATE TABLE portcullis.digests (
    digest bytea NOT NULL PRIMARY KEY CHECK (octet_length(digest) = 32)
);

-- Which keys were made by requests that may come again, until they may not. No change of a key.
CREATE TABLE portcullis.replays (
    replay     bytea       NOT NULL PRIMARY KEY CHECK (octet_length(replay) = 32),
    request    bytea       NOT NULL CHECK (octet_length(request) = 32),
    key_id     text COLLATE "C" NOT NULL
                           REFERENCES portcullis.keys (id) ON DELETE CASCADE,
    expires_at timestamptz NOT NULL
        CHECK (expires_at BETWEEN '0001-01-01 00:00:00+00 BC' AND '9999-12-31 23:59:59.999999+00')
);

CREATE INDEX replays_by_end ON portcullis.replays (expires_at);
CREATE INDEX replays_of_key ON portcullis.replays (key_id);

-- What was done to each key, when, and by whom. It outlives the keys, and is no change of them.
CREATE TABLE portcullis.events (
    seq     bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key_id  text COLLATE "C" NOT NULL,
    done_at timestamptz NOT NULL DEFAULT now()
        CHECK (done_at BETWEEN '0001-01-01 00:00:00+00 BC' AND '9999-12-31 23:59:59.999999+00'),
    done_by text        NOT NULL DEFAULT 'system',
    what    text        NOT NULL CHECK (what <> ''),
    detail  json        NOT NULL DEFAULT '{}' CHECK (json_typeof(detail) = 'object')
);

CREATE INDEX events_of_key ON portcullis.events (key_id, seq DESC);
CREATE INDEX events_by_age ON portcullis.events (done_at);

-- The history: one row for each transaction that changed something. Its revision is taken when the
-- transaction commits, and NULL before, when nobody else can see the row.
CREATE TABLE portcullis.change_sets (
    nonce    bigint NOT NULL PRIMARY KEY,
    revision bigint UNIQUE CHECK (revision >= 0)
);

-- Which remembered answers each of them put out of date: those about the digests whose first
-- 16 bits are the shard (NULL: about any), either "no such key" alone or every answer.
CREATE TABLE portcullis.changes (
    nonce bigint  NOT NULL,
    shard integer CHECK (shard BETWEEN 0 AND 65535),
    kind  text    NOT NULL CHECK (kind IN ('absence', 'everything'))
);

CREATE INDEX changes_of_set ON portcullis.changes (nonce);

CREATE FUNCTION portcullis.new_nonce() RETURNS bigint
LANGUAGE sql VOLATILE
BEGIN ATOMIC
    SELECT ('x' || encode(substring(sha256(uuid_send(gen_random_uuid())) FOR 8), 'hex'))::bit(64)::bigint;
END;

INSERT INTO portcullis.meta (store_id, cursor_key) VALUES (
    substring(sha256(uuid_send(gen_random_uuid())) FOR 16),
    sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()))
);

INSERT INTO portcullis.change_sets (nonce, revision) VALUES (portcullis.new_nonce(), 0);
INSERT INTO portcullis.changes (nonce, kind) SELECT nonce, 'everything' FROM portcullis.change_sets;

-- The change set of this transaction, begun if there is none yet. Which one that is stands in a
-- setting that ends with the transaction, and goes back with it to a savepoint; the id of the
-- transaction beside it keeps anything that was left lying in the session from being taken for it.
CREATE FUNCTION portcullis.change_set() RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    here text := pg_current_xact_id()::text;
    kept text := current_setting('portcullis.change_set', true);
    mine bigint;
BEGIN
    IF split_part(kept, ':', 1) = here THEN
        RETURN split_part(kept, ':', 2)::bigint;
    END IF;
    mine := portcullis.new_nonce();
    PERFORM set_config('portcullis.change_set', here || ':' || mine, true);
    INSERT INTO portcullis.change_sets (nonce) VALUES (mine);
    RETURN mine;
END;
$$;

-- Writes down what a statement put out of date. A statement that touches very many shards is
-- written down as touching any: one row, however many keys.
CREATE FUNCTION portcullis.put_out_of_date(shards integer[], what text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    mine bigint := portcullis.change_set();
BEGIN
    IF cardinality(shards) > 1000 THEN
        shards := ARRAY[NULL::integer];
    END IF;
    INSERT INTO portcullis.changes (nonce, shard, kind)
        SELECT mine, shard, what FROM unnest(shards) AS t (shard);
END;
$$;

CREATE FUNCTION portcullis.shard_of(digest bytea) RETURNS integer
LANGUAGE sql IMMUTABLE
RETURN get_byte(digest, 0) * 256 + get_byte(digest, 1);

-- Those of the secrets of these keys. OFFSET keeps the two apart: each key is looked up by the index,
-- also before Postgres knows anything of the tables, when it would rather read all secrets.
CREATE FUNCTION portcullis.shards_of(ids text[]) RETURNS integer[]
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN ARRAY(
        SELECT DISTINCT portcullis.shard_of(s.digest)
        FROM unnest(ids) AS t (id),
             LATERAL (SELECT digest FROM portcullis.secrets WHERE key_id = t.id OFFSET 0) AS s);
END;
$$;

-- By an array, for which the index is used whatever the planner makes of the rows of a statement.
CREATE FUNCTION portcullis.wait_for_keys(ids text[]) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM FROM portcullis.keys WHERE id = ANY (ids) ORDER BY id FOR SHARE;
END;
$$;

-- A transaction that has changed a key, and is still open, has written down the secrets that it saw.
-- One that comes to the key meanwhile has to wait for it: looked up and remembered before that
-- commit, it would be out of date by it, and nobody would say so.
CREATE FUNCTION portcullis.secrets_added() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF EXISTS (SELECT FROM added) THEN
        -- Written down when it comes, there is no way to go on which it could be forgotten. One that
        -- was there before is refused by the constraint, whatever this transaction can see of it.
        INSERT INTO portcullis.digests SELECT digest FROM added;
        PERFORM portcullis.wait_for_keys(ARRAY(SELECT DISTINCT key_id FROM added));
        PERFORM portcullis.put_out_of_date(
            ARRAY(SELECT DISTINCT portcullis.shard_of(digest) FROM added), 'absence');
    END IF;
    RETURN NULL;
END;
$$;

-- What only keeps statistics is no change: here, and for keys below. Old and new rows are joined by
-- FULL JOIN, which never loops over all pairs: a plan is made once in a session, and the one that is
-- best for one row takes minutes for ten thousand.
CREATE FUNCTION portcullis.secrets_changed() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    shards integer[] := ARRAY(
        SELECT DISTINCT portcullis.shard_of(coalesce(o.digest, n.digest))
        FROM old_rows o FULL JOIN new_rows n ON n.digest = o.digest
        WHERE o.digest IS NULL OR n.digest IS NULL
           OR o.last_used_at IS NOT DISTINCT FROM n.last_used_at
           OR (o.key_id, o.slot, o.hint, o.expires_at)
              IS DISTINCT FROM (n.key_id, n.slot, n.hint, n.expires_at));
BEGIN
    IF cardinality(shards) > 0 THEN
        -- As for a secret that is added.
        INSERT INTO portcullis.digests
            SELECT n.digest
            FROM old_rows o FULL JOIN new_rows n ON n.digest = o.digest
            WHERE o.digest IS NULL;
        PERFORM portcullis.wait_for_keys(ARRAY(
            SELECT DISTINCT n.key_id
            FROM old_rows o FULL JOIN new_rows n ON n.digest = o.digest
            WHERE n.key_id IS DISTINCT FROM o.key_id));
        PERFORM portcullis.put_out_of_date(shards, 'everything');
    END IF;
    RETURN NULL;
END;
$$;

CREATE FUNCTION portcullis.secrets_deleted() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF EXISTS (SELECT FROM deleted) THEN
        PERFORM portcullis.put_out_of_date(
            ARRAY(SELECT DISTINCT portcullis.shard_of(digest) FROM deleted), 'everything');
    END IF;
    RETURN NULL;
END;
$$;

-- A key without a secret changes no answer; that there ever was a key is noticed all the same. One
-- may already have a secret, which a key of the same id has left behind where nothing cascades.
CREATE FUNCTION portcullis.keys_added() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    ids text[] := ARRAY(SELECT id FROM added);
BEGIN
    IF cardinality(ids) > 0 THEN
        PERFORM portcullis.put_out_of_date(portcullis.shards_of(ids), 'absence');
    END IF;
    RETURN NULL;
END;
$$;

CREATE FUNCTION portcullis.key_stays() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NEW.id <> OLD.id THEN
        RAISE EXCEPTION 'a key keeps its id';
    END IF;
    RAISE EXCEPTION 'a revoked key stays revoked';
END;
$$;

CREATE FUNCTION portcullis.keys_changed() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    ids text[] := ARRAY(
        SELECT n.id
        FROM old_rows o FULL JOIN new_rows n ON n.id = o.id
        WHERE o.last_used_at IS NOT DISTINCT FROM n.last_used_at
           OR (o.name, o.owner, o.environment, o.hint, o.scopes, o.roles, o.resources::text,
               o.allowed_ips, o.enabled, o.created_at, o.created_by, o.expires_at, o.revoked_at,
               o.revoked_by, o.revoked_reason, o.metadata::text)
              IS DISTINCT FROM
              (n.name, n.owner, n.environment, n.hint, n.scopes, n.roles, n.resources::text,
               n.allowed_ips, n.enabled, n.created_at, n.created_by, n.expires_at, n.revoked_at,
               n.revoked_by, n.revoked_reason, n.metadata::text));
BEGIN
    IF cardinality(ids) > 0 THEN
        PERFORM portcullis.put_out_of_date(portcullis.shards_of(ids), 'everything');
    END IF;
    RETURN NULL;
END;
$$;

-- Their secrets go with them and are written down by their own trigger, unless the cascade is off
-- in the session at work.
CREATE FUNCTION portcullis.keys_deleted() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    ids text[] := ARRAY(SELECT id FROM deleted);
BEGIN
    IF cardinality(ids) > 0 THEN
        PERFORM portcullis.put_out_of_date(portcullis.shards_of(ids), 'everything');
    END IF;
    RETURN NULL;
END;
$$;

CREATE FUNCTION portcullis.emptied() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM portcullis.put_out_of_date(ARRAY[NULL::integer], 'everything');
    RETURN NULL;
END;
$$;

-- Runs when the transaction commits, or when it says SET CONSTRAINTS ... IMMEDIATE. The lock is
-- held until the commit is done, so that revisions come in the order of commits; a transaction that
-- is merely open holds nobody up.
CREATE FUNCTION portcullis.take_revision() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    next bigint;
    had_a_key boolean;
BEGIN
    SELECT ever_had_a_key INTO had_a_key FROM portcullis.meta FOR UPDATE;
    -- In a statement of its own, which sees what was committed while the one before waited.
    SELECT coalesce(max(revision), 0) + 1 INTO next FROM portcullis.change_sets;
    UPDATE portcullis.change_sets SET revision = next WHERE nonce = NEW.nonce;
    IF NOT had_a_key THEN
        UPDATE portcullis.meta SET ever_had_a_key = true WHERE EXISTS (SELECT FROM portcullis.keys);
    END IF;
    IF next % 100 = 0 THEN
        WITH pruned AS (
            DELETE FROM portcullis.change_sets WHERE revision < next - 10000 RETURNING nonce
        )
        DELETE FROM portcullis.changes USING pruned WHERE changes.nonce = pruned.nonce;
        -- What was committed since an old snapshot shows by the revision that is taken already. That
        -- row may be pruned by now, and then the row of the lock is another than in the snapshot.
        UPDATE portcullis.meta SET ever_had_a_key = ever_had_a_key;
    END IF;
    RETURN NULL;
EXCEPTION WHEN unique_violation THEN
    -- Under REPEATABLE READ the snapshot is older than the lock.
    RAISE EXCEPTION 'another change was committed since this transaction began'
        USING ERRCODE = 'serialization_failure', HINT = 'Repeat it, or use READ COMMITTED.';
END;
$$;

CREATE FUNCTION portcullis.nudge() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM pg_notify('portcullis', '');
    RETURN NULL;
END;
$$;

CREATE TRIGGER added AFTER INSERT ON portcullis.secrets
    REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION portcullis.secrets_added();
CREATE TRIGGER changed AFTER UPDATE ON portcullis.secrets
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION portcullis.secrets_changed();
CREATE TRIGGER deleted AFTER DELETE ON portcullis.secrets
    REFERENCING OLD TABLE AS deleted
    FOR EACH STATEMENT EXECUTE FUNCTION portcullis.secrets_deleted();
CREATE TRIGGER emptied AFTER TRUNCATE ON portcullis.secrets
    FOR EACH STATEMENT EXECUTE FUNCTION portcullis.emptied();

CREATE TRIGGER added AFTER INSERT ON portcullis.keys
    REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION portcullis.keys_added();
CREATE TRIGGER stays BEFORE UPDATE ON portcullis.keys
    FOR EACH ROW
    WHEN (NEW.id <> OLD.id
          OR (OLD.revoked_at IS NOT NULL AND NEW.revoked_at IS DISTINCT FROM OLD.revoked_at))
    EXECUTE FUNCTION portcullis.key_stays();
CREATE TRIGGER changed AFTER UPDATE ON portcullis.keys
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION portcullis.keys_changed();
CREATE TRIGGER deleted AFTER DELETE ON portcullis.keys
    REFERENCING OLD TABLE AS deleted
    FOR EACH STATEMENT EXECUTE FUNCTION portcullis.keys_deleted();
CREATE TRIGGER emptied AFTER TRUNCATE ON portcullis.keys
    FOR EACH STATEMENT EXECUTE FUNCTION portcullis.emptied();

CREATE CONSTRAINT TRIGGER take_revision AFTER INSERT ON portcullis.change_sets
    DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION portcullis.take_revision();
-- Apart from the revision: a nudge is a comfort, and carries no truth.
CREATE TRIGGER nudge AFTER INSERT ON portcullis.change_sets
    FOR EACH STATEMENT EXECUTE FUNCTION portcullis.nudge();

-- Also where session_replication_role switches triggers off. What a subscription of logical
-- replication applies asks no trigger of a statement all the same: a store is no place for one.
ALTER TABLE portcullis.secrets
    ENABLE ALWAYS TRIGGER added,
    ENABLE ALWAYS TRIGGER changed,
    ENABLE ALWAYS TRIGGER deleted,
    ENABLE ALWAYS TRIGGER emptied;
ALTER TABLE portcullis.keys
    ENABLE ALWAYS TRIGGER added,
    ENABLE ALWAYS TRIGGER stays,
    ENABLE ALWAYS TRIGGER changed,
    ENABLE ALWAYS TRIGGER deleted,
    ENABLE ALWAYS TRIGGER emptied;
ALTER TABLE portcullis.change_sets
    ENABLE ALWAYS TRIGGER take_revision,
    ENABLE ALWAYS TRIGGER nudge;

INSERT INTO portcullis.migrations (version) VALUES (1);
