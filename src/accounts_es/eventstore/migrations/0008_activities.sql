-- Lists of what happened are asked for by project. Where most of the log is the first project's, walking along the log
-- is good enough for it; the others would have to pass over all that is not theirs.
CREATE INDEX accounts_events_project ON log.accounts_events (project_id, notification_id) WHERE project_id <> 'default';
