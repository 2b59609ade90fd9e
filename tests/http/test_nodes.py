"""Two servers on one database are one server: what one of them answered, the other one knows."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.running import PASSWORD, Person, World
from tests.support.server import Client, Server


@pytest.fixture(scope="module")
def second(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Another process on the same database."""
    with Server(tmp_path_factory.mktemp("second") / "data", database_url=world.conninfo) as server:
        yield server


def at(server: Server, person: Person) -> Client:
    """The same person with the same session, calling another server."""
    client = server.client()
    for name, value in person.client.cookies.items():
        client.cookies.set(name, value)
    return client


def test_T19_a_session_ended_at_one_server_is_refused_by_the_other_at_once(world: World, second: Server) -> None:
    for _ in range(20):
        jane = world.person()
        there = at(second, jane)
        assert there.ask("GET", "/account").status_code == 200
        assert jane.ask("DELETE", "/account/sessions/current").status_code == 204
        assert there.ask("GET", "/account").status_code == 401


@pytest.mark.parametrize("ending", ["sessions", "account", "limit"])
def test_T19_however_a_session_ends_it_ends_everywhere(
    world: World, second: Server, operator: Client, ending: str
) -> None:
    jane = world.person()
    there = at(second, jane)
    assert there.ask("GET", "/account").status_code == 200
    match ending:
        case "sessions":
            operator.ask("DELETE", f"/users/{jane.account_id}/sessions")
        case "account":
            operator.ask("DELETE", f"/users/{jane.account_id}")
        case _:
            for _ in range(10):
                world.server.client().ask("POST", "/account/sessions/email", email=jane.email, password=PASSWORD)
    assert there.ask("GET", "/account").status_code == 401
    assert there.ask("PATCH", "/account/name", name="x").status_code == 401


def test_T46_what_was_written_through_one_server_is_read_through_the_other(world: World, second: Server) -> None:
    jane = world.person()
    clients = [jane.client, at(second, jane)]
    for nth in range(60):
        writing, reading = clients[nth % 2], clients[(nth + 1) % 2]
        assert writing.ask("PATCH", "/account/prefs", prefs={"nth": nth}).status_code == 200
        assert reading.ask("GET", "/account/prefs").json() == {"nth": nth}
        assert writing.ask("GET", "/account/prefs").json() == {"nth": nth}


def test_T27_labels_and_keys_change_everywhere_at_once(world: World, second: Server, operator: Client) -> None:
    jane = world.person()
    there = at(second, jane)
    for labels in (["a"], ["a", "b"], []):
        operator.ask("PUT", f"/users/{jane.account_id}/labels", labels=labels)
        assert there.ask("GET", "/account").json()["labels"] == labels
    by_key = second.client(key=world.key("users.read", key_id="everywhere"))
    assert by_key.ask("GET", "/users").status_code == 200
    world.drop_key("everywhere")
    assert by_key.ask("GET", "/users").status_code == 401


def test_T30_people_who_write_through_both_servers_at_once_lose_nothing(world: World, second: Server) -> None:
    jane = world.person()
    clients = [jane.client, at(second, jane)]

    def rename(nth: int) -> int:
        return clients[nth % 2].ask("PATCH", "/account/name", name=f"Name {nth}").status_code

    with ThreadPoolExecutor(8) as together:
        assert list(together.map(rename, range(80))) == [200] * 80
    stream = world.log.connection.execute(
        "SELECT stream, version, name FROM read.accounts_v2 WHERE account_id = %s", (jane.account_id,)
    ).fetchone()
    assert stream is not None
    events = list(world.log.read("originator_id = %s", stream[0]))
    assert [each.stream_version for each in events] == list(range(1, stream[1] + 1))
    renamed = [each.event.model_dump()["name"] for each in events if each.event.topic == "account.name_changed"]
    assert len(renamed) == 80
    assert renamed[-1] == stream[2]


def test_T31_an_address_is_given_away_once_by_both_servers(world: World, second: Server) -> None:
    for round_ in range(5):
        body = {"userId": "unique()", "email": f"raced{round_}@example.org", "password": PASSWORD}
        clients = [world.server.client(), second.client()] * 4
        with ThreadPoolExecutor(8) as together:
            answers = list(together.map(lambda client, body=body: client.ask("POST", "/account", **body), clients))
        assert sorted(answer.status_code for answer in answers) == [201] + [409] * 7
