"""API keys, found by the hash of the key text only the server's operator holds."""

from collections.abc import Awaitable
from datetime import datetime
from typing import NamedTuple

from accounts_es.domain.event import Recorded
from accounts_es.domain.project import events
from accounts_es.eventstore.projection import Projection, Tx
from accounts_es.eventstore.reads import Lookup, Reads, columns

projection = Projection(
    name="api_keys",
    tables=("api_keys_v1",),
    ddl="""
    CREATE TABLE api_keys_v1 (
        project_id text NOT NULL,
        key_id text NOT NULL,
        version bigint NOT NULL,
        name text NOT NULL,
        scopes text[] NOT NULL,
        secret_hash text NOT NULL,
        expires_at timestamptz,
        created_at timestamptz NOT NULL,
        PRIMARY KEY (project_id, key_id)
    );
    CREATE UNIQUE INDEX api_keys_v1_secret ON api_keys_v1 (secret_hash);
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


@projection.on(events.ApiKeyCreated)
def api_key_created(tx: Tx, recorded: Recorded[events.ApiKeyCreated]) -> None:
    """A new row."""
    event = recorded.event
    tx.execute(
        """INSERT INTO api_keys_v1 (project_id, key_id, version, name, scopes, secret_hash, expires_at, created_at)
           VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (project_id, key_id) DO NOTHING""",
        (
            recorded.meta.project,
            event.key_id,
            recorded.stream_version,
            event.name,
            list(event.scopes),
            event.secret_hash,
            event.expires_at,
            recorded.meta.at,
        ),
    )


@projection.on(events.ApiKeyDeleted)
def api_key_deleted(tx: Tx, recorded: Recorded[events.ApiKeyDeleted]) -> None:
    """No row."""
    tx.execute(
        "DELETE FROM api_keys_v1 WHERE project_id = %s AND key_id = %s AND version < %s",
        (recorded.meta.project, recorded.event.key_id, recorded.stream_version),
    )


_SELECT = f"SELECT {columns(ApiKeyRow)} FROM api_keys_v1"

BY_SECRET = Lookup(
    sql=f"{_SELECT} WHERE secret_hash = ANY(%s)", row=ApiKeyRow._make, key=lambda row: (row.secret_hash,)
)


def find_by_secret_hash(reads: Reads, secret_hash: str) -> Awaitable[ApiKeyRow | None]:
    """The key whose text has this SHA-256 (hex), expired or not. The read is on its way when this returns."""
    return reads.load(BY_SECRET, (secret_hash,))


async def list_keys(reads: Reads, project_id: str) -> list[ApiKeyRow]:
    """The keys of a project, oldest first."""
    rows = await reads.fetch(f"{_SELECT} WHERE project_id = %s ORDER BY created_at, key_id", (project_id,))
    return [ApiKeyRow._make(row) for row in rows]
