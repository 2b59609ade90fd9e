"""Where checkpoints are kept so that whoever owns the database cannot take them back: files, a webhook, and mail."""

import os
import re
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import formataddr, formatdate, make_msgid
from pathlib import Path
from typing import BinaryIO, Final, Protocol

import aiosmtplib
import httpx

from accounts_es.eventstore.ledger.note import Checkpoint, read
from accounts_es.reactors.transports import send, tls_of
from accounts_es.settings import Settings

_NOTE: Final = re.compile(rb"(?:[^\n]+\n)+\n(?:\xe2\x80\x94 [^\n]+\n)+")
_TAIL: Final = 1 << 14
"""More than a note."""


class NotKept(Exception):  # noqa: N818
    """A place did not take a note. It will be asked again."""


class Sink(Protocol):
    """A place for signed notes. It may be handed one twice."""

    @property
    def paced(self) -> bool:
        """Whether it is handed the newest note again and again, and takes one when it is time."""
        ...

    async def keep(self, origin: str, note: str) -> None:
        """Take a note; it is safe when this returns. Raises anything when it is not."""
        ...

    async def last(self, origin: str) -> Checkpoint | None:
        """The last it took, if it can tell."""
        ...


def sinks(settings: Settings) -> Sequence[Sink]:
    """The places that are set up."""
    folder = settings.data / "checkpoints"
    found: list[Sink] = [CheckpointFiles(folder)]
    if settings.checkpoint_url is not None:
        found.append(CheckpointWebhook(settings.checkpoint_url))
    if settings.checkpoint_mail is not None:
        found.append(CheckpointMail(settings, settings.checkpoint_mail, folder))
    return found


class CheckpointFiles:
    """A folder for each log, in it a file for each day, to which notes are only added."""

    paced = False

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
        return _folder_of(self._folder, origin)


class CheckpointWebhook:
    """Posts each note, as it is, to somebody who keeps it.

    The address is the operator's, who may well mean a machine of theirs; no answer leads elsewhere.
    """

    paced = False

    def __init__(self, url: str) -> None:
        self._url = url

    async def keep(self, origin: str, note: str) -> None:  # noqa: ARG002 - the note says whose it is
        """Post it. Raises httpx's errors unless the answer is 2xx."""
        async with httpx.AsyncClient(timeout=10, trust_env=False, follow_redirects=False) as client:
            headers = {"content-type": "text/plain; charset=utf-8"}
            (await client.post(self._url, content=note.encode(), headers=headers)).raise_for_status()

    async def last(self, origin: str) -> Checkpoint | None:  # noqa: ARG002 - it cannot tell
        """Nothing: it is not asked."""
        return None


class CheckpointMail:
    """Mails the newest note now and then, by the server's own way out: a mailbox is hard to take back."""

    paced = True

    def __init__(self, settings: Settings, to: str, folder: Path) -> None:
        self._settings = settings
        self._to = to
        self._folder = folder

    async def keep(self, origin: str, note: str) -> None:
        """Mail it, unless it was, or it is too early. Raises `NotKept`."""
        mailed = _folder_of(self._folder, origin) / "mailed"
        with suppress(FileNotFoundError):
            if mailed.read_text(encoding="utf-8") == note:
                return
            if 0 <= time.time() - mailed.stat().st_mtime < self._settings.checkpoint_mail_seconds:
                return
        try:
            await send(self._settings, tls_of(self._settings), self._mail(note))
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            raise NotKept(f"mail: {type(error).__name__}") from None
        mailed.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        mailed.write_text(note, encoding="utf-8")

    async def last(self, origin: str) -> Checkpoint | None:  # noqa: ARG002 - it cannot tell
        """Nothing: it is not asked."""
        return None

    def _mail(self, note: str) -> EmailMessage:
        checkpoint = read(note)
        message = EmailMessage()
        message["Subject"] = f"Checkpoint of {checkpoint.origin}: {checkpoint.size} events"
        message["From"] = formataddr((self._settings.mail_from_name, self._settings.mail_from))
        message["To"] = self._to
        message["Date"] = formatdate()
        message["Message-ID"] = make_msgid(domain=self._settings.mail_from.rpartition("@")[2])
        message["Auto-Submitted"] = "auto-generated"
        message.set_content("Keep this: it proves what is in the log up to here (docs/operate/audit.md).\n\n" + note)
        # Byte by byte: as text, its lines would end as mail's do.
        message.add_attachment(
            note.encode(), maintype="application", subtype="octet-stream", filename=f"checkpoint-{checkpoint.size}.txt"
        )
        return message


def _folder_of(folder: Path, origin: str) -> Path:
    return folder / re.sub(r"[^A-Za-z0-9.-]|^\.+", "_", origin)


def _last(file: BinaryIO) -> tuple[str | None, int]:
    """The last whole note of a file, and where it ends."""
    begin = max(file.seek(0, os.SEEK_END) - _TAIL, 0)
    file.seek(begin)
    found = list(_NOTE.finditer(file.read()))
    return (found[-1][0].decode(), begin + found[-1].end()) if found else (None, 0)
