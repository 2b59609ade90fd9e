"""The server's own delivery: mail leaves after the answer, and survives everybody who takes part in it."""

import asyncio
import os
import signal
import threading
from pathlib import Path

import psycopg

from tests.support.mailbox import Mailbox
from tests.support.processes import told
from tests.support.server import Client, Server
from tests.support.smtp import Behaviour, free_port, smtp_server
from tests.support.waiting import eventually, until


def deliverer(server: Server) -> int | None:
    """The process that delivers."""
    return next((child for child in server.children if "spawn_main" in told(child, "cmdline")), None)


async def started(server: Server) -> int:
    """The process that delivers, once it is there."""
    await until(lambda: deliverer(server) is not None)
    found = deliverer(server)
    assert found is not None
    return found


def ask_for_code(client: Client, email: str) -> None:
    assert client.ask("POST", "/account/tokens/email", userId="unique()", email=email).status_code == 201


async def test_mail_waits_for_its_server_and_survives_the_end_of_ours_and_of_the_process_that_delivers(
    tmp_path: Path,
) -> None:
    behaviour, port = Behaviour(), free_port()
    settings = {"ACCOUNTS_SMTP_HOST": "127.0.0.1", "ACCOUNTS_SMTP_PORT": str(port), "ACCOUNTS_SMTP_SECURITY": "none"}
    with Server(tmp_path / "data", **settings) as server:
        ask_for_code(server.client(), "before@example.org")
        first = await started(server)
        os.kill(first, signal.SIGKILL)
        await until(lambda: deliverer(server) not in {None, first})
        ask_for_code(server.client(), "between@example.org")
        server.stop(signal.SIGKILL)
        await until(lambda: not Path(f"/proc/{first}").exists())
        server.start()
        ask_for_code(server.client(), "after@example.org")
        with smtp_server(behaviour, tmp_path, port=port):
            wanted = {f"{name}@example.org" for name in ("before", "between", "after")}
            # A lease of a process that was killed lasts for a while; an operator would wait, a test does not.
            await until(lambda: {each.rcpt_tos[0] for each in behaviour.received} == wanted or release(server))
            assert {each.rcpt_tos[0] for each in behaviour.received} == wanted


async def test_a_server_that_is_asked_to_stop_finishes_the_mail_in_its_hands(database: str, tmp_path: Path) -> None:
    behaviour = Behaviour()
    behaviour.slow["jane@example.org"] = threading.Event()
    with smtp_server(behaviour, tmp_path) as (port, _):
        settings = {
            "ACCOUNTS_SMTP_HOST": "127.0.0.1",
            "ACCOUNTS_SMTP_PORT": str(port),
            "ACCOUNTS_SMTP_SECURITY": "none",
        }
        with Server(tmp_path / "data", database_url=database, **settings) as server:
            child = await started(server)
            ask_for_code(server.client(), "jane@example.org")
            await until(lambda: behaviour.waiting == 1)
            os.kill(child, signal.SIGINT)  # as Ctrl-C does, which reaches all of us
            stopping = asyncio.get_running_loop().run_in_executor(None, server.stop)
            behaviour.slow["jane@example.org"].set()
            assert await stopping == 0
        assert len(behaviour.received) == 1
        with psycopg.connect(database) as owner:
            assert owner.execute("SELECT count(*) FROM log.outbox").fetchone() == (0,)


def release(server: Server) -> bool:
    """Make everything due."""
    with server.owner() as owner:
        owner.execute("UPDATE log.outbox SET next_attempt_at = now() WHERE next_attempt_at > now()")
    return False


async def test_delivery_ends_with_its_server_however_that_ends(tmp_path: Path) -> None:
    for how in (signal.SIGTERM, signal.SIGKILL):
        server = Server(tmp_path / how.name)
        server.start()
        child = await started(server)
        server.stop(how)
        await until(lambda child=child: not Path(f"/proc/{child}").exists())


def test_a_newcomer_finds_the_mail_in_the_data_folder_and_is_told_where(tmp_path: Path) -> None:
    with Server(tmp_path / "data") as server:
        ask_for_code(server.client(), "jane@example.org")
        letter = Mailbox(tmp_path / "data" / "outbox").mail("jane@example.org")
        client = server.client()
        signed_in = client.ask("POST", "/account/sessions/token", userId=user_of(server), secret=letter.code)
        assert signed_in.status_code == 201
    assert "no SMTP server is set up: mail written" in server.logged
    assert f"mail and text messages are written to {tmp_path / 'data' / 'outbox'}" in server.said
    assert str(tmp_path / "data" / "outbox") in server.logged
    assert letter.code not in server.logged


def test_a_server_that_can_neither_send_nor_write_says_so(database: str, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "outbox").write_text("a file where the folder should be")
    with Server(tmp_path / "data", database_url=database) as server:
        eventually(lambda: "mail and text messages reach nobody" in server.logged)


def user_of(server: Server) -> str:
    """The only account there is."""
    (user,) = server.operator().ask("GET", "/users").json()["users"]
    return str(user["$id"])
