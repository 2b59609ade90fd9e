"""Whom there is something of, deleted or not: until they are erased.

Kept apart from the accounts, which know nobody who was deleted. It says when somebody was deleted and whether a legal
hold keeps them.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from accounts_es.domain.account import events
from accounts_es.domain.errors import UserNotFound
from accounts_es.domain.event import Recorded
from accounts_es.eventstore.projection import Projection, Tx
from accounts_es.eventstore.reads import Reads, columns

projection = Projection(
    name="people",
    tables=("people_v1",),
    ddl="""
    CREATE TABLE people_v1 (
        stream text PRIMARY KEY,
        version bigint NOT NULL,
        position bigint NOT NULL,
        project_id text NOT NULL,
        account_id text COLLATE "C" NOT NULL,
        deleted_at timestamptz,
        held_since timestamptz
    );
    CREATE INDEX people_v1_id ON people_v1 (project_id, account_id);
    CREATE INDEX people_v1_deleted ON people_v1 (project_id, deleted_at) WHERE deleted_at IS NOT NULL;
    """,
)


class PersonRow(NamedTuple):
    """Somebody who is not erased."""

    stream: str
    project_id: str
    account_id: str
    deleted_at: datetime | None
    held_since: datetime | None


# One function per event -----------------------------------------------------------------------------------------------


@projection.on(events.SignedUp)
def signed_up(tx: Tx, recorded: Recorded[events.SignedUp]) -> None:
    """A new row, or somebody whose deletion was undone."""
    tx.execute(
        """INSERT INTO people_v1 (stream, version, position, project_id, account_id) VALUES (%s, %s, %s, %s, %s)
           ON CONFLICT (stream) DO UPDATE SET deleted_at = NULL, version = EXCLUDED.version
           WHERE people_v1.version < EXCLUDED.version""",
        (
            recorded.stream,
            recorded.stream_version,
            recorded.position,
            recorded.meta.project,
            recorded.event.account_id,
        ),
    )


@projection.on(events.AccountDeleted)
def account_deleted(tx: Tx, recorded: Recorded[events.AccountDeleted]) -> None:
    """Gone from the accounts, not from the log."""
    tx.execute(
        "UPDATE people_v1 SET deleted_at = %s, version = %s WHERE stream = %s AND version < %s",
        (recorded.meta.at, recorded.stream_version, recorded.stream, recorded.stream_version),
    )


@projection.on(events.LegalHoldPlaced)
def legal_hold_placed(tx: Tx, recorded: Recorded[events.LegalHoldPlaced]) -> None:
    """Kept."""
    tx.execute(
        "UPDATE people_v1 SET held_since = %s, version = %s WHERE stream = %s AND version < %s",
        (recorded.meta.at, recorded.stream_version, recorded.stream, recorded.stream_version),
    )


@projection.on(events.LegalHoldLifted)
def legal_hold_lifted(tx: Tx, recorded: Recorded[events.LegalHoldLifted]) -> None:
    """Kept no longer."""
    tx.execute(
        "UPDATE people_v1 SET held_since = NULL, version = %s WHERE stream = %s AND version < %s",
        (recorded.stream_version, recorded.stream, recorded.stream_version),
    )


@projection.on(events.AccountErased)
def account_erased(tx: Tx, recorded: Recorded[events.AccountErased]) -> None:
    """No row."""
    tx.execute("DELETE FROM people_v1 WHERE stream = %s AND version < %s", (recorded.stream, recorded.stream_version))


# Queries --------------------------------------------------------------------------------------------------------------

_SELECT = f"SELECT {columns(PersonRow)} FROM people_v1"


async def get(reads: Reads, project_id: str, account_id: str) -> PersonRow:
    """Who has this id, or else who had it last. Raises `UserNotFound`."""
    rows = await reads.fetch(
        f"{_SELECT} WHERE project_id = %s AND account_id = %s ORDER BY deleted_at DESC NULLS FIRST LIMIT 1",
        (project_id, account_id),
    )
    if not rows:
        raise UserNotFound
    return PersonRow._make(rows[0])


async def list_deleted(
    reads: Reads, project_id: str, before: datetime, limit: int, after: PersonRow | None = None
) -> Sequence[PersonRow]:
    """Those who were deleted before a time and after somebody, the first ones first; without those that a legal hold
    keeps."""
    rows = await reads.fetch(
        f"""{_SELECT} WHERE project_id = %s AND deleted_at < %s AND held_since IS NULL
            AND (%s::timestamptz IS NULL OR (deleted_at, stream) > (%s, %s))
            ORDER BY deleted_at, stream LIMIT %s""",
        (
            project_id,
            before,
            after and after.deleted_at,
            after and after.deleted_at,
            after.stream if after else "",
            limit,
        ),
    )
    return [PersonRow._make(row) for row in rows]
