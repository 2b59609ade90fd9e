"""Accounts at providers that open accounts here. The providers' tokens stay in the log, sealed."""

from collections.abc import Awaitable
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

from accounts_es.domain.account import events
from accounts_es.domain.event import Recorded
from accounts_es.eventstore.listing import Asked, Attribute, Kind, Listing
from accounts_es.eventstore.pages import page
from accounts_es.eventstore.projection import Projection, Tx
from accounts_es.eventstore.reads import Lookup, Reads, columns

projection = Projection(
    name="identities",
    tables=("identities_v1",),
    ddl="""
    CREATE TABLE identities_v1 (
        stream text NOT NULL,
        identity_id text NOT NULL,
        version bigint NOT NULL,
        position bigint NOT NULL,
        project_id text NOT NULL,
        provider text NOT NULL,
        provider_uid text NOT NULL,
        provider_email text NOT NULL,
        access_token_expires_at timestamptz,
        created_at timestamptz NOT NULL,
        updated_at timestamptz NOT NULL,
        PRIMARY KEY (stream, identity_id)
    );
    CREATE INDEX identities_v1_id ON identities_v1 (project_id, identity_id);
    CREATE INDEX identities_v1_uid ON identities_v1 (project_id, provider, provider_uid);
    CREATE INDEX identities_v1_email ON identities_v1 (project_id, provider_email);
    CREATE INDEX identities_v1_order ON identities_v1 (project_id, position, identity_id);
    """,
)


class IdentityRow(NamedTuple):
    """One identity. ``stream`` is that of its account."""

    stream: str
    identity_id: str
    position: int
    project_id: str
    provider: str
    provider_uid: str
    provider_email: str
    access_token_expires_at: datetime | None
    created_at: datetime
    updated_at: datetime


# One function per event -----------------------------------------------------------------------------------------------


@projection.on(events.IdentityLinked)
def identity_linked(tx: Tx, recorded: Recorded[events.IdentityLinked]) -> None:
    """A new row, or newer tokens on the one there is."""
    event, meta = recorded.event, recorded.meta
    tx.execute(
        """INSERT INTO identities_v1 (stream, identity_id, version, position, project_id, provider, provider_uid,
               provider_email, access_token_expires_at, created_at, updated_at)
           VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
           ON CONFLICT (stream, identity_id) DO UPDATE SET version = EXCLUDED.version,
               provider_email = EXCLUDED.provider_email, access_token_expires_at = EXCLUDED.access_token_expires_at,
               updated_at = EXCLUDED.updated_at WHERE identities_v1.version < EXCLUDED.version""",
        (
            recorded.stream,
            event.identity_id,
            recorded.stream_version,
            recorded.position,
            meta.project,
            event.provider,
            event.provider_uid,
            event.provider_email,
            event.access_token_expires_at,
            meta.at,
            meta.at,
        ),
    )


@projection.on(events.IdentityRemoved)
def identity_removed(tx: Tx, recorded: Recorded[events.IdentityRemoved]) -> None:
    """No row."""
    tx.execute(
        "DELETE FROM identities_v1 WHERE stream = %s AND identity_id = %s AND version < %s",
        (recorded.stream, recorded.event.identity_id, recorded.stream_version),
    )


@projection.on(events.AccountDeleted)
def account_deleted(tx: Tx, recorded: Recorded[events.AccountDeleted]) -> None:
    """No rows."""
    tx.execute(
        "DELETE FROM identities_v1 WHERE stream = %s AND version < %s",
        (recorded.stream, recorded.stream_version),
    )


# Queries --------------------------------------------------------------------------------------------------------------

_SELECT = f"SELECT {columns(IdentityRow)} FROM identities_v1"
OF_STREAM = f"{_SELECT} WHERE stream = %s ORDER BY position, identity_id"
"""The identities of the account of a stream, oldest first."""

BY_UID = Lookup(
    sql=f"""{_SELECT} JOIN unnest(%s::text[], %s::text[], %s::text[]) AS wanted (p, by, uid)
            ON project_id = p AND provider = by AND provider_uid = uid""",
    row=IdentityRow._make,
    key=lambda row: (row.project_id, row.provider, row.provider_uid),
)
BY_ID = Lookup(
    sql=f"{_SELECT} JOIN unnest(%s::text[], %s::text[]) AS wanted (p, i) ON project_id = p AND identity_id = i",
    row=IdentityRow._make,
    key=lambda row: (row.project_id, row.identity_id),
)


BY_EMAIL = Lookup(
    sql=f"""{_SELECT} JOIN unnest(%s::text[], %s::text[]) AS wanted (p, e)
            ON project_id = p AND provider_email = e""",
    row=IdentityRow._make,
    key=lambda row: (row.project_id, row.provider_email),
)


def find_by_email(reads: Reads, project_id: str, email: str) -> Awaitable[IdentityRow | None]:
    """An identity whose provider knows it by this address; all there are belong to one account."""
    return reads.load(BY_EMAIL, (project_id, email))


def find_by_uid(reads: Reads, project_id: str, provider: str, provider_uid: str) -> Awaitable[IdentityRow | None]:
    """Whom this id at this provider opens."""
    return reads.load(BY_UID, (project_id, provider, provider_uid))


def find(reads: Reads, project_id: str, identity_id: str) -> Awaitable[IdentityRow | None]:
    """The identity with this id."""
    return reads.load(BY_ID, (project_id, identity_id))


_UNKNOWN = "'-infinity'::timestamptz"

LISTING = Listing(
    row=IdentityRow._make,
    columns=columns(IdentityRow),
    source="identities_v1",
    scope="stream = %s",
    id="identity_id",
    sequence="position",
    attributes={
        "id": Attribute('(identity_id COLLATE "C")', Kind.TEXT),
        "sequence": Attribute("position", Kind.NUMBER),
        "created_at": Attribute("created_at", Kind.TIME, turns_ties=True),
        "updated_at": Attribute("updated_at", Kind.TIME, turns_ties=True),
        "provider": Attribute('(provider COLLATE "C")', Kind.TEXT),
        "provider_uid": Attribute('(provider_uid COLLATE "C")', Kind.TEXT),
        "provider_email": Attribute('(lower(provider_email) COLLATE "C")', Kind.TEXT, caseless=True),
        "access_token_expires_at": Attribute(
            f"coalesce(access_token_expires_at, {_UNKNOWN})", Kind.TIME, absent=_UNKNOWN
        ),
    },
)


# Whose they are is the accounts' business; the list only asks for it where a query does.
_ACCOUNT_ID = "(SELECT account_id FROM accounts_v2 WHERE accounts_v2.stream = identities_v1.stream)"

IDENTITIES_OF_PROJECT = replace(
    LISTING,
    scope="project_id = %s",
    attributes={**LISTING.attributes, "account_id": Attribute(f"coalesce({_ACCOUNT_ID}, '')", Kind.TEXT)},
)


async def list_identities_of_project(
    reads: Reads, project_id: str, *, asked: Asked, search: str | None = None, with_total: bool = True
) -> tuple[list[IdentityRow], int]:
    """A page of the identities of all accounts, and how many match in all. See `pages.page`."""
    return await page(reads, IDENTITIES_OF_PROJECT, (project_id,), asked, search=search, with_total=with_total)


async def list_identities(
    reads: Reads, stream: str, *, asked: Asked, with_total: bool = True
) -> tuple[list[IdentityRow], int]:
    """A page of the identities of an account, and how many match in all. See `pages.page`."""
    return await page(reads, LISTING, (stream,), asked, with_total=with_total)
