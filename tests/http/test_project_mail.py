"""A project's own mail server and words: tried before they count, used on the way out, secret for ever."""

from collections.abc import Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from secrets import token_hex
from typing import Any

import pytest

from accounts_es.http.callers import ALL_KEY_SCOPES
from tests.support.running import World, an_email
from tests.support.server import Client
from tests.support.smtp import PASSWORD, USERNAME, Behaviour, free_port, smtp_server
from tests.support.waiting import eventually

pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS:UserWarning")

PAGE = "http://localhost:3000/landing"


@pytest.fixture
def taken() -> Behaviour:
    """What the project's server takes."""
    return Behaviour()


@pytest.fixture
def port(taken: Behaviour, tmp_path: Path) -> Iterator[int]:
    """Where the project's server listens; it wants a sign-in."""
    with smtp_server(taken, tmp_path, auth=True) as (port, _):
        yield port


@pytest.fixture
def shop(world: World) -> Client:
    """A server with all scopes in a new project."""
    project = world.project(f"shop-{token_hex(4)}")
    return world.server.client(project=project, key=world.key(*ALL_KEY_SCOPES, project=project))


def configured(shop: Client, port: int, other: dict[str, Any] | None = None) -> Any:
    settings = {
        "host": "127.0.0.1",
        "port": port,
        "username": USERNAME,
        "password": PASSWORD,
        "senderEmail": "shop@example.org",
        "senderName": "The Shop",
        "replyToEmail": "desk@example.org",
        "enabled": True,
    }
    return shop.ask("PATCH", "/project/smtp", **{**settings, **(other or {})})


def mail_to(taken: Behaviour, address: str) -> EmailMessage:
    """The mail the project's server took for an address."""
    content = eventually(lambda: taken.to(address))[0]
    message = message_from_bytes(content, policy=policy.default)
    assert isinstance(message, EmailMessage)
    return message


def body(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    assert part is not None
    return str(part.get_content())


def test_a_server_inside_the_network_is_refused_without_being_asked(shop: Client) -> None:
    for host in ("169.254.169.254", "10.0.0.1", "::ffff:10.0.0.1", "fd00::1"):
        answer = configured(shop, 25, {"host": host})
        assert (answer.status_code, answer.json()["type"]) == (400, "project_smtp_config_invalid")
        assert "no public address" in answer.json()["message"]


def test_a_server_that_does_not_take_us_is_refused(shop: Client, port: int) -> None:
    for wrong in ({"password": "wrong"}, {"port": free_port()}, {"secure": "ssl"}, {"host": "no.such.host.invalid"}):
        answer = configured(shop, port, wrong)
        assert (answer.status_code, answer.json()["type"]) == (400, "project_smtp_config_invalid")
        assert PASSWORD not in answer.text
    assert shop.ask("GET", "/project").json()["smtpEnabled"] is False
    answer = shop.ask("POST", "/project/smtp/tests", emails=[an_email()])
    assert answer.json()["type"] == "project_smtp_config_invalid"
    answer = shop.ask("PATCH", "/project/templates/email", templateId="recovery", subject="x")
    assert answer.json()["type"] == "project_smtp_config_invalid"


def test_mail_leaves_by_the_project_s_server_in_its_name(
    world: World, shop: Client, port: int, taken: Behaviour
) -> None:
    said = configured(shop, port).json()
    assert (said["smtpEnabled"], said["smtpUsername"], said["smtpPassword"]) == (True, USERNAME, "")
    first, second = an_email(), an_email()
    assert shop.ask("POST", "/project/smtp/tests", emails=[first, second]).status_code == 204
    for address in (first, second):
        assert mail_to(taken, address)["subject"] == f"SMTP test of {said['name']}"
    address = an_email()
    shop.ask("POST", "/account/tokens/magic-url", userId="unique()", email=address, url=PAGE)
    mail = mail_to(taken, address)
    assert (mail["from"], mail["reply-to"]) == ("The Shop <shop@example.org>", "desk@example.org")
    assert shop.ask("PATCH", "/project/smtp", enabled=False).status_code == 200
    address = an_email()
    shop.ask("POST", "/account/tokens/magic-url", userId="unique()", email=address, url=PAGE)
    assert world.mailbox.mail(address).link
    assert taken.to(address) == []


def test_the_password_is_sealed_and_kept_when_other_things_change(world: World, shop: Client, port: int) -> None:
    configured(shop, port)
    assert shop.ask("PATCH", "/project/smtp", senderName="Another").status_code == 200
    states = world.log.connection.execute(
        "SELECT convert_from(state, 'UTF8') FROM log.accounts_events WHERE topic = 'project.smtp_configured'"
    ).fetchall()
    tables = world.log.connection.execute("SELECT settings FROM read.projects_v2").fetchall()
    assert not [text for (text,) in [*states, *tables] if PASSWORD in text or "shop@example.org" in text]


def test_mails_say_what_the_project_wants_in_the_reader_s_language(shop: Client, port: int, taken: Behaviour) -> None:
    configured(shop, port)
    path = "/project/templates/email"
    ours = shop.ask("GET", f"{path}/recovery", locale="de").json()
    assert "{{project}}" in ours["subject"]
    assert "{{redirect}}" in ours["message"]
    assert shop.ask("GET", path).json() == {"total": 0, "templates": []}
    for locale, subject in (("en", "Forgot it, {{user}}?"), ("de", "Vergessen, {{user}}?")):
        message = '<p>Hi {{user}}{{unknown}}</p><p>{{b}}{{project}}{{/b}}</p><a href="{{redirect}}">Go</a>'
        words = {"subject": subject, "message": message, "senderName": "The Desk"}
        said = shop.ask("PATCH", path, templateId="recovery", locale=locale, **words).json()
        assert (said["subject"], said["message"], said["locale"]) == (subject, message, locale)
    assert shop.ask("GET", path).json()["total"] == 2
    for locale, subject in (("de-at", "Vergessen, J<b>ne {{project}}?"), ("fr", "Forgot it, J<b>ne {{project}}?")):
        address = an_email()
        made = {"userId": "unique()", "email": address, "name": "J<b>ne {{project}}"}
        assert shop.ask("POST", "/users", **made).status_code == 201
        shop.ask("POST", "/account/recovery", email=address, url=PAGE, locale=locale)
        mail = mail_to(taken, address)
        assert mail["subject"] == subject
        assert mail["from"] == "The Desk <shop@example.org>"
        assert "Hi J&lt;b&gt;ne {{project}}</p>" in body(mail, "html"), "what people are called is no template"
        assert f"<b>{shop.headers['x-appwrite-project']}</b>" in body(mail, "html")
        assert body(mail, "plain").splitlines()[0] == "Hi J<b>ne {{project}}"
    other = an_email()
    shop.ask("POST", "/account/tokens/email", userId="unique()", email=other)
    assert "OTP for" in mail_to(taken, other)["subject"]
