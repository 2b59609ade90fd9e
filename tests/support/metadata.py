"""Who and why, as tests say it."""

from datetime import UTC, datetime

from accounts_es.domain.event import SYSTEM, Actor, Metadata

NOON = datetime(2026, 3, 14, 12, 0, 0, 123456, tzinfo=UTC)
"""The time when nothing else is said."""


def metadata(
    operation: str = "test",
    *,
    actor: Actor = SYSTEM,
    project: str = "default",
    at: datetime = NOON,
    request_id: str = "request-1",
    correlation_id: str = "correlation-1",
    causation_id: str | None = None,
    ip: str | None = "203.0.113.7",
    user_agent: str | None = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
) -> Metadata:
    """Metadata with everything filled in; name what matters to the test."""
    return Metadata(
        at=at,
        project=project,
        actor=actor,
        operation=operation,
        request_id=request_id,
        correlation_id=correlation_id,
        causation_id=causation_id,
        ip=ip,
        user_agent=user_agent,
    )
