"""API keys, found by the hash of the key text only the server's operator holds."""

from collections.abc import Awaitable
from datetime import datetime
from typing import NamedTuple

from accounts_es.domain.errors import KeyNotFound
from accounts_es.domain.event import Recorded
from accounts_es.domain.project import events
from accounts_es.eventstore.listing import Asked, Attribute, Kind, Listing
from accounts_es.eventstore.pages import page
from accounts_es.eventstore.projection import Projection, Tx
from accounts_es.eventstore.reads import Lookup, Reads, columns

projection = Projection(
    name="api_keys",
    tables=("api_keys_v2",),
    ddl="""
    CREATE TABLE api_keys_v2 (
        project_id text NOT NULL,
        key_id text NOT NULL,
        version bigint NOT NULL,
        number bigint NOT NULL,
        name text NOT NULL,
        scopes text[] NOT NULL,
        secret_hash text NOT NULL,
        expires_at timestamptz,
        created_at timestamptz NOT NULL,
        updated_at timestamptz NOT NULL,
        used_at timestamptz,
        sdks text[] NOT NULL DEFAULT '{}',
        PRIMARY KEY (project_id, key_id)
    );
    CREATE UNIQUE INDEX api_keys_v2_secret ON api_keys_v2 (secret_hash);
    """,
)


class ApiKeyRow(NamedTuple):
    """One key and what it may do."""

    project_id: str
    key_id: str
    name: str
    scopes: list[str]
    secret_hash: str
    expires_at: datetime | None
    created_at: datetime
    updated_at: datetime
    used_at: datetime | None
    sdks: list[str]


@projection.on(events.ApiKeyCreated)
def api_key_created(tx: Tx, recorded: Recorded[events.ApiKeyCreated]) -> None:
    """A new row."""
    event = recorded.event
    tx.execute(
        """INSERT INTO api_keys_v2
               (project_id, key_id, version, number, name, scopes, secret_hash, expires_at, created_at, updated_at)
           VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (project_id, key_id) DO NOTHING""",
        (
            recorded.meta.project,
            event.key_id,
            recorded.stream_version,
            recorded.stream_version,
            event.name,
            list(event.scopes),
            event.secret_hash,
            event.expires_at,
            recorded.meta.at,
            recorded.meta.at,
        ),
    )


@projection.on(events.ApiKeyUpdated)
def api_key_updated(tx: Tx, recorded: Recorded[events.ApiKeyUpdated]) -> None:
    """All that can change."""
    event, version = recorded.event, recorded.stream_version
    tx.execute(
        """UPDATE api_keys_v2 SET version = %s, name = %s, scopes = %s, expires_at = %s, updated_at = %s
           WHERE project_id = %s AND key_id = %s AND version < %s""",
        (
            version,
            event.name,
            list(event.scopes),
            event.expires_at,
            recorded.meta.at,
            recorded.meta.project,
            event.key_id,
            version,
        ),
    )


@projection.on(events.ApiKeyUsed)
def api_key_used(tx: Tx, recorded: Recorded[events.ApiKeyUsed]) -> None:
    """When, and one more program if it is new."""
    event, version = recorded.event, recorded.stream_version
    tx.execute(
        """UPDATE api_keys_v2 SET version = %s, used_at = %s,
               sdks = CASE WHEN %s = '' OR %s = ANY(sdks) THEN sdks ELSE sdks || %s::text END
           WHERE project_id = %s AND key_id = %s AND version < %s""",
        (version, recorded.meta.at, event.sdk, event.sdk, event.sdk, recorded.meta.project, event.key_id, version),
    )


@projection.on(events.ApiKeyDeleted)
def api_key_deleted(tx: Tx, recorded: Recorded[events.ApiKeyDeleted]) -> None:
    """No row."""
    tx.execute(
        "DELETE FROM api_keys_v2 WHERE project_id = %s AND key_id = %s AND version < %s",
        (recorded.meta.project, recorded.event.key_id, recorded.stream_version),
    )


_SELECT = f"SELECT {columns(ApiKeyRow)} FROM api_keys_v2"

BY_SECRET = Lookup(
    sql=f"{_SELECT} WHERE secret_hash = ANY(%s)", row=ApiKeyRow._make, key=lambda row: (row.secret_hash,)
)

BY_ID = Lookup(
    sql=f"""{_SELECT} JOIN unnest(%s::text[], %s::text[]) AS wanted (project, key)
            ON project_id = wanted.project AND key_id = wanted.key""",
    row=ApiKeyRow._make,
    key=lambda row: (row.project_id, row.key_id),
)


def find_by_secret_hash(reads: Reads, secret_hash: str) -> Awaitable[ApiKeyRow | None]:
    """The key whose text has this SHA-256 (hex), expired or not. The read is on its way when this returns."""
    return reads.load(BY_SECRET, (secret_hash,))


def find(reads: Reads, project_id: str, key_id: str) -> Awaitable[ApiKeyRow | None]:
    """The key of a project with this id, expired or not. The read is on its way when this returns."""
    return reads.load(BY_ID, (project_id, key_id))


async def get(reads: Reads, project_id: str, key_id: str) -> ApiKeyRow:
    """The key of a project with this id. Raises `KeyNotFound`."""
    row = await find(reads, project_id, key_id)
    if row is None:
        raise KeyNotFound
    return row


_NOT_YET = "'-infinity'::timestamptz"

LISTING = Listing(
    row=ApiKeyRow._make,
    columns=columns(ApiKeyRow),
    source="api_keys_v2",
    scope="project_id = %s",
    id="key_id",
    sequence="number",
    attributes={
        "id": Attribute('(key_id COLLATE "C")', Kind.TEXT),
        "sequence": Attribute("number", Kind.NUMBER),
        "created_at": Attribute("created_at", Kind.TIME, turns_ties=True),
        "updated_at": Attribute("updated_at", Kind.TIME, turns_ties=True),
        "name": Attribute('(lower(name) COLLATE "C")', Kind.TEXT, caseless=True),
        "scopes": Attribute("scopes", Kind.TEXTS),
        "expires_at": Attribute(f"coalesce(expires_at, {_NOT_YET})", Kind.TIME, absent=_NOT_YET),
        "used_at": Attribute(f"coalesce(used_at, {_NOT_YET})", Kind.TIME, absent=_NOT_YET),
    },
)
"""An end that never comes is no end, and is ordered before the others."""


async def list_keys(
    reads: Reads, project_id: str, *, asked: Asked, with_total: bool = True
) -> tuple[list[ApiKeyRow], int]:
    """A page of the keys of a project, oldest first unless asked otherwise, and how many match. See `pages.page`."""
    return await page(reads, LISTING, (project_id,), asked, with_total=with_total)
