"""Sign-ins under pressure: memory stays bounded, others are served, and nobody learns who has an account."""

import asyncio
import random
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.support.server import Client, Server
from tests.support.statistics import tells_apart

pytestmark = pytest.mark.alone

STORM = 500
SAMPLES = 2000
GUESSERS = 8
ASKED = 2000
ASKERS = 16
PEOPLE = 50


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server that hashes as in production and does not let anybody wait for long."""
    settings = {"ACCOUNTS_HASH_MEMORY_KIB": "19456", "ACCOUNTS_HASH_ITERATIONS": "2", "ACCOUNTS_HASH_PATIENCE": "1.5"}
    with Server(tmp_path / "data", **settings) as running:
        yield running


def peak_mib(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise AssertionError("no such process")


async def test_T6_a_storm_of_sign_ins_queues_and_is_shed_instead_of_growing_memory(server: Server) -> None:
    server.operator().ask("POST", "/users", userId="jane", email="jane@example.com", password="correct horse")
    before = peak_mib(server.pid)
    limits = httpx.Limits(max_connections=STORM + 1)
    headers = {"x-appwrite-project": "default"}
    async with httpx.AsyncClient(
        base_url=server.url, headers=headers, limits=limits, timeout=60, trust_env=False
    ) as client:
        guess = {"email": "jane@example.com", "password": "wrong horse"}
        storm = [asyncio.create_task(client.post("/account/sessions/email", json=guess)) for _ in range(STORM)]
        served = 0
        while not all(task.done() for task in storm):
            assert (await client.get("/health")).status_code == 200
            served += 1
        answers = [task.result() for task in storm]
    assert {answer.status_code for answer in answers} == {401, 503}
    assert all(answer.headers["retry-after"] for answer in answers if answer.status_code == 503)
    assert served > 10, "others are served meanwhile"
    # 500 hashes at once would take 9.5 GiB; two at a time take 38 MiB.
    assert peak_mib(server.pid) - before < 120


def test_T7_unknown_people_wrong_passwords_and_people_without_one_look_and_take_alike(tmp_path: Path) -> None:
    with Server(tmp_path / "data", ACCOUNTS_EVEN_ANSWERS="0.05") as server:
        operator = server.operator()
        operator.ask("POST", "/users", userId="known", email="known@example.com", password="correct horse")
        operator.ask("POST", "/users", userId="bare", email="bare@example.com")
        took: dict[str, list[float]] = {"known": [], "unknown": [], "bare": []}
        bodies: set[str] = set()

        def guess(guest: Client) -> None:
            for _ in range(SAMPLES // GUESSERS):
                # In another order every time: what one request leaves behind must not always meet the same next one.
                for who in random.sample(sorted(took), len(took)):
                    began = time.perf_counter()
                    answer = guest.ask(
                        "POST", "/account/sessions/email", email=f"{who}@example.com", password="wrong horse"
                    )
                    took[who].append(time.perf_counter() - began)
                    bodies.add(answer.text)
                    assert answer.status_code == 401

        with ThreadPoolExecutor(GUESSERS) as guessers:
            list(guessers.map(guess, [server.client() for _ in range(GUESSERS)]))
    assert len(bodies) == 1
    known = took.pop("known")
    assert len(known) == SAMPLES
    for samples in took.values():
        assert not tells_apart(known, samples)
        assert 0.95 < statistics.median(samples) / statistics.median(known) < 1.05


def test_T8_recovery_answers_known_and_unknown_people_alike_and_takes_as_long(tmp_path: Path) -> None:
    """With the step of production. Nobody's address is asked for often, as rate limits would have it."""
    with Server(tmp_path / "data", ACCOUNTS_EVEN_ANSWERS="0.1") as server:
        operator = server.operator()
        for nth in range(PEOPLE):
            for who in ("known", "blocked"):
                user = {"userId": f"{who}{nth}", "email": f"{who}{nth}@example.com"}
                assert operator.ask("POST", "/users", **user).status_code == 201
            assert operator.ask("PATCH", f"/users/blocked{nth}/status", status=False).status_code == 200
        took: dict[str, list[float]] = {"known": [], "unknown": [], "blocked": []}
        shapes: set[tuple[str, ...]] = set()

        def ask(guest: Client) -> None:
            for nth in range(ASKED // ASKERS):
                path = ("/account/recovery", "/account/recovery/otp")[nth % 2]
                more = {"url": "http://localhost/"} if nth % 2 == 0 else {}
                for who in random.sample(sorted(took), len(took)):
                    email = f"{who}{random.randrange(PEOPLE)}@example.com"
                    began = time.perf_counter()
                    answer = guest.ask("POST", path, email=email, **more)
                    took[who].append(time.perf_counter() - began)
                    assert answer.status_code == 201
                    shapes.add((*answer.json(), answer.json()["secret"], answer.json()["phrase"]))

        with ThreadPoolExecutor(ASKERS) as askers:
            list(askers.map(ask, [server.client() for _ in range(ASKERS)]))
    assert len(shapes) == 1
    known = took.pop("known")
    assert len(known) == ASKED
    for samples in took.values():
        assert not tells_apart(known, samples)
        assert 0.95 < statistics.median(samples) / statistics.median(known) < 1.05


@pytest.mark.parametrize("way", ["magic-url", "email"])
def test_T8_links_and_codes_take_as_long_for_known_people_as_for_new_ones(tmp_path: Path, way: str) -> None:
    """The answers look alike, but for the user's id, which the contract has them tell."""
    with Server(tmp_path / "data", ACCOUNTS_EVEN_ANSWERS="0.1") as server:
        for nth in range(PEOPLE):
            user = {"userId": f"known{nth}", "email": f"known{nth}@example.com"}
            assert server.operator().ask("POST", "/users", **user).status_code == 201
        took: dict[str, list[float]] = {"known": [], "unknown": []}
        shapes: set[tuple[str, ...]] = set()

        def ask(guest: Client) -> None:
            for _ in range(ASKED // ASKERS):
                for who in random.sample(sorted(took), len(took)):
                    name = f"known{random.randrange(PEOPLE)}" if who == "known" else f"new{random.getrandbits(64):x}"
                    began = time.perf_counter()
                    answer = guest.ask("POST", f"/account/tokens/{way}", userId="unique()", email=f"{name}@example.com")
                    took[who].append(time.perf_counter() - began)
                    assert answer.status_code == 201
                    shapes.add((*answer.json(), answer.json()["secret"], answer.json()["phrase"]))

        with ThreadPoolExecutor(ASKERS) as askers:
            list(askers.map(ask, [server.client() for _ in range(ASKERS)]))
    assert len(shapes) == 1
    assert len(took["known"]) == len(took["unknown"]) == ASKED
    assert not tells_apart(took["known"], took["unknown"])
    assert 0.95 < statistics.median(took["unknown"]) / statistics.median(took["known"]) < 1.05
