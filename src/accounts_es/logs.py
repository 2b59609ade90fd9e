"""Logs: one JSON object a line, or short lines on a terminal. Never a value that came from outside.

Messages of exceptions may quote what people sent, and those of the database whole rows, so an exception is logged as
its type, the database's error code and the places it passed, without its text.
"""

import json
import logging
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final

EXTRAS: Final = (
    "request",
    "operation",
    "error",
    "project",
    "position",
    "topic",
    "seconds",
    "count",
    "read_model",
    "row",
    "kind",
    "attempt",
    "reason",
    "file",
    "exit",
)
"""What a log call may add; anything else is dropped."""

_NOISY: Final = ("uvicorn.error", "uvicorn", "psycopg", "psycopg.pool", "asyncio")
_NOISY_CLIENTS: Final = ("httpx", "httpcore")
"""They would log whole URLs, with what is secret in them."""


def configure(level: str) -> None:
    """Send everything to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Lines() if sys.stderr.isatty() else JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in (*_NOISY, *_NOISY_CLIENTS):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
        logger.setLevel(logging.WARNING)
    # Uvicorn makes a line of every request when anybody could hear it.
    logging.getLogger("uvicorn.access").handlers.clear()
    logging.getLogger("uvicorn.access").propagate = False


def _failure(record: logging.LogRecord) -> dict[str, Any]:
    if not record.exc_info or record.exc_info[0] is None:
        return {}
    kind, error, trace = record.exc_info
    failure: dict[str, Any] = {"exception": kind.__qualname__, "at": _places(trace)}
    state = getattr(error, "sqlstate", None)
    if state:
        failure["sqlstate"] = state
    return failure


def _places(trace: TracebackType | None) -> list[str]:
    places: list[str] = []
    while trace is not None:
        code = trace.tb_frame.f_code
        places.append(f"{Path(code.co_filename).name}:{trace.tb_lineno} {code.co_name}")
        trace = trace.tb_next
    return places[-12:]


class JsonLines(logging.Formatter):
    """For machines."""

    def format(self, record: logging.LogRecord) -> str:
        """One JSON object."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: getattr(record, name) for name in EXTRAS if hasattr(record, name)}
        return json.dumps(line | _failure(record), default=str)


class Lines(logging.Formatter):
    """For people."""

    def format(self, record: logging.LogRecord) -> str:
        """One short line, and the places of a failure below it."""
        at = datetime.fromtimestamp(record.created, UTC)
        extras = " ".join(f"{name}={getattr(record, name)}" for name in EXTRAS if hasattr(record, name))
        line = f"{at:%H:%M:%S} {record.levelname.lower():7} {record.getMessage()} {extras}".rstrip()
        failure = _failure(record)
        if failure:
            line += f"\n  {failure['exception']} {failure.get('sqlstate', '')} at " + " < ".join(failure["at"][::-1])
        return line
