"""The audit as a file: whole, resumable, bounded, on the record, and harmless wherever it is opened (T55)."""

import csv
import io
import json
import signal
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from accounts_es.application import Application
from accounts_es.domain.account import ACCOUNT, commands
from accounts_es.http.callers import PERSONAL
from tests.support.metadata import metadata
from tests.support.running import Person, World, administer
from tests.support.server import Client, Log, Server

PATH = "/audit/export"
EVENTS = 1500
EVIL = '=HYPERLINK("http://evil")\r\n\x1b[2J\u202e","$'


@pytest.fixture(scope="module")
def auditor(world: World) -> Client:
    """Somebody with a key for what happened and nothing else."""
    return world.server.client(key=world.key("events.read", PERSONAL))


def lines(answer: httpx.Response) -> list[dict[str, Any]]:
    assert answer.status_code == 200
    return [json.loads(line) for line in answer.text.splitlines()]


def head(world: World) -> int:
    ((position,),) = world.log.connection.execute("SELECT max(notification_id) FROM log.accounts_events").fetchall()
    return int(position)


def test_an_export_holds_every_event_of_the_project_once_and_in_order(world: World, auditor: Client) -> None:
    world.person()
    answer = auditor.ask("GET", PATH)
    found = [each["position"] for each in lines(answer)]
    stored = world.log.connection.execute(
        """SELECT notification_id FROM log.accounts_events WHERE project_id = 'default' AND notification_id <= %s
           ORDER BY notification_id""",
        (found[-1],),
    ).fetchall()
    assert found == [position for (position,) in stored]
    assert answer.headers["content-disposition"] == 'attachment; filename="audit-default.jsonl"'


def test_it_goes_on_where_a_file_ends(world: World, auditor: Client, jane: Person) -> None:
    for format_ in ("jsonl", "csv"):
        begin = head(world)
        jane.ask("PATCH", "/account/name", name="One")
        whole = auditor.ask("GET", PATH, format=format_)
        jane.ask("PATCH", "/account/name", name="Two")
        assert f"{begin + 1}" in whole.text
        last = whole.text.splitlines()[-1]
        position = json.loads(last)["position"] if format_ == "jsonl" else int(next(csv.reader([last]))[0])
        rest = auditor.ask("GET", PATH, format=format_, after=position)
        both = auditor.ask("GET", PATH, format=format_)
        joined = whole.text + rest.text
        assert both.text.startswith(joined), "no line is missing, none is there twice, and there is one header"
    assert auditor.ask("GET", PATH, after=2**40).text == ""


def test_filters_choose_what_is_exported(auditor: Client, jane: Person) -> None:
    mine = json.dumps({"method": "equal", "attribute": "userId", "values": [jane.account_id]})
    found = lines(auditor.get(PATH, params={"queries[]": [mine]}))
    assert [each["event"] for each in found] == ["SignedUp", "TargetAdded", "SessionCreated"]
    limit = json.dumps({"method": "limit", "values": [1]})
    assert auditor.get(PATH, params={"queries[]": [limit]}).json()["type"] == "general_argument_invalid"


def test_T50_an_export_is_on_record_before_its_first_line(world: World, auditor: Client, jane: Person) -> None:
    mine = json.dumps({"method": "equal", "attribute": "userId", "values": [jane.account_id]})
    before = head(world)
    answer = auditor.get(PATH, params={"queries[]": [mine], "format": "csv", "after": 3})
    (exported,) = world.log.of(answer)
    fields = exported.model_dump()
    assert (fields["format"], fields["attributes"], fields["after"]) == ("csv", ("userId",), 3)
    assert fields["until"] >= before
    assert fields["question"]


def test_T55_nothing_people_send_does_harm_in_a_file(world: World, auditor: Client) -> None:
    begin = head(world)
    person = world.person()
    evil = world.server.client(user_agent="=cmd|' /C calc'!A0")
    evil.ask("POST", "/account/sessions/email", email=person.email, password="+wrong password")
    person.ask("PATCH", "/account/name", name=EVIL)
    text = auditor.ask("GET", PATH, format="csv", after=begin).text
    assert "\r" not in text
    assert "\x1b" not in text
    rows = list(csv.reader(io.StringIO(text)))
    assert {len(row) for row in rows} == {19}
    assert not [cell for row in rows for cell in row if cell[:1] in {"=", "+", "-", "@", "\t"}]
    assert any(cell == "'=cmd|' /C calc'!A0" for row in rows for cell in row)
    plain = auditor.ask("GET", PATH, after=begin).text
    assert plain.replace("\n", "").isprintable()
    assert any(each["data"].get("name") == EVIL for each in map(json.loads, plain.splitlines()))


def many(conninfo: str, number: int) -> None:
    """A long history."""

    async def work(app: Application) -> None:
        await app.execute(metadata("users.create"), ACCOUNT, "account-long", commands.sign_up, account_id="long")
        for nth in range(number):
            meta = metadata("users.updateName", request_id=f"r{nth}")
            await app.execute(meta, ACCOUNT, "account-long", commands.change_name, name=f"{nth} {'x' * 8000}")

    administer(conninfo, work)


def keep(url: str, headers: dict[str, str], path: Path, after_some: Callable[[], object]) -> None:
    """Read a stream into a file; something happens after its first parts."""
    with path.open("wb") as file, httpx.stream("GET", url, headers=headers, timeout=60, trust_env=False) as answer:
        assert answer.status_code == 200
        for nth, part in enumerate(answer.iter_raw(4096)):
            file.write(part)
            if nth == 10:
                after_some()


def test_an_export_cut_off_by_a_kill_goes_on(database: str, tmp_path: Path) -> None:
    """Whoever reads sees that it was cut off, and the rest joins what was written."""
    with closing(Log(database)) as log, Server(tmp_path / "data", database_url=database) as server:
        many(database, EVENTS)
        key, url = server.credentials["key"], server.url
        headers = {"x-appwrite-project": "default", "x-appwrite-key": key}
        kept = tmp_path / "kept.jsonl"
        with pytest.raises(httpx.HTTPError):
            keep(f"{url}{PATH}", headers, kept, lambda: server.stop(signal.SIGKILL))
        server.start()
        whole = kept.read_bytes()[: kept.read_bytes().rfind(b"\n") + 1]
        last = json.loads(whole.splitlines()[-1])["position"]
        assert last < EVENTS
        rest = server.operator().ask("GET", PATH, after=last)
        positions = [json.loads(line)["position"] for line in (whole + rest.content).splitlines()]
        stored = log.connection.execute(
            "SELECT notification_id FROM log.accounts_events WHERE project_id = 'default' ORDER BY 1"
        ).fetchall()
        assert positions == [position for (position,) in stored][: len(positions)]
        assert len(positions) > EVENTS

        # Somebody who hangs up costs nothing from then on.
        with httpx.stream("GET", f"{server.url}{PATH}", headers=headers, timeout=60, trust_env=False) as answer:
            next(answer.iter_raw(100))
        end = time.monotonic() + 30
        while log.connection.execute(
            "SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%%notification_id <= %%'"
            " AND pid <> pg_backend_pid() AND datname = current_database()"
        ).fetchone():
            assert time.monotonic() < end
        assert server.operator().ask("GET", "/health").status_code == 200
        assert "ASGI" not in server.logged


def test_a_question_the_log_cannot_answer_is_refused_before_the_file_begins(auditor: Client) -> None:
    search = json.dumps({"method": "search", "attribute": "topic", "values": ["account"]})
    answer = auditor.get(PATH, params={"queries[]": [search]})
    assert (answer.status_code, answer.json()["type"]) == (400, "general_query_invalid")
