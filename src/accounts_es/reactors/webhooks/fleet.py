"""All webhooks of all projects, each on its own: a dead one never holds back another.

Any number of processes may run this: one leads, the others wait for its session to end. As long as there is no
webhook nothing is opened, and nobody is woken by what the log takes in.
"""

import asyncio
import logging
import secrets
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

import psycopg

from accounts_es.adapters.ids import now
from accounts_es.adapters.public_addresses import Reach
from accounts_es.application import Application
from accounts_es.domain.event import Actor, Metadata
from accounts_es.domain.project import PROJECT, Project, commands
from accounts_es.domain.project.aggregate import project_stream
from accounts_es.eventstore import echoes, erased_ids
from accounts_es.eventstore.connection import AsyncConn, connect
from accounts_es.eventstore.keys import MasterKey
from accounts_es.eventstore.log import EventLog
from accounts_es.eventstore.moments import Moments
from accounts_es.reactors.projects import projects
from accounts_es.reactors.webhooks.endpoint import Endpoint, Means
from accounts_es.reactors.webhooks.progress import Progress, drop_orphans
from accounts_es.reactors.webhooks.sender import Sender
from accounts_es.reactors.webhooks.source import Source
from accounts_es.settings import SERVER_VERSION, Settings
from projections import ALL, webhooks
from projections.webhooks import WebhookRow

log = logging.getLogger(__name__)

POLL: Final = 2.0
"""Seconds between looks when nobody wakes us, and between tries to lead."""
_REST: Final = 0.1
"""Seconds between two looks at how webhooks are set up."""
_AGAIN: Final = 5.0
"""Seconds until one that ended by itself is begun again."""
_PARTING: Final = 5.0
"""Seconds beyond a delivery's own that what is on its way may take when we are asked to stop."""
_SWEEP: Final = 10.0
"""Seconds between two looks for what need not be kept any more."""
_LEADER_LOCK: Final = 7017280570803617912
_LEAD: Final = "SELECT pg_try_advisory_lock(%s)"
_ANY: Final = "SELECT EXISTS (SELECT 1 FROM webhooks_v1)"
_LISTEN: Final = "LISTEN accounts_events"
_LOST: Final = (psycopg.OperationalError, psycopg.InterfaceError)

OpenSource = Callable[[EventLog, Moments], Source]


@dataclass(slots=True)
class _Running:
    endpoint: Endpoint
    task: asyncio.Task[None]


class Webhooks:
    """Delivery to webhooks by one process."""

    def __init__(self, settings: Settings, conninfo: str, master: MasterKey, source: OpenSource) -> None:
        self._settings = settings
        self._conninfo = conninfo
        self._master = master
        self._source = source
        self._load = projects(conninfo, master)
        self._running: dict[tuple[str, str], _Running] = {}
        self._unread: dict[str, float] = {}
        """Projects that could not be read, and when that is tried again."""
        self._look = asyncio.Event()

    async def run(self) -> None:
        """Work until cancelled. A database that is away is waited for, and no trouble here ends what runs beside."""
        while True:
            try:
                async with await connect(self._conninfo) as connection:
                    while not await _yes(connection, _LEAD, _LEADER_LOCK):  # noqa: ASYNC110 - the lock is the database's
                        await asyncio.sleep(POLL)
                    while not await _yes(connection, _ANY):  # noqa: ASYNC110 - so is what it finds
                        await asyncio.sleep(POLL)
                    await self._tell(connection)
            except _LOST as error:
                log.warning("webhooks wait for the database", extra={"error": type(error).__name__})
                await asyncio.sleep(1.0)
            except Exception:
                log.exception("webhooks failed")
                await asyncio.sleep(_AGAIN)

    async def _tell(self, connection: AsyncConn) -> None:
        """Until the last webhook is gone."""
        async with self._opened() as (event_log, means):
            event_log.erased.append(self._reread)
            await connection.execute(_LISTEN)
            listening = asyncio.create_task(self._listen(connection))
            swept = 0.0
            try:
                while not listening.done():
                    self._look.clear()
                    rows = await webhooks.list_all(event_log.reads)
                    await self._set_up(event_log, means, rows)
                    idle = not rows and not self._running
                    if idle or asyncio.get_running_loop().time() >= swept + _SWEEP:
                        await drop_orphans(event_log.reads)
                        await erased_ids.sweep(event_log.reads)
                        await echoes.sweep(event_log.reads)
                        swept = asyncio.get_running_loop().time()
                    if idle:
                        return
                    await asyncio.sleep(_REST)
                    with suppress(TimeoutError):
                        async with asyncio.timeout(POLL):
                            await self._look.wait()
                raise psycopg.OperationalError("nobody would wake us any more")
            finally:
                listening.cancel()
                await self._part()
                await asyncio.gather(listening, return_exceptions=True)

    @asynccontextmanager
    async def _opened(self) -> AsyncGenerator[tuple[EventLog, Means]]:
        settings = self._settings
        event_log, moments = EventLog(self._conninfo, self._master, ALL), Moments(self._conninfo, self._master, ALL)
        sender = Sender(Reach(settings.reachable_networks), settings.webhook_timeout)
        await event_log.start()
        await moments.start()
        try:
            yield (
                event_log,
                Means(
                    source=self._source(event_log, moments),
                    sender=sender,
                    agent=f"Appwrite-Server v{SERVER_VERSION}. Please report abuse at {settings.mail_from}",
                    most_attempts=settings.webhook_attempts,
                    first_pause=settings.webhook_pause,
                    disable=_disabling(Application(event_log)),
                ),
            )
        finally:
            await sender.close()
            await moments.stop()
            await event_log.stop()

    async def _listen(self, connection: AsyncConn) -> None:
        async for _ in connection.notifies():
            self._look.set()
            for each in self._running.values():
                each.endpoint.wake()

    async def _set_up(self, event_log: EventLog, means: Means, rows: list[WebhookRow]) -> None:
        """Begin those that are enabled, end those that are not any more, or not as they were."""
        wanted = {(row.project_id, row.webhook_id): row for row in rows if row.enabled}
        # Those that ended are begun with rows that are read after they ended.
        ended = [key for key, each in self._running.items() if each.task.done()]
        for key, each in self._running.items():
            if key not in wanted or wanted[key].version != each.endpoint.row.version:
                each.endpoint.stop()
        known: dict[str, Project] = {}
        if ended:
            self._look.set()
        for key, row in wanted.items():
            if key in self._running:
                continue
            if row.project_id not in known:
                known[row.project_id] = await self._project(row.project_id)
            webhook = known[row.project_id].webhooks.get(row.webhook_id)
            if webhook is not None:
                endpoint = Endpoint(means, Progress(event_log.reads, row), row, webhook)
                self._running[key] = _Running(endpoint, asyncio.create_task(self._run(endpoint)))
        for key in ended:
            del self._running[key]

    async def _project(self, project_id: str) -> Project:
        """The project, or one without webhooks while it cannot be read: that is no trouble of the others."""
        at = asyncio.get_running_loop().time()
        if at < self._unread.get(project_id, 0.0):
            return Project()
        try:
            project = await self._load(project_id)
        except _LOST:
            raise
        except Exception:
            log.exception("webhooks of a project wait: it cannot be read", extra={"project": project_id})
            self._unread[project_id] = at + _AGAIN
            return Project()
        self._unread.pop(project_id, None)
        return project

    def _reread(self, _stream: str) -> None:
        for each in self._running.values():
            each.endpoint.reread()

    async def _run(self, endpoint: Endpoint) -> None:
        try:
            await endpoint.run()
        except Exception as error:
            facts = {"project": endpoint.row.project_id, "row": endpoint.row.webhook_id}
            if isinstance(error, _LOST):
                log.warning("webhook waits for the database", extra={**facts, "error": type(error).__name__})
            else:
                log.exception("webhook failed", extra=facts)
            # It is begun again after a while, unless somebody changes it before.
            await endpoint.idle(_AGAIN)
        self._look.set()

    async def _part(self) -> None:
        """Finish what is on its way, as far as there is time."""
        for each in self._running.values():
            each.endpoint.stop()
        tasks = [each.task for each in self._running.values()]
        if tasks:
            await asyncio.wait(tasks, timeout=self._settings.webhook_timeout + _PARTING)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._running.clear()


def _disabling(application: Application) -> Callable[[WebhookRow, int], Any]:
    async def disable(row: WebhookRow, attempts: int) -> None:
        request = secrets.token_hex(10)
        meta = Metadata(
            now(), row.project_id, Actor(kind="system", id="webhooks"), "webhooks.deliver", request, request
        )
        stream = project_stream(row.project_id)
        await application.execute(
            meta, PROJECT, stream, commands.disable_webhook, webhook_id=row.webhook_id, attempts=attempts
        )

    return disable


async def _yes(connection: AsyncConn, sql: str, *params: object) -> bool:
    row = await (await connection.execute(sql.encode(), params)).fetchone()
    return row is not None and bool(row[0])
