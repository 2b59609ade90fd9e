"""Rate limits as clients meet them (contract: cross-cutting, 8). Every test comes from an address of its own."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from random import getrandbits

import httpx
import psycopg
import pytest

from accounts_es.eventstore.keys import MasterKey
from accounts_es.http.callers import GUEST_SCOPES
from accounts_es.http.operation import Operation, Source
from accounts_es.http.table import OPERATIONS
from tests.support.bound import bound
from tests.support.running import PASSWORD, Person, World
from tests.support.server import MASTER, Client, Log, Server
from tests.support.waiting import no_window_ends
from tests.support.wire import said

pytestmark = pytest.mark.usefixtures(no_window_ends.__name__)
LIMITED = [each for each in OPERATIONS if each.limits]
WRONG = "wrong password"


@pytest.fixture(scope="module")
def limited(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with limits, on the same database as the one without."""
    folder = tmp_path_factory.mktemp("limited")
    with Server(folder / "data", database_url=world.conninfo, ACCOUNTS_RATE_LIMITS="on") as server:
        yield server


@pytest.fixture(scope="module")
def another(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A second one."""
    folder = tmp_path_factory.mktemp("another")
    with Server(folder / "data", database_url=world.conninfo, ACCOUNTS_RATE_LIMITS="on") as server:
        yield server


def an_address() -> str:
    """A client's address that no test had before."""
    return f"10.{getrandbits(8)}.{getrandbits(8)}.{getrandbits(8)}"


def caller(server: Server, address: str | None = None, project: str = "default") -> Client:
    return server.client(project=project, x_forwarded_for=address or an_address())


def sign_in(client: Client, email: str, password: str = PASSWORD) -> httpx.Response:
    answer = client.ask("POST", "/account/sessions/email", email=email, password=password)
    client.cookies.clear()
    return answer


def left(answer: httpx.Response) -> tuple[int, int]:
    return int(answer.headers["x-ratelimit-limit"]), int(answer.headers["x-ratelimit-remaining"])


def at(client: Client, person: Person) -> Client:
    """The same session at another server."""
    for name, value in person.client.cookies.items():
        client.cookies.set(name, value)
    return client


@pytest.mark.parametrize("operation", LIMITED, ids=lambda each: each.id)
def test_T10_every_limit_of_the_table_holds(world: World, limited: Server, operation: Operation) -> None:
    """Requests whose parameters are missing count like others, so nothing else has to be right."""
    client = caller(limited) if GUEST_SCOPES & set(operation.scopes) else at(caller(limited), world.person())
    ids = dict.fromkeys((each.wire for each in operation.parameters if each.source is Source.PATH), "nobodys")
    path = operation.paths[0].format(**ids | {"type": "totp", "provider": "mock"})
    tightest = min(operation.limits, key=lambda each: each.count)
    for used in range(tightest.count):
        answer = client.ask(operation.method, path)
        assert answer.status_code != 429
        assert left(answer) == (tightest.count, tightest.count - used - 1)
        if operation.opens_session:
            client.cookies.clear()
        if operation.id == "account.deleteSessions":
            at(client, world.person())
    refused = client.ask(operation.method, path)
    assert (refused.status_code, said(refused)["type"]) == (429, "general_rate_limit_exceeded")
    assert left(refused) == (tightest.count, 0)
    ends = int(refused.headers["x-ratelimit-reset"])
    assert ends % tightest.seconds == 0
    assert 0 < ends - time.time() <= tightest.seconds
    assert 0 < int(refused.headers["retry-after"]) <= tightest.seconds


def test_twenty_good_sign_ins_are_fine_ten_bad_ones_too_and_then_not_even_the_right_password_is(
    world: World, limited: Server
) -> None:
    jane, client = world.person(), caller(limited)
    for _ in range(20):
        answer = sign_in(client, jane.email)
        assert answer.status_code == 201
        assert left(answer) == (10, 9)
    for used in range(10):
        # The same address in other letters is the same person.
        answer = sign_in(client, jane.email.upper() if used % 2 else jane.email, WRONG)
        assert answer.status_code == 401
        assert left(answer) == (10, 9 - used)
    assert [sign_in(client, jane.email, each).status_code for each in (WRONG, PASSWORD)] == [429, 429]
    assert sign_in(client, world.person().email).status_code == 201, "somebody else at the same address"


def test_T10_two_servers_count_together(world: World, limited: Server, another: Server) -> None:
    jane, address = world.person(), an_address()
    clients = [caller(limited, address), caller(another, address)]
    answers = [sign_in(clients[nth % 2], jane.email, WRONG) for nth in range(10)]
    assert [left(answer)[1] for answer in answers] == list(range(9, -1, -1))
    assert [sign_in(client, jane.email).status_code for client in clients] == [429, 429]


def test_T10_fifty_at_once_let_exactly_ten_through(world: World, limited: Server, another: Server) -> None:
    jane, address = world.person(), an_address()
    clients = [caller(server, address) for server in (limited, another) for _ in range(5)]
    with ThreadPoolExecutor(10) as together:
        answers = list(together.map(lambda nth: sign_in(clients[nth % 10], jane.email, WRONG), range(50)))
    assert sorted(answer.status_code for answer in answers) == [401] * 10 + [429] * 40


def test_T10_a_victim_keeps_its_session_and_may_sign_in_from_elsewhere(world: World, limited: Server) -> None:
    jane, attacker = world.person(), caller(limited)
    session = at(caller(limited), jane)
    for _ in range(60):
        sign_in(attacker, jane.email, WRONG)
    assert sign_in(attacker, jane.email).status_code == 429
    assert session.ask("GET", "/account").status_code == 200
    assert session.ask("PATCH", "/account/prefs", prefs={"still": "here"}).status_code == 200
    assert sign_in(caller(limited), jane.email).status_code == 201


def test_T10_the_101st_failure_in_a_row_is_delayed_however_many_addresses_try(world: World, limited: Server) -> None:
    jane = world.person()
    session = at(caller(limited), jane)
    answers = [sign_in(caller(limited), jane.email, WRONG).status_code for _ in range(100)]
    assert answers == [401] * 50 + [429] * 50
    assert sign_in(caller(limited), jane.email).status_code == 429
    assert session.ask("GET", "/account").status_code == 200
    with psycopg.connect(world.conninfo, autocommit=True) as owner:
        owner.execute("UPDATE log.limits SET ends = ends - 3600 WHERE used >= 50")
    assert sign_in(caller(limited), jane.email).status_code == 201, "after the delay"


def test_T10_one_address_that_tries_many_accounts_is_stopped_and_its_successes_do_not_help(
    world: World, limited: Server
) -> None:
    own, address = world.person(), an_address()
    client = caller(limited, address)
    for nth in range(100):
        assert sign_in(client, f"someone{nth}@example.org", WRONG).status_code == 401
        if nth % 10 == 0:
            assert sign_in(client, own.email).status_code == 201
    assert sign_in(client, "another@example.org", WRONG).status_code == 429
    assert sign_in(caller(limited), own.email).status_code == 201


def test_an_ipv6_client_counts_by_its_network(world: World, limited: Server) -> None:
    jane, site = world.person(), f"2001:db8:{getrandbits(16):x}:{getrandbits(16):x}"
    answers = [sign_in(caller(limited, f"{site}::{nth:x}"), jane.email, WRONG).status_code for nth in range(1, 12)]
    assert answers == [401] * 10 + [429]


def test_an_address_nobody_vouched_for_changes_nothing(world: World, database: str, tmp_path: Path) -> None:
    settings = {"ACCOUNTS_RATE_LIMITS": "on", "ACCOUNTS_TRUSTED_PROXIES": "192.0.2.0/24"}
    with Server(tmp_path / "data", database_url=database, **settings) as server:
        answers = [sign_in(caller(server), "x@example.org", WRONG).status_code for _ in range(11)]
    assert answers == [401] * 10 + [429]


def test_projects_do_not_share_counters(world: World, limited: Server) -> None:
    address = an_address()
    other = world.project("limits-elsewhere")
    for _ in range(10):
        assert sign_in(caller(limited, address), "x@example.org", WRONG).status_code == 401
    assert sign_in(caller(limited, address), "x@example.org", WRONG).status_code == 429
    assert sign_in(caller(limited, address, other), "x@example.org", WRONG).status_code == 401


def test_paths_of_one_operation_share_a_counter(limited: Server) -> None:
    client = caller(limited)
    for used in range(10):
        path = "/account/sessions" if used % 2 else "/account/sessions/email"
        assert left(client.ask("POST", path, email="x@example.org")) == (10, 9 - used)


def test_api_keys_are_not_counted_and_see_the_limit(world: World, limited: Server) -> None:
    jane, address = world.person(), an_address()
    server = limited.client(key=world.key("sessions.write"), x_forwarded_for=address)
    for _ in range(15):
        answer = sign_in(server, jane.email, WRONG)
        assert answer.status_code == 401
        assert left(answer) == (10, 9)
    assert left(sign_in(caller(limited, address), jane.email)) == (10, 9)


def test_without_limits_the_headers_stay(guest: Client) -> None:
    for _ in range(15):
        answer = sign_in(guest, "x@example.org", WRONG)
        assert answer.status_code == 401
        assert left(answer) == (10, 9)


def test_the_limit_comes_after_the_scope_and_before_the_open_session(world: World, limited: Server) -> None:
    address = an_address()
    assert "x-ratelimit-limit" not in caller(limited, address).ask("DELETE", "/account/sessions").headers
    client = at(caller(limited, address), world.person())
    answers = [client.ask("POST", "/account", email="rubbish").status_code for _ in range(11)]
    assert answers == [400] * 10 + [429]
    answers = [client.ask("POST", "/account/sessions/email", email="x@example.org").status_code for _ in range(11)]
    assert answers == [401] * 10 + [429]


def test_T11_what_cannot_be_counted_is_refused(world: World, limited: Server) -> None:
    jane, client = world.person(), caller(limited)
    session = at(caller(limited), jane)
    with psycopg.connect(world.conninfo, autocommit=True) as owner:
        owner.execute("ALTER TABLE log.limits RENAME TO gone")
        try:
            refused = sign_in(client, jane.email)
            still = session.ask("GET", "/account")
        finally:
            owner.execute("ALTER TABLE log.gone RENAME TO limits")
    assert (refused.status_code, refused.json()["type"]) == (503, "general_service_unavailable")
    assert refused.headers["retry-after"]
    assert still.status_code == 200
    assert sign_in(client, jane.email).status_code == 201


def test_the_table_of_counters_holds_digests_only(world: World, limited: Server) -> None:
    jane, address = world.person(), an_address()
    sign_in(caller(limited, address), jane.email, WRONG)
    with psycopg.connect(world.conninfo) as owner:
        rows = owner.execute("SELECT key, used, ends FROM log.limits").fetchall()
        text = owner.execute("SELECT string_agg(l::text, ' ') FROM log.limits AS l").fetchone()
    assert all(len(bytes(key)) == 32 for key, _, _ in rows)
    assert text is not None
    for value in (jane.email, address, jane.account_id):
        assert value not in text[0]
        assert value.encode().hex() not in text[0]
        assert bound(MasterKey(MASTER)).digest("default", "account.email", value) not in {
            bytes(key) for key, _, _ in rows
        }


def test_T50_refusals_by_a_limit_are_counted(database: str, tmp_path: Path) -> None:
    with closing(Log(database)) as log:
        with Server(tmp_path / "data", database_url=database, ACCOUNTS_RATE_LIMITS="on") as server:
            client = caller(server)
            answers = [sign_in(client, "x@example.org", WRONG).status_code for _ in range(35)]
            assert answers == [401] * 10 + [429] * 25
        events = [each.event for each in log.read("topic LIKE %s", "security.%")]
    assert [each.topic for each in events] == ["security.sign_in_refused"] * 10 + ["security.refusals_counted"]
    assert events[-1].model_dump() == {"kind": "rate_limited", "count": 25}


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.id)
def test_the_openapi_document_says_what_is_limited(guest: Client, operation: Operation) -> None:
    described = guest.ask("GET", "/openapi.json").json()["paths"][operation.paths[0]][operation.method.lower()]
    assert ("429" in described["responses"]) == bool(operation.limits)
    said = [(each["count"], each["seconds"], *each["by"]) for each in described.get("x-rate-limits", ())]
    assert said == [(each.count, each.seconds, *each.by) for each in operation.limits]
