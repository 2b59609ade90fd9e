"""Accounts as the API reads them back: one row per account."""

import re
from collections.abc import Awaitable
from datetime import datetime
from typing import NamedTuple

from pydantic_core import to_json

from accounts_es.domain.account import events
from accounts_es.domain.errors import GeneralCursorNotFound, UserNotFound
from accounts_es.domain.event import Recorded
from accounts_es.eventstore.projection import Projection, Tx
from accounts_es.eventstore.reads import Lookup, Reads, columns

projection = Projection(
    name="accounts",
    tables=("accounts_v1",),
    ddl="""
    CREATE TABLE accounts_v1 (
        stream text PRIMARY KEY,
        version bigint NOT NULL,
        position bigint NOT NULL,
        project_id text NOT NULL,
        account_id text NOT NULL,
        email text,
        phone text,
        name text NOT NULL,
        password_hash text,
        password_updated_at timestamptz,
        active boolean NOT NULL DEFAULT true,
        email_verified boolean NOT NULL DEFAULT false,
        phone_verified boolean NOT NULL DEFAULT false,
        labels text[] NOT NULL DEFAULT '{}',
        prefs text NOT NULL DEFAULT '{}',
        targets text NOT NULL DEFAULT '[]',
        created_at timestamptz NOT NULL,
        updated_at timestamptz NOT NULL,
        accessed_at timestamptz,
        words tsvector NOT NULL GENERATED ALWAYS AS
            (log.search_words(ARRAY[account_id, email, phone, name] || labels)) STORED
    ) WITH (fillfactor = 80);
    -- Not unique: that is the claims' business, and within a batch a rebuild may see an id's next owner before the
    -- last one leaves.
    CREATE INDEX accounts_v1_id ON accounts_v1 (project_id, account_id);
    CREATE UNIQUE INDEX accounts_v1_order ON accounts_v1 (project_id, position);
    CREATE INDEX accounts_v1_email ON accounts_v1 (project_id, email);
    CREATE INDEX accounts_v1_words ON accounts_v1 USING gin (words);
    """,
)


class AccountRow(NamedTuple):
    """One account. ``prefs`` and ``targets`` are JSON texts; ``position`` is its place in the order of sign-ups.

    Two rows of one ``stream`` and ``version`` are equal: every change of a row is an event of its stream.
    """

    stream: str
    version: int
    position: int
    project_id: str
    account_id: str
    email: str | None
    phone: str | None
    name: str
    password_hash: str | None
    password_updated_at: datetime | None
    active: bool
    email_verified: bool
    phone_verified: bool
    labels: list[str]
    prefs: str
    targets: str
    created_at: datetime
    updated_at: datetime
    accessed_at: datetime | None


# One function per event -----------------------------------------------------------------------------------------------


@projection.on(events.SignedUp)
def signed_up(tx: Tx, recorded: Recorded[events.SignedUp]) -> None:
    """A new row."""
    event, at = recorded.event, recorded.meta.at
    tx.execute(
        """INSERT INTO accounts_v1 (stream, version, position, project_id, account_id, email, phone, name,
               password_hash, password_updated_at, created_at, updated_at, accessed_at)
           VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (stream) DO NOTHING""",
        (
            recorded.stream,
            recorded.stream_version,
            recorded.position,
            recorded.meta.project,
            event.account_id,
            event.email,
            event.phone,
            event.name,
            event.password_hash,
            at if event.password_hash else None,
            at,
            at,
            at,
        ),
    )


@projection.on(events.TargetAdded)
def target_added(tx: Tx, recorded: Recorded[events.TargetAdded]) -> None:
    """One more entry in ``targets``, in the order of the events."""
    event = recorded.event
    target = to_json(
        [
            {
                "target_id": event.target_id,
                "provider_type": event.provider_type,
                "identifier": event.identifier,
                "created_at": recorded.meta.at.isoformat(),
            }
        ]
    ).decode()
    tx.execute(
        """UPDATE accounts_v1 SET targets = (targets::jsonb || %s::jsonb)::text, version = %s, updated_at = %s
           WHERE stream = %s AND version < %s""",
        (target, *_change(recorded)),
    )


@projection.on(events.NameChanged)
def name_changed(tx: Tx, recorded: Recorded[events.NameChanged]) -> None:
    """Another name."""
    tx.execute(
        "UPDATE accounts_v1 SET name = %s, version = %s, updated_at = %s WHERE stream = %s AND version < %s",
        (recorded.event.name, *_change(recorded)),
    )


@projection.on(events.PrefsUpdated)
def prefs_updated(tx: Tx, recorded: Recorded[events.PrefsUpdated]) -> None:
    """Other preferences, kept as JSON text so that keys stay in the order they came in."""
    tx.execute(
        "UPDATE accounts_v1 SET prefs = %s, version = %s, updated_at = %s WHERE stream = %s AND version < %s",
        (to_json(recorded.event.prefs).decode(), *_change(recorded)),
    )


@projection.on(events.LabelAdded)
def label_added(tx: Tx, recorded: Recorded[events.LabelAdded]) -> None:
    """One more label, at the end."""
    tx.execute(
        """UPDATE accounts_v1 SET labels = array_append(labels, %s), version = %s, updated_at = %s
           WHERE stream = %s AND version < %s""",
        (recorded.event.label, *_change(recorded)),
    )


@projection.on(events.LabelRemoved)
def label_removed(tx: Tx, recorded: Recorded[events.LabelRemoved]) -> None:
    """One label less."""
    tx.execute(
        """UPDATE accounts_v1 SET labels = array_remove(labels, %s), version = %s, updated_at = %s
           WHERE stream = %s AND version < %s""",
        (recorded.event.label, *_change(recorded)),
    )


@projection.on(events.VerifiedEmail)
def verified_email(tx: Tx, recorded: Recorded[events.VerifiedEmail]) -> None:
    """The address counts as verified."""
    _set_email_verified(tx, recorded, verified=True)


@projection.on(events.EmailVerificationRevoked)
def email_verification_revoked(tx: Tx, recorded: Recorded[events.EmailVerificationRevoked]) -> None:
    """The address no longer counts as verified."""
    _set_email_verified(tx, recorded, verified=False)


@projection.on(events.Accessed)
def accessed(tx: Tx, recorded: Recorded[events.Accessed]) -> None:
    """Used just now. The account did not change: ``updated_at`` stays."""
    tx.execute(
        "UPDATE accounts_v1 SET accessed_at = %s, version = %s WHERE stream = %s AND version < %s",
        (recorded.meta.at, recorded.stream_version, recorded.stream, recorded.stream_version),
    )


@projection.on(events.AccountDeleted)
def account_deleted(tx: Tx, recorded: Recorded[events.AccountDeleted]) -> None:
    """No row."""
    tx.execute(
        "DELETE FROM accounts_v1 WHERE stream = %s AND version < %s",
        (recorded.stream, recorded.stream_version),
    )


def _set_email_verified(
    tx: Tx, recorded: Recorded[events.VerifiedEmail | events.EmailVerificationRevoked], *, verified: bool
) -> None:
    tx.execute(
        "UPDATE accounts_v1 SET email_verified = %s, version = %s, updated_at = %s WHERE stream = %s AND version < %s",
        (verified, *_change(recorded)),
    )


def _change(recorded: Recorded[events.AccountEvent]) -> tuple[int, datetime, str, int]:
    """The parameters every change ends with."""
    return recorded.stream_version, recorded.meta.at, recorded.stream, recorded.stream_version


# Queries --------------------------------------------------------------------------------------------------------------

_SELECT = f"SELECT {columns(AccountRow)} FROM accounts_v1"

BY_STREAM = Lookup(sql=f"{_SELECT} WHERE stream = ANY(%s)", row=AccountRow._make, key=lambda row: (row.stream,))

BY_ID = Lookup(
    sql=f"{_SELECT} JOIN unnest(%s::text[], %s::text[]) AS wanted (p, i) ON project_id = p AND account_id = i",
    row=AccountRow._make,
    key=lambda row: (row.project_id, row.account_id),
)

BY_EMAIL = Lookup(
    sql=f"{_SELECT} JOIN unnest(%s::text[], %s::text[]) AS wanted (p, e) ON project_id = p AND email = e",
    row=AccountRow._make,
    key=lambda row: (row.project_id, row.email or ""),
)


def find(reads: Reads, project_id: str, account_id: str) -> Awaitable[AccountRow | None]:
    """The account with this id in this project, if there is one. The read is on its way when this returns."""
    return reads.load(BY_ID, (project_id, account_id))


async def find_by_email(reads: Reads, project_id: str, email: str) -> AccountRow | None:
    """The account that signs in with this (lower-case) address, if there is one."""
    return await reads.load(BY_EMAIL, (project_id, email))


async def get(reads: Reads, project_id: str, account_id: str) -> AccountRow:
    """The account with this id in this project. Raises `UserNotFound`."""
    return _found(await find(reads, project_id, account_id))


async def get_by_stream(reads: Reads, stream: str) -> AccountRow:
    """The account of this stream. Raises `UserNotFound`."""
    return _found(await reads.load(BY_STREAM, (stream,)))


def _found(row: AccountRow | None) -> AccountRow:
    if row is None:
        raise UserNotFound
    return row


class Page(NamedTuple):
    """Which part of a list: at most ``limit`` rows after ``offset``, from a cursor (an account id) on."""

    limit: int = 25
    offset: int = 0
    cursor_after: str | None = None
    cursor_before: str | None = None


MAX_TOTAL = 5000
"""Contract: users, 1.3: totals are counted up to here."""


async def list_accounts(
    reads: Reads, project_id: str, *, page: Page, search: str | None = None, with_total: bool = True
) -> tuple[list[AccountRow], int]:
    """A page in the order of sign-ups, and how many match in all (0 unless asked for).

    Raises `GeneralCursorNotFound`.
    """
    where = "project_id = %s"
    params: list[object] = [project_id]
    if search is not None:
        query = _search_query(search)
        if not query:
            return [], 0
        where = f"{where} AND words @@ %s::tsquery"
        params.append(query)
    total = 0
    if with_total:
        counted = await reads.fetch(
            f"SELECT count(*) FROM (SELECT 1 FROM accounts_v1 WHERE {where} LIMIT {MAX_TOTAL}) AS matching",
            params,
        )
        total = counted[0][0]
    backwards = page.cursor_before is not None
    cursor = page.cursor_before if backwards else page.cursor_after
    if cursor is not None:
        start = await find(reads, project_id, cursor)
        if start is None:
            raise GeneralCursorNotFound
        where = f"{where} AND position {'<' if backwards else '>'} %s"
        params.append(start.position)
    rows = await reads.fetch(
        f"{_SELECT} WHERE {where} ORDER BY position {'DESC' if backwards else 'ASC'} LIMIT %s OFFSET %s",
        [*params, page.limit, page.offset],
    )
    accounts = [AccountRow._make(row) for row in rows]
    return (accounts[::-1] if backwards else accounts), total


def _search_query(search: str) -> str:
    """Any of the words, the last by its beginning; in double quotes all of them (contract: users-teams, part 5)."""
    words = re.findall(r"\w+", search.lower())
    if not words:
        return ""
    if len(search) > 1 and search.startswith('"') and search.endswith('"'):
        return " & ".join(f"'{word}'" for word in words)
    return " | ".join([*(f"'{word}'" for word in words[:-1]), f"'{words[-1]}':*"])
