"""Messages leave after the commit, at least once, whatever happens to the mail server."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from accounts_es.application import Application, Besides
from accounts_es.domain.account import ACCOUNT, commands
from accounts_es.domain.errors import UserAlreadyExists
from accounts_es.eventstore.keys import MasterKey
from accounts_es.eventstore.log import EventLog
from accounts_es.messages import Mail, Message, Sms
from accounts_es.reactors.outbox import AT_ONCE, Outbox
from accounts_es.reactors.transports import transports
from accounts_es.settings import Settings
from tests.support.metadata import metadata
from tests.support.smtp import PASSWORD, USERNAME, Behaviour, Security, free_port, smtp_server
from tests.support.waiting import until

CANARY = "canary7f3a"


def letter(to: str = "jane@example.org", **more: object) -> Mail:
    return Mail(template="otp", to=to, values={"project": "Shop", "otp": "123456"}, **more)  # type: ignore[arg-type]


async def sign_up(application: Application, name: str, *messages: Message) -> None:
    besides = Besides(messages=messages)
    await application.execute_with(metadata(), besides, ACCOUNT, f"account-{name}", commands.sign_up, account_id=name)


def waiting(database: str) -> list[tuple[bytes, int]]:
    """The rows of the outbox: payload and attempts."""
    with psycopg.connect(database) as owner:
        return [(bytes(row[0]), row[1]) for row in owner.execute("SELECT payload, attempts FROM log.outbox").fetchall()]


def settings(folder: Path, port: int, **more: object) -> Settings:
    given = {"smtp_security": "none", "smtp_timeout": 5.0, **more}
    return Settings(data=folder, smtp_host="127.0.0.1", smtp_port=port, **given)  # type: ignore[arg-type]


@asynccontextmanager
async def delivering(database: str, master: MasterKey, configured: Settings, **more: timedelta) -> AsyncIterator[None]:
    """A process that delivers, within this one."""
    outbox = Outbox(database, master, transports(configured), first_pause=0.02, **more)
    running = asyncio.create_task(outbox.run())
    try:
        yield
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


@pytest.fixture
def behaviour() -> Behaviour:
    """What the mail server does."""
    return Behaviour()


@pytest.fixture
def port(behaviour: Behaviour, tmp_path: Path) -> Iterator[int]:
    """A mail server without TLS."""
    with smtp_server(behaviour, tmp_path) as (port, _):
        yield port


# What goes in ---------------------------------------------------------------------------------------------------------


async def test_a_message_waits_sealed_and_is_gone_once_it_is_delivered(
    application: Application, database: str, master: MasterKey, behaviour: Behaviour, port: int, tmp_path: Path
) -> None:
    await sign_up(application, "jane", letter(to=f"{CANARY}@example.org"))
    ((payload, attempts),) = waiting(database)
    assert attempts == 0
    assert CANARY.encode() not in payload
    assert b"123456" not in payload
    async with delivering(database, master, settings(tmp_path, port)):
        await until(lambda: not waiting(database))
    (content,) = behaviour.to(f"{CANARY}@example.org")
    assert b"123456" in content


async def test_a_refused_command_and_one_that_decides_nothing_send_nothing(
    application: Application, database: str
) -> None:
    await sign_up(application, "jane")
    with pytest.raises(UserAlreadyExists):
        await sign_up(application, "jane", letter())
    besides = Besides(messages=(letter(),))
    await application.execute_with(metadata(), besides, ACCOUNT, "account-jane", commands.change_name, name="")
    assert waiting(database) == []


async def test_a_command_that_is_decided_again_after_a_conflict_sends_once(
    application: Application, log: EventLog, database: str
) -> None:
    await sign_up(application, "jane")
    other = Application(log)  # with a memory of its own, which is stale from now on
    await other.execute(metadata(), ACCOUNT, "account-jane", commands.change_name, name="Jane")
    besides = Besides(messages=(letter(),))
    done = await application.execute_with(
        metadata(), besides, ACCOUNT, "account-jane", commands.change_name, name="Jane D."
    )
    assert done.version == 3
    assert len(waiting(database)) == 1


async def test_a_message_whose_reader_was_erased_is_dropped(
    application: Application, database: str, master: MasterKey, behaviour: Behaviour, port: int, tmp_path: Path
) -> None:
    await sign_up(application, "jane", letter())
    with psycopg.connect(database) as owner:
        owner.execute("DELETE FROM log.subject_keys WHERE subject = 'account-jane'")
    async with delivering(database, master, settings(tmp_path, port)):
        await until(lambda: not waiting(database))
    assert behaviour.received == []


# How it travels -------------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")  # the whole connection is TLS
@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_T64_mail_travels_encrypted_to_a_server_that_knows_us(
    application: Application,
    database: str,
    master: MasterKey,
    behaviour: Behaviour,
    tmp_path: Path,
    security: Security,
) -> None:
    with smtp_server(behaviour, tmp_path, security=security, auth=True) as (port, trusted):
        configured = settings(
            tmp_path,
            port,
            smtp_security=security,
            smtp_ca_file=trusted,
            smtp_username=USERNAME,
            smtp_password=PASSWORD,
        )
        async with delivering(database, master, configured):
            await sign_up(application, "jane", letter())
            await until(lambda: len(behaviour.received) == 1)
    assert behaviour.encrypted == [True]


async def test_T64_a_server_with_a_certificate_nobody_vouches_for_gets_nothing(
    application: Application, database: str, master: MasterKey, behaviour: Behaviour, tmp_path: Path
) -> None:
    with smtp_server(behaviour, tmp_path, security="starttls", auth=True) as (port, _):
        configured = settings(tmp_path, port, smtp_security="starttls", smtp_username=USERNAME, smtp_password=PASSWORD)
        async with delivering(database, master, configured):
            await sign_up(application, "jane", letter())
            await until(lambda: bool(waiting(database)) and waiting(database)[0][1] >= 2)
    assert behaviour.received == []


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")  # the whole connection is TLS
async def test_a_wrong_password_is_an_operators_matter_and_loses_no_mail(
    application: Application, database: str, master: MasterKey, behaviour: Behaviour, tmp_path: Path
) -> None:
    with smtp_server(behaviour, tmp_path, security="tls", auth=True) as (port, trusted):
        known = {"smtp_security": "tls", "smtp_ca_file": trusted, "smtp_username": USERNAME}
        await sign_up(application, "jane", letter())
        async with delivering(database, master, settings(tmp_path, port, **known, smtp_password="wrong")):
            await until(lambda: waiting(database)[0][1] >= 2)
        async with delivering(database, master, settings(tmp_path, port, **known, smtp_password=PASSWORD)):
            with psycopg.connect(database) as owner:
                owner.execute("UPDATE log.outbox SET next_attempt_at = now()")
            await until(lambda: not waiting(database))
    assert len(behaviour.received) == 1


# What goes wrong ------------------------------------------------------------------------------------------------------


async def test_a_mail_server_that_is_down_gets_its_mail_when_it_is_back(
    application: Application, database: str, master: MasterKey, behaviour: Behaviour, tmp_path: Path
) -> None:
    port = free_port()
    async with delivering(database, master, settings(tmp_path, port)):
        await sign_up(application, "jane", letter())
        await until(lambda: waiting(database)[0][1] >= 3)
        with smtp_server(behaviour, tmp_path, port=port):
            await until(lambda: not waiting(database))
    assert len(behaviour.received) == 1


async def test_a_conversation_that_breaks_off_is_begun_again(
    application: Application, database: str, master: MasterKey, behaviour: Behaviour, port: int, tmp_path: Path
) -> None:
    behaviour.hang_up = 2
    async with delivering(database, master, settings(tmp_path, port)):
        await sign_up(application, "jane", letter())
        await until(lambda: not waiting(database))
    assert len(behaviour.received) == 1


async def test_one_slow_reader_does_not_hold_up_the_others(
    application: Application, database: str, master: MasterKey, behaviour: Behaviour, port: int, tmp_path: Path
) -> None:
    behaviour.slow["slow@example.org"] = threading.Event()
    async with delivering(database, master, settings(tmp_path, port)):
        await sign_up(application, "slow", letter("slow@example.org"))
        for nth in range(20):
            await sign_up(application, f"quick{nth}", letter(f"quick{nth}@example.org"))
        await until(lambda: len(behaviour.received) == 20)
        assert behaviour.to("slow@example.org") == []
        behaviour.slow["slow@example.org"].set()
        await until(lambda: not waiting(database))
    assert len(behaviour.received) == 21


@pytest.mark.parametrize("where", ["refuse_recipient", "refuse_data"])
async def test_a_no_for_good_ends_it_and_a_not_now_does_not(
    application: Application,
    database: str,
    master: MasterKey,
    behaviour: Behaviour,
    port: int,
    tmp_path: Path,
    where: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    setattr(behaviour, where, "451 try again")
    async with delivering(database, master, settings(tmp_path, port)):
        await sign_up(application, "jane", letter(to=f"{CANARY}@example.org"))
        await until(lambda: waiting(database)[0][1] >= 2)
        setattr(behaviour, where, "550 no such person")
        await until(lambda: not waiting(database))
    assert behaviour.received == []
    assert any("refused for good" in record.message for record in caplog.records)
    assert CANARY not in caplog.text
    assert "123456" not in caplog.text


async def test_a_message_nobody_takes_is_given_up_in_the_end(
    application: Application, database: str, master: MasterKey, tmp_path: Path
) -> None:
    await sign_up(application, "jane", letter())
    async with delivering(database, master, settings(tmp_path, free_port()), give_up=timedelta(milliseconds=300)):
        await until(lambda: not waiting(database))


async def test_several_who_deliver_share_the_work(
    application: Application, database: str, master: MasterKey, behaviour: Behaviour, port: int, tmp_path: Path
) -> None:
    configured = settings(tmp_path, port)
    async with delivering(database, master, configured), delivering(database, master, configured):
        await asyncio.gather(*(sign_up(application, f"n{nth}", letter(f"n{nth}@example.org")) for nth in range(40)))
        await until(lambda: not waiting(database))
    assert sorted(each.rcpt_tos[0] for each in behaviour.received) == sorted(f"n{nth}@example.org" for nth in range(40))


async def test_a_message_that_was_leased_by_a_process_that_died_is_delivered_when_the_lease_ends(
    application: Application, database: str, master: MasterKey, behaviour: Behaviour, port: int, tmp_path: Path
) -> None:
    await sign_up(application, "jane", letter())
    with psycopg.connect(database) as owner:
        owner.execute("UPDATE log.outbox SET attempts = 1, next_attempt_at = now() + interval '0.3 s'")
    async with delivering(database, master, settings(tmp_path, port)):
        await until(lambda: not waiting(database))
    assert len(behaviour.received) == 1


async def test_what_is_on_its_way_when_we_are_asked_to_stop_is_finished_and_not_sent_again(
    application: Application, database: str, master: MasterKey, behaviour: Behaviour, port: int, tmp_path: Path
) -> None:
    behaviour.slow["jane@example.org"] = threading.Event()
    async with delivering(database, master, settings(tmp_path, port)):
        await sign_up(application, "jane", letter())
        await until(lambda: behaviour.waiting == 1)
        asyncio.get_running_loop().call_later(0.2, behaviour.slow["jane@example.org"].set)
    assert waiting(database) == []
    assert len(behaviour.received) == 1


async def test_a_delivery_that_outlasts_its_lease_is_not_begun_by_somebody_else(
    application: Application, database: str, master: MasterKey, behaviour: Behaviour, port: int, tmp_path: Path
) -> None:
    behaviour.slow["jane@example.org"] = threading.Event()
    configured, lease = settings(tmp_path, port), timedelta(seconds=0.6)
    async with (
        delivering(database, master, configured, lease=lease),
        delivering(database, master, configured, lease=lease),
    ):
        await sign_up(application, "jane", letter())
        await until(lambda: behaviour.waiting == 1)
        for nth in range(4):  # each waits for a renewal
            before = due(database)
            await until(lambda before=before: due(database) > before)
            await sign_up(application, f"other{nth}", letter(f"other{nth}@example.org"))
        behaviour.slow["jane@example.org"].set()
        await until(lambda: not waiting(database))
    assert len(behaviour.to("jane@example.org")) == 1


def due(database: str) -> float:
    """When the first row is due."""
    with psycopg.connect(database) as owner:
        row = owner.execute("SELECT extract(epoch FROM min(next_attempt_at))::float FROM log.outbox").fetchone()
    assert row is not None
    return float(row[0])


async def test_a_connection_to_the_database_that_is_lost_meanwhile_costs_nothing(
    application: Application, database: str, master: MasterKey, behaviour: Behaviour, port: int, tmp_path: Path
) -> None:
    behaviour.slow["jane@example.org"] = threading.Event()
    async with delivering(database, master, settings(tmp_path, port)):
        await sign_up(application, "jane", letter())
        await until(lambda: behaviour.waiting == 1)
        with psycopg.connect(database) as owner:
            owner.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid() AND query ~ 'outbox'"
            )
        behaviour.slow["jane@example.org"].set()
        await until(lambda: not waiting(database))
        await sign_up(application, "walter", letter("walter@example.org"))
        await until(lambda: not waiting(database))
    assert sorted(each.rcpt_tos[0] for each in behaviour.received) == ["jane@example.org", "walter@example.org"]


async def test_a_code_that_has_ended_is_not_sent_any_more(
    application: Application, database: str, master: MasterKey, behaviour: Behaviour, port: int, tmp_path: Path
) -> None:
    await sign_up(application, "jane", letter(good_until=datetime.now(UTC) - timedelta(seconds=1)))
    await sign_up(
        application, "walter", letter("walter@example.org", good_until=datetime.now(UTC) + timedelta(hours=1))
    )
    async with delivering(database, master, settings(tmp_path, port)):
        await until(lambda: not waiting(database))
    assert [each.rcpt_tos for each in behaviour.received] == [["walter@example.org"]]


async def test_mail_that_gets_stuck_holds_up_neither_text_messages_nor_mail_that_was_never_tried(
    application: Application, database: str, master: MasterKey, behaviour: Behaviour, port: int, tmp_path: Path
) -> None:
    behaviour.slow["slow@example.org"] = threading.Event()
    for nth in range(AT_ONCE + 2):
        await sign_up(application, f"slow{nth}", letter("slow@example.org"))
    with psycopg.connect(database) as owner:
        owner.execute("UPDATE log.outbox SET attempts = 1, next_attempt_at = now() - interval '1 hour'")
    await sign_up(application, "jane", letter(), Sms(template="login", to="+4930901820", values={"otp": "123456"}))
    async with delivering(database, master, settings(tmp_path, port)):
        await until(lambda: len(list((tmp_path / "outbox").glob("*.txt"))) == 1)
        await until(lambda: len(behaviour.received) == 1)
        assert behaviour.received[0].rcpt_tos == ["jane@example.org"]
        behaviour.slow["slow@example.org"].set()
        await until(lambda: not waiting(database))


# The server's own delivery --------------------------------------------------------------------------------------------


def test_without_a_mail_server_mail_is_a_file_only_its_owner_reads(tmp_path: Path) -> None:
    async def deliver() -> None:
        await transports(Settings(data=tmp_path))["mail"].deliver(letter())

    asyncio.run(deliver())
    (file,) = (tmp_path / "outbox").iterdir()
    assert (file.suffix, file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (".eml", 0o600, 0o700)
