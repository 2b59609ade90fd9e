-- log.append as in 0009, but for two things. It looks up streams one by one: a join was planned while the log was new, as
-- a scan of all of it, and stayed planned until statistics were first gathered, so until then each append cost more than
-- the last. And a request may take what it frees itself: two streams that swap a value could never do it, because values
-- were taken before any was freed. What another request frees is free only after it, as before.
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
    moved bigint[] := '{}';
    c record;
BEGIN
    PERFORM pg_advisory_xact_lock(7017280570803617907);

    -- First of all: whoever still remembers an erased stream must not take its refusal for a lost race.
    FOR c IN
        SELECT DISTINCT e.r FROM unnest(e_req, e_stream) AS e (r, s)
        CROSS JOIN LATERAL (SELECT FROM log.erasures WHERE stream = e.s LIMIT 1) AS gone
    LOOP
        refused := refused || c.r;
        req := c.r; refusal := 'erased'; RETURN NEXT;
    END LOOP;

    FOR c IN
        SELECT DISTINCT e.r FROM unnest(e_req, e_stream, e_version) AS e (r, s, v)
        CROSS JOIN LATERAL (
            SELECT FROM log.accounts_events WHERE originator_id = e.s AND originator_version = e.v LIMIT 1
        ) AS stored
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
            CONTINUE WHEN FOUND;
            DELETE FROM log.claims AS held
                USING unnest(c_req, c_take, c_project, c_kind, c_digest, c_stream)
                    AS freed (r, take, project, kind, digest, stream)
                WHERE freed.r = c.r AND NOT freed.take AND freed.project = c.project AND freed.kind = c.kind
                    AND freed.digest = c.digest AND held.project_id = c.project AND held.kind = c.kind
                    AND held.digest = c.digest AND held.stream = freed.stream;
            IF FOUND THEN
                INSERT INTO log.claims (project_id, kind, digest, stream)
                    VALUES (c.project, c.kind, c.digest, c.stream);
                moved := moved || c.nth;
            ELSE
                refused := refused || c.r;
                req := c.r; refusal := 'claim:' || c.kind; RETURN NEXT;
                DELETE FROM log.claims AS mine
                    USING unnest(c_req, c_take, c_project, c_kind, c_digest) WITH ORDINALITY
                        AS taken (r, take, project, kind, digest, nth)
                    WHERE taken.r = c.r AND taken.take AND taken.nth < c.nth AND mine.project_id = taken.project
                        AND mine.kind = taken.kind AND mine.digest = taken.digest;
                IF cardinality(moved) > 0 THEN
                    INSERT INTO log.claims (project_id, kind, digest, stream)
                        SELECT freed.project, freed.kind, freed.digest, freed.stream
                        FROM unnest(c_req, c_project, c_kind, c_digest) WITH ORDINALITY
                            AS taken (r, project, kind, digest, nth)
                        JOIN unnest(c_req, c_take, c_project, c_kind, c_digest, c_stream)
                            AS freed (r, take, project, kind, digest, stream)
                            ON freed.r = taken.r AND NOT freed.take AND freed.project = taken.project
                            AND freed.kind = taken.kind AND freed.digest = taken.digest
                        WHERE taken.r = c.r AND taken.nth = ANY (moved);
                END IF;
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
