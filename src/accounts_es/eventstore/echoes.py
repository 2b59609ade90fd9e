"""What the servers of webhooks answered when they did not take a delivery: they often repeat what they were told.

It is kept to be shown to whoever set the webhook up, but not beyond an erasure in its project: then the first line
stays, which is ours.
"""

from typing import Final

from accounts_es.eventstore.reads import Reads

_FORGET: Final = """UPDATE log.webhook_progress SET logs = split_part(logs, chr(10), 1)
    WHERE project_id = %s AND strpos(logs, chr(10)) > 0 RETURNING 1"""
_SWEEP: Final = """UPDATE log.webhook_progress AS p SET logs = split_part(logs, chr(10), 1)
    WHERE strpos(logs, chr(10)) > 0 AND EXISTS (SELECT 1 FROM log.erasures AS e
        WHERE e.project_id = p.project_id AND e.erased_at > p.answered_at - interval '2 minutes')
    RETURNING 1"""


async def forget(reads: Reads, project: str) -> None:
    """Somebody of the project was erased."""
    await reads.fetch(_FORGET, (project,))


async def sweep(reads: Reads) -> None:
    """Forget also what was on its way while somebody was erased."""
    await reads.fetch(_SWEEP)
