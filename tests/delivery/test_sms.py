"""Text messages through a provider's HTTP interface."""

import asyncio
import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from accounts_es.cli.console import Trouble, read_settings
from accounts_es.messages import Sms
from accounts_es.reactors.outbox import Postponed, Refused
from accounts_es.reactors.transports import transports
from accounts_es.settings import Settings

CODE = Sms(template="login", to="+4930901820", values={"project": "Shop", "otp": "123456"})


class Provider(ThreadingHTTPServer):
    """Somebody who takes text messages."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, dict[str, str], bytes]] = []
        self.status = 201
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                provider.taken.append((self.path, headers, body))
                self.send_response(provider.status)
                self.send_header("content-length", "0")
                self.end_headers()

            do_GET = do_POST  # noqa: N815 - the name is the method's

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        """Where it takes them."""
        return f"http://127.0.0.1:{self.server_address[1]}/messages"


@pytest.fixture
def provider() -> Iterator[Provider]:
    """A running provider."""
    with Provider() as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def send(provider: Provider, tmp_path: Path, message: Sms = CODE, **settings: Any) -> None:
    configured = Settings(**{"data": tmp_path, "sms_url": provider.url, "sms_from": "Shop", **settings})
    asyncio.run(transports(configured)["sms"].deliver(message))


def test_T64_a_message_goes_out_as_json_with_the_provider_s_headers(provider: Provider, tmp_path: Path) -> None:
    send(provider, tmp_path, sms_headers='{"Authorization": "Bearer secret"}')
    ((path, headers, body),) = provider.taken
    assert path == "/messages"
    assert headers["authorization"] == "Bearer secret"
    assert json.loads(body) == {"to": "+4930901820", "from": "Shop", "message": "123456"}


def test_a_message_goes_out_as_a_form(provider: Provider, tmp_path: Path) -> None:
    send(provider, tmp_path, sms_body="To={to}&From={from}&Body={message}")
    ((_, headers, body),) = provider.taken
    assert headers["content-type"] == "application/x-www-form-urlencoded"
    assert dict(parse_qsl(body.decode())) == {"To": "+4930901820", "From": "Shop", "Body": "123456"}


def test_a_provider_that_knows_us_by_a_password_gets_it(provider: Provider, tmp_path: Path) -> None:
    send(provider, tmp_path, sms_body="To={to}&Body={message}", sms_username="AC1", sms_password="secret")
    assert provider.taken[0][1]["authorization"] == "Basic " + base64.b64encode(b"AC1:secret").decode()


def test_a_message_goes_out_in_the_query(provider: Provider, tmp_path: Path) -> None:
    configured = {"sms_url": f"{provider.url}?key=1&to=x", "sms_method": "GET", "sms_body": "to={to}&text={message}"}
    send(provider, tmp_path, **configured)
    ((path, _, body),) = provider.taken
    assert parse_qsl(urlsplit(path).query) == [("key", "1"), ("to", "+4930901820"), ("text", "123456")]
    assert body == b""


@pytest.mark.parametrize(
    "wrong",
    [
        {"sms_headers": '["secret"]'},
        {"sms_headers": "Authorization: secret"},
        {"sms_body": '{"to": "{to}"}'},
        {"sms_body": '{"to": {to}, "message": "{message}"}'},
        {"sms_url": "sms.example/send"},
        {"smtp_ca_file": "/nowhere/ca.pem"},
        {"mail_from": "Shop <shop@example.org>"},
    ],
)
def test_settings_that_could_never_work_are_refused_without_repeating_secrets(wrong: dict[str, Any]) -> None:
    with pytest.raises(Trouble) as refused:
        read_settings(**wrong)
    assert str(refused.value).startswith(next(iter(wrong)))
    assert "secret" not in str(refused.value)


def test_what_is_sent_cannot_break_out_of_its_place(provider: Provider, tmp_path: Path) -> None:
    link = 'https://shop.example/?a=1&b="}'
    message = Sms(template="invitation", to="+4930901820", values={"link": link})
    send(provider, tmp_path, message)
    send(provider, tmp_path, message, sms_body="To={to}&Body={message}")
    assert json.loads(provider.taken[0][2])["message"] == link
    assert dict(parse_qsl(provider.taken[1][2].decode()))["Body"] == link


def test_a_request_that_is_wrong_is_refused_and_a_provider_in_trouble_is_asked_again(
    provider: Provider, tmp_path: Path
) -> None:
    provider.status = 400
    with pytest.raises(Refused):
        send(provider, tmp_path)
    for status in (302, 401, 404, 429, 500, 503):
        provider.status = status
        with pytest.raises(Postponed):
            send(provider, tmp_path)


def test_without_a_provider_a_message_is_a_file(tmp_path: Path) -> None:
    asyncio.run(transports(Settings(data=tmp_path))["sms"].deliver(CODE))
    (file,) = (tmp_path / "outbox").iterdir()
    assert file.read_text() == "To: +4930901820\n\n123456\n"
