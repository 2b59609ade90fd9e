"""What webhooks are sent, byte by byte."""

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pytest

from accounts_es.adapters.php_json import php_json
from accounts_es.domain.event import JSONObject
from accounts_es.domain.project import Webhook
from accounts_es.http.wire_events import names
from accounts_es.reactors.webhooks.request import Outgoing, outgoing
from tests.support.metadata import NOON


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ({}, "[]"),
        ({"prefs": {}, "a": []}, '{"prefs":[],"a":[]}'),
        ({"0": "a", "1": {}}, '["a",[]]'),
        ({"1": "a"}, '{"1":"a"}'),
        ("https://example.org/a", '"https:\\/\\/example.org\\/a"'),
        ("Zoë 🜚", '"Zo\\u00eb \\ud83d\\udf1a"'),
        ('"\\\n\t\x01\x7f<&>', '"\\"\\\\\\n\\t\\u0001\x7f<&>"'),
        ([True, False, None, 7, -7], "[true,false,null,7,-7]"),
        ([1.0, 0.1, -2.5, 1e25, 1e-7, 1.5e300], "[1,0.1,-2.5,1.0e+25,1.0e-7,1.5e+300]"),
    ],
)
def test_json_is_written_as_php_writes_it(value: Any, written: str) -> None:
    assert php_json(value) == written


@dataclass(frozen=True)
class Said:
    """A notice without a log."""

    pattern: tuple[str, ...]
    own_position: int = 42
    at: datetime = NOON

    @property
    def names(self) -> tuple[str, ...]:
        return names(self.pattern)

    async def payload(self) -> JSONObject | None:
        return {}

    async def caused_by(self) -> str:
        return ""


def hook(**how: Any) -> Webhook:
    plain = {
        "webhook_id": "crm",
        "name": "Zoë's\r\nX-Evil: 1",
        "url": "https://crm.example.org/hook?a=/b",
        "events": ("users.*",),
        "secret": "a secret",
        "enabled": True,
        "tls": True,
        "auth_username": "",
        "auth_password": "",
        "format": "appwrite",
    }
    return Webhook(**{**plain, **how})


SAID = Said(("users", "u.1", "sessions", "s", "create"))
PAYLOAD: JSONObject = {"$id": "s", "url": "a/b", "prefs": {}}


def made(webhook: Webhook, said: Said = SAID) -> tuple[Outgoing, dict[str, str]]:
    sent = outgoing(webhook, "shop", said, PAYLOAD, actor="u.1", previous=7, agent="Us")
    return sent, {name.decode(): value.decode() for name, value in sent.headers}


def test_a_delivery_is_the_contract_s() -> None:
    sent, headers = made(hook())
    assert sent.body == b'{"$id":"s","url":"a\\/b","prefs":[]}'
    signed = hmac.new(b"a secret", b"https://crm.example.org/hook?a=/b" + sent.body, hashlib.sha1).digest()
    assert headers == {
        "content-type": "application/json",
        "user-agent": "Us",
        "x-appwrite-webhook-id": "crm",
        "x-appwrite-webhook-events": ",".join(SAID.names),
        "x-appwrite-webhook-name": "Zoë's  X-Evil: 1",
        "x-appwrite-webhook-user-id": "u.1",
        "x-appwrite-webhook-project-id": "shop",
        "x-appwrite-webhook-signature": base64.b64encode(signed).decode(),
        "x-accounts-position": "42",
        "x-accounts-previous-position": "7",
    }


def test_user_and_password_go_along_when_both_are_set() -> None:
    assert "authorization" not in made(hook(auth_username="them"))[1]
    assert "authorization" not in made(hook(auth_password="secret"))[1]
    _, headers = made(hook(auth_username="them", auth_password="pass:wörd"))
    assert base64.b64decode(headers["authorization"].removeprefix("Basic ")).decode() == "them:pass:wörd"


ATTRIBUTES = {
    "specversion": "1.0",
    "id": "42",
    "source": "/v1/projects/shop",
    "type": "users.sessions.create",
    "subject": "users/u.1/sessions/s",
    "time": "2026-03-14T12:00:00.123456Z",
    "previous": "7",
    "userid": "u.1",
}


def test_a_structured_cloud_event_holds_all_of_it() -> None:
    sent, headers = made(hook(format="cloudevents-structured"))
    assert headers["content-type"] == "application/cloudevents+json; charset=UTF-8"
    assert json.loads(sent.body) == {**ATTRIBUTES, "datacontenttype": "application/json", "data": PAYLOAD}
    signed = hmac.new(b"a secret", b"https://crm.example.org/hook?a=/b" + sent.body, hashlib.sha1).digest()
    assert headers["x-appwrite-webhook-signature"] == base64.b64encode(signed).decode()


def test_a_binary_cloud_event_has_its_attributes_in_headers() -> None:
    sent, headers = made(hook(format="cloudevents-binary"))
    assert headers["content-type"] == "application/json"
    assert json.loads(sent.body) == PAYLOAD
    assert {name.removeprefix("ce-"): value for name, value in headers.items() if name.startswith("ce-")} == ATTRIBUTES


@pytest.mark.parametrize(
    ("pattern", "kind", "subject"),
    [
        (("users", "u", "update", "email"), "users.update.email", "users/u"),
        (("teams", "t", "delete"), "teams.delete", "teams/t"),
        (
            ("teams", "t", "memberships", "m", "update", "status"),
            "teams.memberships.update.status",
            "teams/t/memberships/m",
        ),
    ],
)
def test_a_cloud_event_says_what_happened_to_whom(pattern: tuple[str, ...], kind: str, subject: str) -> None:
    _, headers = made(hook(format="cloudevents-binary"), Said(pattern))
    assert (headers["ce-type"], headers["ce-subject"]) == (kind, subject)
