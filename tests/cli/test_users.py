"""People are brought along by the file, and taken along by the file."""

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.running import PASSWORD
from tests.support.server import COMMAND, Server, environment

BCRYPT = {"kind": "bcrypt", "hash": "$2b$04$uFoUyk7wjKDbIZEA4jb4mehLwCmYL0ARNkxuGkcljQM.rCqxbHgQW"}
"""Of the password below."""


@pytest.fixture
def server(tmp_path: Path):
    """Somewhere to bring people to."""
    with Server(tmp_path / "data") as running:
        yield running


def users(server: Server, *words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [COMMAND, "users", *words, "--data", str(server.data)],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def write(file: Path, *people: object) -> str:
    file.write_text("".join(f"{each if isinstance(each, str) else json.dumps(each)}\n" for each in people))
    return str(file)


ANN: dict[str, Any] = {
    "id": "ann",
    "email": "Ann@Example.org",
    "phone": "+4930901820",
    "name": "Ann",
    "labels": ["vip"],
    "prefs": {"theme": "dark"},
    "emailVerified": True,
    "active": False,
}


def test_people_come_as_they_were_and_sign_in_with_the_password_they_had(server: Server, tmp_path: Path) -> None:
    import bcrypt

    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    bob = {"email": "bob@example.org", "password": {"kind": "bcrypt", "hash": hashed}}
    done = users(server, "import", write(tmp_path / "people.jsonl", ANN, bob))
    assert (done.returncode, done.stdout) == (0, "2 imported, 0 were here already, 0 refused\n"), done.stderr

    ann = server.operator().ask("GET", "/users/ann").json()
    assert (ann["email"], ann["phone"], ann["name"]) == ("ann@example.org", "+4930901820", "Ann")
    assert (ann["labels"], ann["prefs"], ann["status"]) == (["vip"], {"theme": "dark"}, False)
    assert (ann["emailVerification"], ann["phoneVerification"]) == (True, False)
    assert [each["providerType"] for each in ann["targets"]] == ["email", "sms"]
    signed_in = server.client().ask("POST", "/account/sessions/email", email="bob@example.org", password=PASSWORD)
    assert signed_in.status_code == 201
    found = server.operator().ask("GET", "/users", search="bob").json()["users"][0]
    assert found["password"].startswith("$argon2id$"), "hashed anew at the first sign-in"


def test_a_file_that_was_read_before_changes_nothing(server: Server, tmp_path: Path) -> None:
    file = write(tmp_path / "people.jsonl", ANN, {"name": "Nobody"}, {"email": "bob@example.org"})
    assert users(server, "import", file).stdout == "3 imported, 0 were here already, 0 refused\n"
    assert users(server, "import", file).stdout == "0 imported, 3 were here already, 0 refused\n"
    assert server.operator().ask("GET", "/users").json()["total"] == 3


def test_every_refused_line_is_named_with_its_reason_and_kept(server: Server, tmp_path: Path) -> None:
    refused = tmp_path / "refused.jsonl"
    people = [
        ANN,
        "no json",
        "[]",
        {"email": "nonsense"},
        {"email": "ann@example.org"},
        {"nickname": "x"},
        {"password": {"kind": "bcrypt"}},
        {"password": {"kind": "rot13", "hash": "x"}},
        {"labels": ["not ok"]},
        {"email": "bob@example.org"},
    ]
    done = users(server, "import", write(tmp_path / "people.jsonl", *people), "--refused", str(refused))
    assert done.returncode == 1
    assert done.stdout == "2 imported, 0 were here already, 8 refused\n"
    said = sorted(line for line in done.stderr.splitlines() if line.startswith("line "))
    assert [line.partition(":")[0] for line in said] == [f"line {nth}" for nth in range(2, 10)]
    assert "nonsense" not in done.stderr
    assert len(refused.read_text().splitlines()) == 8
    assert refused.stat().st_mode & 0o777 == 0o600


def test_a_table_is_read_like_lines(server: Server, tmp_path: Path) -> None:
    file = tmp_path / "people.csv"
    with file.open("w", newline="") as opened:
        table = csv.DictWriter(opened, ["id", "email", "labels", "prefs", "emailVerified", "password"])
        table.writeheader()
        table.writerow(
            {
                "id": "ann",
                "email": "ann@example.org",
                "labels": "vip pro",
                "prefs": '{"a": 1}',
                "emailVerified": "true",
                "password": json.dumps(BCRYPT),
            }
        )
        table.writerow({"id": "bob"})
    assert users(server, "import", str(file)).returncode == 0
    ann = server.operator().ask("GET", "/users/ann").json()
    assert (ann["labels"], ann["prefs"], ann["emailVerification"], ann["hash"]) == (
        ["vip", "pro"],
        {"a": 1},
        True,
        "bcrypt",
    )


def test_an_interrupted_import_goes_on_and_loses_nobody(server: Server, tmp_path: Path) -> None:
    people = [{"email": f"n{nth}@example.org", "name": f"N {nth}"} for nth in range(3000)]
    file = write(tmp_path / "people.jsonl", *people)
    command = [COMMAND, "users", "import", file, "--data", str(server.data)]
    with subprocess.Popen(command, env=environment(), stderr=subprocess.PIPE, text=True) as importing:
        assert importing.stderr is not None
        assert "importing" in importing.stderr.readline()
        importing.send_signal(signal.SIGKILL)
    done = users(server, "import", file)
    assert done.returncode == 0, done.stderr
    made, known, _ = (int(word) for word in done.stdout.split() if word.isdigit())
    assert made + known == 3000
    assert known >= 300
    with server.owner() as owner:
        assert owner.execute("SELECT count(*), count(DISTINCT email) FROM read.accounts_v2").fetchone() == (3000, 3000)


def test_what_is_exported_is_the_same_people_elsewhere(server: Server, tmp_path: Path) -> None:
    carl = {"id": "carl", "email": "carl@example.org", "password": BCRYPT}
    assert users(server, "import", write(tmp_path / "people.jsonl", ANN, carl)).returncode == 0
    server.operator().ask("POST", "/users", userId="dora", email="dora@example.org", password=PASSWORD)
    file = tmp_path / "all.jsonl"
    assert users(server, "export", str(file)).returncode == 0
    assert file.stat().st_mode & 0o777 == 0o600
    told = users(server, "export").stdout
    assert told == file.read_text()
    with Server(tmp_path / "other") as other:
        assert users(other, "import", str(file)).stdout == "3 imported, 0 were here already, 0 refused\n"
        assert users(other, "export").stdout == told
        signed_in = other.client().ask("POST", "/account/sessions/email", email="dora@example.org", password=PASSWORD)
        assert signed_in.status_code == 201


def test_memory_does_not_grow_with_the_file(server: Server, tmp_path: Path) -> None:
    def peak(number: int) -> int:
        file = tmp_path / f"{number}.jsonl"
        write(file, *({"email": f"p{number}n{nth}@example.org", "prefs": {"x": "y" * 500}} for nth in range(number)))
        script = (
            "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL,"
            " stderr=subprocess.DEVNULL); print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
        )
        command = [COMMAND, "users", "import", str(file), "--data", str(server.data)]
        done = subprocess.run(
            [sys.executable, "-c", script, *command], env=environment(), capture_output=True, text=True, check=True
        )
        return int(done.stdout)

    small, large = peak(500), peak(8000)
    # The states of recently used streams are kept, up to 16 MiB; the file itself is 5 MB.
    assert large - small < 40 * 1024, (small, large, os.cpu_count())


def test_T58_a_person_is_erased_from_the_command_line_and_again_when_a_backup_brings_them_back(tmp_path: Path) -> None:
    with Server(tmp_path / "data") as server:
        assert users(server, "import", write(tmp_path / "in.jsonl", ANN)).returncode == 0
        with server.owner() as owner:
            ((stream, wrapped),) = owner.execute(
                "SELECT subject, wrapped FROM log.subject_keys WHERE subject LIKE 'account-%'"
            ).fetchall()
        told = users(server, "export-person", "ann")
        assert (told.returncode, told.stderr) == (0, "")
        said = json.loads(told.stdout)
        assert said["readModels"]["accounts_v2"][0]["email"] == "ann@example.org"
        assert said["events"][0]["data"]["name"] == "Ann"
        erased = users(server, "erase", "ann")
        assert (erased.returncode, erased.stderr) == (0, "")
        assert (server.data / "erasures" / f"{stream}.txt").read_text() == erased.stdout
        again = users(server, "erase", "ann")
        assert again.returncode == 1
        assert "could not be found" in again.stderr
        with server.owner() as owner:
            # What an older backup would bring back.
            owner.execute("ALTER TABLE log.accounts_events DISABLE TRIGGER USER")
            owner.execute(
                """DELETE FROM log.accounts_events WHERE originator_id = %s
                   AND topic IN ('account.deleted', 'account.erased')""",
                (stream,),
            )
            owner.execute("DELETE FROM log.erasures")
            owner.execute("INSERT INTO log.subject_keys (subject, wrapped) VALUES (%s, %s)", (stream, wrapped))
        server.stop()
        server.start()
        with server.owner() as owner:
            assert owner.execute("SELECT 1 FROM log.subject_keys WHERE subject = %s", (stream,)).fetchall() == []
            assert owner.execute("SELECT reason FROM log.erasures").fetchall() == [("restored",)]
        assert "erased again" in server.logged


def test_what_changed_of_a_user_is_told_on_a_terminal(server: Server) -> None:
    operator = server.operator()
    operator.ask("POST", "/users", userId="ann", name="Ann")
    operator.ask("PATCH", "/users/ann/name", name="Anna\x1b[2J")
    operator.ask("DELETE", "/users/ann")

    told = users(server, "history", "ann", "--field", "name", "--json")

    assert told.returncode == 0, told.stderr
    lines = [json.loads(line) for line in told.stdout.splitlines()]
    assert [(each["old"], each["new"], each["event"]) for each in lines] == [
        (None, "Ann", "SignedUp"),
        ("Ann", "Anna\x1b[2J", "NameChanged"),
        ("Anna\x1b[2J", None, "AccountDeleted"),
    ]
    assert {each["operation"] for each in lines} == {"users.create", "users.updateName", "users.delete"}
    plain = users(server, "history", "ann")
    assert "\x1b" not in plain.stdout
    assert "users.updateName" in plain.stdout
    unknown = users(server, "history", "nobody")
    assert unknown.returncode == 1
    assert "no user 'nobody'" in unknown.stderr


def test_T57_the_files_of_the_database_are_wiped_on_request(server: Server) -> None:
    wiped = users(server, "scrub")
    assert (wiped.returncode, wiped.stderr) == (0, "")
