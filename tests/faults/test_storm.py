"""Hundreds who sign in at once wait their turn; memory does not grow with them, and everybody else is served."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median

import httpx
import pytest

from accounts_es.adapters.hashing import Passwords
from tests.support.running import PASSWORD
from tests.support.server import Server

pytestmark = pytest.mark.alone

FLOOR = {"ACCOUNTS_HASH_MEMORY_KIB": "19456", "ACCOUNTS_HASH_ITERATIONS": "2"}
"""What servers do unless told otherwise: 19 MiB for each hash."""


def megabytes(server: Server, line: str) -> float:
    """A line of what the kernel says about the server's memory."""
    for each in Path(f"/proc/{server.pid}/status").read_text().splitlines():
        if each.startswith(line):
            return int(each.split()[1]) / 1024
    raise AssertionError(line)


@asynccontextmanager
async def caller(server: Server, **headers: str) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody with as many connections as they like."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with httpx.AsyncClient(
        base_url=server.url,
        headers={"x-appwrite-project": "default", **named},
        limits=httpx.Limits(max_connections=None),
        timeout=120,
        trust_env=False,
    ) as client:
        yield client


async def storm(server: Server, number: int) -> tuple[list[httpx.Response], list[float]]:
    """So many sign-ins at once, and how long a health check, a session check and a change took meanwhile."""
    known = server.client()
    known.ask("POST", "/account", userId="walter", email="walter@example.org", password=PASSWORD)
    session = known.ask("POST", "/account/sessions/email", email="walter@example.org", password=PASSWORD)
    secret = session.headers["x-fallback-cookies"].split('"')[3]
    waited: list[float] = []

    async def sign_in(client: httpx.AsyncClient, nth: int) -> httpx.Response:
        email = "walter@example.org" if nth % 2 else f"nobody{nth}@example.org"
        return await client.post("/account/sessions/email", json={"email": email, "password": "wrong password"})

    async def go_on(client: httpx.AsyncClient) -> None:
        while True:
            for method, path, body in (
                ("GET", "/health", None),
                ("GET", "/account", None),
                ("PATCH", "/account/prefs", {"prefs": {"waited": len(waited)}}),
            ):
                begun = time.perf_counter()
                answer = await client.request(method, path, json=body)
                waited.append(time.perf_counter() - begun)
                assert answer.status_code == 200

    async with caller(server) as crowd, caller(server, x_appwrite_session=secret) as walter:
        going_on = asyncio.create_task(go_on(walter))
        answers = await asyncio.gather(*(sign_in(crowd, nth) for nth in range(number)))
        going_on.cancel()
        await asyncio.wait([going_on])
        assert going_on.cancelled(), going_on.exception()
    return answers, waited


async def test_T6_who_would_wait_too_long_is_told_to_come_again_and_whoever_is_signed_in_notices_nothing(
    database: str, tmp_path: Path
) -> None:
    settings = {**FLOOR, "ACCOUNTS_HASH_WORKERS": "1", "ACCOUNTS_HASH_PATIENCE": "0.5"}
    with Server(tmp_path / "data", database_url=database, **settings) as server:
        before = megabytes(server, "VmRSS")
        answers, waited = await storm(server, 300)

        assert {answer.status_code for answer in answers} == {401, 503}
        for answer in answers:
            if answer.status_code == 503:
                assert answer.json()["type"] == "general_service_unavailable"
                assert int(answer.headers["retry-after"]) >= 1
        assert megabytes(server, "VmHWM") - before < 150, "300 at once would take 5700 MB"
        assert len(waited) > 10
        assert median(waited) < 1
        # The storm is over: the next one is served.
        again = server.client().ask("POST", "/account/sessions/email", email="walter@example.org", password=PASSWORD)
        assert again.status_code == 201


def counting(passwords: Passwords, verify: Callable[[Callable[[], bool], str], bool]) -> None:
    """Have every verification go through a function of the test's."""
    real = passwords._verify
    passwords._verify = lambda stored, password: verify(lambda: real(stored, password), stored)  # type: ignore[method-assign]


@pytest.mark.parametrize("workers", [1, 3])
async def test_T6_no_more_hashes_run_at_once_than_the_pool_has_threads(workers: int) -> None:
    passwords = Passwords(memory_kib=8, iterations=1, lanes=1, workers=workers, patience=60)
    now, most, guard = 0, 0, threading.Lock()

    def counted(verify: Callable[[], bool], _: str) -> bool:
        nonlocal now, most
        with guard:
            now += 1
            most = max(most, now)
        try:
            return verify()
        finally:
            with guard:
                now -= 1

    counting(passwords, counted)
    try:
        stored = await passwords.hash("correct horse")
        answers = await asyncio.gather(*(passwords.matches(stored, f"{nth}") for nth in range(200)))
    finally:
        passwords.close()
    assert answers == [False] * 200
    assert most <= workers


@pytest.mark.parametrize("known", [True, False])
async def test_T7_every_answer_costs_exactly_one_verification(known: bool) -> None:
    passwords = Passwords(memory_kib=8, iterations=1, lanes=1, workers=1, patience=10)
    verified: list[str] = []

    def counted(verify: Callable[[], bool], stored: str) -> bool:
        verified.append(stored)
        return verify()

    counting(passwords, counted)
    try:
        stored = await passwords.hash("correct horse") if known else None
        assert await passwords.matches(stored, "wrong horse") is False
        assert await passwords.matches(stored, "correct horse") is known
    finally:
        passwords.close()
    assert len(verified) == 2
    # The stand-in for people without a password was made with the same parameters.
    assert {each.rsplit("$", 2)[0] for each in verified} == {"$argon2id$v=19$m=8,t=1,p=1"}
