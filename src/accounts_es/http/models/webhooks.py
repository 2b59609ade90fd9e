"""What the API answers about webhooks."""

from typing_extensions import TypedDict

from accounts_es.http.models.dates import date
from projections.webhooks import WebhookRow

Webhook = TypedDict(
    "Webhook",
    {
        "$id": str,
        "$createdAt": str,
        "$updatedAt": str,
        "name": str,
        "url": str,
        "events": list[str],
        "tls": bool,
        "authUsername": str,
        "authPassword": str,
        "secret": str,
        "enabled": bool,
        "logs": str,
        "attempts": int,
        "format": str,
        "position": int,
        "answer": int,
        "answeredAt": str,
    },
)


class WebhookList(TypedDict):
    """A page of webhooks."""

    total: int
    webhooks: list[Webhook]


def webhook(row: WebhookRow, *, secret: str = "") -> Webhook:
    """A webhook. Its secret is told when it is made or changed, its password never.

    The last four say more than Appwrite does: how far it has been told, and what it answered last.
    """
    return {
        "$id": row.webhook_id,
        "$createdAt": date(row.created_at),
        "$updatedAt": date(row.updated_at),
        "name": row.name,
        "url": row.url,
        "events": row.events,
        "tls": row.tls,
        "authUsername": row.auth_username,
        "authPassword": "",
        "secret": secret,
        "enabled": row.enabled,
        "logs": row.logs,
        "attempts": row.attempts,
        "format": row.format,
        "position": row.position,
        "answer": row.answer,
        "answeredAt": date(row.answered_at),
    }
