-- The rebuild that is under way, or was when its process ended: what is being filled in the schema read_next, and up to
-- where. It moves in the transaction of the rows it stands for.
CREATE TABLE log.rebuild (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    read_models text[] NOT NULL,
    position bigint NOT NULL DEFAULT 0,
    events bigint NOT NULL DEFAULT 0,
    begun_at timestamptz NOT NULL DEFAULT now(),
    moved_at timestamptz NOT NULL DEFAULT now()
);

-- The tables a rebuild replaced are kept in the schema read_old, and hold what the log says up to here.
ALTER TABLE log.read_models ADD COLUMN kept_to bigint, ADD COLUMN kept_since timestamptz;

-- Streams that a read model could not take in: its tables in this schema (read, read_next, read_old) lack what the stream
-- recorded from this event on.
CREATE TABLE log.parked (
    tables text NOT NULL,
    read_model text NOT NULL,
    stream text NOT NULL,
    version bigint NOT NULL,
    position bigint NOT NULL,
    topic text NOT NULL,
    error text NOT NULL,
    since timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tables, read_model, stream)
);

-- The shapes of events that releases which ran here can write: an older one looks for those it does not know.
CREATE TABLE log.shapes (
    topic text NOT NULL,
    version int NOT NULL,
    PRIMARY KEY (topic, version)
);
