"""What a webhook is sent (contract: cross-cutting, 13), or the same as a CloudEvent 1.0."""

import base64
import hmac
import re
from dataclasses import dataclass
from datetime import UTC
from typing import Final
from urllib.parse import quote

from pydantic import JsonValue
from pydantic_core import to_json

from accounts_es.adapters.php_json import php_json
from accounts_es.domain.event import JSONObject
from accounts_es.domain.project import Webhook
from accounts_es.reactors.webhooks.source import Notice

Headers = list[tuple[bytes, bytes]]

_STEERING: Final = re.compile(r"[\x00-\x1f\x7f]")
_ACTIONS: Final = ("create", "update", "delete")
_CE_PLAIN: Final = "!#$&'()*+,-./:;<=>?@[]^_`{|}~"
"""What stands for itself in a header of a CloudEvent, besides letters and digits."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One delivery."""

    position: int
    """Of the event in the log: the same event again has the same."""
    body: bytes
    headers: Headers


def outgoing(
    webhook: Webhook, project: str, notice: Notice, payload: JSONObject, *, actor: str, previous: int, agent: str
) -> Outgoing:
    """The delivery of an event. ``previous`` is where the one before it was, or where this webhook began."""
    match webhook.format:
        case "appwrite":
            body, about = php_json(payload).encode(), [(b"content-type", b"application/json")]
        case "cloudevents-binary":
            facts = _attributes(project, notice, actor, previous)
            body = to_json(payload)
            about = [(b"content-type", b"application/json")]
            about += [(f"ce-{name}".encode(), quote(value, safe=_CE_PLAIN).encode()) for name, value in facts.items()]
        case "cloudevents-structured":
            facts = _attributes(project, notice, actor, previous)
            whole: dict[str, JsonValue] = {**facts, "datacontenttype": "application/json", "data": payload}
            body, about = to_json(whole), [(b"content-type", b"application/cloudevents+json; charset=UTF-8")]
    said = {
        "user-agent": agent,
        "x-appwrite-webhook-id": webhook.webhook_id,
        "x-appwrite-webhook-events": ",".join(notice.names),
        "x-appwrite-webhook-name": webhook.name,
        "x-appwrite-webhook-user-id": actor,
        "x-appwrite-webhook-project-id": project,
        "x-appwrite-webhook-signature": signature(webhook.secret, webhook.url, body),
        "x-accounts-position": str(notice.own_position),
        "x-accounts-previous-position": str(previous),
    }
    headers = about + [(name.encode(), _STEERING.sub(" ", value).strip().encode()) for name, value in said.items()]
    if webhook.auth_username and webhook.auth_password:
        both = f"{webhook.auth_username}:{webhook.auth_password}".encode()
        headers.append((b"authorization", b"Basic " + base64.b64encode(both)))
    return Outgoing(notice.own_position, body, headers)


def signature(secret: str, url: str, body: bytes) -> str:
    """HMAC-SHA1 over the URL as it was configured and the body, in base64."""
    return base64.b64encode(hmac.digest(secret.encode(), url.encode() + body, "sha1")).decode()


def _attributes(project: str, notice: Notice, actor: str, previous: int) -> dict[str, str]:
    """The context attributes, and extensions of ours. Positions are texts: integers of CloudEvents have 32 bits."""
    kind, action = _split(notice.pattern)
    subject = notice.pattern[: len(notice.pattern) - len(action)]
    return {
        "specversion": "1.0",
        "id": str(notice.own_position),
        "source": f"/v1/projects/{quote(project)}",
        "type": ".".join((*kind, *action)),
        "subject": "/".join(subject),
        "time": notice.at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "previous": str(previous),
        **({"userid": actor} if actor else {}),
    }


def _split(pattern: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What it is about without its ids, and what happened to it."""
    start = 2 if pattern[2:3] and pattern[2] in _ACTIONS else 4
    return pattern[:start:2], pattern[start:]
