"""What people entrust to the server shows up nowhere else (ASVS V16.2.5, V16.5.1)."""

import base64
import json
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from secrets import token_hex

import httpx
import psycopg
import pytest
from psycopg import sql

from accounts_es.adapters.embedded_postgres import connection
from accounts_es.domain.project.aggregate import project_stream
from tests.support.issuer import google
from tests.support.running import World
from tests.support.server import COMMAND, Client, Log, Server, environment, keys


class Canaries:
    """Values found nowhere else in the world, each with its name."""

    def __init__(self) -> None:
        self.secrets: dict[str, str] = {}
        """Must be nowhere."""
        self.personal: dict[str, str] = {}
        """May be in read models, must not be in the log or in logs."""

    def secret(self, name: str) -> str:
        """A secret."""
        return self.secrets.setdefault(name, f"Canary{token_hex(8)}")

    def private(self, name: str) -> str:
        """A personal value."""
        return self.personal.setdefault(name, f"canary{token_hex(8)}")


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Canaries]]:
    """A server of its own that has been told everything there is to tell, and a good deal of nonsense."""
    canaries = Canaries()
    given = {**keys(), "ACCOUNTS_LOG_LEVEL": "DEBUG", "ACCOUNTS_METRICS_TOKEN": canaries.secret("metrics token")}
    with Server(tmp_path_factory.mktemp("private") / "data", **given) as server:
        tell(server, canaries)
        yield server, canaries


def tell(server: Server, canaries: Canaries) -> None:
    """Use every canary, in good requests and in bad ones."""
    secret, private = canaries.secret, canaries.private
    guest = server.client(user_agent=private("user agent"))
    email = f"{private('email')}@example.org"
    account = {"userId": "walter", "email": email, "password": secret("password"), "name": private("name")}
    assert guest.ask("POST", "/account", **account).status_code == 201
    assert guest.ask("POST", "/account", **account).status_code == 409
    assert guest.ask("POST", "/account", **(account | {"userId": private("bad id") + "$"})).status_code == 400
    wrong = {"email": email, "password": secret("wrong password")}
    assert guest.ask("POST", "/account/sessions/email", **wrong).status_code == 401
    unknown = {"email": f"{private('unknown email')}@example.org", "password": secret("unknown's password")}
    assert guest.ask("POST", "/account/sessions/email", **unknown).status_code == 401
    guest.post("/account", content=json.dumps(account | {"password": secret("in bad JSON")})[:-1].encode())
    guest.get(f"/account?password={secret('in the query')}&project={private('project')}")
    guest.get(f"/{secret('in the path')}")
    credentials = {"email": email, "password": account["password"]}
    headers = {"idempotency-key": secret("idempotency key")}
    session = guest.post("/account/sessions/email", json=credentials, headers=headers)
    assert session.status_code == 201
    encoded = session.headers["x-fallback-cookies"].split('"')[3]
    canaries.secrets["encoded session"] = encoded
    canaries.secrets["session"] = json.loads(base64.b64decode(encoded))["secret"]
    assert guest.ask("PATCH", "/account/prefs", prefs={private("prefs key"): private("prefs value")}).status_code == 200
    assert guest.ask("PATCH", "/account/name", name=private("new name")).status_code == 200
    operator = server.operator()
    canaries.secrets["API key"] = server.credentials["key"]
    phone = "+4915901234567"
    canaries.personal["phone"] = phone
    body = {"userId": "ada", "phone": phone, "password": secret("made password"), "name": private("made name")}
    assert operator.ask("POST", "/users", **body).status_code == 201
    assert operator.ask("PUT", "/users/ada/labels", labels=["vip"]).status_code == 200
    operator.get("/users", params={"search": private("search"), "queries[]": private("query")})
    server.client(key=f"standard_{secret('wrong key')}").ask("GET", "/users")
    server.client(x_appwrite_session=secret("wrong session")).ask("GET", "/account")
    server.client(cookie=f"a_session_default={secret('wrong cookie')}").ask("GET", "/account")
    tell_secrets(server, canaries, guest)
    assert guest.ask("DELETE", "/account/sessions/current").status_code == 204


def tell_secrets(server: Server, canaries: Canaries, walter: Client) -> None:
    """What the server makes up itself, what it is given to keep for others, and what only proves something."""
    secret, operator = canaries.secret, server.operator()
    canaries.secrets["JWT"] = walter.ask("POST", "/account/jwts").json()["jwt"]
    canaries.secrets["TOTP secret"] = walter.ask("POST", "/account/mfa/authenticators/totp").json()["secret"]
    codes = walter.ask("POST", "/account/mfa/recovery-codes").json()["recoveryCodes"]
    canaries.secrets |= {f"recovery code {nth}": code for nth, code in enumerate(codes)}
    canaries.secrets["custom token"] = operator.ask("POST", "/users/walter/tokens", length=64).json()["secret"]
    canaries.secrets["made session"] = operator.ask("POST", "/users/walter/sessions").json()["secret"]
    short = operator.ask("POST", "/project/keys/ephemeral", scopes=["users.read"], duration=600)
    canaries.secrets["ephemeral key"] = short.json()["secret"]
    made = operator.ask("POST", "/project/keys", keyId="unique()", name="For a canary", scopes=["users.read"])
    canaries.secrets["made key"] = made.json()["secret"]
    mail = {"host": "mail.example.org", "username": "mailer", "password": secret("SMTP password"), "enabled": False}
    assert operator.ask("PATCH", "/project/smtp", **mail).status_code == 200
    provider = {"clientId": "it", "clientSecret": secret("provider's secret")}
    assert operator.ask("PATCH", "/project/oauth2/github", **provider).status_code == 200

    conninfo = connection(server.data)
    assert conninfo is not None
    with closing(Log(conninfo)) as log:
        issuer, nonce = google(World(server, log, conninfo)), token_hex(8)
        canaries.secrets["ID token"] = issuer.token(email=f"{canaries.private('google')}@example.org", nonce=nonce)
        shown = {"provider": "google", "idToken": canaries.secrets["ID token"], "nonce": nonce}
        given = {"accessToken": secret("provider's access token"), "accessTokenExpiry": 3600}
        assert server.client().ask("POST", "/account/sessions/id-token", **shown, **given).status_code == 201


def found(haystack: bytes, needles: dict[str, str]) -> list[str]:
    """The names of the canaries that sing in here: in clear, in hex or in base64, in whatever case."""
    lowered = haystack.lower()
    names = []
    for name, value in needles.items():
        plain = value.encode()
        # Whatever stands before it, base64 of a text contains one of three fixed pieces.
        pieces = [base64.b64encode(b"x" * shift + plain)[4:-4] for shift in range(3)]
        if plain.lower() in lowered or plain.hex().encode() in lowered or any(piece in haystack for piece in pieces):
            names.append(name)
    return names


def tables(server: Server, *schemas: str) -> Iterator[tuple[str, bytes]]:
    """Every table and all that is in it, byte columns as they are."""
    conninfo = connection(server.data)
    assert conninfo is not None
    with psycopg.connect(conninfo) as owner:
        names = owner.execute(
            "SELECT schemaname, tablename FROM pg_tables WHERE schemaname = ANY(%s)", (list(schemas),)
        ).fetchall()
        for schema, table in names:
            rows = owner.execute(sql.SQL("SELECT * FROM {}").format(sql.Identifier(schema, table))).fetchall()
            cells = [cell if isinstance(cell, bytes) else str(cell).encode() for row in rows for cell in row]
            yield f"{schema}.{table}", b"\n".join(cells)


def test_T56_no_canary_is_in_the_servers_output(told: tuple[Server, Canaries]) -> None:
    server, canaries = told
    everything = canaries.secrets | canaries.personal
    assert found(server.logged.encode(), everything) == []
    assert found(server.said.encode(), everything) == []


def test_T56_no_canary_is_in_the_databases_log(told: tuple[Server, Canaries]) -> None:
    server, canaries = told
    text = (server.data / "postgres.log").read_bytes()
    assert text, "it does write a log"
    assert found(text, canaries.secrets | canaries.personal) == []


def test_T56_nothing_personal_is_in_the_log_in_clear(told: tuple[Server, Canaries]) -> None:
    server, canaries = told
    names = set()
    for table, content in tables(server, "log"):
        names.add(table)
        assert found(content, canaries.secrets | canaries.personal) == [], table
    assert {"log.accounts_events", "log.claims", "log.subject_keys", "log.idempotency"} <= names


def test_T56_no_secret_is_in_a_read_model(told: tuple[Server, Canaries]) -> None:
    server, canaries = told
    for table, content in tables(server, "read", "public"):
        assert found(content, canaries.secrets) == [], table
    seen = [content for table, content in tables(server, "read") if "accounts" in table]
    assert "made name" in found(b"".join(seen), canaries.personal), "the search finds what is there"


def test_T56_no_secret_is_in_a_file(told: tuple[Server, Canaries]) -> None:
    server, canaries = told
    for file in server.data.rglob("*"):
        outside = file.is_file() and "postgres" not in file.relative_to(server.data).parts[0]
        if outside and file.name != "credentials.json":
            assert found(file.read_bytes(), canaries.secrets) == [], file


def test_T56_no_secret_is_in_what_the_audit_shows_and_exports(told: tuple[Server, Canaries], tmp_path: Path) -> None:
    """Personal values are in there, for whoever has a key for them; what opens something is not."""
    server, canaries = told
    operator = server.operator()
    limit = json.dumps({"method": "limit", "values": [500]})
    shown = {
        "the list": operator.get("/activities/events", params={"queries[]": limit}).text,
        "JSON lines": operator.ask("GET", "/audit/export").text,
        "CSV": operator.ask("GET", "/audit/export", format="csv").text,
        "one event": "".join(operator.ask("GET", f"/activities/events/{each}").text for each in positions(server)),
        "a person's export": operator.ask("GET", "/users/walter/export").text,
        "a person's log": operator.ask("GET", "/users/walter/logs").text,
    }
    kept = tmp_path / "log.jsonl"
    asked = {
        "the command": ["--json"],
        "the lines": [],
        "a state": [project_stream("default"), "--at", "2100-01-01"],
        "the whole log": ["--export", str(kept)],
    }
    for name, words in asked.items():
        done = subprocess.run(
            [COMMAND, "audit", *words, "--data", str(server.data)],
            env=environment(**keys()),
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        )
        shown[name] = done.stdout
    shown["the whole log"] = kept.read_text()
    shown["its stored bytes"] = "\n".join(
        base64.b64decode(json.loads(line)["state"]).decode() for line in kept.read_text().splitlines()
    )
    for name, text in shown.items():
        assert len(text) > 100, name
        assert found(text.encode(), canaries.secrets) == [], name
    assert "new name" in found(shown["JSON lines"].encode(), canaries.personal), "the search finds what is there"


def positions(server: Server) -> list[int]:
    with server.owner() as owner:
        rows = owner.execute("SELECT notification_id FROM log.accounts_events WHERE project_id = 'default'").fetchall()
    return [position for (position,) in rows]


def test_T56_nothing_is_in_the_metrics(told: tuple[Server, Canaries]) -> None:
    server, canaries = told
    headers = {"authorization": f"Bearer {canaries.secrets['metrics token']}"}
    answer = httpx.get(f"{server.url.removesuffix('/v1')}/metrics", headers=headers, trust_env=False)
    assert answer.status_code == 200
    assert "accounts_es_" in answer.text
    assert found(answer.content, canaries.secrets | canaries.personal) == []


# When things go wrong -------------------------------------------------------------------------------------------------


def test_a_failure_tells_the_caller_nothing_and_the_log_no_value(database: str, tmp_path: Path) -> None:
    with Server(tmp_path / "data", database_url=database) as server, closing(Log(database)) as log:
        canaries = Canaries()
        guest = server.client()
        account = {"email": f"{canaries.private('email')}@example.org", "password": canaries.secret("password")}
        assert guest.ask("POST", "/account", userId="walter", name=canaries.private("name"), **account).is_success
        log.connection.execute("ALTER TABLE read.accounts_v2 RENAME COLUMN email TO broken")

        answers = [
            guest.ask("POST", "/account/sessions/email", **account),
            guest.ask(
                "POST",
                "/account",
                userId="ada",
                email=f"{canaries.private('other email')}@example.org",
                password=canaries.secret("other password"),
                name=canaries.private("other name"),
            ),
        ]

        for answer in answers:
            assert (answer.status_code, answer.json()["type"]) == (500, "general_unknown")
            assert answer.json()["message"] == "Server Error"
        logged = server.logged
        assert found(logged.encode(), canaries.secrets | canaries.personal) == []
        failures = [json.loads(line) for line in logged.splitlines()]
        assert {each.get("request") for each in failures} >= {answer.headers["x-request-id"] for answer in answers}
        assert all("exception" in each and each["at"] for each in failures if each["level"] == "error")
        log.connection.execute("ALTER TABLE read.accounts_v2 RENAME COLUMN broken TO email")
        assert guest.ask("POST", "/account/sessions/email", **account).status_code == 201


def test_a_row_that_cannot_be_read_fails_its_own_request_alone(database: str, tmp_path: Path) -> None:
    with Server(tmp_path / "data", database_url=database) as server, closing(Log(database)) as log:
        operator = server.operator()
        canaries = Canaries()
        for each in ("good", "bad"):
            assert operator.ask("POST", "/users", userId=each).status_code == 201
        broken = "{" + canaries.private("broken prefs")
        log.connection.execute("UPDATE read.accounts_v2 SET prefs = %s WHERE account_id = 'bad'", (broken,))
        assert operator.ask("GET", "/users/bad/prefs").status_code == 500
        assert operator.ask("GET", "/users/good/prefs").status_code == 200
        assert found(server.logged.encode(), canaries.personal) == []


def test_a_database_that_is_away_is_a_503_and_back_again_all_is_well(database: str, tmp_path: Path) -> None:
    with Server(tmp_path / "data", database_url=database) as server, closing(Log(database)) as log:
        operator = server.operator()
        # A server whose database goes away while it starts ends with that; this is about one that is up.
        assert operator.ask("GET", "/health").status_code == 200
        log.connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        statuses = []
        while not statuses or statuses[-1] != 201:
            answer = operator.ask("POST", "/users", userId="unique()")
            statuses.append(answer.status_code)
            assert answer.status_code in {201, 503}
            assert ("retry-after" in answer.headers) == (answer.status_code == 503)
            assert len(statuses) < 1000
        assert operator.ask("GET", "/health").status_code == 200
