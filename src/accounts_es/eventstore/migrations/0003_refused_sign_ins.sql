-- The account a refused sign-in aimed at, so that its owner can be shown who knocked. Only those events are in the index.
CREATE FUNCTION log.aimed_at(state bytea) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT convert_from(state, 'UTF8')::jsonb -> 'data' ->> 'account'
$$;
CREATE INDEX accounts_events_refused ON log.accounts_events (log.aimed_at(state), notification_id)
    WHERE topic = 'security.sign_in_refused';
