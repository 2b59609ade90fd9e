"""Whatever is good once is good once, also when a hundred try at the same moment, on two workers."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pyotp
import pytest

from tests.support.answers import ok
from tests.support.mailbox import Mailbox
from tests.support.running import PASSWORD, a_phone, an_email
from tests.support.server import Client, Server

PAGE = "http://localhost:3000/landing"
RACERS = 100


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One database, two processes."""
    with Server(tmp_path_factory.mktemp("once") / "data", ACCOUNTS_WORKERS="2") as running:
        yield running


@pytest.fixture(scope="module")
def mailbox(server: Server) -> Mailbox:
    """Everybody's."""
    return Mailbox(server.data / "outbox")


@pytest.fixture(scope="module")
def operator(server: Server) -> Client:
    """A server with a key for everything."""
    return server.operator()


@pytest.fixture
async def racers(server: Server) -> AsyncIterator["Racers"]:
    """Sixteen connections, so that both processes get some."""
    clients = [httpx.AsyncClient(timeout=60, trust_env=False) for _ in range(16)]
    try:
        yield Racers(server, clients)
    finally:
        for client in clients:
            await client.aclose()


class Racers:
    """Many who send requests at the same moment."""

    def __init__(self, server: Server, clients: list[httpx.AsyncClient]) -> None:
        self._server = server
        self._clients = clients

    async def send(self, method: str, path: str, bodies: list[dict[str, Any]], **headers: str) -> list[httpx.Response]:
        """One request for each body, without cookies."""
        sent = {"x-appwrite-project": "default", **{name.replace("_", "-"): value for name, value in headers.items()}}

        async def one(nth: int, body: dict[str, Any]) -> httpx.Response:
            request = httpx.Request(method, f"{self._server.url}{path}", headers=sent, json=body)
            return await self._clients[nth % len(self._clients)].send(request)

        return list(await asyncio.gather(*(one(nth, body) for nth, body in enumerate(bodies))))

    async def once(self, method: str, path: str, bodies: list[dict[str, Any]], status: int, **headers: str) -> None:
        """Of all of them exactly one succeeds, and the others are told that the secret is none."""
        answers = await self.send(method, path, bodies, **headers)
        assert Counter(answer.status_code for answer in answers) == {status: 1, 401: len(bodies) - 1}
        assert {each.json()["type"] for each in answers if each.status_code == 401} == {"user_invalid_token"}


class Member:
    """Somebody with a password and a session that is shown in a header."""

    def __init__(self, server: Server, operator: Client) -> None:
        self.email = an_email()
        signed_up = operator.ask("POST", "/account", userId="unique()", email=self.email, password=PASSWORD)
        self.account_id = ok(signed_up)["$id"]
        opened = server.operator().ask("POST", "/account/sessions/email", email=self.email, password=PASSWORD)
        self.secret = ok(opened)["secret"]
        self.ask = server.client(x_appwrite_session=self.secret).ask


@pytest.fixture
def jane(server: Server, operator: Client) -> Member:
    """Somebody new."""
    return Member(server, operator)


@pytest.mark.parametrize("way", ["magic-url", "email", "phone", "custom"])
async def test_T12_a_secret_opens_one_session(operator: Client, racers: Racers, jane: Member, way: str) -> None:
    if way == "phone":
        token = ok(operator.ask("POST", "/account/tokens/phone", userId="unique()", phone=a_phone()))
    elif way == "custom":
        token = ok(operator.ask("POST", f"/users/{jane.account_id}/tokens"))
    else:
        token = ok(operator.ask("POST", f"/account/tokens/{way}", userId="unique()", email=an_email()))
    guess = {"userId": token["userId"], "secret": token["secret"]}
    await racers.once("POST", "/account/sessions/token", [guess] * RACERS, 201)
    sessions = ok(operator.ask("GET", f"/users/{token['userId']}/sessions"))
    assert sessions["total"] == (2 if way == "custom" else 1)


@pytest.mark.parametrize("path", ["/account/recovery", "/account/recovery/otp"])
async def test_T12_a_secret_chooses_one_password(operator: Client, racers: Racers, jane: Member, path: str) -> None:
    fields = {"email": jane.email} | ({} if path.endswith("otp") else {"url": PAGE})
    secret = ok(operator.ask("POST", path, **fields))["secret"]
    choices = [
        {"userId": jane.account_id, "secret": secret, "password": f"horse number {nth}"} for nth in range(RACERS)
    ]
    await racers.once("PUT", path, choices, 200)


@pytest.mark.parametrize("path", ["email", "email/otp", "phone"])
async def test_T12_a_secret_verifies_once(mailbox: Mailbox, racers: Racers, jane: Member, path: str) -> None:
    phone = a_phone()
    ok(jane.ask("PATCH", "/account/phone", phone=phone, password=PASSWORD))
    path, link = f"/account/verifications/{path}", path == "email"
    ok(jane.ask("POST", path, **({"url": PAGE} if link else {})))
    if path.endswith("phone"):
        secret = mailbox.text(phone)
    else:
        letter = mailbox.mail(jane.email)
        secret = letter.parameters["secret"] if link else letter.code
    await racers.once("PUT", path, [{"userId": jane.account_id, "secret": secret}] * RACERS, 200)


async def challenges(racers: Racers, jane: Member, factor: str, number: int) -> list[str]:
    """The ids of so many challenges."""
    asked = [{"factor": factor}] * number
    answers = await racers.send("POST", "/account/mfa/challenges", asked, x_appwrite_session=jane.secret)
    return [ok(answer)["$id"] for answer in answers]


async def test_T13_a_code_of_an_authenticator_answers_one_challenge(racers: Racers, jane: Member) -> None:
    app = pyotp.TOTP(ok(jane.ask("POST", "/account/mfa/authenticators/totp"))["secret"])
    ok(jane.ask("PUT", "/account/mfa/authenticators/totp", otp=app.now()))
    asked = await challenges(racers, jane, "totp", RACERS)
    code = app.at(datetime.now(UTC) + timedelta(seconds=30))
    shown = [{"challengeId": each, "otp": code} for each in asked]
    await racers.once("PUT", "/account/mfa/challenges", shown, 200, x_appwrite_session=jane.secret)


async def test_T13_a_code_enrolls_one_authenticator_once(racers: Racers, jane: Member) -> None:
    app = pyotp.TOTP(ok(jane.ask("POST", "/account/mfa/authenticators/totp"))["secret"])
    shown = [{"otp": app.now()}] * RACERS
    answers = await racers.send("PUT", "/account/mfa/authenticators/totp", shown, x_appwrite_session=jane.secret)
    assert Counter(answer.status_code for answer in answers) == {200: 1, 409: RACERS - 1}


async def test_T12_a_recovery_code_stands_in_once(racers: Racers, jane: Member) -> None:
    codes = ok(jane.ask("POST", "/account/mfa/recovery-codes"))["recoveryCodes"]
    asked = await challenges(racers, jane, "recoverycode", RACERS)
    shown = [{"challengeId": each, "otp": codes[0]} for each in asked]
    await racers.once("PUT", "/account/mfa/challenges", shown, 200, x_appwrite_session=jane.secret)


async def test_T12_a_challenge_is_answered_once(
    operator: Client, mailbox: Mailbox, racers: Racers, jane: Member
) -> None:
    ok(operator.ask("PATCH", f"/users/{jane.account_id}/verification", emailVerification=True))
    (challenge,) = await challenges(racers, jane, "email", 1)
    shown = [{"challengeId": challenge, "otp": mailbox.mail(jane.email).code}] * RACERS
    await racers.once("PUT", "/account/mfa/challenges", shown, 200, x_appwrite_session=jane.secret)
