"""Many at once, over HTTP, on two workers."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator

import httpx
import psycopg
import pytest

from accounts_es.adapters.embedded_postgres import connection
from tests.support.server import Server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One database, two processes."""
    with Server(tmp_path_factory.mktemp("races") / "data", ACCOUNTS_WORKERS="2") as running:
        yield running


@pytest.fixture
async def clients(server: Server) -> AsyncIterator[list[httpx.AsyncClient]]:
    """Sixteen connections of their own, so that both processes get some."""
    headers = {"x-appwrite-project": "default", "x-appwrite-key": server.credentials["key"]}
    opened = [httpx.AsyncClient(base_url=server.url, headers=headers, timeout=60, trust_env=False) for _ in range(16)]
    try:
        yield opened
    finally:
        for client in opened:
            await client.aclose()


def rows(server: Server, statement: str) -> list[tuple[object, ...]]:
    conninfo = connection(server.data)
    assert conninfo is not None
    with psycopg.connect(conninfo) as owner:
        return owner.execute(statement.encode()).fetchall()


async def test_T31_of_200_sign_ups_with_one_address_one_succeeds(
    server: Server, clients: list[httpx.AsyncClient]
) -> None:
    async def sign_up(nth: int) -> httpx.Response:
        body = {"userId": f"racer{nth}", "email": "One@Example.com", "password": "correct horse"}
        return await clients[nth % len(clients)].post("/account", json=body)

    answers = await asyncio.gather(*(sign_up(nth) for nth in range(200)))
    assert Counter(answer.status_code for answer in answers) == {201: 1, 409: 199}
    assert {answer.json()["type"] for answer in answers if answer.status_code == 409} == {"user_already_exists"}
    assert len(rows(server, "SELECT 1 FROM read.accounts_v2 WHERE email = 'one@example.com'")) == 1


async def test_T31_a_freed_address_has_one_new_owner(server: Server, clients: list[httpx.AsyncClient]) -> None:
    for generation in range(5):

        async def take(nth: int, generation: int = generation) -> int:
            body = {"userId": f"g{generation}n{nth}", "email": "free@example.com"}
            return (await clients[nth % len(clients)].post("/users", json=body)).status_code

        statuses = await asyncio.gather(*(take(nth) for nth in range(40)))
        assert Counter(statuses) == {201: 1, 409: 39}
        owner = f"g{generation}n{statuses.index(201)}"
        assert (await clients[0].delete(f"/users/{owner}")).status_code == 204


async def test_T30_fifty_writers_of_one_account_lose_no_update(
    server: Server, clients: list[httpx.AsyncClient]
) -> None:
    await clients[0].post("/users", json={"userId": "shared"})

    async def write(nth: int) -> httpx.Response:
        return await clients[nth % len(clients)].patch("/users/shared/prefs", json={"prefs": {"writer": nth}})

    answers = await asyncio.gather(*(write(nth) for nth in range(50)))
    assert {answer.status_code for answer in answers} == {200}
    written = rows(
        server,
        """SELECT originator_version FROM log.accounts_events WHERE operation = 'users.updatePrefs'
           AND originator_id = (SELECT stream FROM read.accounts_v2 WHERE account_id = 'shared')""",
    )
    assert sorted(version for (version,) in written) == list(range(2, 52))
    last = rows(server, "SELECT prefs, version FROM read.accounts_v2 WHERE account_id = 'shared'")
    assert last[0][1] == 51
    assert (await clients[1].get("/users/shared/prefs")).json() == httpx.Response(200, text=str(last[0][0])).json()


async def test_T19_T46_a_change_through_one_process_is_there_at_once_through_all(
    server: Server, clients: list[httpx.AsyncClient]
) -> None:
    await clients[0].post(
        "/users", json={"userId": "signer", "email": "signer@example.com", "password": "correct horse"}
    )
    for turn in range(10):
        guess = {"email": "signer@example.com", "password": "correct horse"}
        session = (await clients[turn].post("/account/sessions/email", json=guess)).json()
        headers = {"x-appwrite-project": "default", "x-appwrite-session": session["secret"]}

        async def ask(
            nth: int, method: str, path: str, headers: dict[str, str] = headers, **body: object
        ) -> httpx.Response:
            request = httpx.Request(method, f"{server.url}{path}", headers=headers, json=body or None)
            return await clients[nth].send(request)

        written = await ask(turn, "PATCH", "/account/prefs", prefs={"turn": turn})
        assert written.status_code == 200
        read = await asyncio.gather(*(ask(nth, "GET", "/account/prefs") for nth in range(16)))
        assert {answer.json()["turn"] for answer in read} == {turn}
        assert (await ask(turn, "DELETE", "/account/sessions/current")).status_code == 204
        after = await asyncio.gather(*(ask(nth, "GET", "/account") for nth in range(16)))
        assert {answer.status_code for answer in after} == {401}
