"""Checkpoints leave the database: into files that survive a crash, and to a webhook that may be away."""

import asyncio
import hashlib
import os
import time
from collections.abc import AsyncIterator
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from pydantic import ValidationError

from accounts_es.eventstore.connection import connect
from accounts_es.eventstore.ledger import growth
from accounts_es.eventstore.ledger.note import Checkpoint, Signer
from accounts_es.eventstore.log import EventLog
from accounts_es.reactors.checkpoints import CheckpointFiles, CheckpointMail, CheckpointWebhook, NotKept
from accounts_es.reactors.ledger import Ledger
from accounts_es.settings import Settings
from tests.support.appends import beginning, labels
from tests.support.smtp import PASSWORD, USERNAME, Behaviour, smtp_server
from tests.support.verifier import verifier

ORIGIN = "accounts-es/1"
SIGNER = Signer(ORIGIN, b"l" * 32)


def checkpoint(size: int) -> Checkpoint:
    return Checkpoint(ORIGIN, size, hashlib.sha256(bytes([size])).digest())


def written(folder: Path) -> list[Path]:
    return list(folder.rglob("*.txt"))


async def test_files_hold_every_note_and_know_the_last(tmp_path: Path) -> None:
    files = CheckpointFiles(tmp_path)
    assert await files.last(ORIGIN) is None
    for size in (1, 2, 3):
        for _ in range(2):  # handed on twice
            await files.keep(ORIGIN, SIGNER.sign(checkpoint(size)))
        assert await files.last(ORIGIN) == checkpoint(size)
    (path,) = written(tmp_path)
    key = verifier.read_key(SIGNER.verifier)
    assert [each.size for each in verifier.read_notes(path.read_text(), "file", key)] == [1, 2, 3]
    assert await files.last("accounts-es/2") is None


async def test_half_a_note_that_a_crash_left_is_written_over(tmp_path: Path) -> None:
    key = verifier.read_key(SIGNER.verifier)
    whole, next_one = SIGNER.sign(checkpoint(1)), f"\n{SIGNER.sign(checkpoint(2))}"
    for at in range(len(next_one.encode())):
        files = CheckpointFiles(tmp_path / str(at))
        await files.keep(ORIGIN, whole)
        (path,) = written(tmp_path / str(at))
        path.write_bytes(whole.encode() + next_one.encode()[:at])
        assert await files.last(ORIGIN) == checkpoint(1)
        await files.keep(ORIGIN, SIGNER.sign(checkpoint(3)))
        assert [each.size for each in verifier.read_notes(path.read_text(), "file", key)] == [1, 3]


@pytest.mark.parametrize("origin", ["../../x", "..", "/x", "a/b"])
async def test_no_name_of_a_log_leads_out_of_the_folder(tmp_path: Path, origin: str) -> None:
    await CheckpointFiles(tmp_path / "in").keep(origin, SIGNER.sign(checkpoint(1)))
    (path,) = written(tmp_path)
    assert path.parent.parent == tmp_path / "in"


class Keeper:
    """Somebody who takes checkpoints over HTTP, now and then."""

    def __init__(self) -> None:
        self.status = 204
        self.asked = 0
        self.notes: list[str] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
        body = (await reader.readexactly(length)).decode()
        self.asked += 1
        if self.status < 300:
            self.notes.append(body)
        writer.write(f"HTTP/1.1 {self.status} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".encode())
        await writer.drain()
        writer.close()


@pytest_asyncio.fixture
async def keeper() -> AsyncIterator[tuple[Keeper, str]]:
    keeper = Keeper()
    server = await asyncio.start_server(keeper.serve, "127.0.0.1", 0)
    async with server:
        yield keeper, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


async def test_a_webhook_that_was_away_gets_the_newest_when_it_is_back(
    log: EventLog, database: str, keeper: tuple[Keeper, str]
) -> None:
    somebody, url = keeper
    somebody.status = 503
    async with await connect(database) as connection:
        ledger = Ledger(database, b"l" * 32, [CheckpointWebhook(url)], 1)
        for nth in (1, 2):
            await log.append(beginning(log, f"account-{nth}"))
            await ledger.catch_up(connection)
            with pytest.raises(httpx.HTTPStatusError):
                await ledger.hand_on(connection)
        somebody.status = 204
        for _ in range(2):
            await ledger.hand_on(connection)
        (note,) = somebody.notes
        assert somebody.asked == 3
        key = verifier.read_key(Signer(await growth.origin(connection), b"l" * 32).verifier)
        assert [each.size for each in verifier.read_notes(note, "posted", key)] == [2]


async def test_what_fails_keeps_no_note_from_other_places(
    log: EventLog, database: str, tmp_path: Path, keeper: tuple[Keeper, str]
) -> None:
    somebody, url = keeper
    somebody.status = 500
    files = CheckpointFiles(tmp_path)
    async with await connect(database) as connection:
        ledger = Ledger(database, b"l" * 32, [CheckpointWebhook(url), files], 1)
        await log.append(beginning(log, "account-1"))
        await ledger.catch_up(connection)
        with pytest.raises(httpx.HTTPStatusError):
            await ledger.hand_on(connection)
        assert (last := await files.last(await growth.origin(connection))) is not None
        assert last.size == 1


async def test_no_answer_of_a_webhook_leads_elsewhere(keeper: tuple[Keeper, str]) -> None:
    somebody, url = keeper
    somebody.status = 307
    with pytest.raises(httpx.HTTPStatusError):
        await CheckpointWebhook(url).keep(ORIGIN, SIGNER.sign(checkpoint(1)))
    assert somebody.asked == 1


# Mail -----------------------------------------------------------------------------------------------------------------


def mailing(data: Path, port: int, cert: Path, **more: object) -> CheckpointMail:
    """A sink that mails to the auditor by a server on this machine."""
    given: dict[str, object] = {"smtp_username": USERNAME, "smtp_password": PASSWORD, "checkpoint_mail_seconds": 3600.0}
    settings = Settings.model_validate(
        {"data": data, "smtp_host": "127.0.0.1", "smtp_port": port, "smtp_ca_file": cert, **given, **more}
    )
    return CheckpointMail(settings, "auditor@example.org", data / "checkpoints")


async def test_T54_checkpoints_go_to_a_mailbox_and_verify_there(tmp_path: Path) -> None:
    behaviour = Behaviour()
    with smtp_server(behaviour, tmp_path, security="starttls", auth=True) as (port, cert):
        sink = mailing(tmp_path, port, cert)
        for size in (1, 1, 2):
            await sink.keep(ORIGIN, SIGNER.sign(checkpoint(size)))
        (first,) = behaviour.to("auditor@example.org")
        assert behaviour.encrypted == [True]
        # Another process, a day later.
        (mailed,) = (tmp_path / "checkpoints").rglob("mailed")
        os.utime(mailed, (time.time() - 3601, time.time() - 3601))
        await mailing(tmp_path, port, cert).keep(ORIGIN, SIGNER.sign(checkpoint(3)))
        last = behaviour.to("auditor@example.org")[1]
    key = verifier.read_key(SIGNER.verifier)
    for mail, size in ((first, 1), (last, 3)):
        message = message_from_bytes(mail, policy=default)
        assert message["Subject"] == f"Checkpoint of {ORIGIN}: {size} events"
        (attached,) = message.iter_attachments()
        assert attached.get_filename() == f"checkpoint-{size}.txt"
        (note,) = verifier.read_notes(attached.get_content().decode(), "mailed", key)
        assert note.size == size


async def test_a_mail_server_that_is_away_is_tried_again_and_the_quiet_log_is_mailed_in_its_time(
    log: EventLog, database: str, tmp_path: Path
) -> None:
    behaviour = Behaviour()
    behaviour.refuse_data = "451 later"
    with smtp_server(behaviour, tmp_path) as (port, cert):
        sink = mailing(tmp_path, port, cert, smtp_security="none", smtp_username=None, smtp_password=None)
        async with await connect(database) as connection:
            ledger = Ledger(database, b"l" * 32, [CheckpointFiles(tmp_path), sink], 1)
            await log.append(beginning(log, "account-1"))
            await ledger.catch_up(connection)
            with pytest.raises(NotKept):
                await ledger.hand_on(connection)
            behaviour.refuse_data = None
            await ledger.hand_on(connection)
            await log.append(beginning(log, "account-2"))
            await ledger.catch_up(connection)
            await ledger.hand_on(connection)
            assert len(behaviour.received) == 1, "not before it is time"
            (mailed,) = (tmp_path / "checkpoints").rglob("mailed")
            os.utime(mailed, (0, 0))
            for _ in range(2):
                await ledger.hand_on(connection)
            assert len(behaviour.received) == 2, "although nothing has happened since"


def test_mail_without_a_mail_server_is_refused_at_the_start() -> None:
    with pytest.raises(ValidationError, match="ACCOUNTS_SMTP_HOST"):
        Settings.model_validate({"checkpoint_mail": "auditor@example.org"})


async def test_T42_a_leader_that_dies_is_followed_by_another(log: EventLog, database: str, tmp_path: Path) -> None:
    files = CheckpointFiles(tmp_path)
    await log.append(beginning(log, "account-1"))
    reserve = [asyncio.create_task(Ledger(database, b"l" * 32, [files], 0.01).run()) for _ in range(3)]
    async with await connect(database) as connection:
        name = await growth.origin(connection)
        try:
            for nth in range(1, 4):
                await log.append(labels("account-1", 1 + nth, f"label-{nth}"))
                async with asyncio.timeout(60):
                    while (last := await files.last(name)) is None or last.size < 1 + nth:  # noqa: ASYNC110
                        await asyncio.sleep(0.01)
                # Whoever leads loses its connection; whoever is first follows.
                await connection.execute("RESET ROLE")
                await connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted"
                    " AND (classid::bigint << 32 | objid::bigint) = 7017280570803617910"
                    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
                )
        finally:
            for task in reserve:
                task.cancel()
            await asyncio.gather(*reserve, return_exceptions=True)
