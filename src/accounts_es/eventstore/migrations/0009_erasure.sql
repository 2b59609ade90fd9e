-- Who was erased. The number counts in the order of commits, because it is drawn under the append lock. The fingerprint is
-- the SHA-256 of the wrapped key that was destroyed, so that it can be found in older backups.
CREATE TABLE log.erasures (
    number bigserial UNIQUE,
    stream text PRIMARY KEY,
    project_id text NOT NULL,
    reason text NOT NULL,
    erased_at timestamptz NOT NULL,
    fingerprint text NOT NULL,
    events bigint NOT NULL,
    first_position bigint NOT NULL,
    last_position bigint NOT NULL,
    certificate text,
    kept boolean NOT NULL DEFAULT false,
    swept boolean NOT NULL DEFAULT false
);
CREATE INDEX erasures_to_finish ON log.erasures (number) WHERE certificate IS NULL OR NOT kept OR NOT swept;

-- Whose answer it is: that of an erased person is not kept.
ALTER TABLE log.idempotency ADD COLUMN streams text[];

-- When somebody was deleted or put under a legal hold; there are few of either.
CREATE INDEX accounts_events_deleted ON log.accounts_events (notification_id) WHERE topic = 'account.deleted';

-- Destroys a stream's key and what is kept beside the log for it, in the transaction that says so in the log: without
-- that event it refuses. The server's role can remove no key in another way.
CREATE FUNCTION log.erase(erased text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    said record;
    destroyed bytea;
BEGIN
    SELECT * INTO said FROM log.accounts_events WHERE originator_id = erased ORDER BY originator_version DESC LIMIT 1;
    IF said.topic IS DISTINCT FROM 'account.erased' THEN
        RAISE EXCEPTION 'only an account whose last event says so is erased' USING ERRCODE = 'insufficient_privilege';
    END IF;
    DELETE FROM log.subject_keys WHERE subject = erased RETURNING wrapped INTO destroyed;
    DELETE FROM log.outbox WHERE subject = erased;
    DELETE FROM log.accounts_snapshots WHERE originator_id = erased;
    DELETE FROM log.claims WHERE stream = erased;
    INSERT INTO log.erasures (stream, project_id, reason, erased_at, fingerprint, events, first_position, last_position)
        SELECT erased, said.project_id, convert_from(said.state, 'UTF8')::jsonb #>> '{data,reason}', said.recorded_at,
            coalesce(encode(sha256(destroyed), 'hex'), ''), count(*), min(notification_id), max(notification_id)
        FROM log.accounts_events WHERE originator_id = erased
        ON CONFLICT (stream) DO NOTHING;
END $$;
REVOKE ALL ON FUNCTION log.erase(text) FROM PUBLIC;

-- What the library itself inserts does not pass through log.append.
CREATE OR REPLACE FUNCTION log.complete_event() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    meta jsonb := convert_from(NEW.state, 'UTF8')::jsonb -> 'meta';
BEGIN
    IF EXISTS (SELECT 1 FROM log.erasures WHERE stream = NEW.originator_id) THEN
        RAISE EXCEPTION 'the stream is erased' USING ERRCODE = 'insufficient_privilege';
    END IF;
    NEW.project_id := meta ->> 'project';
    NEW.recorded_at := meta ->> 'at';
    NEW.actor := meta ->> 'actor';
    NEW.operation := meta ->> 'operation';
    NEW.request_id := meta ->> 'request';
    NEW.correlation_id := meta ->> 'correlation';
    RETURN NEW;
END $$;

-- Appends the requests of one group, each whole or not at all, and says which were refused and why:
--   erased       the stream's key is destroyed: nothing follows
--   version      another writer was first: decide again from fresh state
--   claim:<kind> the value belongs to another stream
--   idempotency  the key was used before
-- The advisory lock makes the order of positions the order of commits, so that a reader who follows the log by
-- position never passes over an event that commits later.
CREATE OR REPLACE FUNCTION log.append(
    e_req int[], e_stream text[], e_version bigint[], e_topic text[], e_state bytea[], e_project text[],
    e_at timestamptz[], e_actor text[], e_operation text[], e_request text[], e_correlation text[],
    c_req int[], c_take boolean[], c_project text[], c_kind text[], c_digest bytea[], c_stream text[],
    k_req int[], k_subject text[], k_wrapped bytea[],
    i_req int[], i_key bytea[], i_fingerprint bytea[]
) RETURNS TABLE (req int, refusal text, n bigint, log_position bigint) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    refused int[] := '{}';
    c record;
BEGIN
    PERFORM pg_advisory_xact_lock(7017280570803617907);

    -- First of all: whoever still remembers an erased stream must not take its refusal for a lost race.
    FOR c IN
        SELECT DISTINCT e.r FROM unnest(e_req, e_stream) AS e (r, s) JOIN log.erasures AS gone ON gone.stream = e.s
    LOOP
        refused := refused || c.r;
        req := c.r; refusal := 'erased'; RETURN NEXT;
    END LOOP;

    FOR c IN
        SELECT DISTINCT e.r FROM unnest(e_req, e_stream, e_version) AS e (r, s, v)
        JOIN log.accounts_events AS stored ON stored.originator_id = e.s AND stored.originator_version = e.v
        UNION
        SELECT e.r FROM (
            SELECT r, row_number() OVER (PARTITION BY s, v ORDER BY r) AS nth
            FROM unnest(e_req, e_stream, e_version) AS e (r, s, v)
        ) AS e WHERE e.nth > 1
    LOOP
        CONTINUE WHEN c.r = ANY (refused);
        refused := refused || c.r;
        req := c.r; refusal := 'version'; RETURN NEXT;
    END LOOP;

    IF cardinality(i_req) > 0 THEN
        FOR c IN SELECT * FROM unnest(i_req, i_key, i_fingerprint) AS i (r, key, fingerprint) LOOP
            CONTINUE WHEN c.r = ANY (refused);
            INSERT INTO log.idempotency (key, fingerprint, streams)
                SELECT c.key, c.fingerprint, array_agg(e.s)
                FROM unnest(e_req, e_stream) AS e (r, s) WHERE e.r = c.r
                ON CONFLICT DO NOTHING;
            IF NOT FOUND THEN
                refused := refused || c.r;
                req := c.r; refusal := 'idempotency'; RETURN NEXT;
            END IF;
        END LOOP;
    END IF;

    IF cardinality(c_req) > 0 THEN
        FOR c IN
            SELECT * FROM unnest(c_req, c_take, c_project, c_kind, c_digest, c_stream)
                WITH ORDINALITY AS c (r, take, project, kind, digest, stream, nth)
            WHERE c.take ORDER BY c.nth
        LOOP
            CONTINUE WHEN c.r = ANY (refused);
            INSERT INTO log.claims (project_id, kind, digest, stream) VALUES (c.project, c.kind, c.digest, c.stream)
                ON CONFLICT DO NOTHING;
            IF NOT FOUND THEN
                refused := refused || c.r;
                req := c.r; refusal := 'claim:' || c.kind; RETURN NEXT;
                DELETE FROM log.claims AS mine
                    USING unnest(c_req, c_take, c_project, c_kind, c_digest) WITH ORDINALITY
                        AS taken (r, take, project, kind, digest, nth)
                    WHERE taken.r = c.r AND taken.take AND taken.nth < c.nth AND mine.project_id = taken.project
                        AND mine.kind = taken.kind AND mine.digest = taken.digest;
                DELETE FROM log.idempotency AS mine USING unnest(i_req, i_key) AS used (r, key)
                    WHERE used.r = c.r AND mine.key = used.key;
            END IF;
        END LOOP;
        DELETE FROM log.claims AS held
            USING unnest(c_req, c_take, c_project, c_kind, c_digest, c_stream)
                AS freed (r, take, project, kind, digest, stream)
            WHERE NOT freed.take AND freed.r <> ALL (refused) AND held.project_id = freed.project
                AND held.kind = freed.kind AND held.digest = freed.digest AND held.stream = freed.stream;
    END IF;

    IF cardinality(k_req) > 0 THEN
        INSERT INTO log.subject_keys (subject, wrapped)
            SELECT k.subject, k.wrapped FROM unnest(k_req, k_subject, k_wrapped) AS k (r, subject, wrapped)
            WHERE k.r <> ALL (refused);
    END IF;

    PERFORM pg_notify('accounts_events', '');
    RETURN QUERY
        WITH inserted AS (
            INSERT INTO log.accounts_events (originator_id, originator_version, topic, state, project_id, recorded_at,
                actor, operation, request_id, correlation_id)
            SELECT s, v, topic, state, project, at, actor, operation, request, correlation
            FROM unnest(e_req, e_stream, e_version, e_topic, e_state, e_project, e_at, e_actor, e_operation, e_request,
                    e_correlation) WITH ORDINALITY
                AS e (r, s, v, topic, state, project, at, actor, operation, request, correlation, nth)
            WHERE r <> ALL (refused) ORDER BY nth
            RETURNING originator_id, originator_version, notification_id
        )
        SELECT e.r, NULL::text, e.nth, inserted.notification_id
        FROM inserted JOIN unnest(e_req, e_stream, e_version) WITH ORDINALITY AS e (r, s, v, nth)
            ON inserted.originator_id = e.s AND inserted.originator_version = e.v AND e.r <> ALL (refused);
END $$;
