"""Stored events to records that people read, by whatever connection: what is needed is asked for as it comes up.

Whatever asks is a generator of questions, each a statement and its parameters, that takes the rows and returns what it
made of them: the tools answer it from their connection, the server from its own.
"""

from collections.abc import Generator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias, TypeVar, cast

from pydantic_core import from_json

from accounts_es.domain.catalog import BY_TOPIC
from accounts_es.domain.event import personal_fields
from accounts_es.eventstore.activities import EventRow
from accounts_es.eventstore.audit_record import BROKEN, ERASED, REDACTED, SEALED, Record, without_hashes
from accounts_es.eventstore.keys import KeyRing, SealBroken
from accounts_es.eventstore.mapper import opened, sealed_for, subjects
from accounts_es.eventstore.reads import Reads

A = TypeVar("A")
Row: TypeAlias = Sequence[Any]
Question: TypeAlias = tuple[str, tuple[object, ...]]
Asking: TypeAlias = Generator[Question, Sequence[Row], A]

_MOST_IDS: Final = 100_000
_IDS: Final = {"account": "account_id", "team": "team_id"}
"""Where the first event of a stream says by which id its subject goes."""
_FIRST: Final = """SELECT originator_id, state FROM log.accounts_events
    WHERE originator_id = ANY(%s) AND originator_version = 1"""
_KEYS: Final = "SELECT subject, wrapped FROM log.subject_keys WHERE subject = ANY(%s)"


class Opening:
    """Rows of the log to records. Nothing stops it: what cannot be read says so."""

    def __init__(self, keys: KeyRing | None, *, redact: bool = False) -> None:
        self._keys = keys
        self._redact = redact
        self._ids: dict[str, str | None] = {}

    def id_of(self, stream: str) -> str | None:
        """The id of the account or team of a stream that a record was about or whose account acted; if it is known."""
        return self._ids.get(stream)

    def records(self, rows: Sequence[EventRow]) -> Asking[list[Record]]:
        """Records of rows, in their order."""
        if not rows:
            return []
        parsed = [(row, cast("dict[str, Any]", from_json(bytes(row.state)))) for row in rows]
        about = {stream_about(row, stored) for row, stored in parsed}
        actors = {stream for _, stored in parsed for stream in acting(stored["meta"]["actor"])}
        named = {stream for stream in about | actors if stream.partition("-")[0] in _IDS}
        sealing = {subject for row in rows for subject in sealed_for(row.stream, bytes(row.state))}
        known = yield from load_keys(self._keys, named | sealing)
        yield from self._load_ids(named & known)
        return [self._record(row, stored, known) for row, stored in parsed]

    def _load_ids(self, streams: set[str]) -> Asking[None]:
        if len(self._ids) > _MOST_IDS:
            self._ids.clear()
        new = [stream for stream in streams if stream not in self._ids]
        if self._keys is None or self._redact or not new:
            return
        for stream, state in (yield _FIRST, (new,)):
            personal = unsealed(stream, 1, from_json(bytes(state)), self._keys)
            field = _IDS[stream.partition("-")[0]]
            self._ids[stream] = personal.get("data", {}).get(field) if isinstance(personal, dict) else None

    def _account(self, stream: str) -> str | None:
        return self._ids.get(stream) if stream.startswith("account-") else None

    def _record(self, row: EventRow, stored: dict[str, Any], known: set[str]) -> Record:
        position, stream, version, topic, _ = row
        event_type = BY_TOPIC.get(topic)
        meta: dict[str, str] = stored["meta"]
        there = {stream, stored.get("keys", {}).get("data", stream)} <= known
        personal = unsealed(stream, version, stored, self._keys if there else None)
        data: dict[str, Any] = dict(stored["data"])
        ip = user_agent = None
        if isinstance(personal, str):
            if not there:
                mark = ERASED
            elif self._keys is not None:
                mark = BROKEN
            else:
                mark = REDACTED if self._redact else SEALED
            data |= dict.fromkeys(personal_fields(event_type) if event_type is not None else (), mark)
            ip = user_agent = mark
        elif personal:
            data |= {name: REDACTED if self._redact else value for name, value in personal.get("data", {}).items()}
            ip, user_agent = (
                REDACTED if self._redact and personal.get(name) is not None else personal.get(name)
                for name in ("ip", "user_agent")
            )
            if personal.get("origin_gone"):
                ip = user_agent = ERASED
        return Record(
            position=position,
            time=datetime.fromisoformat(meta["at"]).astimezone(UTC).isoformat(timespec="microseconds"),
            event=event_type.__name__ if event_type is not None else topic,
            topic=topic,
            version=stored["v"],
            stream=stream,
            stream_version=version,
            account=self._account(stream_about(row, stored)),
            project=meta["project"],
            actor=meta["actor"],
            operation=meta["operation"],
            request=meta["request"],
            correlation=meta["correlation"],
            causation=meta.get("causation"),
            ip=ip,
            user_agent=user_agent,
            erased="sealed" in stored and not there,
            about=stream_about(row, stored),
            data=cast("dict[str, Any]", without_hashes(data)),
        )


def stream_about(row: EventRow, stored: Mapping[str, Any]) -> str:
    """The stream an event is about: a refused sign-in stands in another one than that it was aimed at."""
    data = stored["data"]
    aim = (data.get("account") or data.get("about")) if row.topic.startswith("security.") else None
    return aim if isinstance(aim, str) and aim else row.stream


def acting(actor: str) -> tuple[str, ...]:
    """The streams of the account in whose name something was done, and of who used it, where they are accounts."""
    who, _, impersonator = actor.partition("<")
    return tuple(each for each in (who.partition(":")[2], impersonator) if each.startswith("account-"))


def unsealed(stream: str, version: int, stored: Mapping[str, Any], keys: KeyRing | None) -> dict[str, Any] | str:
    """The personal part of a stored event, or why it cannot be read."""
    if "sealed" not in stored and "origin" not in stored:
        return {}
    if keys is None:
        return SEALED
    try:
        found = opened(stream, version, stored, keys)
    except (SealBroken, ValueError):
        return BROKEN
    if found.data is None:
        return SEALED
    return {"data": found.data, "ip": found.ip, "user_agent": found.user_agent, "origin_gone": found.origin_gone}


def load_keys(keys: KeyRing | None, streams: set[str]) -> Asking[set[str]]:
    """Those of the streams that have a key; with a ring, the keys that open are in it."""
    rows = yield _KEYS, (sorted(streams),)
    if keys is not None:
        # A key that is in memory alone was destroyed.
        for subject in streams.difference(subject for subject, _ in rows):
            keys.forget(subject)
        unknown = set(subjects((subject for subject, _ in rows), keys))
        for subject, wrapped in rows:
            if subject in unknown:
                with suppress(SealBroken):
                    keys.add({subject: bytes(wrapped)})
    return {subject for subject, _ in rows}


async def answered(reads: Reads, asking: Asking[A]) -> A:
    """What something makes of the server's answers to its questions."""
    try:
        question = next(asking)
        while True:
            question = asking.send(await reads.fetch(*question))
    except StopIteration as done:
        return cast("A", done.value)
