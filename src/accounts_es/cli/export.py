"""The log as a file that ``scripts/verify_audit.py`` checks: one event a line, with its stored bytes."""

import json
import os
from pathlib import Path
from typing import BinaryIO, Final

from accounts_es.cli.console import Trouble
from accounts_es.eventstore.connection import Conn
from accounts_es.eventstore.ledger.entry import COLUMNS, export_line

_BATCH: Final = 1000
_TAIL: Final = 1 << 16
_EVENTS: Final = (
    f"""SELECT {COLUMNS} FROM log.accounts_events WHERE notification_id > %s ORDER BY notification_id LIMIT {_BATCH}"""
)


def write_export(connection: Conn, path: Path) -> int:
    """Write the events that the file does not have yet; returns the last position in it. Raises `Trouble`."""
    try:
        with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as file:
            position = _resume(file, path)
            cursor = connection.cursor(binary=True)
            while rows := cursor.execute(_EVENTS.encode(), (position,)).fetchall():
                file.writelines(f"{export_line(row)}\n".encode() for row in rows)
                position = int(rows[-1][0])
            file.flush()
            os.fsync(file.fileno())
            return position
    except OSError as error:
        raise Trouble(f"cannot write {path}: {error.strerror or error}") from None


def _resume(file: BinaryIO, path: Path) -> int:
    """The position of the last whole line, behind which the file now ends. A line may have been cut off by a crash."""
    size = end = file.seek(0, os.SEEK_END)
    tail = b""
    while end and tail.count(b"\n") < 2:
        begin = max(end - _TAIL, 0)
        file.seek(begin)
        tail, end = file.read(end - begin) + tail, begin
    whole = tail[: tail.rfind(b"\n") + 1]
    file.seek(size - len(tail) + len(whole))
    file.truncate()
    if not whole:
        return 0
    try:
        return int(json.loads(whole.splitlines()[-1])["position"])
    except (ValueError, KeyError, TypeError):
        raise Trouble(f"{path} is no export: name a new file") from None
