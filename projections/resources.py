"""Protected resources, found by id and by who may read them."""

from collections.abc import Awaitable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Final, LiteralString, NamedTuple

from accounts_es.domain.errors import GeneralCursorNotFound, ResourceNotFound
from accounts_es.domain.event import Recorded
from accounts_es.domain.permissions import MalformedPermission, parse
from accounts_es.domain.resource import events
from accounts_es.eventstore.listing import Asked, Attribute, Kind, Listing
from accounts_es.eventstore.pages import MAX_TOTAL, page
from accounts_es.eventstore.projection import Projection, Tx
from accounts_es.eventstore.reads import Lookup, Reads, columns

projection = Projection(
    name="resources",
    tables=("resources_v2", "resource_readers_v1"),
    ddl="""
    CREATE TABLE resources_v2 (
        stream text PRIMARY KEY,
        version bigint NOT NULL,
        position bigint NOT NULL,
        project_id text NOT NULL,
        resource_type text COLLATE "C" NOT NULL,
        resource_id text COLLATE "C" NOT NULL,
        permissions text[] NOT NULL,
        -- The roles that may read, each with its type in front: so an index finds those of one list.
        readers text[] NOT NULL,
        created_at timestamptz NOT NULL,
        updated_at timestamptz NOT NULL
    );
    CREATE INDEX resources_v2_id ON resources_v2 (project_id, resource_type, resource_id);
    CREATE UNIQUE INDEX resources_v2_order ON resources_v2 (project_id, resource_type, position);
    CREATE INDEX resources_v2_readers ON resources_v2 USING gin (readers);
    -- The same in the order of the list, so that a page costs no more than a page, whatever else there is to read.
    CREATE TABLE resource_readers_v1 (
        reader text COLLATE "C" NOT NULL,
        position bigint NOT NULL,
        PRIMARY KEY (reader, position)
    );
    """,
)


class ResourceRow(NamedTuple):
    """One resource; ``permissions`` are in their written form, each of one action."""

    stream: str
    position: int
    project_id: str
    resource_type: str
    resource_id: str
    permissions: list[str]
    created_at: datetime
    updated_at: datetime


def reader(project_id: str, resource_type: str, role: str) -> str:
    """How a role that may read stands in the index."""
    return f"{project_id}/{resource_type}/{role}"


def _reading(permissions: Sequence[str]) -> list[str]:
    """The roles that may read. What is no permission (any more) lets nobody in."""
    roles: list[str] = []
    for each in permissions:
        with suppress(MalformedPermission):
            permission = parse(each)
            if permission.action == "read":
                roles.append(permission.role)
    return roles


# One function per event -----------------------------------------------------------------------------------------------


@projection.on(events.ResourceProtected)
def resource_protected(tx: Tx, recorded: Recorded[events.ResourceProtected]) -> None:
    """A new row."""
    event, meta = recorded.event, recorded.meta
    tx.execute(
        """INSERT INTO resources_v2 (stream, version, position, project_id, resource_type, resource_id, permissions,
               readers, created_at, updated_at)
           VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (stream) DO NOTHING""",
        (
            recorded.stream,
            recorded.stream_version,
            recorded.position,
            meta.project,
            event.resource_type,
            event.resource_id,
            list(event.permissions),
            [reader(meta.project, event.resource_type, role) for role in _reading(event.permissions)],
            meta.at,
            meta.at,
        ),
    )
    _let_read(tx, recorded)


@projection.on(events.PermissionsReplaced)
def permissions_replaced(tx: Tx, recorded: Recorded[events.PermissionsReplaced]) -> None:
    """Other permissions. The type is the row's own."""
    event, version = recorded.event, recorded.stream_version
    _let_nobody_read(tx, recorded)
    tx.execute(
        """UPDATE resources_v2 SET permissions = %s, version = %s, updated_at = %s,
               readers = (SELECT COALESCE(array_agg(project_id || '/' || resource_type || '/' || r ORDER BY n), '{}')
                          FROM unnest(%s::text[]) WITH ORDINALITY AS each (r, n))
           WHERE stream = %s AND version < %s""",
        (list(event.permissions), version, recorded.meta.at, _reading(event.permissions), recorded.stream, version),
    )
    _let_read(tx, recorded)


@projection.on(events.ResourceReleased)
def resource_released(tx: Tx, recorded: Recorded[events.ResourceReleased]) -> None:
    """No row."""
    _let_nobody_read(tx, recorded)
    tx.execute(
        "DELETE FROM resources_v2 WHERE stream = %s AND version < %s", (recorded.stream, recorded.stream_version)
    )


def _let_read(tx: Tx, recorded: Recorded[events.ResourceEvent]) -> None:
    """The readers of the row, if it is as this event left it."""
    tx.execute(
        """INSERT INTO resource_readers_v1 (reader, position)
           SELECT each, position FROM resources_v2, unnest(readers) AS each WHERE stream = %s AND version = %s
           ON CONFLICT DO NOTHING""",
        (recorded.stream, recorded.stream_version),
    )


def _let_nobody_read(tx: Tx, recorded: Recorded[events.ResourceEvent]) -> None:
    """None of the readers of the row, if it is as it was before this event."""
    tx.execute(
        """DELETE FROM resource_readers_v1 AS known USING resources_v2 AS row
           WHERE row.stream = %s AND row.version < %s
               AND known.reader = ANY(row.readers) AND known.position = row.position""",
        (recorded.stream, recorded.stream_version),
    )


# Queries --------------------------------------------------------------------------------------------------------------

_SELECT: Final = f"SELECT {columns(ResourceRow)} FROM resources_v2"

BY_ID = Lookup(
    sql=f"""{_SELECT} JOIN unnest(%s::text[], %s::text[], %s::text[]) AS wanted (p, t, i)
            ON project_id = p AND resource_type = t AND resource_id = i""",
    row=ResourceRow._make,
    key=lambda row: (row.project_id, row.resource_type, row.resource_id),
)


def find(reads: Reads, project_id: str, resource_type: str, resource_id: str) -> Awaitable[ResourceRow | None]:
    """The resource, if it is protected."""
    return reads.load(BY_ID, (project_id, resource_type, resource_id))


async def get_by_stream(reads: Reads, stream: str) -> ResourceRow:
    """The resource of this stream. Raises `ResourceNotFound`."""
    rows = await reads.fetch(f"{_SELECT} WHERE stream = %s", (stream,))
    if not rows:
        raise ResourceNotFound
    return ResourceRow._make(rows[0])


async def get(reads: Reads, project_id: str, resource_type: str, resource_id: str) -> ResourceRow:
    """The resource. Raises `ResourceNotFound`."""
    row = await find(reads, project_id, resource_type, resource_id)
    if row is None:
        raise ResourceNotFound
    return row


_ATTRIBUTES: Final = {
    "id": Attribute("resource_id", Kind.TEXT),
    "sequence": Attribute("position", Kind.NUMBER),
    "created_at": Attribute("created_at", Kind.TIME, turns_ties=True),
    "updated_at": Attribute("updated_at", Kind.TIME, turns_ties=True),
}


def _listing(scope: LiteralString) -> Listing[ResourceRow]:
    return Listing(
        row=ResourceRow._make,
        columns=columns(ResourceRow),
        source="resources_v2",
        scope=scope,
        id="resource_id",
        sequence="position",
        attributes=_ATTRIBUTES,
    )


ALL: Final = _listing("project_id = %s AND resource_type = %s")
READABLE: Final = _listing("project_id = %s AND resource_type = %s AND readers && %s::text[]")


async def list_resources(
    reads: Reads,
    project_id: str,
    resource_type: str,
    *,
    asked: Asked,
    roles: Sequence[str] | None = None,
    with_total: bool = True,
) -> tuple[list[ResourceRow], int]:
    """A page of the resources of a type, and how many there are: all, or those that one of the roles may read."""
    if roles is None:
        return await page(reads, ALL, (project_id, resource_type), asked, with_total=with_total)
    readers = [reader(project_id, resource_type, role) for role in roles]
    if _is_plain(asked) and len(readers) <= _MOST_READERS:
        return await _readable(reads, (project_id, resource_type), readers, asked, with_total=with_total)
    return await page(reads, READABLE, (project_id, resource_type, readers), asked, with_total=with_total)


# The plain list, page by page ----------------------------------------------------------------------------------------

_MOST_READERS: Final = 200
_MOST_ROWS: Final = 500
_READABLE = f"""{_SELECT} WHERE project_id = %s AND resource_type = %s AND position = ANY(ARRAY(
        SELECT DISTINCT first.position FROM unnest(%s::text[]) AS mine (reader) CROSS JOIN LATERAL (
            SELECT position FROM resource_readers_v1 AS known
            WHERE known.reader = mine.reader AND known.position > %s::bigint ORDER BY known.position LIMIT %s::bigint
        ) AS first ORDER BY first.position LIMIT %s::bigint OFFSET %s::bigint))
    ORDER BY position"""
_TOTAL = f"""SELECT count(*) FROM (
        SELECT DISTINCT first.position FROM unnest(%s::text[]) AS mine (reader) CROSS JOIN LATERAL (
            SELECT position FROM resource_readers_v1 AS known
            WHERE known.reader = mine.reader ORDER BY known.position LIMIT {MAX_TOTAL}
        ) AS first LIMIT {MAX_TOTAL}) AS readable"""


def _is_plain(asked: Asked) -> bool:
    """Whether it is a page of the list as it is, not far down. Such a page is as cheap as a few reads by key."""
    special = asked.filters or asked.orders or asked.shuffled or asked.backwards
    return not special and asked.limit + asked.offset <= _MOST_ROWS


async def _readable(
    reads: Reads, scope: tuple[str, str], readers: Sequence[str], asked: Asked, *, with_total: bool
) -> tuple[list[ResourceRow], int]:
    """What each role may read next, and the first of these; the plan is the same for everybody. Raises
    `GeneralCursorNotFound`."""
    after = 0
    if asked.cursor is not None:
        row = await find(reads, *scope, asked.cursor)
        if row is None:
            raise GeneralCursorNotFound
        after = row.position
    reached = asked.limit + asked.offset
    found = await reads.fetch(_READABLE, (*scope, list(readers), after, reached, asked.limit, asked.offset))
    rows = [ResourceRow._make(each) for each in found]
    if not with_total:
        return rows, 0
    if not after and asked.offset == 0 and len(rows) < asked.limit:
        return rows, len(rows)
    ((total,),) = await reads.scan(_TOTAL, (list(readers),))
    return rows, int(total)
