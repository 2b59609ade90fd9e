"""How far each webhook has been told: kept beside the log, written after each delivery that was taken."""

from typing import Final, NamedTuple

from accounts_es.eventstore.reads import Reads
from projections.webhooks import WebhookRow

_TAKE: Final = """INSERT INTO log.webhook_progress AS known (project_id, webhook_id, seen, position, previous)
    VALUES (%s, %s, %s, %s, %s)
    ON CONFLICT (project_id, webhook_id) DO UPDATE SET
        position = CASE WHEN known.seen < %s THEN excluded.position ELSE known.position END,
        previous = CASE WHEN known.seen < %s THEN excluded.previous ELSE known.previous END,
        attempts = CASE WHEN known.seen < %s THEN 0 ELSE known.attempts END,
        next_attempt_at = CASE WHEN known.seen < %s THEN now() ELSE known.next_attempt_at END,
        seen = greatest(known.seen, excluded.seen)
    RETURNING position, previous, attempts, extract(epoch FROM next_attempt_at - now())::float8"""
_OF: Final = "WHERE project_id = %s AND webhook_id = %s AND seen = %s"
_TOLD: Final = f"""UPDATE log.webhook_progress
    SET position = %s, previous = %s, attempts = 0, answer = %s, answered_at = now() {_OF} RETURNING 1"""
_PASSED: Final = f"UPDATE log.webhook_progress SET position = %s {_OF} RETURNING 1"
_FAILED: Final = f"""UPDATE log.webhook_progress SET attempts = %s, next_attempt_at = now() + make_interval(secs => %s),
        answer = %s, logs = %s, answered_at = now() {_OF} RETURNING 1"""
_DROP: Final = """DELETE FROM log.webhook_progress AS p WHERE NOT EXISTS (
        SELECT 1 FROM webhooks_v1 AS w WHERE w.project_id = p.project_id AND w.webhook_id = p.webhook_id)
    RETURNING 1"""


class Superseded(Exception):  # noqa: N818
    """The webhook was changed, rewound or removed meanwhile: what was written here does not count."""


class Place(NamedTuple):
    """Where a webhook is: told up to ``position``, the last of it at ``previous``; next try in so many seconds."""

    position: int
    previous: int
    attempts: int
    wait: float


class Progress:
    """The progress of one webhook, as it was set up when this was made."""

    def __init__(self, reads: Reads, row: WebhookRow) -> None:
        self._reads = reads
        self._row = row
        self._of = (row.project_id, row.webhook_id, row.version)

    async def take(self) -> Place:
        """Where to go on: where it stopped, or where it begins if it was made or rewound since."""
        row = self._row
        began, saved = (row.started, row.started), (row.saved, row.saved)
        (found,) = await self._reads.fetch(_TAKE, (*self._of, row.starts_at, row.starts_at, *began, *saved))
        return Place(*found)

    async def told(self, position: int, previous: int, answer: int) -> None:
        """Everything up to here was taken. Raises `Superseded`."""
        await self._write(_TOLD, position, previous, answer)

    async def passed(self, position: int) -> None:
        """There was nothing to tell up to here. Raises `Superseded`."""
        await self._write(_PASSED, position)

    async def failed(self, attempts: int, pause: float, answer: int, text: str) -> None:
        """It was not taken, for the so-manyth time. Raises `Superseded`."""
        await self._write(_FAILED, attempts, pause, answer, text)

    async def _write(self, sql: str, *params: object) -> None:
        if not await self._reads.fetch(sql, (*params, *self._of)):
            raise Superseded


async def drop_orphans(reads: Reads) -> None:
    """Forget webhooks that are gone."""
    await reads.fetch(_DROP)
