-- The ids of erased people whom webhooks have not been told to forget yet, sealed with the key of their project. A row lives
-- until all webhooks of the project are past the erasure, and at most for 30 days.
CREATE TABLE log.erased_ids (
    stream text PRIMARY KEY,
    project_id text NOT NULL,
    sealed bytea NOT NULL,
    noted_at timestamptz NOT NULL DEFAULT now()
);
