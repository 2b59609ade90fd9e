"""The database's host vanishes, and its network with it: nothing says that the connection is lost (T63)."""

import os
import shutil
import socket
import subprocess
import sys

import psycopg
import pytest

from accounts_es.eventstore.connection import watched

OWN_NETWORK = ["unshare", "--net", *(() if os.geteuid() == 0 else ("--map-root-user",))]


def has_own_network() -> bool:
    """Whether this machine lets us have one."""
    return shutil.which("unshare") is not None and not subprocess.run([*OWN_NETWORK, "true"], check=False).returncode


def test_T63_a_host_that_vanishes_is_missed_within_30_seconds(database: str) -> None:
    if os.environ.get("ACCOUNTS_TEST_DATABASE_URL") or not has_own_network():
        pytest.skip("there is no network of our own to take away: this was not tested")
    told = subprocess.run(
        [*OWN_NETWORK, sys.executable, "-m", "tests.support.vanished", database],
        check=False, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    assert all(10 < float(each) < 30 for each in told.stdout.split()), told.stdout


def test_a_socket_of_the_file_system_is_as_ever(database: str) -> None:
    with psycopg.connect(watched(database)) as connection:
        own = socket.socket(fileno=os.dup(connection.fileno()))
        with own:
            assert own.family is not socket.AF_UNIX or not own.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
