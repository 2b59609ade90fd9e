"""Several workers behind one socket."""

import socket
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from tests.support.server import Server
from tests.support.waiting import eventually

BURSTS, CALLERS, SOME = 6, 64, 5
REQUEST = b"GET /v1/health/version HTTP/1.1\r\nhost: localhost\r\n\r\n"


@pytest.mark.alone
def test_a_burst_of_connections_is_shared(tmp_path: Path) -> None:
    with Server(tmp_path / "data", ACCOUNTS_WORKERS="2") as server:
        port = int(server.url.split(":")[2].removesuffix("/v1"))
        eventually(lambda: min(burst(server, port)) > 0)  # both have started
        shares = [burst(server, port) for _ in range(BURSTS)]
    assert [sum(share) for share in shares] == [CALLERS] * BURSTS
    assert min(min(share) for share in shares) >= SOME


def burst(server: Server, port: int) -> list[int]:
    """As many callers at once, each answered: how many of their connections the workers have."""
    with ExitStack() as calling:
        callers = [calling.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(CALLERS)]
        for caller in callers:
            caller.sendall(REQUEST)
        for caller in callers:
            assert caller.recv(4096).startswith(b"HTTP/1.1 200")
        theirs = {caller.getsockname()[1] for caller in callers}
        shares = [connections(pid, port, theirs) for pid in server.children]
    return sorted(shares, reverse=True)[:2]


def connections(pid: int, port: int, callers: set[int]) -> int:
    """How many connections from these ports a process has."""
    open_files: set[str] = set()
    for each in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):
            open_files.add(str(each.readlink()))
    count = 0
    for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]:
        _, ours, other, _, _, _, _, _, _, inode, *_ = line.split()
        if int(ours.partition(":")[2], 16) == port and int(other.partition(":")[2], 16) in callers:
            count += f"socket:[{inode}]" in open_files
    return count
