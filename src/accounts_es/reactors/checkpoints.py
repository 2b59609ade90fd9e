"""Where checkpoints are kept so that whoever owns the database cannot take them back: files, and a webhook."""

import os
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Final, Protocol

import httpx

from accounts_es.eventstore.ledger.note import Checkpoint, read
from accounts_es.settings import Settings

_NOTE: Final = re.compile(rb"(?:[^\n]+\n)+\n(?:\xe2\x80\x94 [^\n]+\n)+")
_TAIL: Final = 1 << 14
"""More than a note."""


class Sink(Protocol):
    """A place for signed notes. It may be handed one twice."""

    async def keep(self, origin: str, note: str) -> None:
        """Take a note; it is safe when this returns. Raises anything when it is not."""
        ...

    async def last(self, origin: str) -> Checkpoint | None:
        """The last it took, if it can tell."""
        ...


def sinks(settings: Settings) -> Sequence[Sink]:
    """The places that are set up."""
    files = CheckpointFiles(settings.data / "checkpoints")
    return (files, CheckpointWebhook(settings.checkpoint_url)) if settings.checkpoint_url is not None else (files,)


class CheckpointFiles:
    """A folder for each log, in it a file for each day, to which notes are only added."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def keep(self, origin: str, note: str) -> None:
        """Add it to today's file, on disk when this returns."""
        folder = self._of(origin)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = folder / f"{datetime.now(UTC):%Y-%m-%d}.txt"
        with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as file:
            last, end = _last(file)
            if last == note:
                return
            # A crash may have left half a note behind.
            file.truncate(end)
            file.seek(end)
            file.write(f"\n{note}".encode() if end else note.encode())
            file.flush()
            os.fsync(file.fileno())
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    async def last(self, origin: str) -> Checkpoint | None:
        """The last whole note of the newest file that has one."""
        for path in sorted(self._of(origin).glob("*.txt"), reverse=True):
            with path.open("rb") as file:
                note, _ = _last(file)
            if note is not None:
                return read(note)
        return None

    def _of(self, origin: str) -> Path:
        return self._folder / re.sub(r"[^A-Za-z0-9.-]|^\.+", "_", origin)


class CheckpointWebhook:
    """Posts each note, as it is, to somebody who keeps it."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def keep(self, origin: str, note: str) -> None:  # noqa: ARG002 - the note says whose it is
        """Post it. Raises httpx's errors unless the answer is 2xx."""
        async with httpx.AsyncClient(timeout=10, trust_env=False) as client:
            headers = {"content-type": "text/plain; charset=utf-8"}
            (await client.post(self._url, content=note.encode(), headers=headers)).raise_for_status()

    async def last(self, origin: str) -> Checkpoint | None:  # noqa: ARG002 - it cannot tell
        """Nothing: it is not asked."""
        return None


def _last(file: BinaryIO) -> tuple[str | None, int]:
    """The last whole note of a file, and where it ends."""
    begin = max(file.seek(0, os.SEEK_END) - _TAIL, 0)
    file.seek(begin)
    found = list(_NOTE.finditer(file.read()))
    return (found[-1][0].decode(), begin + found[-1].end()) if found else (None, 0)
