"""A standby that is behind is never asked, although its host is named first (T47)."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from accounts_es.adapters.embedded_postgres import EmbeddedPostgres
from accounts_es.adapters.postgres_binaries import Identity, find
from tests.support.running import PASSWORD
from tests.support.server import COMMAND, Server, environment, keys
from tests.support.waiting import eventually


@dataclass
class Pair:
    """Two databases, the second of which follows the first."""

    primary: str
    standby: str

    @property
    def both(self) -> str:
        """Either of them, the standby first."""
        hosts = [str(conninfo_to_dict(each)["host"]) for each in (self.standby, self.primary)]
        return make_conninfo(self.primary, host=",".join(hosts), port="5432,5432")


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    # PostgreSQL may run as a user of its own, who must find the socket of the other.
    folder = Path(tempfile.mkdtemp(prefix="aes-"))
    folder.chmod(0o755)
    primary, standby = EmbeddedPostgres(folder / "one"), EmbeddedPostgres(folder / "two")
    try:
        followed = primary.start()
        (folder / "one").chmod(0o711)
        (folder / "two").mkdir()
        copy = [find(Identity()) / "pg_basebackup", "-d", followed, "-D", folder / "two" / "postgres", "-R"]
        subprocess.run([*copy, "--checkpoint=fast"], check=True, cwd=folder)
        yield Pair(followed, standby.start())
    finally:
        standby.stop()
        primary.stop()
        shutil.rmtree(folder, ignore_errors=True)


def test_T47_a_replica_is_never_asked(pair: Pair, tmp_path: Path) -> None:
    with (
        Server(tmp_path / "data", database_url=pair.both) as server,
        psycopg.connect(pair.primary, autocommit=True) as primary,
        psycopg.connect(pair.standby, autocommit=True) as standby,
    ):
        position = primary.execute("SELECT pg_current_wal_lsn()::text").fetchone()
        assert position is not None
        eventually(lambda: standby.execute("SELECT pg_last_wal_replay_lsn() >= %s", position).fetchone() == (True,))
        standby.execute("SELECT pg_wal_replay_pause()")
        operator, jane = server.operator(), server.client()
        account = {"email": "jane@example.com", "password": PASSWORD}
        assert jane.ask("POST", "/account", userId="jane", **account).status_code == 201
        assert jane.ask("POST", "/account", userId="other", **account).status_code == 409
        assert jane.ask("POST", "/account/sessions/email", **account).status_code == 201
        assert jane.ask("GET", "/account").json()["name"] == ""
        assert operator.ask("PATCH", "/users/jane/status", status=False).status_code == 200
        assert jane.ask("GET", "/account").status_code == 403
        behind = standby.execute("SELECT count(*) FROM read.accounts_v2 WHERE account_id = 'jane'").fetchone()
        assert behind == (0,), "the standby has heard of nothing"
        ours = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'accounts-es'"
        assert standby.execute(ours).fetchone() == (0,)


def test_T47_a_replica_alone_is_no_database(pair: Pair, tmp_path: Path) -> None:
    command = [COMMAND, "serve", "--data", tmp_path / "data", "--port", "0"]
    settings = environment(ACCOUNTS_DATABASE_URL=pair.standby, **keys())
    done = subprocess.run(command, check=False, env=settings, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "read-only" in done.stderr
    assert "Traceback" not in done.stderr
