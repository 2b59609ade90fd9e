"""Webhooks: who is told of events, without what they are trusted with (that stays sealed in the log)."""

from collections.abc import Awaitable
from datetime import datetime
from typing import NamedTuple

from accounts_es.domain.errors import WebhookNotFound
from accounts_es.domain.event import Recorded
from accounts_es.domain.project import events
from accounts_es.eventstore.listing import Asked, Attribute, Kind, Listing
from accounts_es.eventstore.pages import page
from accounts_es.eventstore.projection import Projection, Tx
from accounts_es.eventstore.reads import Lookup, Reads, columns

projection = Projection(
    name="webhooks",
    tables=("webhooks_v1",),
    ddl="""
    CREATE TABLE webhooks_v1 (
        project_id text NOT NULL,
        webhook_id text NOT NULL,
        version bigint NOT NULL,
        number bigint NOT NULL,
        name text NOT NULL,
        url text NOT NULL,
        events text[] NOT NULL,
        enabled boolean NOT NULL,
        tls boolean NOT NULL,
        auth_username text NOT NULL,
        format text NOT NULL,
        created_at timestamptz NOT NULL,
        updated_at timestamptz NOT NULL,
        starts_at bigint NOT NULL,
        started bigint NOT NULL,
        saved bigint NOT NULL,
        PRIMARY KEY (project_id, webhook_id)
    );
    """,
)


class WebhookRow(NamedTuple):
    """A webhook, and how its deliveries go.

    ``starts_at`` is the position it was made or rewound to, by the version ``started`` of its project; ``saved`` is the
    version that last had its attempts counted anew. ``position`` is how far it has been told, ``logs`` what its last
    failure was like, ``answer`` the last HTTP status (0: none), at ``answered_at``.
    """

    project_id: str
    webhook_id: str
    version: int
    name: str
    url: str
    events: list[str]
    enabled: bool
    tls: bool
    auth_username: str
    format: str
    created_at: datetime
    updated_at: datetime
    starts_at: int
    started: int
    saved: int
    position: int
    attempts: int
    logs: str
    answer: int
    answered_at: datetime | None


# One function per event -----------------------------------------------------------------------------------------------


@projection.on(events.WebhookAdded)
def webhook_added(tx: Tx, recorded: Recorded[events.WebhookAdded]) -> None:
    """A new row."""
    event, version, at = recorded.event, recorded.stream_version, recorded.meta.at
    tx.execute(
        """INSERT INTO webhooks_v1 (project_id, webhook_id, version, number, name, url, events, enabled, tls,
               auth_username, format, created_at, updated_at, starts_at, started, saved)
           VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
           ON CONFLICT (project_id, webhook_id) DO NOTHING""",
        (
            recorded.meta.project,
            event.webhook_id,
            version,
            version,
            event.name,
            event.url,
            list(event.events),
            event.enabled,
            event.tls,
            event.auth_username,
            event.format,
            at,
            at,
            event.position,
            version,
            version,
        ),
    )


@projection.on(events.WebhookChanged)
def webhook_changed(tx: Tx, recorded: Recorded[events.WebhookChanged]) -> None:
    """All that can change. One that is enabled has its attempts counted anew."""
    event, version = recorded.event, recorded.stream_version
    tx.execute(
        """UPDATE webhooks_v1 SET version = %s, name = %s, url = %s, events = %s, enabled = %s, tls = %s,
               auth_username = %s, format = %s, updated_at = %s, saved = CASE WHEN %s THEN %s ELSE saved END
           WHERE project_id = %s AND webhook_id = %s AND version < %s""",
        (
            version,
            event.name,
            event.url,
            list(event.events),
            event.enabled,
            event.tls,
            event.auth_username,
            event.format,
            recorded.meta.at,
            event.enabled,
            version,
            recorded.meta.project,
            event.webhook_id,
            version,
        ),
    )


@projection.on(events.WebhookSecretRotated)
def webhook_secret_rotated(tx: Tx, recorded: Recorded[events.WebhookSecretRotated]) -> None:
    """When; the secret is not here."""
    version = recorded.stream_version
    tx.execute(
        """UPDATE webhooks_v1 SET version = %s, updated_at = %s
           WHERE project_id = %s AND webhook_id = %s AND version < %s""",
        (version, recorded.meta.at, recorded.meta.project, recorded.event.webhook_id, version),
    )


@projection.on(events.WebhookRewound)
def webhook_rewound(tx: Tx, recorded: Recorded[events.WebhookRewound]) -> None:
    """Where it starts anew."""
    event, version = recorded.event, recorded.stream_version
    tx.execute(
        """UPDATE webhooks_v1 SET version = %s, starts_at = %s, started = %s, saved = %s
           WHERE project_id = %s AND webhook_id = %s AND version < %s""",
        (version, event.position, version, version, recorded.meta.project, event.webhook_id, version),
    )


@projection.on(events.WebhookDisabled)
def webhook_disabled(tx: Tx, recorded: Recorded[events.WebhookDisabled]) -> None:
    """Until somebody enables it."""
    version = recorded.stream_version
    tx.execute(
        """UPDATE webhooks_v1 SET version = %s, enabled = false
           WHERE project_id = %s AND webhook_id = %s AND version < %s""",
        (version, recorded.meta.project, recorded.event.webhook_id, version),
    )


@projection.on(events.WebhookRemoved)
def webhook_removed(tx: Tx, recorded: Recorded[events.WebhookRemoved]) -> None:
    """No row."""
    tx.execute(
        "DELETE FROM webhooks_v1 WHERE project_id = %s AND webhook_id = %s AND version < %s",
        (recorded.meta.project, recorded.event.webhook_id, recorded.stream_version),
    )


# Queries --------------------------------------------------------------------------------------------------------------

# How deliveries go is no fact of the log: whoever delivers writes it beside. What it says of a start or a count that
# is over does not hold any more.
_SOURCE = """(
    SELECT w.*, CASE WHEN p.seen >= w.started THEN p.position ELSE w.starts_at END AS position,
        CASE WHEN p.seen >= w.saved THEN p.attempts ELSE 0 END AS attempts,
        COALESCE(p.logs, '') AS logs, COALESCE(p.answer, 0) AS answer, p.answered_at
    FROM webhooks_v1 AS w LEFT JOIN log.webhook_progress AS p USING (project_id, webhook_id)
) AS webhooks"""
_SELECT = f"SELECT {columns(WebhookRow)} FROM {_SOURCE}"

BY_ID = Lookup(
    sql=f"""{_SELECT} JOIN unnest(%s::text[], %s::text[]) AS wanted (project, webhook)
            ON project_id = wanted.project AND webhook_id = wanted.webhook""",
    row=WebhookRow._make,
    key=lambda row: (row.project_id, row.webhook_id),
)


def find(reads: Reads, project_id: str, webhook_id: str) -> Awaitable[WebhookRow | None]:
    """The webhook of a project with this id. The read is on its way when this returns."""
    return reads.load(BY_ID, (project_id, webhook_id))


async def get(reads: Reads, project_id: str, webhook_id: str) -> WebhookRow:
    """The webhook of a project with this id. Raises `WebhookNotFound`."""
    row = await find(reads, project_id, webhook_id)
    if row is None:
        raise WebhookNotFound
    return row


async def list_all(reads: Reads) -> list[WebhookRow]:
    """The webhooks of all projects, for whoever delivers."""
    rows = await reads.fetch(f"{_SELECT} ORDER BY project_id, number")
    return [WebhookRow._make(row) for row in rows]


LISTING = Listing(
    row=WebhookRow._make,
    columns=columns(WebhookRow),
    source=_SOURCE,
    scope="project_id = %s",
    id="webhook_id",
    sequence="number",
    attributes={
        "id": Attribute('(webhook_id COLLATE "C")', Kind.TEXT),
        "sequence": Attribute("number", Kind.NUMBER),
        "created_at": Attribute("created_at", Kind.TIME, turns_ties=True),
        "updated_at": Attribute("updated_at", Kind.TIME, turns_ties=True),
        "name": Attribute('(lower(name) COLLATE "C")', Kind.TEXT, caseless=True),
        "url": Attribute('(lower(url) COLLATE "C")', Kind.TEXT, caseless=True),
        "auth_username": Attribute('(lower(auth_username) COLLATE "C")', Kind.TEXT, caseless=True),
        "events": Attribute("events", Kind.TEXTS),
        "tls": Attribute("tls", Kind.FLAG),
        "enabled": Attribute("enabled", Kind.FLAG),
        "logs": Attribute('(lower(logs) COLLATE "C")', Kind.TEXT, caseless=True),
        "attempts": Attribute("attempts", Kind.NUMBER),
    },
)


async def list_webhooks(
    reads: Reads, project_id: str, *, asked: Asked, with_total: bool = True
) -> tuple[list[WebhookRow], int]:
    """A page of the webhooks of a project, oldest first unless asked otherwise, and how many match."""
    return await page(reads, LISTING, (project_id,), asked, with_total=with_total)
