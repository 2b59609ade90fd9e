"""Projects and their platforms: what every request is checked against first."""

from collections.abc import Awaitable
from datetime import datetime
from typing import NamedTuple

from accounts_es.domain.errors import ProjectNotFound
from accounts_es.domain.event import Recorded
from accounts_es.domain.project import events
from accounts_es.eventstore.projection import Projection, Tx
from accounts_es.eventstore.reads import Lookup, Reads, columns

projection = Projection(
    name="projects",
    tables=("projects_v1", "platforms_v1"),
    ddl="""
    CREATE TABLE projects_v1 (
        project_id text PRIMARY KEY,
        stream text NOT NULL,
        version bigint NOT NULL,
        name text NOT NULL,
        hostnames text[] NOT NULL DEFAULT '{}',
        created_at timestamptz NOT NULL
    );
    CREATE TABLE platforms_v1 (
        project_id text NOT NULL,
        platform_id text NOT NULL,
        version bigint NOT NULL,
        hostname text NOT NULL,
        PRIMARY KEY (project_id, platform_id)
    );
    """,
)


class ProjectRow(NamedTuple):
    """One project. ``hostnames`` are those of its platforms."""

    project_id: str
    stream: str
    name: str
    hostnames: list[str]
    created_at: datetime


# One function per event -----------------------------------------------------------------------------------------------


@projection.on(events.ProjectCreated)
def project_created(tx: Tx, recorded: Recorded[events.ProjectCreated]) -> None:
    """A new row."""
    tx.execute(
        """INSERT INTO projects_v1 (project_id, stream, version, name, created_at) VALUES (%s, %s, %s, %s, %s)
           ON CONFLICT (project_id) DO NOTHING""",
        (
            recorded.event.project_id,
            recorded.stream,
            recorded.stream_version,
            recorded.event.name,
            recorded.meta.at,
        ),
    )


@projection.on(events.PlatformAdded)
def platform_added(tx: Tx, recorded: Recorded[events.PlatformAdded]) -> None:
    """One more platform."""
    event, project = recorded.event, recorded.meta.project
    tx.execute(
        """INSERT INTO platforms_v1 (project_id, platform_id, version, hostname) VALUES (%s, %s, %s, %s)
           ON CONFLICT (project_id, platform_id) DO NOTHING""",
        (project, event.platform_id, recorded.stream_version, event.hostname),
    )
    _refresh_hostnames(tx, recorded)


@projection.on(events.PlatformRemoved)
def platform_removed(tx: Tx, recorded: Recorded[events.PlatformRemoved]) -> None:
    """One platform less."""
    tx.execute(
        "DELETE FROM platforms_v1 WHERE project_id = %s AND platform_id = %s AND version < %s",
        (recorded.meta.project, recorded.event.platform_id, recorded.stream_version),
    )
    _refresh_hostnames(tx, recorded)


def _refresh_hostnames(tx: Tx, recorded: Recorded[events.ProjectEvent]) -> None:
    tx.execute(
        """UPDATE projects_v1 SET version = %s, hostnames = COALESCE(
               (SELECT array_agg(p.hostname ORDER BY p.version) FROM platforms_v1 AS p
                WHERE p.project_id = projects_v1.project_id), '{}')
           WHERE stream = %s AND version < %s""",
        (recorded.stream_version, recorded.stream, recorded.stream_version),
    )


# Queries --------------------------------------------------------------------------------------------------------------

_SELECT = f"SELECT {columns(ProjectRow)} FROM projects_v1"

BY_ID = Lookup(sql=f"{_SELECT} WHERE project_id = ANY(%s)", row=ProjectRow._make, key=lambda row: (row.project_id,))


def find(reads: Reads, project_id: str) -> Awaitable[ProjectRow | None]:
    """The project with this id, if there is one. The read is on its way when this returns."""
    return reads.load(BY_ID, (project_id,))


async def get(reads: Reads, project_id: str) -> ProjectRow:
    """The project with this id. Raises `ProjectNotFound`."""
    row = await find(reads, project_id)
    if row is None:
        raise ProjectNotFound
    return row


async def list_projects(reads: Reads) -> list[ProjectRow]:
    """All projects, oldest first."""
    return [ProjectRow._make(row) for row in await reads.fetch(f"{_SELECT} ORDER BY created_at, project_id")]
