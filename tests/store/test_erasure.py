"""An erased person is nowhere: not in the database, not in its files, not in memory, and not in a restored backup."""

import base64
import secrets
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

import psycopg
import pytest
import pytest_asyncio

import projections
from accounts_es.application import Application, Besides, step
from accounts_es.cli.delivery import erase_again
from accounts_es.domain.account import ACCOUNT, Account, commands
from accounts_es.domain.account.events import AccountDeleted, AccountErased, AccountEvent, LegalHoldPlaced, SignedUp
from accounts_es.domain.errors import UserErased, UserNotFound, UserUnderLegalHold
from accounts_es.domain.event import Event, Recorded, personal_fields
from accounts_es.domain.team import TEAM
from accounts_es.domain.team import commands as team_commands
from accounts_es.erasures import Erasures
from accounts_es.eventstore import echoes
from accounts_es.eventstore import log as log_module
from accounts_es.eventstore.append import Append, Effect, IdempotencyKey, StreamErased
from accounts_es.eventstore.certificates import CertificateFiles, Erasure, facts, text
from accounts_es.eventstore.connection import connect, connect_sync
from accounts_es.eventstore.keys import MasterKey
from accounts_es.eventstore.ledger import growth
from accounts_es.eventstore.ledger.note import Signer, public_key
from accounts_es.eventstore.log import EventLog
from accounts_es.eventstore.rebuild import verify
from accounts_es.eventstore.scrub import scrub
from accounts_es.http.idempotency import KEEP
from accounts_es.messages import Mail
from accounts_es.settings import Settings
from tests.support.appends import beginning, labels, logs, rows, taking
from tests.support.bound import ring
from tests.support.examples import EXAMPLE_OF
from tests.support.metadata import metadata
from tests.support.verifier import verifier
from tests.support.waiting import until

SECRET = b"l" * 32
ENDINGS = {AccountDeleted, AccountErased, LegalHoldPlaced}


@pytest_asyncio.fixture
async def erasures(application: Application, tmp_path: Path) -> AsyncIterator[Erasures]:
    yield Erasures(application, SECRET, tmp_path / "erasures")


def marked(event_type: type[Event], canary: str) -> Event:
    """An event whose personal values are all canaries."""

    def mark(value: object) -> object:
        if isinstance(value, dict):
            return {f"{canary}-key": f"{canary}-value"}
        if isinstance(value, tuple):
            return tuple(mark(each) for each in value)
        return f"{canary}-{event_type.__name__}-{secrets.token_hex(4)}"

    example = EXAMPLE_OF[event_type]
    return example.model_copy(update={name: mark(getattr(example, name)) for name in personal_fields(event_type)})


async def live(log: EventLog, stream: str, canary: str) -> None:
    """Whatever can happen to an account happens to this one, with canaries wherever something personal stands."""
    meta = metadata(ip=f"{canary}-ip", user_agent=f"{canary}-agent")
    lived = [marked(each, canary) for each in get_args(AccountEvent) if each not in {SignedUp, *ENDINGS}]
    events = (marked(SignedUp, canary), *lived)
    recorded = tuple(Recorded(stream, nth, event, meta) for nth, event in enumerate(events, start=1))
    await log.append(
        Append(
            recorded,
            (taking(stream, "account.email", f"{canary}@example.org"),),
            ((stream, log.keys.create(stream)),),
            effects=(Effect("mail", stream, f"{canary}-mail".encode()),),
        )
    )


def dump(conninfo: str) -> dict[str, bytes]:
    """Every row of every table, as text."""
    contents: dict[str, bytes] = {}
    with psycopg.connect(conninfo) as owner:
        tables = owner.execute(
            "SELECT schemaname, tablename FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        ).fetchall()
        for schema, table in tables:
            with owner.cursor().copy(f"COPY {schema}.{table} TO STDOUT".encode()) as copy:
                contents[f"{schema}.{table}"] = b"".join(bytes(each) for each in copy)
    return contents


def found_in(folder: Path, canary: str) -> set[str]:
    """The files in which a text stands."""
    wanted = canary.encode()
    return {
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink() and wanted in path.read_bytes()
    }


async def test_T57_nothing_of_an_erased_person_is_in_any_table_and_the_rest_is_as_it_was(
    log: EventLog, application: Application, erasures: Erasures, database: str
) -> None:
    canary = f"canary{secrets.token_hex(6)}"
    await live(log, "account-1", canary)
    await log.append(beginning(log, "account-2", name="Ann"))
    before = dump(database)
    assert canary.encode() in before["read.accounts_v2"], "the search itself works"
    states = rows(database, "SELECT notification_id, state FROM log.accounts_events ORDER BY 1")

    note = await erasures.erase(metadata(), "account-1", "request")

    after = dump(database)
    assert {table for table, content in after.items() if canary.encode() in content} == set()
    for schema_table, column in (
        ("log.subject_keys", "subject"),
        ("log.claims", "stream"),
        ("log.outbox", "subject"),
        ("read.people_v1", "stream"),
        ("read.accounts_v2", "stream"),
        ("read.sessions_v2", "stream"),
        ("read.identities_v1", "stream"),
    ):
        assert rows(database, f"SELECT 1 FROM {schema_table} WHERE {column} = 'account-1'") == [], schema_table
    # The events are what they were, and two more.
    assert rows(database, "SELECT notification_id, state FROM log.accounts_events ORDER BY 1")[: len(states)] == states
    assert canary not in note
    recorded = await log.load("account-1")
    assert all(each.erased for each in recorded[:-2])
    assert ACCOUNT.fold(recorded) == Account(deleted=True, erased=True)  # type: ignore[arg-type]
    assert (await application.load(ACCOUNT, "account-2")).state.name == "Ann"


async def test_T57_replay_gives_what_is_there(log: EventLog, erasures: Erasures, database: str, master) -> None:
    await live(log, "account-1", "x")
    await erasures.erase(metadata(), "account-1", "request")
    _, difference = verify(database, master, projections.ALL)
    assert difference is None


async def test_T57_proofs_of_erased_events_still_verify(log: EventLog, erasures: Erasures, database: str) -> None:
    await live(log, "account-1", "x")
    connection = await connect(database)
    signer = Signer(await growth.origin(connection), SECRET)
    await growth.grow(connection)
    before = await growth.sign(connection, signer)
    assert before is not None
    await erasures.erase(metadata(), "account-1", "request")
    await growth.grow(connection)
    after = await growth.sign(connection, signer, before)
    assert after is not None
    assert after.size == before.size + 2
    await connection.close()


async def test_T58_the_certificate_says_what_was_destroyed_and_a_changed_one_is_refused(
    log: EventLog, erasures: Erasures, database: str, tmp_path: Path
) -> None:
    await log.append(beginning(log, "account-1", name="Ann"))
    ((wrapped,),) = rows(database, "SELECT wrapped FROM log.subject_keys WHERE subject = 'account-1'")
    connection = await connect(database)
    origin = await growth.origin(connection)
    await growth.grow(connection)
    signed = await growth.sign(connection, Signer(origin, SECRET))
    await connection.close()
    assert signed is not None
    note = await erasures.erase(metadata(), "account-1", "request")
    said = facts(note, origin, public_key(SECRET))
    import hashlib

    assert said["subject"] == "account-1"
    assert said["key"] == f"sha256:{hashlib.sha256(bytes(wrapped)).hexdigest()}"
    assert (said["events"], said["reason"]) == ("3", "request")
    assert said["checkpoint"].split()[0] == str(signed.size)
    assert (tmp_path / "erasures" / "account-1.txt").read_text() == note
    assert await erasures.erase(metadata(), "account-1", "request") == note, "asked for again, it is the same"
    for changed in (
        note.replace("account-1", "account-2"),
        note.replace("events: 3", "events: 2"),
        note + "x",
        note.replace("accounts-es/erasure/1", "accounts-es/erasure/2"),
    ):
        with pytest.raises(ValueError, match=r"signature|signed|padding|base64"):
            facts(changed, origin, public_key(SECRET))
    with pytest.raises(ValueError, match="not signed by this key"):
        facts(note, origin, public_key(b"x" * 32))
    key = verifier.read_key(Signer(origin, SECRET).verifier)
    assert "subject: account-1" in verifier.check_certificate(note, key)
    for changed in (note.replace("account-1", "account-2"), note + "x", note.replace("log: ", "log: x")):
        with pytest.raises(verifier.Wrong):
            verifier.check_certificate(changed, key)
    with pytest.raises(verifier.Wrong):
        list(verifier.read_notes(note, "a certificate", key))


async def test_what_another_process_remembers_can_neither_be_written_nor_kept(
    database: str, master: MasterKey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_module, "FORGETTING", 0.05)
    async with logs(database, master, 2) as (here, there):
        await here.append(beginning(here, "account-1", name="Ann"))
        app, other = Application(here), Application(there)
        await other.execute(metadata(), ACCOUNT, "account-1", commands.change_name, name="Anna")
        stale = labels("account-1", 3, "vip")
        assert there.keys.get("account-1") is not None
        await Erasures(app, SECRET, tmp_path).erase(metadata(), "account-1", "request")
        assert here.keys.get("account-1") is None
        with pytest.raises(StreamErased):
            await there.append(stale)
        with pytest.raises((UserErased, UserNotFound)):
            await other.execute(metadata(), ACCOUNT, "account-1", commands.change_name, name="Annabel")
        await until(lambda: there.keys.get("account-1") is None)
    assert len(rows(database, "SELECT 1 FROM log.accounts_events WHERE originator_id = 'account-1'")) == 4


async def test_a_decision_from_a_stale_memory_is_refused_for_what_it_is(
    database: str, master: MasterKey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_module, "FORGETTING", 600.0)
    async with logs(database, master, 2) as (here, there):
        await here.append(beginning(here, "account-1", name="Ann"))
        other = Application(there)
        await other.execute(metadata(), ACCOUNT, "account-1", commands.change_name, name="Anna")
        await Erasures(Application(here), SECRET, tmp_path).erase(metadata(), "account-1", "request")
        with pytest.raises(UserErased):
            await other.execute(metadata(), ACCOUNT, "account-1", commands.change_name, name="Annabel")
        assert there.keys.get("account-1") is None


async def test_the_database_destroys_no_key_without_the_event_that_says_so(log: EventLog, database: str) -> None:
    await log.append(beginning(log, "account-1"))
    with connect_sync(database) as server:
        for statement in ("SELECT log.erase('account-1')", "DELETE FROM log.subject_keys"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                server.execute(statement.encode())


async def test_a_legal_hold_keeps_the_key(
    log: EventLog, application: Application, erasures: Erasures, database: str
) -> None:
    await log.append(beginning(log, "account-1"))
    await application.execute(metadata(), ACCOUNT, "account-1", commands.place_hold, reason="court")
    with pytest.raises(UserUnderLegalHold):
        await erasures.erase(metadata(), "account-1", "request")
    assert rows(database, "SELECT 1 FROM log.subject_keys WHERE subject = 'account-1'")
    assert rows(database, "SELECT held_since IS NOT NULL FROM read.people_v1") == [(True,)]


async def test_T58_a_restored_backup_erases_again_before_it_serves(
    log: EventLog,
    application: Application,
    erasures: Erasures,
    database: str,
    server_conninfo: str,
    tmp_path: Path,
    master: MasterKey,
) -> None:
    from psycopg import sql
    from psycopg.conninfo import conninfo_to_dict, make_conninfo

    canary = f"canary{secrets.token_hex(6)}"
    await live(log, "account-1", canary)
    await application.execute(metadata(), ACCOUNT, "account-1", commands.place_hold, reason="an old one")
    await log.append(beginning(log, "account-2", name="Ann"))
    await log.stop()
    name, backup = conninfo_to_dict(database)["dbname"], f"test_backup_{secrets.token_hex(6)}"
    with psycopg.connect(server_conninfo, autocommit=True) as owner:
        owner.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(backup), sql.Identifier(str(name)))
        )
        try:
            restored = make_conninfo(server_conninfo, dbname=backup)
            async with logs(database, master) as (now,):
                app = Application(now)
                await app.execute(metadata(), ACCOUNT, "account-1", commands.lift_hold)
                await Erasures(app, SECRET, tmp_path / "kept").erase(metadata(), "account-1", "request")
            (tmp_path / "kept" / "forged.txt").write_text(
                (tmp_path / "kept" / "account-1.txt").read_text().replace("account-1", "account-2")
            )
            assert canary.encode() in dump(restored)["read.accounts_v2"]
            async with logs(restored, master) as (then,):
                again = Erasures(Application(then), SECRET, tmp_path / "kept")
                assert await again.again(metadata("serve", project="")) == 1
                assert await again.again(metadata("serve", project="")) == 0
            assert {table for table, content in dump(restored).items() if canary.encode() in content} == set()
            assert rows(restored, "SELECT name FROM read.accounts_v2") == [("Ann",)], "a forged one erases nobody"
        finally:
            owner.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(backup)))


async def test_T57_no_byte_of_an_erased_person_is_left_in_the_files_of_the_database(
    master: MasterKey, tmp_path: Path
) -> None:
    """In a server of its own: the write-ahead log is the server's, and keeps what it was told until it is removed."""
    from accounts_es.adapters.embedded_postgres import EmbeddedPostgres
    from accounts_es.eventstore.migrate import migrate

    canary = f"canary{secrets.token_hex(6)}"
    with EmbeddedPostgres(tmp_path / "data") as conninfo:
        with connect_sync(conninfo, as_app=False) as owner:
            owner.execute("ALTER SYSTEM SET wal_recycle = off")
            owner.execute("SELECT pg_reload_conf()")
            migrate(owner, master, projections.ALL)
        async with logs(conninfo, master) as (log,):
            await live(log, "account-1", canary)
            with connect_sync(conninfo, as_app=False) as owner:
                owner.execute("CHECKPOINT")
            assert any(name.startswith("postgres/") for name in found_in(tmp_path / "data", canary)), "the search works"
            await Erasures(Application(log), SECRET, tmp_path / "data" / "erasures").erase(
                metadata(), "account-1", "request"
            )
        with connect_sync(conninfo, as_app=False) as owner:
            scrub(owner)
            assert found_in(tmp_path / "data", canary) == set()


async def test_T58_certificates_outlive_a_change_of_the_ledger_key(
    log: EventLog, application: Application, erasures: Erasures, tmp_path: Path
) -> None:
    await log.append(beginning(log, "account-1", name="Ann"))
    before = await erasures.erase(metadata(), "account-1", "request")
    (tmp_path / "erasures" / "forged.txt").write_text(before.replace("account-1", "account-2"))
    connection_origin = before.split("log: ")[1].splitlines()[0]
    changed = Erasures(application, b"n" * 32, tmp_path / "erasures")
    assert await changed.again(metadata("serve", project="")) == 0
    note = (tmp_path / "erasures" / "account-1.txt").read_text()
    assert note != before
    assert facts(note, connection_origin, public_key(b"n" * 32))["subject"] == "account-1"


async def test_T57_a_message_about_a_team_goes_with_whom_it_is_for(
    log: EventLog, application: Application, erasures: Erasures, database: str
) -> None:
    await log.append(beginning(log, "account-1", name="Ann"))
    await application.execute(metadata(), TEAM, "team-1", team_commands.create_team, team_id="t", name="T")
    invited = step(
        TEAM,
        "team-1",
        team_commands.invite_member,
        membership_id="m",
        account="account-1",
        roles=["x"],
        secret_hash="h",
        by=None,
    )
    mail = Mail(template="invitation", to="ann@example.org", to_name="Ann")
    async with logs(database, MasterKey(b"k" * 32)) as (elsewhere,):
        besides = Besides(messages=(mail,), told="account-1")
        await Application(elsewhere).execute_together(metadata(), besides, invited)
    assert rows(database, "SELECT subject FROM log.outbox") == [("account-1",)]
    await erasures.erase(metadata(), "account-1", "request")
    assert rows(database, "SELECT subject FROM log.outbox") == []
    # Somebody invites who had found the account before.
    again = step(TEAM, "team-1", team_commands.change_roles, membership_id="m", roles=["y"])
    await application.execute_together(metadata(), Besides(messages=(mail,), told="account-1"), again)
    assert rows(database, "SELECT subject FROM log.outbox") == []


async def test_T57_an_answer_that_comes_late_is_not_kept(log: EventLog, erasures: Erasures, database: str) -> None:
    await log.append(beginning(log, "account-1", name="Ann", idempotency=IdempotencyKey(b"key", b"print")))
    await erasures.erase(metadata(), "account-1", "request")
    await log.reads.fetch(KEEP, (b"sealed", b"key"))
    assert rows(database, "SELECT answer FROM log.idempotency") == [(None,)]


async def test_T57_what_the_server_of_a_webhook_answered_is_not_kept(
    log: EventLog, erasures: Erasures, database: str
) -> None:
    say = """INSERT INTO log.webhook_progress (project_id, webhook_id, seen, position, previous, logs, answered_at)
        VALUES (%s, 'w', 1, 1, 1, %s, now()) ON CONFLICT (project_id, webhook_id) DO UPDATE SET logs = excluded.logs
        RETURNING 1"""
    said = "SELECT project_id, logs FROM log.webhook_progress ORDER BY 1"
    echo = 'HTTP 400\n{"email": "ann@example.org"}'
    rows(database, say, "default", echo)
    rows(database, say, "other", echo)
    await log.append(beginning(log, "account-1", name="Ann"))
    await erasures.erase(metadata(at=datetime.now(UTC)), "account-1", "request")
    assert rows(database, said) == [("default", "HTTP 400"), ("other", echo)]
    rows(database, say, "default", echo)  # by a delivery that was on its way
    await echoes.sweep(log.reads)
    assert rows(database, said) == [("default", "HTTP 400"), ("other", echo)]


def test_a_key_that_was_buried_does_not_come_back() -> None:
    keys = ring(MasterKey(b"k" * 32))
    wrapped = keys.create("account-1")
    keys.bury("account-1")
    keys.add({"account-1": wrapped})
    assert keys.get("account-1") is None


async def test_T58_before_anything_is_served_or_delivered_whoever_has_a_certificate_is_erased(
    log: EventLog, database: str, master: MasterKey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await log.append(beginning(log, "account-1", name="Ann"))
    ((origin,),) = await log.reads.fetch("SELECT origin FROM log.ledger")
    signer = Signer(origin, SECRET)
    facts_ = Erasure("account-1", "default", "request", datetime.now(UTC), "0" * 64, 3, 1, 3)
    CertificateFiles(tmp_path / "erasures").keep("account-1", signer.sign_text(text(origin, facts_, 0, "")))
    monkeypatch.setenv("ACCOUNTS_LEDGER_KEY", base64.b64encode(SECRET).decode())
    await erase_again(Settings(data=tmp_path), database, master)
    assert rows(database, "SELECT stream, reason FROM log.erasures") == [("account-1", "restored")]
