-- How far each webhook has been told, and how its deliveries go. Beside the log, not in it: it can be lost, and then events
-- are told again from where the webhook was made or rewound to. `seen` is the version of its project that was taken in.
CREATE TABLE log.webhook_progress (
    project_id text NOT NULL,
    webhook_id text NOT NULL,
    seen bigint NOT NULL,
    position bigint NOT NULL,
    previous bigint NOT NULL,
    attempts int NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL DEFAULT now(),
    logs text NOT NULL DEFAULT '',
    answer int NOT NULL DEFAULT 0,
    answered_at timestamptz,
    PRIMARY KEY (project_id, webhook_id)
);
