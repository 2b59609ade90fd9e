"""How far what follows the log is: for whoever has a key, for monitors, and for Prometheus."""

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

import projections
from tests.conftest import temporary_database
from tests.support.running import World
from tests.support.server import Client, Server
from tests.support.waiting import eventually

TOKEN = "a token of some length"


@pytest.fixture(scope="module")
def server(server_conninfo: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of its own, whose health is nobody else's."""
    folder = tmp_path_factory.mktemp("health")
    with (
        temporary_database(server_conninfo, template) as conninfo,
        Server(folder / "data", database_url=conninfo, ACCOUNTS_METRICS_TOKEN=TOKEN) as running,
    ):
        yield running


def healthy(operator: Client) -> Any:
    """What follows the log, once the ledger has: what tests write is dated in the past, so it is far behind at once."""
    return eventually(lambda: (found := operator.ask("GET", "/health/projections")).is_success and found.json())


def metrics(server: Server, token: str = TOKEN) -> httpx.Response:
    with httpx.Client(trust_env=False, headers={"authorization": f"Bearer {token}"}) as prometheus:
        return prometheus.get(server.url.removesuffix("/v1") + "/metrics")


def test_T45_everything_that_follows_the_log_says_where_it_is(server: Server) -> None:
    operator = server.client(key=_key(server))
    body = healthy(operator)
    by_name = {each["name"]: each for each in body["projections"]}
    assert set(by_name) >= {*(each.name for each in projections.ALL), "ledger", "outbox"}
    assert body["total"] == len(body["projections"])
    accounts = by_name["accounts"]
    assert (accounts["kind"], accounts["status"], accounts["lag"], accounts["parked"]) == ("inline", "pass", 0, [])
    assert accounts["position"] > 0


def test_T45_the_ledger_catches_up_and_the_log_s_end_is_its_own(server: Server) -> None:
    operator = server.client(key=_key(server))

    def settled() -> bool:
        found = {each["name"]: each for each in healthy(operator)["projections"]}
        return found["ledger"]["lag"] == 0 and found["ledger"]["position"] == found["accounts"]["position"]

    eventually(settled)


def test_T43_T45_a_stream_that_stands_still_turns_health_red_and_counts(server: Server, template: str) -> None:
    operator = server.client(key=_key(server))
    healthy(operator)
    with server.owner() as owner:
        owner.execute(
            """INSERT INTO log.parked (tables, read_model, stream, version, position, topic, error)
               VALUES ('read', 'accounts', 'account-1', 3, 7, 'account.name_changed', 'ZeroDivisionError')"""
        )
        answer = operator.ask("GET", "/health/projections")
        assert answer.status_code == 503
        assert answer.json()["message"] == "accounts: 1 streams stand still"
        assert 'accounts_es_projection_parked_streams{projection="accounts",kind="inline"} 1\n' in metrics(server).text
        assert 'accounts_es_projection_up{projection="accounts",kind="inline"} 0\n' in metrics(server).text
        owner.execute("DELETE FROM log.parked")
    assert operator.ask("GET", "/health/projections").status_code == 200


def test_T45_lag_is_exported_for_each_projection_as_prometheus_reads_it(server: Server) -> None:
    answer = metrics(server)
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    line = re.compile(r"# (HELP|TYPE) \w+ .+|\w+\{projection=\"[\w ]+\",kind=\"\w+\"\} -?\d+(\.\d+)?")
    assert all(line.fullmatch(each) for each in answer.text.splitlines())
    for name in (*(each.name for each in projections.ALL), "ledger", "outbox"):
        assert f'accounts_es_projection_lag_seconds{{projection="{name}"' in answer.text


def test_metrics_are_for_those_who_know_the_token(server: Server, world: World) -> None:
    assert metrics(server, "another token, just as long").status_code == 401
    # Nobody has one where none was set.
    assert metrics(world.server).status_code == 404


def _key(server: Server) -> str:
    return World(server, None, server.database_url or "").key("projections.read")  # type: ignore[arg-type]
