-- What the audit asks for besides a stream, an actor, a request and a time. Both are small: security streams are bounded,
-- and few act in another's name.
CREATE INDEX accounts_events_security ON log.accounts_events (notification_id)
    WHERE starts_with(originator_id, 'security-');
CREATE INDEX accounts_events_impersonated ON log.accounts_events (notification_id) WHERE strpos(actor, '<') > 0;
