"""Keeps the tables that a rebuild replaced up with the log: whoever is erased is gone from them too."""

import asyncio
import logging
from typing import Final

import psycopg

from accounts_es.eventstore.kept import follow
from accounts_es.eventstore.keys import MasterKey, WrongMasterKey
from accounts_es.eventstore.shadow import UnreadableEvent
from accounts_es.eventstore.swap import RebuildRunning
from projections import ALL

log = logging.getLogger(__name__)

POLL: Final = 60.0
"""Seconds between two looks."""


async def keep_up(conninfo: str, master: MasterKey, pause: float = POLL) -> None:
    """Until cancelled. Nothing is kept most of the time, and then a look is all there is."""
    while True:
        try:
            await asyncio.to_thread(follow, conninfo, master, ALL)
        except RebuildRunning:
            pass
        except (psycopg.Error, UnreadableEvent, WrongMasterKey) as error:
            log.warning("replaced tables do not keep up", extra={"error": type(error).__name__})
        except Exception:
            log.exception("replaced tables do not keep up")
        await asyncio.sleep(pause)
