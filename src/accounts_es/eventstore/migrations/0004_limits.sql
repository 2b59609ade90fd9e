-- How often something was asked for in the current window. The keys are keyed digests: the table tells nothing about people.
-- Counts need not survive a crash, so nothing of them is in the write-ahead log. The free space keeps updates on their page.
CREATE UNLOGGED TABLE log.limits (
    key bytea PRIMARY KEY,
    used int NOT NULL,
    ends bigint NOT NULL
) WITH (fillfactor = 50);

-- Counts requests in the current windows of their counters, each in all of its counters or, if one of them is used up, in
-- none: then the request is refused. Windows are aligned to the epoch, by the clock of the database, for all servers.
--   k_key, k_seconds, k_back   the counters of this call, in the order of their keys, without repetition; how much of
--                              each to give back before
--   r_first, r_key, r_most     each request's first place in the other two: the numbers of its counters, its limits
-- Answers, for each place: whether its request is let through, how often the counter was used before, when the window ends.
CREATE FUNCTION log.count_requests(k_key bytea[], k_seconds int[], k_back int[], r_first int[], r_key int[], r_most int[])
RETURNS TABLE (passed boolean, used int, ends bigint) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    moment bigint;
    k_used int[];
    k_ends bigint[];
    last int;
    k int;
BEGIN
    -- Locks the counters, in one order for everybody, so that nobody waits in a circle. It changes none that exist.
    INSERT INTO log.limits (key, used, ends) SELECT k.key, 0, 0 FROM unnest(k_key) AS k (key)
        ON CONFLICT (key) DO UPDATE SET used = 0 WHERE false;

    moment := floor(extract(epoch FROM clock_timestamp()));
    SELECT array_agg(CASE WHEN l.ends > moment THEN greatest(l.used - k.back, 0) ELSE 0 END ORDER BY k.nth),
           array_agg(CASE WHEN l.ends > moment THEN l.ends ELSE (moment / k.seconds + 1) * k.seconds END ORDER BY k.nth)
        INTO k_used, k_ends
        FROM unnest(k_key, k_seconds, k_back) WITH ORDINALITY AS k (key, seconds, back, nth)
        JOIN log.limits AS l ON l.key = k.key;

    FOR r IN 1 .. cardinality(r_first) LOOP
        last := coalesce(r_first[r + 1] - 1, cardinality(r_key));
        passed := true;
        FOR i IN r_first[r] .. last LOOP
            passed := passed AND k_used[r_key[i]] < r_most[i];
        END LOOP;
        FOR i IN r_first[r] .. last LOOP
            k := r_key[i];
            used := k_used[k];
            ends := k_ends[k];
            RETURN NEXT;
            IF passed THEN
                k_used[k] := used + 1;
            END IF;
        END LOOP;
    END LOOP;

    UPDATE log.limits AS l SET used = k.used, ends = k.ends
        FROM unnest(k_key, k_used, k_ends) AS k (key, used, ends)
        WHERE l.key = k.key AND (l.used <> k.used OR l.ends <> k.ends);
END $$;
