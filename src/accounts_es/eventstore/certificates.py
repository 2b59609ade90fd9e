"""Certificates of erasure: what was destroyed, signed with the key of the log, and kept where the database is not.

They name a person by the stream only. A restored backup knows nothing of erasures after it was made: the certificates
outside the database say whom to erase again.
"""

import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

from accounts_es.eventstore.ledger.note import signed_text

FORMAT: Final = "accounts-es/erasure/1"
"""The first line: no log is called so, which keeps certificates and checkpoints apart."""
COLUMNS: Final = "stream, project_id, reason, erased_at, fingerprint, events, first_position, last_position"


class Erasure(NamedTuple):
    """What the database says of an erasure."""

    stream: str
    project_id: str
    reason: str
    erased_at: datetime
    fingerprint: str
    events: int
    first_position: int
    last_position: int


def text(origin: str, erasure: Erasure, size: int, root: str) -> str:
    """What is signed: the erasure, and the newest checkpoint there was (size 0: none)."""
    facts = {
        "log": origin,
        "subject": erasure.stream,
        "project": erasure.project_id,
        "reason": erasure.reason,
        "erased": erasure.erased_at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "key": f"sha256:{erasure.fingerprint}",
        "events": erasure.events,
        "positions": f"{erasure.first_position}-{erasure.last_position}",
        "checkpoint": f"{size} {root}".rstrip(),
    }
    return f"{FORMAT}\n" + "".join(f"{name}: {value}\n" for name, value in facts.items())


def facts(note: str, origin: str, public: bytes) -> dict[str, str]:
    """What a certificate says. Raises `ValueError` unless it is one of this log, signed by its key."""
    first, *lines = signed_text(note, origin, public).splitlines()
    found = dict(line.split(": ", 1) for line in lines)
    if first != FORMAT or found.get("log") != origin or not found.get("subject"):
        raise ValueError("it is no certificate of an erasure in this log")
    return found


class CertificateFiles:
    """A folder with a file for each certificate."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, stream: str, note: str) -> None:
        """Write it, on disk when this returns. Raises `OSError`."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._folder / f"{re.sub(r'[^A-Za-z0-9.-]|^[.]+', '_', stream)}.txt"
        aside = path.with_suffix(f".{os.getpid()}.part")
        with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(note)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
        handle = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    def all(self) -> Iterator[tuple[Path, str]]:
        """Those that are there. Raises `OSError`."""
        for path in sorted(self._folder.glob("*.txt")):
            yield path, path.read_text(encoding="utf-8")
