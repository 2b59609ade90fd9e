-- So that the master key can be changed (docs/decisions/0016). The secret of digests stays what it is: unique values and
-- one-time secrets are stored as its digests, so it is kept here, sealed by the master key. The next start fills it in.
-- With the first change comes a constraint on log.subject_keys: every wrapped key begins with the mark of the present one,
-- and a process that still holds a former one can store none.
ALTER TABLE log.key_check ADD COLUMN digests bytea, ADD COLUMN mark bytea NOT NULL DEFAULT '';
