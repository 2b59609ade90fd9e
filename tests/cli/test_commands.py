"""The commands an operator types, as processes of their own."""

import base64
import csv
import json
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.server import COMMAND, Server, environment

ROOT = Path(__file__).parent.parent.parent


def run(*words: str, **settings: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        words, env=environment(**settings), cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A running server with somebody in it."""
    with Server(tmp_path_factory.mktemp("cli") / "data") as running:
        running.operator().ask("POST", "/users", userId="jane", email="jane@example.com", name="Jane")
        yield running


def command(server: Server, *words: str) -> "subprocess.CompletedProcess[str]":
    return run(COMMAND, *words, "--data", str(server.data))


def script(server: Server, name: str, *words: str) -> "subprocess.CompletedProcess[str]":
    return run(sys.executable, f"scripts/{name}.py", *words, "--data", str(server.data))


def test_the_first_start_leaves_keys_and_credentials_for_the_owner_alone(server: Server) -> None:
    assert set(server.credentials) == {"endpoint", "project", "key"}
    assert server.credentials["endpoint"] == server.url
    files = [server.data / "credentials.json", *(server.data / "keys").iterdir()]
    assert len(files) == 4
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_a_second_server_is_told_what_is_taken(server: Server, tmp_path: Path) -> None:
    folder = command(server, "serve", "--port", "0")
    assert folder.returncode == 1
    assert "in use by process" in folder.stderr
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = run(COMMAND, "serve", "--data", str(tmp_path), "--port", str(taken.getsockname()[1]))
    assert port.returncode == 1
    assert "cannot listen on" in port.stderr
    assert "Traceback" not in folder.stderr + port.stderr


def test_a_wrong_master_key_is_refused(tmp_path: Path) -> None:
    with Server(tmp_path / "data") as first:
        assert first.stop() == 0
        first.start()
    wrong = base64.b64encode(b"w" * 32).decode()
    refused = run(COMMAND, "serve", "--data", str(tmp_path / "data"), "--port", "0", ACCOUNTS_MASTER_KEY=wrong)
    assert refused.returncode == 1
    assert "the master key does not open this database" in refused.stderr


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_server_takes_its_database_along_and_finds_everything_again(
    tmp_path: Path, how: signal.Signals
) -> None:
    server = Server(tmp_path / "data").start()
    server.operator().ask("POST", "/users", userId="jane")
    assert server.stop(how) == 0
    assert not (server.data / "postgres" / "postmaster.pid").exists()
    with server:
        assert server.operator().ask("GET", "/users/jane").json()["$id"] == "jane"


def test_projects_are_created_and_listed(server: Server) -> None:
    made = command(server, "projects", "create", "shop", "--name", "The shop", "--platform", "shop.example.com")
    assert made.returncode == 0, made.stderr
    assert "shop\tThe shop\tshop.example.com" in command(server, "projects", "list").stdout
    again = command(server, "projects", "create", "shop")
    assert (again.returncode, again.stderr) == (1, "accounts-es: A project with this ID exists already.\n")
    page = server.client(project="shop", origin="https://shop.example.com")
    assert page.ask("GET", "/account").headers["access-control-allow-origin"] == "https://shop.example.com"


def test_projects_are_set_up(server: Server, tmp_path: Path) -> None:
    def project(*words: str) -> "subprocess.CompletedProcess[str]":
        done = command(server, "projects", *words)
        assert "Traceback" not in done.stderr
        return done

    operator = server.operator()
    assert project("policies", "set", "password-strength", "min=12", "number=true").returncode == 0
    assert 'password-strength\t{"min":12,' in project("policies", "show").stdout
    assert operator.ask("GET", "/project/policies/password-strength").json()["number"] is True
    assert "session-limit cannot be" in project("policies", "set", "session-limit", "total=-1").stderr
    assert "there is no setting" in project("policies", "set", "session-limit", "size=1").stderr
    assert "cannot be total=many" in project("policies", "set", "session-limit", "total=many").stderr

    assert project("methods", "off", "anonymous").returncode == 0
    refused = server.client().ask("POST", "/account/sessions/anonymous")
    assert refused.json()["type"] == "user_auth_method_unsupported"
    assert project("methods", "on", "anonymous").returncode == 0
    assert "there is no method 'fax'" in project("methods", "off", "fax").stderr

    assert project("services", "off", "teams").returncode == 0
    assert server.client().ask("GET", "/teams").json()["type"] == "general_service_disabled"
    assert project("services", "on", "teams").returncode == 0
    assert project("protocols", "off", "rest").returncode == project("protocols", "on", "rest").returncode == 0
    assert "there is no service 'fax'" in project("services", "off", "fax").stderr

    platform = project("platforms", "add", "com.example.app", "--kind", "android", "--name", "App").stdout.strip()
    assert f"{platform}\tandroid\tApp\tcom.example.app" in project("platforms", "list").stdout
    assert project("platforms", "remove", platform).returncode == 0
    assert project("platforms", "remove", platform).returncode == 1

    secret = tmp_path / "secret"
    secret.write_text("their-secret\n")
    given = ("--client-id", "client", "--secret-file", str(secret), "--with", "tenant=common", "--on")
    assert project("providers", "set", "microsoft", *given).returncode == 0
    answer = operator.ask("GET", "/project/oauth2/microsoft").json()
    assert (answer["enabled"], answer["applicationId"], answer["tenant"]) == (True, "client", "common")
    given = ("--native-on", "--native-client-id", "ios", "--native-client-id", "android")
    assert project("providers", "set", "apple", *given, "--with", "issuer=https://id.example").returncode == 0
    answer = operator.ask("GET", "/project/oauth2/apple").json()
    assert (answer["enabled"], answer["nativeEnabled"]) == (False, True)
    assert (answer["nativeClientIds"], answer["issuer"]) == (["ios", "android"], "https://id.example")
    assert "no ID tokens" in project("providers", "set", "github", "--native-on").stderr
    assert "there is no provider 'fax'" in project("providers", "set", "fax").stderr

    given = ("--host", "smtp.example.org", "--security", "tls", "--sender-email", "shop@example.org", "--on")
    assert project("smtp", "set", *given, "--secret-file", str(secret)).returncode == 0
    assert operator.ask("GET", "/project").json()["smtpHost"] == "smtp.example.org"
    assert project("smtp", "set", "--off").returncode == 0
    assert project("rename", "default", "The shop").returncode == 0
    assert operator.ask("GET", "/project").json()["name"] == "The shop"
    assert (
        project("rename", "nowhere", "x").stderr == "accounts-es: Project with the requested ID could not be found.\n"
    )


def test_keys_are_created_listed_and_deleted(server: Server) -> None:
    secret = command(server, "keys", "create", "reader", "--scope", "users.read").stdout.strip()
    reader = server.client(key=secret)
    assert reader.ask("GET", "/users").status_code == 200
    assert reader.ask("POST", "/users", userId="x").json()["type"] == "general_unauthorized_scope"
    line = next(line for line in command(server, "keys", "list").stdout.splitlines() if "\treader\t" in line)
    assert secret not in line
    assert command(server, "keys", "delete", line.split("\t")[0]).returncode == 0
    assert reader.ask("GET", "/users").json()["type"] == "user_unauthorized"
    assert "there is no scope fly" in command(server, "keys", "create", "x", "--scope", "fly").stderr


def test_replay_rebuilds_and_verifies_while_the_server_runs(server: Server) -> None:
    assert "rebuilt projects, api_keys, accounts, sessions" in script(server, "replay").stdout
    assert "compared accounts" in script(server, "replay", "accounts", "--verify").stdout
    assert server.operator().ask("GET", "/users/jane").status_code == 200
    assert "there is no read model nonsense" in command(server, "replay", "nonsense").stderr


def test_audit_shows_who_did_what(server: Server) -> None:
    lines = [json.loads(line) for line in script(server, "audit", "jane", "--json").stdout.splitlines()]
    assert [line["event"] for line in lines] == ["SignedUp", "TargetAdded"]
    assert lines[0]["actor"].startswith("key:")
    assert lines[0]["data"]["email"] == "jane@example.com"
    redacted = script(server, "audit", "jane", "--json", "--redact").stdout
    assert "jane@example.com" not in redacted
    state = json.loads(script(server, "audit", "jane", "--at", "2100-01-01").stdout)
    assert state["state"]["name"] == "Jane"
    assert "SignedUp" in command(server, "audit").stdout
    assert "there is no account 'nobody'" in command(server, "audit", "nobody").stderr


def test_version(server: Server) -> None:
    assert run(COMMAND, "version").stdout.startswith("accounts-es ")
    assert server.client(project=None).ask("GET", "/health/version").json() == {"version": "1.9.6"}


def test_parameters_for_passwords_are_proposed_as_settings() -> None:
    lines = run(COMMAND, "hash", "calibrate", "--target", "0.05", "--memory-mib", "19").stdout.splitlines()
    proposed = dict(line.split("=") for line in lines if "=" in line)
    assert 19456 <= int(proposed["ACCOUNTS_HASH_MEMORY_KIB"]) <= 32 * 1024
    assert int(proposed["ACCOUNTS_HASH_ITERATIONS"]) >= 2
    assert proposed["ACCOUNTS_HASH_LANES"] == "1"


# The verifiable log ---------------------------------------------------------------------------------------------------


def verify(*words: str) -> "subprocess.CompletedProcess[str]":
    """The stand-alone verifier, without anything of ours at hand."""
    return run(sys.executable, "-I", "-P", "scripts/verify_audit.py", *words)


def test_T53_an_export_is_checked_offline_against_what_was_signed_before(server: Server, tmp_path: Path) -> None:
    export, signed, key = tmp_path / "log.jsonl", tmp_path / "signed.txt", tmp_path / "key.txt"
    signed.write_text(command(server, "checkpoint").stdout)
    key.write_text(command(server, "checkpoint", "--key").stdout)
    first = command(server, "audit", "--export", str(export))
    assert first.returncode == 0, first.stderr
    server.operator().ask("POST", "/users", userId="joan", email="joan@example.com", name="Joan")
    # Signed before it is exported: the server may note something by itself meanwhile.
    later = tmp_path / "later.txt"
    later.write_text(command(server, "checkpoint").stdout)
    with export.open("a") as file:
        file.write('{"position":')  # a crash while it was written
    assert command(server, "audit", "--export", str(export)).returncode == 0

    checked = ["--key", str(key), "--checkpoint", str(signed), "--checkpoint", str(later), str(export)]
    good = verify(*checked)
    assert good.returncode == 0, good.stdout + good.stderr
    assert "events are those signed in 2 checkpoints" in good.stdout
    assert "joan@example.com" not in export.read_text()

    lines = export.read_text().splitlines(keepends=True)
    assert [json.loads(line)["position"] for line in lines] == sorted({json.loads(line)["position"] for line in lines})
    export.write_text("".join([lines[0].replace("default", "defualt"), *lines[1:]]))
    bad = verify(*checked)
    assert (bad.returncode, bad.stderr) == (1, "")
    assert bad.stdout.startswith("WRONG: the checkpoint of ")


def test_audit_takes_the_queries_of_the_sdks(server: Server) -> None:
    def found(*queries: str) -> "subprocess.CompletedProcess[str]":
        return script(server, "audit", "--json", *(word for each in queries for word in ("--query", each)))

    made = '{"method":"equal","attribute":"operation","values":["users.create"]}'
    named = '{"method":"startsWith","attribute":"topic","values":["account.sign"]}'
    lines = found(made, named).stdout.splitlines()
    assert lines
    assert {json.loads(line)["event"] for line in lines} == {"SignedUp"}
    assert found('{"method":"equal","attribute":"event","values":["user.create"]}').stdout.splitlines() == lines
    limit = found('{"method":"limit","values":[1]}')
    assert (limit.returncode, limit.stderr.count("\n")) == (1, 1)
    assert "filters alone" in limit.stderr
    assert "Attribute not found" in found('{"method":"equal","attribute":"userId","values":["jane"]}').stderr
    assert "fulltext" in found('{"method":"search","attribute":"event","values":["jane"]}').stderr


def test_audit_goes_on_behind_a_position_as_csv_too(server: Server) -> None:
    whole = script(server, "audit", "--csv").stdout
    lines = whole.splitlines(keepends=True)
    (last,) = csv.reader([lines[2]])
    rest = script(server, "audit", "--csv", "--after", last[0]).stdout
    assert "".join(lines[:3]) + rest == whole
    behind = [
        json.loads(line)["position"]
        for line in script(server, "audit", "--json", "--after", last[0]).stdout.splitlines()
    ]
    assert behind == [int(row[0]) for row in csv.reader(rest.splitlines())]


def test_an_export_takes_no_conditions_and_no_other_file(server: Server, tmp_path: Path) -> None:
    refused = command(server, "audit", "jane", "--export", str(tmp_path / "log.jsonl"))
    assert "it takes no conditions" in refused.stderr
    other = tmp_path / "other.txt"
    other.write_text("mine\n")
    assert "is no export" in command(server, "audit", "--export", str(other)).stderr
    assert other.read_text() == "mine\n"


def test_a_checkpoint_is_made_without_a_running_server_too(tmp_path: Path) -> None:
    with Server(tmp_path / "data") as stopped:
        assert stopped.stop() == 0
    again = command(stopped, "checkpoint")
    assert again.returncode == 0, again.stderr
    assert again.stdout.startswith("accounts-es/")
    assert "there is no ledger key" in run(COMMAND, "checkpoint", "--data", str(tmp_path)).stderr
