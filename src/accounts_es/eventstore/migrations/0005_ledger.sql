-- The Merkle tree over the log (RFC 9162), in tiles of up to 256 hashes: level 0 holds the hashes of events in the order of
-- their positions, each level above the hash of every full tile below. A tile only ever grows to its right. Positions have
-- gaps (a number drawn by an append that was refused is not used again), so a tile remembers which events are in it.
CREATE TABLE log.ledger_tiles (
    level int NOT NULL,
    tile bigint NOT NULL,
    hashes bytea NOT NULL,
    positions bigint[],
    PRIMARY KEY (level, tile),
    CHECK (length(hashes) BETWEEN 32 AND 8192 AND length(hashes) % 32 = 0),
    CHECK (CASE WHEN level = 0 THEN cardinality(positions) * 32 = length(hashes) ELSE positions IS NULL END)
);
ALTER TABLE log.ledger_tiles ALTER COLUMN hashes SET STORAGE EXTERNAL; -- hashes do not compress
CREATE UNIQUE INDEX ledger_tiles_position ON log.ledger_tiles ((positions[1])) WHERE level = 0;

-- Signed statements of what the log was: its first `size` events have the root in the note.
CREATE TABLE log.checkpoints (
    size bigint PRIMARY KEY,
    position bigint NOT NULL,
    root bytea NOT NULL,
    note text NOT NULL,
    made_at timestamptz NOT NULL DEFAULT now(),
    kept boolean NOT NULL DEFAULT false
);
CREATE INDEX checkpoints_to_keep ON log.checkpoints (size) WHERE NOT kept;

-- What this log is called in its checkpoints.
CREATE TABLE log.ledger (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    origin text NOT NULL DEFAULT 'accounts-es/' || gen_random_uuid()
);
INSERT INTO log.ledger DEFAULT VALUES;
