"""A long history in a log, written straight into it: only its reading is measured."""

import secrets
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import psycopg

from accounts_es.domain.account.events import LabelAdded, NameChanged, PrefsUpdated, SessionCreated, SignedUp
from accounts_es.domain.event import Actor, Event, Metadata, Recorded
from accounts_es.eventstore.key_check import bound_key
from accounts_es.eventstore.keys import KeyRing, LogKeys, MasterKey
from accounts_es.eventstore.mapper import encode, format_actor

EACH: Final = 10
"""Events of an account."""
_PAGE: Final = 2000
_COPY: Final = """COPY log.accounts_events (originator_id, originator_version, topic, state, project_id, recorded_at,
    actor, operation, request_id, correlation_id) FROM STDIN"""


def write(owner: str, master: MasterKey, events: int) -> float:
    """Add so many events of accounts, interleaved as those of many people are; returns the seconds it took."""
    began = time.perf_counter()
    with psycopg.connect(owner) as connection:
        keys = LogKeys(bound_key(connection, master))
        for first in range(0, events // EACH, _PAGE):
            streams = [f"account-{nth:08}" for nth in range(first, min(first + _PAGE, events // EACH))]
            wrapped = [(stream, keys.create(stream)) for stream in streams]
            connection.cursor().executemany("INSERT INTO log.subject_keys (subject, wrapped) VALUES (%s, %s)", wrapped)
            with connection.cursor().copy(_COPY) as rows:
                for version in range(1, EACH + 1):
                    for stream in streams:
                        rows.write_row(_row(stream, version, keys))
            connection.commit()
        connection.execute("ANALYZE log.accounts_events")
    return time.perf_counter() - began


def _row(stream: str, version: int, keys: KeyRing) -> tuple[Any, ...]:
    at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=int(stream[8:]))
    meta = Metadata(
        at=at,
        project="default",
        actor=Actor(kind="account", id=stream),
        operation="bench",
        request_id=f"{stream}-{version}",
        correlation_id=f"{stream}-{version}",
        ip="203.0.113.7",
        user_agent="bench",
    )
    event = _event(stream, version, at)
    state = encode(Recorded(stream, version, event, meta, 0), keys)
    actor = format_actor(meta.actor)
    return stream, version, event.topic, state, "default", at, actor, "bench", meta.request_id, meta.request_id


def _event(stream: str, version: int, at: datetime) -> Event:
    match version:
        case 1:
            email = f"{stream}@example.com"
            return SignedUp(account_id=stream[8:], email=email, phone=None, name=stream, password_hash=None)
        case 2:
            return SessionCreated(
                session_id=f"s{stream[8:]}",
                secret_hash=secrets.token_hex(32),
                provider="email",
                factors=("password",),
                expires_at=at + timedelta(days=365),
            )
        case 3:
            return LabelAdded(label=f"l{int(stream[8:]) % 50}")
        case 4:
            return NameChanged(name=f"{stream} the second")
        case _:
            return PrefsUpdated(prefs={"darkTheme": bool(version % 2), "language": "en", "turn": version})


def pages(owner: str, page: int = 5000) -> Iterator[list[tuple[Any, ...]]]:
    """The rows of the log, read in binary and no more."""
    position = 0
    with psycopg.connect(owner, autocommit=True) as connected:
        while rows := connected.cursor(binary=True).execute(_ROWS, (position, page), prepare=True).fetchall():
            yield rows
            position = rows[-1][0]


_ROWS: Final = """SELECT notification_id, originator_id, originator_version, topic, state FROM log.accounts_events
                  WHERE notification_id > %s ORDER BY notification_id LIMIT %s"""
