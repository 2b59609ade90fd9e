-- The log and what commits with it. Table layout, type and channel are those of the eventsourcing library 9.5
-- (ORIGINATOR_ID_TYPE=text), plus columns of ours for what is asked for.
CREATE TABLE log.accounts_events (
    originator_id text NOT NULL,
    originator_version bigint NOT NULL,
    topic text NOT NULL,
    state bytea NOT NULL,
    notification_id bigserial NOT NULL,
    project_id text NOT NULL,
    recorded_at timestamptz NOT NULL,
    actor text NOT NULL,
    operation text NOT NULL,
    request_id text NOT NULL,
    correlation_id text NOT NULL,
    PRIMARY KEY (originator_id, originator_version)
);
CREATE UNIQUE INDEX accounts_events_notification_id_idx ON log.accounts_events (notification_id);
CREATE INDEX accounts_events_actor ON log.accounts_events (actor, notification_id);
CREATE INDEX accounts_events_request ON log.accounts_events (request_id);
CREATE INDEX accounts_events_recorded_at ON log.accounts_events USING brin (recorded_at);

CREATE TYPE log.stored_event_text AS (originator_id text, originator_version bigint, topic text, state bytea);

CREATE TABLE log.accounts_snapshots (
    originator_id text NOT NULL,
    originator_version bigint NOT NULL,
    topic text NOT NULL,
    state bytea NOT NULL,
    PRIMARY KEY (originator_id, originator_version)
);

-- Rows that the library itself inserts carry the same facts inside their state.
CREATE FUNCTION log.complete_event() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    meta jsonb := convert_from(NEW.state, 'UTF8')::jsonb -> 'meta';
BEGIN
    NEW.project_id := meta ->> 'project';
    NEW.recorded_at := meta ->> 'at';
    NEW.actor := meta ->> 'actor';
    NEW.operation := meta ->> 'operation';
    NEW.request_id := meta ->> 'request';
    NEW.correlation_id := meta ->> 'correlation';
    RETURN NEW;
END $$;
CREATE TRIGGER complete_event BEFORE INSERT ON log.accounts_events
    FOR EACH ROW WHEN (NEW.project_id IS NULL) EXECUTE FUNCTION log.complete_event();

-- Stored events never change. The grants say so to the server's role; this says it to everybody else.
CREATE FUNCTION log.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'events are immutable: % on % refused', TG_OP, TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER immutable_rows BEFORE UPDATE OR DELETE ON log.accounts_events
    FOR EACH ROW EXECUTE FUNCTION log.refuse_change();
CREATE TRIGGER immutable_table BEFORE TRUNCATE ON log.accounts_events
    FOR EACH STATEMENT EXECUTE FUNCTION log.refuse_change();

-- One data key per stream, wrapped by the master key. To erase a person is to delete a row here.
CREATE TABLE log.subject_keys (
    subject text PRIMARY KEY,
    wrapped bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

-- A known text under the master key: tells a wrong key before it does harm.
CREATE TABLE log.key_check (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    sealed bytea NOT NULL
);

-- Values only one stream of a project may hold. The digest is keyed: the table tells nothing about people.
CREATE TABLE log.claims (
    project_id text NOT NULL,
    kind text NOT NULL,
    digest bytea NOT NULL,
    stream text NOT NULL,
    PRIMARY KEY (project_id, kind, digest)
);
CREATE INDEX claims_stream ON log.claims (stream);

CREATE TABLE log.idempotency (
    key bytea PRIMARY KEY,
    fingerprint bytea NOT NULL,
    answer bytea,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX idempotency_age ON log.idempotency (created_at);

CREATE TABLE log.outbox (
    id bigserial PRIMARY KEY,
    kind text NOT NULL,
    subject text NOT NULL,
    payload bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    attempts int NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX outbox_due ON log.outbox (next_attempt_at);

-- How far each read model has been filled.
CREATE TABLE log.read_models (
    name text PRIMARY KEY,
    tables text[] NOT NULL,
    rebuilt_to bigint NOT NULL
);

CREATE FUNCTION log.search_words(parts text[]) RETURNS tsvector LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT array_to_tsvector(array_remove(regexp_split_to_array(lower(array_to_string(parts, ' ')), '\W+'), ''))
$$;

-- Appends the requests of one group, each whole or not at all, and says which were refused and why:
--   version      another writer was first: decide again from fresh state
--   claim:<kind> the value belongs to another stream
--   idempotency  the key was used before
-- The advisory lock makes the order of positions the order of commits, so that a reader who follows the log by
-- position never passes over an event that commits later.
CREATE FUNCTION log.append(
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

    FOR c IN
        SELECT DISTINCT e.r FROM unnest(e_req, e_stream, e_version) AS e (r, s, v)
        JOIN log.accounts_events AS stored ON stored.originator_id = e.s AND stored.originator_version = e.v
        UNION
        SELECT e.r FROM (
            SELECT r, row_number() OVER (PARTITION BY s, v ORDER BY r) AS nth
            FROM unnest(e_req, e_stream, e_version) AS e (r, s, v)
        ) AS e WHERE e.nth > 1
    LOOP
        refused := refused || c.r;
        req := c.r; refusal := 'version'; RETURN NEXT;
    END LOOP;

    IF cardinality(i_req) > 0 THEN
        FOR c IN SELECT * FROM unnest(i_req, i_key, i_fingerprint) AS i (r, key, fingerprint) LOOP
            CONTINUE WHEN c.r = ANY (refused);
            INSERT INTO log.idempotency (key, fingerprint) VALUES (c.key, c.fingerprint) ON CONFLICT DO NOTHING;
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
