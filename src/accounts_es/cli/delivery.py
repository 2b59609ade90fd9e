"""The delivery of a server: a process of its own, started and watched; and what comes before it.

What delivers is loaded there alone: mail, templates and webhooks are 3 MiB of which a worker uses nothing.
"""

import asyncio
import logging
import multiprocessing
import os
import secrets
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from multiprocessing.context import SpawnProcess
from typing import Final

from accounts_es import logs
from accounts_es.adapters.ids import now
from accounts_es.adapters.key_files import load_key
from accounts_es.application import Application
from accounts_es.cli.console import Trouble
from accounts_es.cli.database import needed_key
from accounts_es.domain.event import SYSTEM, Metadata
from accounts_es.erasures import Erasures
from accounts_es.eventstore.keys import MasterKey, WrongMasterKey
from accounts_es.eventstore.log import EventLog
from accounts_es.settings import Settings
from projections import ALL

log = logging.getLogger(__name__)

_WATCH_SECONDS: Final = 1.0
_STOP_SECONDS: Final = 30.0


async def erase_again(settings: Settings, conninfo: str, master: MasterKey) -> None:
    """Before anybody is served: whom a restored backup brought back goes again."""
    key = load_key("ledger", settings.data, os.environ)
    if key is None or not settings.certificates.is_dir():
        return
    event_log = EventLog(conninfo, master, ALL)
    try:
        await event_log.start()
        meta = Metadata(now(), "", SYSTEM, "serve", secrets.token_hex(10), "erased-before")
        count = await Erasures(Application(event_log), key, settings.certificates).again(meta)
    finally:
        await event_log.stop()
    if count:
        log.warning("erased again whom a restored backup brought back", extra={"count": count})


def announce(settings: Settings) -> None:
    """Say where messages go that have no other way out."""
    ways = {"mail": settings.smtp_host, "text messages": settings.sms_url}
    written = " and ".join(what for what, way in ways.items() if way is None)
    if not written:
        return
    folder = settings.data.absolute() / "outbox"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        possible = os.access(folder, os.W_OK | os.X_OK)
    except OSError:
        possible = False
    if possible:
        print(f"{written} are written to {folder} until ACCOUNTS_SMTP_HOST and ACCOUNTS_SMS_URL are set", flush=True)
    else:
        log.error(
            "%s reach nobody: set ACCOUNTS_SMTP_HOST and ACCOUNTS_SMS_URL, or a folder that can be written",
            written,
            extra={"file": str(folder)},
        )


@contextmanager
def delivering(settings: Settings, conninfo: str) -> Generator[None]:
    """Delivery in a process of its own, started again if it dies."""
    stopping = threading.Event()
    watcher = threading.Thread(target=_watch, args=(settings, conninfo, stopping), name="delivery")
    watcher.start()
    try:
        yield
    finally:
        stopping.set()
        watcher.join()


def _watch(settings: Settings, conninfo: str, stopping: threading.Event) -> None:
    process = _start(settings, conninfo)
    while not stopping.wait(_WATCH_SECONDS):
        if not process.is_alive():
            log.error("delivery has ended: starting it again", extra={"exit": process.exitcode})
            process = _start(settings, conninfo)
    process.terminate()
    process.join(_STOP_SECONDS)
    if process.is_alive():
        process.kill()


def _start(settings: Settings, conninfo: str) -> SpawnProcess:
    process = multiprocessing.get_context("spawn").Process(target=_work, args=(settings, conninfo), name="delivery")
    process.start()
    return process


def _work(settings: Settings, conninfo: str) -> None:
    """The delivery process of a server."""
    logs.configure(settings.log_level)
    from accounts_es.cli.deliver import work  # noqa: PLC0415 - see above

    try:
        asyncio.run(work(settings, conninfo, needed_key(settings.data, conninfo)))
    except (Trouble, WrongMasterKey) as error:
        log.critical("delivery ends: %s", error)
        sys.exit(1)
