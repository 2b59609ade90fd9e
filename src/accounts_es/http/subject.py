"""All that is known of a person, as one JSON document: what read models hold, and every event, opened.

Read row by row, so that no column can be forgotten, and sent while it is read. Hashes, codes and tokens are left out.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any, Final

from pydantic_core import from_json

from accounts_es.domain.team import events as team
from accounts_es.eventstore.activities import COLUMNS, EventRow
from accounts_es.eventstore.audit_record import REDACTED, Record, harmless_json, is_hidden
from accounts_es.eventstore.log import EventLog
from accounts_es.eventstore.opening import Opening, answered
from projections.people import PersonRow

FORMAT: Final = "accounts-es/subject/1"
SPEAK_OF: Final[Mapping[str, str]] = {
    "accounts_v2": "stream",
    "sessions_v2": "stream",
    "identities_v1": "stream",
    "people_v1": "stream",
    "streams_v1": "stream",
    "memberships_v1": "account",
    "belongings_v1": "account",
    "members_v1": "account",
}
"""The tables of read models that speak of people, and the column that says of whom."""
DERIVED: Final = frozenset({"words"})
"""Columns that are made of others."""
_TEXTS: Final = frozenset({"prefs", "targets"})
"""JSON kept as text."""
_ROWS: Final = 200

_MEMBER_TOPICS: Final = [
    each.topic
    for each in (
        team.MemberInvited,
        team.InvitationRenewed,
        team.MemberJoined,
        team.MemberAdded,
        team.MemberRolesChanged,
        team.MemberLeft,
        team.MemberRemoved,
    )
]
_POSITIONS: Final = """
    WITH asked AS (SELECT %s::text AS stream, %s::text AS actor),
    teams AS (SELECT team FROM belongings_v1 WHERE account = (SELECT stream FROM asked)),
    said AS (
        SELECT notification_id, originator_id, convert_from(state, 'UTF8')::jsonb -> 'data' AS data
        FROM log.accounts_events WHERE originator_id IN (SELECT team FROM teams) AND topic = ANY(%s)
    ),
    memberships AS (
        SELECT originator_id, data ->> 'membership_id' FROM said WHERE data ->> 'account' = (SELECT stream FROM asked)
    )
    SELECT notification_id FROM log.accounts_events WHERE originator_id = (SELECT stream FROM asked)
    UNION SELECT notification_id FROM log.accounts_events
        WHERE topic = 'security.sign_in_refused' AND log.aimed_at(state) = (SELECT stream FROM asked)
    UNION SELECT notification_id FROM log.accounts_events WHERE starts_with(originator_id, 'security-')
        AND convert_from(state, 'UTF8')::jsonb #>> '{data,about}' = (SELECT stream FROM asked)
    UNION SELECT notification_id FROM log.accounts_events WHERE actor = (SELECT actor FROM asked)
    UNION SELECT notification_id FROM log.accounts_events WHERE strpos(actor, '<') > 0 AND (
        split_part(actor, '<', 1) = (SELECT actor FROM asked) OR split_part(actor, '<', 2) = (SELECT stream FROM asked))
    UNION SELECT notification_id FROM said WHERE (originator_id, data ->> 'membership_id') IN (TABLE memberships)"""
_EVENTS: Final = (
    f"""SELECT {COLUMNS} FROM log.accounts_events WHERE notification_id = ANY(%s) ORDER BY notification_id"""
)


async def positions(log: EventLog, person: PersonRow) -> list[int]:
    """Where the log speaks of somebody: their own stream, sign-ins refused to them, who looked at their history, their
    memberships, and what they did elsewhere."""
    rows = await log.reads.scan(_POSITIONS, (person.stream, f"account:{person.stream}", _MEMBER_TOPICS))
    return sorted(position for (position,) in rows)


async def document(log: EventLog, person: PersonRow, found: list[int], at: datetime) -> AsyncGenerator[str]:
    """The document, piece by piece; an event a line."""
    head = {
        "format": FORMAT,
        "exportedAt": at.isoformat(timespec="milliseconds"),
        "project": person.project_id,
        "userId": person.account_id,
        "subject": person.stream,
        "readModels": {table: await _rows(log, table, column, person.stream) for table, column in SPEAK_OF.items()},
    }
    yield harmless_json(head, indent=2).removesuffix("\n}") + ',\n  "events": ['
    opening, closed = Opening(log.keys), Opening(log.keys, redact=True)
    first = True
    for begin in range(0, len(found), _ROWS):
        rows = [EventRow._make(row) for row in await log.reads.fetch(_EVENTS, (found[begin : begin + _ROWS],))]
        # What somebody did to another person's account is known of that person.
        others = [row for row in rows if row.stream.startswith("account-") and row.stream != person.stream]
        shown = await answered(log.reads, opening.records([row for row in rows if row not in others]))
        hidden = await answered(log.reads, closed.records(others))
        for each in sorted([*(_own(each, person) for each in shown), *hidden], key=lambda record: record.position):
            yield f"{'' if first else ','}\n    {harmless_json(_event(each))}"
            first = False
        await asyncio.sleep(0)
    yield "\n  ]\n}\n"


def _own(record: Record, person: PersonRow) -> Record:
    """Where another person acted from is known of that person."""
    who, _, impersonator = record.actor.partition("<")
    device = impersonator or who.partition(":")[2]
    if not device.startswith("account-") or device == person.stream:
        return record
    return replace(record, ip=record.ip and REDACTED, user_agent=record.user_agent and REDACTED)


def _event(record: Record) -> dict[str, Any]:
    fields = asdict(record)
    fields["data"] = {name: value for name, value in fields["data"].items() if not is_hidden(name)}
    return fields


async def _rows(log: EventLog, table: str, column: str, stream: str) -> list[dict[str, Any]]:
    found = await log.reads.fetch(f"SELECT to_jsonb(t) FROM {table} AS t WHERE {column} = %s", (stream,))
    return [
        {
            name: from_json(value) if name in _TEXTS else value
            for name, value in row.items()
            if not is_hidden(name) and name not in DERIVED
        }
        for (row,) in found
    ]
