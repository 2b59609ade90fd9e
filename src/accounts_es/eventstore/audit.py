"""Who did what: the log for people, one record an event, in the order of the log.

Records show what is stored, whatever release wrote it. Hashes, codes and tokens are never shown. Personal
values are shown only with the master key at hand, and not when redacted.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, cast

from pydantic_core import from_json

from accounts_es.domain.catalog import BY_TOPIC, DECIDERS
from accounts_es.domain.event import Event, Recorded, personal_fields
from accounts_es.eventstore import activities
from accounts_es.eventstore.activities import EventRow
from accounts_es.eventstore.audit_record import ERASED, REDACTED, SEALED, Record, without_hashes
from accounts_es.eventstore.connection import Conn
from accounts_es.eventstore.key_check import bound_key
from accounts_es.eventstore.keys import KEY_BYTES, KeyRing, MasterKey
from accounts_es.eventstore.listing import Condition, Every, Filter, Operator
from accounts_es.eventstore.mapper import decode
from accounts_es.eventstore.opening import A, Asking, Opening, load_keys, unsealed
from accounts_es.eventstore.pages import Sql, condition

_BATCH: Final = 1000
_CLOCKS: Final = timedelta(hours=1)
"""Events are stored in nearly the order of their times: servers' clocks differ, and requests wait in queues."""


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
    filters: tuple[Filter, ...] = ()
    after: int = 0
    """Only what stands behind this position of the log."""
    positions: tuple[int, ...] = ()
    """These events of the log and no others; none: wherever they stand."""


def records(connection: Conn, master: MasterKey | None, wanted: Wanted, *, redact: bool = False) -> Iterator[Record]:
    """The events, in log order, read in batches. Nothing in the log stops them: what cannot be read says so."""
    opening = Opening(KeyRing(master) if master is not None else None, redact=redact)
    where, params = condition_of(wanted)
    statement = f"""SELECT {activities.COLUMNS} FROM log.accounts_events
        WHERE notification_id > %s AND {where} ORDER BY notification_id LIMIT %s""".encode()
    position = _position_before(connection, wanted.since - _CLOCKS) if wanted.since is not None else 0
    position = max(position, wanted.after)
    while True:
        rows = connection.cursor(binary=True).execute(statement, (position, *params, _BATCH)).fetchall()
        yield from answered(connection, opening.records([EventRow._make(row) for row in rows]))
        if len(rows) < _BATCH:
            return
        position = rows[-1][0]


def find_stream(connection: Conn, master: MasterKey, project: str, account_id: str) -> str | None:
    """The stream of the account that has this id, or of the last that had it. An erased one is not found by its id.

    A deleted account is looked for among all sign-ups of the project, newest first.
    """
    row = connection.execute(
        "SELECT stream FROM log.claims WHERE project_id = %s AND kind = 'account.id' AND digest = %s",
        (project, bound_key(connection, master).digest(project, "account.id", account_id)),
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
        answered(connection, load_keys(keys, {stream for _, stream, _, _, _ in rows}))
        for _, stream, version, _, state in rows:
            personal = unsealed(stream, version, from_json(bytes(state)), keys)
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

    Times may run backwards where requests overtook each other: what is later ends it, whatever comes after.

    Version 0 is a stream that had not begun. Raises `LookupError` for a stream of a kind that has no state, and what
    `decode` raises for an event this release cannot read.
    """
    decider = DECIDERS.get(stream.partition("-")[0])
    if decider is None:
        raise LookupError(f"{stream} is a list of events without a state")
    # A ring without keys opens nothing.
    keys = KeyRing(master if master is not None else MasterKey(bytes(KEY_BYTES)))
    known = answered(connection, load_keys(keys if master is not None and not redact else None, {stream}))
    rows = connection.cursor(binary=True).execute(
        """SELECT notification_id, originator_version, topic, state FROM log.accounts_events WHERE originator_id = %s
           AND notification_id <= %s AND originator_version < coalesce((
               SELECT min(originator_version) FROM log.accounts_events WHERE originator_id = %s AND recorded_at > %s
           ), 9223372036854775807) ORDER BY originator_version""",
        (stream, position if position is not None else 2**62, stream, time or datetime.max.replace(tzinfo=UTC)),
    )
    mark = ERASED if not known else REDACTED if redact else SEALED
    recorded: list[Recorded[Any]] = [
        _marked(decode(stream, version, topic, bytes(state), at, keys), mark) for at, version, topic, state in rows
    ]
    return (recorded[-1].stream_version if recorded else 0), decider.fold(recorded)


def plain(state: Any) -> dict[str, Any]:
    """A folded state as a dictionary, without hashes."""
    return cast("dict[str, Any]", without_hashes(state))


def _marked(recorded: Recorded[Event], mark: str) -> Recorded[Event]:
    """Marks in the place of the personal values that did not open."""
    if not recorded.erased:
        return recorded
    marks = {
        name: {mark: mark} if empty == {} else mark if empty in (None, "") else empty
        for name, empty in personal_fields(type(recorded.event)).items()
    }
    return replace(recorded, event=recorded.event.model_copy(update=marks))


def answered(connection: Conn, asking: Asking[A]) -> A:
    """What something makes of the answers to its questions."""
    try:
        question = next(asking)
        while True:
            statement, params = question
            question = asking.send(connection.cursor(binary=True).execute(statement.encode(), params).fetchall())
    except StopIteration as done:
        return cast("A", done.value)


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


def condition_of(wanted: Wanted) -> Sql:
    """The same as SQL."""
    parts: list[Filter] = []
    if wanted.stream is not None:
        parts.append(activities.concerning([wanted.stream]))
    if wanted.actor is not None:
        parts.append(activities.by([wanted.actor]))
    if wanted.event is not None:
        # Facts of different aggregates may share a name.
        named = tuple(topic for topic, event in BY_TOPIC.items() if event.__name__ == wanted.event)
        parts.append(Condition(activities.TOPIC, Operator.EQUAL, named or (wanted.event,)))
    if wanted.positions:
        parts.append(Condition(activities.POSITION, Operator.EQUAL, wanted.positions))
    for attribute, operator, value in (
        (activities.PROJECT, Operator.EQUAL, wanted.project),
        (activities.REQUEST, Operator.EQUAL, wanted.request),
        (activities.TIME, Operator.AT_LEAST, wanted.since),
        (activities.TIME, Operator.LESS, wanted.until),
    ):
        if value is not None:
            parts.append(Condition(attribute, operator, (value,)))
    return condition(Every((*parts, *wanted.filters))) if parts or wanted.filters else Sql("TRUE")
