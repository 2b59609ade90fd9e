"""What goes by itself: accounts some time after their deletion, details some time after they were recorded.

Any number of processes may run this: every step is a decision that changes nothing when it was made before.
"""

import asyncio
import logging
import secrets
from datetime import UTC, datetime, timedelta
from typing import Final

import psycopg
from psycopg import errors, sql

from accounts_es.application import Application
from accounts_es.domain.errors import UserErased, UserNotFound, UserUnderLegalHold
from accounts_es.domain.event import Actor, Metadata
from accounts_es.domain.project import PROJECT, commands
from accounts_es.domain.project.events import DetailKind
from accounts_es.erasures import Erasures
from accounts_es.eventstore.connection import NAMED, watched
from accounts_es.eventstore.scrub import BESIDE, SPOTTED
from projections import people, projects
from projections.projects import ProjectRow

log = logging.getLogger(__name__)

POLL: Final = 60.0
"""Seconds between two looks."""
_AT_ONCE: Final = 100
_LOST: Final = (psycopg.OperationalError, psycopg.InterfaceError)
_REFUSED: Final = (errors.QueryCanceled, errors.LockNotAvailable, errors.DeadlockDetected)
"""Operational for psycopg too, but about the one statement."""
_UNSWEPT: Final = "SELECT max(number) FROM log.erasures WHERE NOT swept"
_SWEPT: Final = "UPDATE log.erasures SET swept = true WHERE number <= %s AND NOT swept RETURNING 1"


class Retention:
    """Applies what projects decided about how long things are kept. ``conninfo`` is the owner's."""

    def __init__(self, app: Application, erasures: Erasures, conninfo: str) -> None:
        self._app = app
        self._erasures = erasures
        self._conninfo = conninfo

    async def run(self, pause: float = POLL) -> None:
        """Until cancelled."""
        while True:
            try:
                await self.look(datetime.now(UTC))
            except psycopg.Error as error:
                log.warning("retention waits for the database", extra={"error": type(error).__name__})
            except Exception:
                log.exception("retention failed")
            await asyncio.sleep(pause)

    async def look(self, now: datetime) -> None:
        """Do what is due, and finish what was begun: certificates, and rows that are dead but still in the files."""
        await self._erasures.finish()
        for project in await projects.list_projects(self._app.log.reads):
            try:
                await self._apply(project, now)
            except _LOST:
                raise
            except Exception:
                # The others do not wait for it.
                log.exception("retention failed", extra={"project": project.project_id})
        await self._sweep()

    async def _apply(self, project: ProjectRow, now: datetime) -> None:
        kept = project.rules.policies.retention
        if kept.deleted_accounts:
            await self._erase(project, now, now - timedelta(days=kept.deleted_accounts))
        details: tuple[tuple[DetailKind, int], ...] = (("origins", kept.origins), ("refusals", kept.refusals))
        for kind, days in details:
            if days:
                before = (now - timedelta(days=days)).date()
                meta = _meta(project, now)
                await self._app.execute(
                    meta, PROJECT, project.stream, commands.forget_details, kind=kind, before=before
                )

    async def _erase(self, project: ProjectRow, now: datetime, before: datetime) -> None:
        # Each once: whoever cannot be erased is in nobody's way.
        after: people.PersonRow | None = None
        while due := await people.list_deleted(self._app.log.reads, project.project_id, before, _AT_ONCE, after):
            for each in due:
                await self._erase_one(project, each.stream, now)
            after = due[-1]

    async def _erase_one(self, project: ProjectRow, stream: str, now: datetime) -> None:
        try:
            await self._erasures.erase(_meta(project, now), stream, "retention")
        except (UserUnderLegalHold, UserErased, UserNotFound):
            pass  # put under a hold, erased by somebody else, or brought back, just now
        except Exception as error:
            if isinstance(error, _LOST) and not isinstance(error, _REFUSED):
                raise
            log.exception("somebody could not be erased yet", extra={"project": project.project_id})

    async def _sweep(self) -> None:
        """Let the database give back the space that erasures left behind, and forget it in its statistics."""
        ((number,),) = await self._app.log.reads.fetch(_UNSWEPT)
        if number is None:
            return
        async with await psycopg.AsyncConnection.connect(
            watched(self._conninfo), autocommit=True, application_name=NAMED
        ) as owner:
            for schema, table in await (await owner.execute(SPOTTED, (list(BESIDE),))).fetchall():
                await owner.execute(sql.SQL("VACUUM (ANALYZE) {}").format(sql.Identifier(schema, table)))
        await self._app.log.reads.fetch(_SWEPT, (number,))


def _meta(project: ProjectRow, now: datetime) -> Metadata:
    actor = Actor(kind="system", id="retention")
    return Metadata(now, project.project_id, actor, "retention", request := secrets.token_hex(10), request)
