-- What a project keeps for a while only goes by the same door: the event that says so, and its keys with it.
CREATE FUNCTION log.forget_details(said log.accounts_events) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    told jsonb := convert_from(said.state, 'UTF8')::jsonb -> 'data';
    prefix text := CASE told ->> 'kind' WHEN 'origins' THEN 'origins-' WHEN 'refusals' THEN 'security-' END
        || said.project_id || '-';
BEGIN
    DELETE FROM log.subject_keys
        WHERE starts_with(subject, prefix)
            AND substr(subject, length(prefix) + 1) ~ '^\d{4}-\d\d-\d\d(-[0-9a-f]+)?$'
            AND substr(subject, length(prefix) + 1, 10) < told ->> 'before';
END $$;
REVOKE ALL ON FUNCTION log.forget_details(log.accounts_events) FROM PUBLIC;

CREATE OR REPLACE FUNCTION log.erase(erased text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    said log.accounts_events;
    destroyed bytea;
BEGIN
    SELECT * INTO said FROM log.accounts_events WHERE originator_id = erased ORDER BY originator_version DESC LIMIT 1;
    IF said.topic = 'project.details_forgotten' THEN
        PERFORM log.forget_details(said);
        RETURN;
    END IF;
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
