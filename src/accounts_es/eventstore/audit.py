"""Who did what: the log for people, one record an event, in the order of the log.

Records show what is stored, whatever release wrote it. Hashes, codes and tokens are never shown. Personal
values are shown only with the master key at hand, and not when redacted.
"""

import base64
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, cast

from psycopg import sql
from pydantic_core import from_json

from accounts_es.domain.catalog import BY_TOPIC, DECIDERS
from accounts_es.domain.event import Event, Recorded, personal_fields
from accounts_es.eventstore.audit_record import BROKEN, ERASED, REDACTED, SEALED, Record, without_hashes
from accounts_es.eventstore.connection import Conn
from accounts_es.eventstore.keys import KEY_BYTES, KeyRing, MasterKey, SealBroken, unseal
from accounts_es.eventstore.mapper import decode, subjects

_BATCH: Final = 1000
_CLOCKS: Final = timedelta(hours=1)
"""Events are stored in nearly the order of their times: servers' clocks differ, and requests wait in queues."""

Row = Sequence[Any]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events: those that meet all that is given, from ``since`` on and before ``until``."""

    stream: str | None = None
    """The stream itself, and what security streams say of it."""
    project: str | None = None
    actor: str | None = None
    """A ``kind:id`` or an id alone; whoever acted in its name or whose name it used counts too."""
    request: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    event: str | None = None
    """The name of the event, such as ``SignedUp``, or its topic."""


def records(connection: Conn, master: MasterKey | None, wanted: Wanted, *, redact: bool = False) -> Iterator[Record]:
    """The events, in log order, read in batches. Nothing in the log stops them: what cannot be read says so."""
    reader = _Reader(connection, master, redact=redact)
    condition, params = _where(wanted)
    statement = sql.SQL(
        """SELECT notification_id, originator_id, originator_version, topic, state FROM log.accounts_events
           WHERE notification_id > %s AND {} ORDER BY notification_id LIMIT %s"""
    ).format(condition)
    position = _position_before(connection, wanted.since - _CLOCKS) if wanted.since is not None else 0
    while True:
        rows = connection.cursor(binary=True).execute(statement, (position, *params, _BATCH)).fetchall()
        yield from reader.records(rows)
        if len(rows) < _BATCH:
            return
        position = rows[-1][0]


def find_stream(connection: Conn, master: MasterKey, project: str, account_id: str) -> str | None:
    """The stream of the account that has this id, or of the last that had it. An erased one is not found by its id.

    A deleted account is looked for among all sign-ups of the project, newest first.
    """
    row = connection.execute(
        "SELECT stream FROM log.claims WHERE project_id = %s AND kind = 'account.id' AND digest = %s",
        (project, master.digest(project, "account.id", account_id)),
    ).fetchone()
    if row is not None:
        return str(row[0])
    keys, before = KeyRing(master), 2**62
    while True:
        rows = (
            connection.cursor(binary=True)
            .execute(
                """SELECT notification_id, originator_id, originator_version, topic, state FROM log.accounts_events
                   WHERE topic = 'account.signed_up' AND project_id = %s AND notification_id < %s
                   ORDER BY notification_id DESC LIMIT %s""",
                (project, before, _BATCH),
            )
            .fetchall()
        )
        _load_keys(connection, keys, {stream for _, stream, _, _, _ in rows})
        for _, stream, version, _, state in rows:
            personal = _unsealed(stream, version, from_json(bytes(state)), keys)
            if isinstance(personal, dict) and personal.get("data", {}).get("account_id") == account_id:
                return str(stream)
        if len(rows) < _BATCH:
            return None
        before = rows[-1][0]


def state_at(
    connection: Conn,
    master: MasterKey | None,
    stream: str,
    *,
    position: int | None = None,
    time: datetime | None = None,
    redact: bool = False,
) -> tuple[int, Any]:
    """The version and the folded state of a stream as of a position or a time, both inclusive.

    Version 0 is a stream that had not begun. Raises `LookupError` for a stream of a kind that has no state, and what
    `decode` raises for an event this release cannot read.
    """
    decider = DECIDERS.get(stream.partition("-")[0])
    if decider is None:
        raise LookupError(f"{stream} is a list of events without a state")
    # A ring without keys opens nothing.
    keys = KeyRing(master if master is not None else MasterKey(bytes(KEY_BYTES)))
    known = _load_keys(connection, keys if master is not None and not redact else None, {stream})
    rows = connection.cursor(binary=True).execute(
        """SELECT notification_id, originator_version, topic, state FROM log.accounts_events WHERE originator_id = %s
           AND notification_id <= %s AND recorded_at <= %s ORDER BY originator_version""",
        (stream, position if position is not None else 2**62, time or datetime.max.replace(tzinfo=UTC)),
    )
    mark = ERASED if not known else REDACTED if redact else SEALED
    recorded: list[Recorded[Any]] = [
        _marked(decode(stream, version, topic, bytes(state), at, keys), mark) for at, version, topic, state in rows
    ]
    return (recorded[-1].stream_version if recorded else 0), decider.fold(recorded)


def plain(state: Any) -> dict[str, Any]:
    """A folded state as a dictionary, without hashes."""
    return cast("dict[str, Any]", without_hashes(asdict(state)))


def _marked(recorded: Recorded[Event], mark: str) -> Recorded[Event]:
    """Marks in the place of the personal values that did not open."""
    if not recorded.erased:
        return recorded
    marks = {
        name: {mark: mark} if empty == {} else mark if empty in (None, "") else empty
        for name, empty in personal_fields(type(recorded.event)).items()
    }
    return replace(recorded, event=recorded.event.model_copy(update=marks))


class _Reader:
    """Rows of the log to records."""

    def __init__(self, connection: Conn, master: MasterKey | None, *, redact: bool) -> None:
        self._connection = connection
        self._keys = KeyRing(master) if master is not None else None
        self._redact = redact
        self._accounts: dict[str, str | None] = {}

    def records(self, rows: Sequence[Row]) -> Iterator[Record]:
        """Records of rows, in their order."""
        parsed = [(row, cast("dict[str, Any]", from_json(bytes(row[4])))) for row in rows]
        about = {_about(row, stored) for row, stored in parsed}
        known = _load_keys(self._connection, self._keys, about | {row[1] for row in rows})
        self._load_accounts({stream for stream in about if stream.startswith("account-")})
        for row, stored in parsed:
            yield self._record(row, stored, known)

    def _load_accounts(self, streams: set[str]) -> None:
        if len(self._accounts) > 100 * _BATCH:
            self._accounts.clear()
        new = [stream for stream in streams if stream not in self._accounts]
        if self._keys is None or self._redact or not new:
            return
        first = self._connection.cursor(binary=True).execute(
            """SELECT originator_id, state FROM log.accounts_events
               WHERE originator_id = ANY(%s) AND originator_version = 1""",
            (new,),
        )
        for stream, state in first:
            personal = _unsealed(stream, 1, from_json(bytes(state)), self._keys)
            self._accounts[stream] = personal.get("data", {}).get("account_id") if isinstance(personal, dict) else None

    def _record(self, row: Row, stored: dict[str, Any], known: set[str]) -> Record:
        position, stream, version, topic, _ = row
        event_type = BY_TOPIC.get(topic)
        meta: dict[str, str] = stored["meta"]
        personal = _unsealed(stream, version, stored, self._keys if stream in known else None)
        data: dict[str, Any] = dict(stored["data"])
        ip = user_agent = None
        if isinstance(personal, str):
            if stream not in known:
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
        return Record(
            position=position,
            time=datetime.fromisoformat(meta["at"]).astimezone(UTC).isoformat(timespec="microseconds"),
            event=event_type.__name__ if event_type is not None else topic,
            topic=topic,
            version=stored["v"],
            stream=stream,
            stream_version=version,
            account=self._accounts.get(_about(row, stored)),
            project=meta["project"],
            actor=meta["actor"],
            operation=meta["operation"],
            request=meta["request"],
            correlation=meta["correlation"],
            causation=meta.get("causation"),
            ip=ip,
            user_agent=user_agent,
            erased="sealed" in stored and stream not in known,
            data=cast("dict[str, Any]", without_hashes(data)),
        )


def _about(row: Row, stored: Mapping[str, Any]) -> str:
    """The stream an event is about: a refused sign-in stands in another one than that it was aimed at."""
    aim = stored["data"].get("account") if row[3].startswith("security.") else None
    return aim if isinstance(aim, str) and aim else str(row[1])


def _unsealed(stream: str, version: int, stored: Mapping[str, Any], keys: KeyRing | None) -> dict[str, Any] | str:
    """The personal part of a stored event, or why it cannot be read."""
    if "sealed" not in stored:
        return {}
    key = keys.get(stream) if keys is not None else None
    if key is None:
        return SEALED
    try:
        return cast(
            "dict[str, Any]", from_json(unseal(key, base64.b64decode(stored["sealed"]), f"{stream}:{version}".encode()))
        )
    except (SealBroken, ValueError):
        return BROKEN


def _load_keys(connection: Conn, keys: KeyRing | None, streams: set[str]) -> set[str]:
    """Those of the streams that have a key; with a ring, the keys that open are in it."""
    rows = connection.execute(
        "SELECT subject, wrapped FROM log.subject_keys WHERE subject = ANY(%s)", (sorted(streams),)
    ).fetchall()
    if keys is not None:
        unknown = set(subjects((subject for subject, _ in rows), keys))
        for subject, wrapped in rows:
            if subject in unknown:
                with suppress(SealBroken):
                    keys.add({subject: bytes(wrapped)})
    return {subject for subject, _ in rows}


def _position_before(connection: Conn, time: datetime) -> int:
    """A position before all events of this time: by halving, because positions follow times."""
    row = connection.execute(
        "SELECT coalesce(min(notification_id), 1), coalesce(max(notification_id), 0) FROM log.accounts_events"
    ).fetchone()
    low, high = (int(row[0]) - 1, int(row[1])) if row is not None else (0, 0)
    while low < high:
        middle = (low + high + 1) // 2
        found = connection.execute(
            """SELECT recorded_at < %s FROM log.accounts_events WHERE notification_id <= %s
               ORDER BY notification_id DESC LIMIT 1""",
            (time, middle),
        ).fetchone()
        if found is None or found[0]:
            low = middle
        else:
            high = middle - 1
    return low


def _where(wanted: Wanted) -> tuple[sql.Composable, list[Any]]:
    parts: list[sql.Composable] = [sql.SQL("TRUE")]
    params: list[Any] = []

    def add(condition: str, *values: object) -> None:
        parts.append(sql.SQL(cast("Any", condition)))
        params.extend(values)

    if wanted.stream is not None:
        add(
            """(originator_id = %s OR (starts_with(originator_id, 'security-')
                AND (convert_from(state, 'UTF8')::jsonb #>> '{data,account}' = %s
                     OR split_part(actor, '<', 1) = %s)))""",
            wanted.stream,
            wanted.stream,
            f"account:{wanted.stream}",
        )
    if wanted.project is not None:
        add("project_id = %s", wanted.project)
    if wanted.request is not None:
        add("request_id = %s", wanted.request)
    if wanted.actor is not None:
        names = [wanted.actor, *(f"{kind}:{wanted.actor}" for kind in ("account", "key", "guest", "system"))]
        add(
            """(actor = ANY(%s) OR (strpos(actor, '<') > 0
                AND (split_part(actor, '<', 1) = ANY(%s) OR split_part(actor, '<', 2) = ANY(%s))))""",
            *[names] * 3,
        )
    if wanted.since is not None:
        add("recorded_at >= %s", wanted.since)
    if wanted.until is not None:
        add("recorded_at < %s", wanted.until)
    if wanted.event is not None:
        # Facts of different aggregates may share a name.
        named = [topic for topic, event in BY_TOPIC.items() if event.__name__ == wanted.event]
        add("topic = ANY(%s)", named or [wanted.event])
    return sql.SQL(" AND ").join(parts), params
