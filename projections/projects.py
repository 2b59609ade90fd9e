"""Projects and their platforms: what every request is checked against first."""

from collections.abc import Awaitable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

from pydantic_core import from_json, to_json

from accounts_es.domain.errors import ProjectNotFound
from accounts_es.domain.event import Recorded
from accounts_es.domain.project import Policies, events
from accounts_es.eventstore.projection import Projection, Tx
from accounts_es.eventstore.reads import Lookup, Reads, columns

projection = Projection(
    name="projects",
    tables=("projects_v2", "platforms_v2"),
    ddl="""
    CREATE TABLE projects_v2 (
        project_id text PRIMARY KEY,
        stream text NOT NULL,
        version bigint NOT NULL,
        name text NOT NULL,
        hostnames text[] NOT NULL DEFAULT '{}',
        settings text NOT NULL DEFAULT '{}',
        created_at timestamptz NOT NULL
    );
    CREATE TABLE platforms_v2 (
        project_id text NOT NULL,
        platform_id text NOT NULL,
        version bigint NOT NULL,
        hostname text NOT NULL,
        PRIMARY KEY (project_id, platform_id)
    );
    """,
)


class ProjectRow(NamedTuple):
    """One project. ``hostnames`` are those of its platforms, an app's is ``<kind>:<identifier>``.

    ``settings`` is a JSON text, see `Rules`.
    """

    project_id: str
    stream: str
    name: str
    hostnames: list[str]
    settings: str
    created_at: datetime

    @property
    def rules(self) -> "Rules":
        """Its settings, read."""
        return _rules(self.settings)


class Rules(NamedTuple):
    """What a project decided about how people use it. ``mock_phones`` maps numbers to codes.

    ``own_smtp``: its mail leaves by a server of its own.
    """

    policies: Policies
    methods_off: frozenset[str]
    mock_phones: Mapping[str, str]
    own_smtp: bool
    services_off: frozenset[str]
    protocols_off: frozenset[str]


@lru_cache(maxsize=256)
def _rules(settings: str) -> Rules:
    stored = from_json(settings)
    policies = Policies()
    for policy, changed in stored.get("policies", {}).items():
        policies = policies.after(policy, changed)
    return Rules(
        policies,
        frozenset(stored.get("methods_off", {})),
        stored.get("mock_phones", {}),
        stored.get("smtp", {}).get("enabled", False),
        frozenset(stored.get("services_off", {})),
        frozenset(stored.get("protocols_off", {})),
    )


# One function per event -----------------------------------------------------------------------------------------------


@projection.on(events.ProjectCreated)
def project_created(tx: Tx, recorded: Recorded[events.ProjectCreated]) -> None:
    """A new row."""
    tx.execute(
        """INSERT INTO projects_v2 (project_id, stream, version, name, created_at) VALUES (%s, %s, %s, %s, %s)
           ON CONFLICT (project_id) DO NOTHING""",
        (
            recorded.event.project_id,
            recorded.stream,
            recorded.stream_version,
            recorded.event.name,
            recorded.meta.at,
        ),
    )


@projection.on(events.ProjectRenamed)
def project_renamed(tx: Tx, recorded: Recorded[events.ProjectRenamed]) -> None:
    """Another name."""
    tx.execute(
        "UPDATE projects_v2 SET version = %s, name = %s WHERE stream = %s AND version < %s",
        (recorded.stream_version, recorded.event.name, recorded.stream, recorded.stream_version),
    )


@projection.on(events.PlatformAdded)
def platform_added(tx: Tx, recorded: Recorded[events.PlatformAdded]) -> None:
    """One more platform."""
    event, project = recorded.event, recorded.meta.project
    hostname = event.identifier if event.kind == "web" else f"{event.kind}:{event.identifier}"
    tx.execute(
        """INSERT INTO platforms_v2 (project_id, platform_id, version, hostname) VALUES (%s, %s, %s, %s)
           ON CONFLICT (project_id, platform_id) DO NOTHING""",
        (project, event.platform_id, recorded.stream_version, hostname),
    )
    _refresh_hostnames(tx, recorded)


@projection.on(events.PlatformChanged)
def platform_changed(tx: Tx, recorded: Recorded[events.PlatformChanged]) -> None:
    """Another host, or another app of the same kind."""
    event, project = recorded.event, recorded.meta.project
    tx.execute(
        """UPDATE platforms_v2 SET version = %s, hostname = COALESCE(substring(hostname FROM '^[a-z]+:'), '') || %s
           WHERE project_id = %s AND platform_id = %s AND version < %s""",
        (recorded.stream_version, event.identifier, project, event.platform_id, recorded.stream_version),
    )
    _refresh_hostnames(tx, recorded)


@projection.on(events.PlatformRemoved)
def platform_removed(tx: Tx, recorded: Recorded[events.PlatformRemoved]) -> None:
    """One platform less."""
    tx.execute(
        "DELETE FROM platforms_v2 WHERE project_id = %s AND platform_id = %s AND version < %s",
        (recorded.meta.project, recorded.event.platform_id, recorded.stream_version),
    )
    _refresh_hostnames(tx, recorded)


@projection.on(events.PolicyChanged)
def policy_changed(tx: Tx, recorded: Recorded[events.PolicyChanged]) -> None:
    """The settings named, over those set before."""
    event = recorded.event
    _merge(tx, recorded, "policies", event.policy, to_json(event.settings).decode())


@projection.on(events.AuthMethodSwitched)
def auth_method_switched(tx: Tx, recorded: Recorded[events.AuthMethodSwitched]) -> None:
    """One more or one less of the methods that are off."""
    _switch(tx, recorded, "methods_off", recorded.event.method, on=recorded.event.enabled)


@projection.on(events.ServiceSwitched)
def service_switched(tx: Tx, recorded: Recorded[events.ServiceSwitched]) -> None:
    """One more or one less of the services that are off."""
    _switch(tx, recorded, "services_off", recorded.event.service, on=recorded.event.enabled)


@projection.on(events.ProtocolSwitched)
def protocol_switched(tx: Tx, recorded: Recorded[events.ProtocolSwitched]) -> None:
    """One more or one less of the protocols that are off."""
    _switch(tx, recorded, "protocols_off", recorded.event.protocol, on=recorded.event.enabled)


@projection.on(events.MockPhoneAdded)
def mock_phone_added(tx: Tx, recorded: Recorded[events.MockPhoneAdded]) -> None:
    """A number and its code."""
    _merge(tx, recorded, "mock_phones", recorded.event.number, to_json(recorded.event.otp).decode())


@projection.on(events.MockPhoneChanged)
def mock_phone_changed(tx: Tx, recorded: Recorded[events.MockPhoneChanged]) -> None:
    """Another code."""
    _merge(tx, recorded, "mock_phones", recorded.event.number, to_json(recorded.event.otp).decode())


@projection.on(events.MockPhoneRemoved)
def mock_phone_removed(tx: Tx, recorded: Recorded[events.MockPhoneRemoved]) -> None:
    """The number is gone."""
    _cut(tx, recorded, "mock_phones", recorded.event.number)


@projection.on(events.SmtpConfigured)
def smtp_configured(tx: Tx, recorded: Recorded[events.SmtpConfigured]) -> None:
    """Whether there is one; what it is stays sealed in the log."""
    _merge(tx, recorded, "smtp", "enabled", to_json(recorded.event.enabled).decode())


def _switch(tx: Tx, recorded: Recorded[events.ProjectEvent], group: str, key: str, *, on: bool) -> None:
    """Take what is on out of what is off, or put it there."""
    if on:
        _cut(tx, recorded, group, key)
    else:
        _merge(tx, recorded, group, key, "{}")


def _merge(tx: Tx, recorded: Recorded[events.ProjectEvent], group: str, key: str, value: str) -> None:
    """Set a key of a group of the settings; an object goes over the one that is there."""
    version = recorded.stream_version
    tx.execute(
        """UPDATE projects_v2 SET version = %s, settings = (settings::jsonb || jsonb_build_object(%s::text,
               COALESCE(settings::jsonb -> %s::text, '{}') || jsonb_build_object(%s::text,
                   CASE WHEN jsonb_typeof(%s::jsonb) = 'object'
                        THEN COALESCE(settings::jsonb -> %s::text -> %s::text, '{}') || %s::jsonb
                        ELSE %s::jsonb END)))::text
           WHERE stream = %s AND version < %s""",
        (version, group, group, key, value, group, key, value, value, recorded.stream, version),
    )


def _cut(tx: Tx, recorded: Recorded[events.ProjectEvent], group: str, key: str) -> None:
    """Take a key out of a group of the settings."""
    version = recorded.stream_version
    tx.execute(
        """UPDATE projects_v2 SET version = %s, settings = (settings::jsonb #- ARRAY[%s, %s])::text
           WHERE stream = %s AND version < %s""",
        (version, group, key, recorded.stream, version),
    )


def _refresh_hostnames(tx: Tx, recorded: Recorded[events.ProjectEvent]) -> None:
    tx.execute(
        """UPDATE projects_v2 SET version = %s, hostnames = COALESCE(
               (SELECT array_agg(p.hostname ORDER BY p.version) FROM platforms_v2 AS p
                WHERE p.project_id = projects_v2.project_id), '{}')
           WHERE stream = %s AND version < %s""",
        (recorded.stream_version, recorded.stream, recorded.stream_version),
    )


# Queries --------------------------------------------------------------------------------------------------------------

_SELECT = f"SELECT {columns(ProjectRow)} FROM projects_v2"

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
