"""``accounts-es deliver``: mail, text messages, webhooks, the verifiable log. ``serve`` runs one of its own."""

import asyncio
import logging
import multiprocessing
import os
import signal
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Final

import psycopg
import typer

from accounts_es import logs
from accounts_es.adapters.key_files import load_key
from accounts_es.application import Application
from accounts_es.cli.console import Trouble, read_settings
from accounts_es.cli.database import open_tool
from accounts_es.cli.delivery import announce, erase_again
from accounts_es.erasures import Erasures
from accounts_es.eventstore.connection import connect_sync
from accounts_es.eventstore.key_check import bound_key
from accounts_es.eventstore.keys import MasterKey, WrongMasterKey
from accounts_es.eventstore.log import EventLog
from accounts_es.eventstore.moments import Moments
from accounts_es.reactors.checkpoints import sinks
from accounts_es.reactors.kept_tables import keep_up
from accounts_es.reactors.ledger import Ledger
from accounts_es.reactors.outbox import Outbox
from accounts_es.reactors.projects import projects
from accounts_es.reactors.retention import Retention
from accounts_es.reactors.transports import transports
from accounts_es.reactors.webhooks import Webhooks
from accounts_es.reactors.webhooks.fleet import OpenSource
from accounts_es.reactors.webhooks.source import Source
from accounts_es.settings import Settings
from projections import ALL

log = logging.getLogger(__name__)

_WAIT_SECONDS: Final = 1.0
_CHECK_SECONDS: Final = 10.0
_LOST: Final = (psycopg.OperationalError, psycopg.InterfaceError)


def deliver(
    data: Annotated[Path | None, typer.Option(help="The server's data folder.")] = None,
    database_url: Annotated[str | None, typer.Option(envvar="ACCOUNTS_DATABASE_URL", help="Its database.")] = None,
) -> None:
    """Deliver mail and text messages and sign the log until told to stop, besides what the server itself does."""
    settings = read_settings(data=data)
    logs.configure(settings.log_level)
    announce(settings)
    with open_tool(settings.data, database_url) as tool:
        if tool.master is None:
            raise Trouble("there is no master key: without it the outbox cannot be opened")
        try:
            asyncio.run(_begin(settings, tool.conninfo, tool.master))
        except WrongMasterKey as error:
            raise Trouble(str(error)) from None


async def _begin(settings: Settings, conninfo: str, master: MasterKey) -> None:
    """Deliver to nobody whom a restored backup brought back."""
    await _until_there(lambda: erase_again(settings, conninfo, master))
    await work(settings, conninfo, master)


async def _until_there(work: Callable[[], Awaitable[None]]) -> None:
    """Do this once the database is there."""
    while True:
        try:
            await work()
            break
        except _LOST as error:
            log.warning("delivery waits for the database", extra={"error": type(error).__name__})
            await asyncio.sleep(_WAIT_SECONDS)


async def _check(conninfo: str, master: MasterKey) -> None:
    """Raises `WrongMasterKey`: with a former key messages would be taken for broken ones, which nobody gets."""
    await asyncio.to_thread(_check_now, conninfo, master)


def _check_now(conninfo: str, master: MasterKey) -> None:
    with connect_sync(conninfo, as_app=False) as connection:
        bound_key(connection, master)


async def _keep_checking(conninfo: str, master: MasterKey) -> None:
    while True:
        await asyncio.sleep(_CHECK_SECONDS)
        with suppress(psycopg.Error):
            await _check(conninfo, master)


async def work(settings: Settings, conninfo: str, master: MasterKey) -> None:
    """All that is delivered, until told to stop or until the server that began it is gone."""
    working = [asyncio.create_task(_until_there(lambda: _check(conninfo, master)))]
    loop = asyncio.get_running_loop()
    parent = multiprocessing.parent_process()

    def stop() -> None:
        # Once: what is on its way is finished, which another cancellation would cut short.
        if parent is not None:
            loop.remove_reader(parent.sentinel)
        for ending in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(ending, lambda: None)
        for task in working:
            task.cancel()

    for ending in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(ending, stop)
    if parent is not None:
        # However the server ends, its delivery ends with it.
        loop.add_reader(parent.sentinel, stop)
    await asyncio.wait(working)
    if working[0].cancelled():
        return
    working[0].result()
    working[:] = [asyncio.create_task(each) for each in _parts(settings, conninfo, master)]
    # Until all have been cancelled, or one has failed.
    done, _ = await asyncio.wait(working, return_when=asyncio.FIRST_EXCEPTION)
    for task in done:
        if not task.cancelled():
            task.result()


def _parts(settings: Settings, conninfo: str, master: MasterKey) -> Iterator[Coroutine[Any, Any, None]]:
    yield Outbox(conninfo, master, transports(settings, projects(conninfo, master))).run()
    yield keep_up(conninfo, master)
    yield Webhooks(settings, conninfo, master, _as_told(master)).run()
    yield _keep_checking(conninfo, master)
    ledger_key = load_key("ledger", settings.data, os.environ)
    if ledger_key is None:
        log.warning("there is no ledger key: the log is not signed here, and nobody is erased by retention")
        return
    yield Ledger(conninfo, ledger_key, sinks(settings), settings.checkpoint_seconds).run()
    yield _retain(settings, conninfo, master, ledger_key)


def _as_told(master: MasterKey) -> OpenSource:
    """The log in the words of the wire. They are loaded with the first webhook: most servers have none."""

    def opened(event_log: EventLog, moments: Moments) -> Source:
        from accounts_es.http.wire_feed import WireFeed  # noqa: PLC0415 - see above

        return WireFeed(event_log, moments, master)

    return opened


async def _retain(settings: Settings, conninfo: str, master: MasterKey, ledger_key: bytes) -> None:
    while True:
        event_log = EventLog(conninfo, master, ALL)
        try:
            await event_log.start()
            break
        except _LOST as error:
            log.warning("retention waits for the database", extra={"error": type(error).__name__})
            await event_log.stop()
            await asyncio.sleep(_WAIT_SECONDS)
    try:
        app = Application(event_log)
        await Retention(app, Erasures(app, ledger_key, settings.certificates), conninfo).run()
    finally:
        await event_log.stop()
