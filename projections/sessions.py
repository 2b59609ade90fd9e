"""Sessions as the API reads them back, found by the hash of the secret only the client holds."""

from collections.abc import Awaitable
from datetime import datetime
from typing import LiteralString, NamedTuple

from accounts_es.domain.account import events
from accounts_es.domain.errors import UserSessionNotFound
from accounts_es.domain.event import Recorded
from accounts_es.domain.project.events import DetailsForgotten
from accounts_es.eventstore.projection import Projection, Tx
from accounts_es.eventstore.reads import Lookup, Reads, columns

projection = Projection(
    name="sessions",
    tables=("sessions_v2",),
    ddl="""
    CREATE TABLE sessions_v2 (
        stream text NOT NULL,
        session_id text NOT NULL,
        version bigint NOT NULL,
        position bigint NOT NULL,
        project_id text NOT NULL,
        secret_hash text NOT NULL,
        provider text NOT NULL,
        provider_uid text NOT NULL,
        factors text[] NOT NULL,
        ip text NOT NULL,
        user_agent text NOT NULL,
        created_at timestamptz NOT NULL,
        updated_at timestamptz NOT NULL,
        expires_at timestamptz NOT NULL,
        factor_shown_at timestamptz,
        PRIMARY KEY (stream, session_id)
    );
    CREATE UNIQUE INDEX sessions_v2_secret ON sessions_v2 (secret_hash);
    """,
)


class SessionRow(NamedTuple):
    """One session. ``stream`` is that of its account, ``factor_shown_at`` when it last showed a second factor."""

    stream: str
    session_id: str
    position: int
    project_id: str
    secret_hash: str
    provider: str
    provider_uid: str
    factors: list[str]
    ip: str
    user_agent: str
    created_at: datetime
    updated_at: datetime
    expires_at: datetime
    factor_shown_at: datetime | None


class SessionKey(NamedTuple):
    """What tells whether a session is good: asked on every request, so no more than that."""

    stream: str
    session_id: str
    secret_hash: str
    expires_at: datetime
    factors: list[str]
    factor_shown_at: datetime | None


# One function per event -----------------------------------------------------------------------------------------------


@projection.on(events.SessionCreated)
def session_created(tx: Tx, recorded: Recorded[events.SessionCreated]) -> None:
    """A new row."""
    event, meta = recorded.event, recorded.meta
    tx.execute(
        """INSERT INTO sessions_v2 (stream, session_id, version, position, project_id, secret_hash, provider,
               provider_uid, factors, ip, user_agent, created_at, updated_at, expires_at)
           VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
           ON CONFLICT (stream, session_id) DO NOTHING""",
        (
            recorded.stream,
            event.session_id,
            recorded.stream_version,
            recorded.position,
            meta.project,
            event.secret_hash,
            event.provider,
            event.provider_uid,
            list(event.factors),
            meta.ip or "",
            meta.user_agent or "",
            meta.at,
            meta.at,
            event.expires_at,
        ),
    )


@projection.on(events.SessionExtended)
def session_extended(tx: Tx, recorded: Recorded[events.SessionExtended]) -> None:
    """A later end."""
    _change(tx, recorded, recorded.event.session_id, "expires_at = %s", recorded.event.expires_at)


@projection.on(events.SessionFactorAdded)
def session_factor_added(tx: Tx, recorded: Recorded[events.SessionFactorAdded]) -> None:
    """One more factor, once."""
    factor = recorded.event.factor
    _change(tx, recorded, recorded.event.session_id, _WITH_FACTOR, factor, factor)


@projection.on(events.ChallengePassed)
def challenge_passed(tx: Tx, recorded: Recorded[events.ChallengePassed]) -> None:
    """One more factor, once, and shown just now."""
    factor, at = recorded.event.factor, recorded.meta.at
    _change(tx, recorded, recorded.event.session_id, f"{_WITH_FACTOR}, factor_shown_at = %s", factor, factor, at)


_WITH_FACTOR: LiteralString = "factors = CASE WHEN %s = ANY (factors) THEN factors ELSE array_append(factors, %s) END"


def _change(
    tx: Tx, recorded: Recorded[events.AccountEvent], session_id: str, assignments: LiteralString, *values: object
) -> None:
    version = recorded.stream_version
    tx.execute(
        f"""UPDATE sessions_v2 SET {assignments}, version = %s, updated_at = %s
            WHERE stream = %s AND session_id = %s AND version < %s""",
        (*values, version, recorded.meta.at, recorded.stream, session_id, version),
    )


@projection.on(events.SessionDeleted)
def session_deleted(tx: Tx, recorded: Recorded[events.SessionDeleted]) -> None:
    """No row."""
    tx.execute(
        "DELETE FROM sessions_v2 WHERE stream = %s AND session_id = %s AND version < %s",
        (recorded.stream, recorded.event.session_id, recorded.stream_version),
    )


@projection.on(events.AccountDeleted)
def account_deleted(tx: Tx, recorded: Recorded[events.AccountDeleted]) -> None:
    """No rows."""
    tx.execute(
        "DELETE FROM sessions_v2 WHERE stream = %s AND version < %s",
        (recorded.stream, recorded.stream_version),
    )


@projection.on(DetailsForgotten)
def details_forgotten(tx: Tx, recorded: Recorded[DetailsForgotten]) -> None:
    """Where sessions came from is not known for longer than it is of the events."""
    if recorded.event.kind == "origins":
        tx.execute(
            """UPDATE sessions_v2 SET ip = '', user_agent = ''
               WHERE project_id = %s AND created_at < %s::timestamptz AND (ip, user_agent) <> ('', '')""",
            (recorded.meta.project, f"{recorded.event.before} 00:00:00+00"),
        )


# Queries --------------------------------------------------------------------------------------------------------------

_SELECT = f"SELECT {columns(SessionRow)} FROM sessions_v2"
OF_STREAM = f"{_SELECT} WHERE stream = %s ORDER BY position, version"
"""The sessions of the account of a stream, oldest first."""

BY_SECRET = Lookup(
    sql=f"SELECT {columns(SessionKey)} FROM sessions_v2 WHERE secret_hash = ANY(%s)",
    row=SessionKey._make,
    key=lambda row: (row.secret_hash,),
)

BY_ID = Lookup(
    sql=f"""SELECT {columns(SessionKey)} FROM sessions_v2
            JOIN unnest(%s::text[], %s::text[]) AS wanted (s, i) ON stream = s AND session_id = i""",
    row=SessionKey._make,
    key=lambda row: (row.stream, row.session_id),
)


def find_by_secret_hash(reads: Reads, secret_hash: str) -> Awaitable[SessionKey | None]:
    """The session whose secret has this SHA-256 (hex), expired or not. The read is on its way when this returns."""
    return reads.load(BY_SECRET, (secret_hash,))


def find(reads: Reads, stream: str, session_id: str) -> Awaitable[SessionKey | None]:
    """The session with this id of the account of this stream, expired or not."""
    return reads.load(BY_ID, (stream, session_id))


async def get(reads: Reads, stream: str, session_id: str) -> SessionRow:
    """A session of the account of this stream. Raises `UserSessionNotFound`."""
    rows = await reads.fetch(f"{_SELECT} WHERE stream = %s AND session_id = %s", (stream, session_id))
    if not rows:
        raise UserSessionNotFound
    return SessionRow._make(rows[0])


async def list_sessions(reads: Reads, stream: str) -> tuple[list[SessionRow], int]:
    """The sessions of the account of this stream, oldest first, and their number."""
    rows = await reads.fetch(OF_STREAM, (stream,))
    return [SessionRow._make(row) for row in rows], len(rows)
