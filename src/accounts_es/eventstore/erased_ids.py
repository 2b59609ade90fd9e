"""Whom other systems have yet to forget: the id of an erased person, kept until the project's webhooks are past it.

Whoever was told of a person must be told that the person is erased (GDPR, article 19), and the log no longer knows whom
it was about.
"""

from typing import Final

from accounts_es.domain.project.aggregate import project_stream
from accounts_es.eventstore.keys import KeyRing, SealBroken
from accounts_es.eventstore.log import EventLog
from accounts_es.eventstore.reads import Reads

_WHOM: Final = """SELECT account_id, project_id FROM people_v1 AS p WHERE stream = %s
    AND EXISTS (SELECT 1 FROM webhooks_v1 AS w WHERE w.project_id = p.project_id)"""
_NOTE: Final = """INSERT INTO log.erased_ids (stream, project_id, sealed) VALUES (%s, %s, %s)
    ON CONFLICT (stream) DO NOTHING RETURNING 1"""
_WITHDRAW: Final = """DELETE FROM log.erased_ids AS noted WHERE stream = %s
    AND NOT EXISTS (SELECT 1 FROM log.erasures AS e WHERE e.stream = noted.stream) RETURNING 1"""
_NOTED: Final = "SELECT sealed FROM log.erased_ids WHERE stream = %s"
_KEY: Final = "SELECT subject, wrapped FROM log.subject_keys WHERE subject = %s"
_SWEEP: Final = """DELETE FROM log.erased_ids AS noted WHERE noted_at < now() - interval '30 days'
    OR EXISTS (SELECT 1 FROM log.erasures AS e WHERE e.stream = noted.stream AND NOT EXISTS (
        SELECT 1 FROM webhooks_v1 AS w LEFT JOIN log.webhook_progress AS p USING (project_id, webhook_id)
        WHERE w.project_id = noted.project_id
            AND (p.seen IS NULL OR p.seen < w.started OR p.position < e.last_position)))
    RETURNING 1"""
_PURPOSE: Final = "erased id"


async def note(log: EventLog, stream: str) -> None:
    """Before somebody is erased: remember whom webhooks must be told of, if there are any."""
    for account_id, project in await log.reads.fetch(_WHOM, (stream,)):
        subject = project_stream(project)
        await _open(log.reads, log.keys, subject)
        sealed = log.keys.seal(subject, str(account_id).encode(), f"{_PURPOSE}:{stream}")
        await log.reads.fetch(_NOTE, (stream, project, sealed))


async def withdraw(log: EventLog, stream: str) -> None:
    """They were not erased after all."""
    await log.reads.fetch(_WITHDRAW, (stream,))


async def find(log: EventLog, project: str, stream: str) -> str | None:
    """The id of somebody who was erased, while webhooks are still told."""
    rows, subject = await log.reads.fetch(_NOTED, (stream,)), project_stream(project)
    if not rows:
        return None
    await _open(log.reads, log.keys, subject)
    try:
        return log.keys.unseal(subject, bytes(rows[0][0]), f"{_PURPOSE}:{stream}").decode()
    except (KeyError, SealBroken):
        return None


async def sweep(reads: Reads) -> None:
    """Forget those whom all webhooks were told of."""
    await reads.fetch(_SWEEP)


async def _open(reads: Reads, keys: KeyRing, subject: str) -> None:
    if keys.get(subject) is None:
        keys.add({name: bytes(wrapped) for name, wrapped in await reads.fetch(_KEY, (subject,))})
