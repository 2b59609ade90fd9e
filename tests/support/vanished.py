"""A database whose host is there no longer. Run it in a network of its own (``unshare --net``):

    python -m tests.support.vanished CONNINFO

Prints after how many seconds each of two connections knows: one that waits for an answer, and one that only listens.
"""

import asyncio
import fcntl
import socket
import struct
import sys
import time

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from accounts_es.eventstore.connection import AsyncConn, connect
from tests.support.waiting import until

_ASKED = ("SELECT pg_sleep(29)", "LISTEN nothing")
_HEARD = "SELECT count(*) FROM pg_stat_activity WHERE query = ANY(%s) AND (state = 'active') = (query LIKE 'SELECT%%')"
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _UP = 0x8913, 0x8914, 1


def network(*, up: bool) -> None:
    """Switch the only interface there is."""
    with socket.socket() as any_socket:
        _, flags = struct.unpack("16sh", fcntl.ioctl(any_socket, _SIOCGIFFLAGS, struct.pack("16sh", b"lo", 0)))
        flags = flags | _UP if up else flags & ~_UP
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh", b"lo", flags))


async def lost_after(connection: AsyncConn, statement: str) -> float:
    """How long it takes."""
    begin = time.monotonic()
    try:
        await connection.execute(statement.encode())
        async for _ in connection.notifies():
            pass
    except psycopg.OperationalError as error:
        if error.diag.sqlstate is not None:
            raise
    return time.monotonic() - begin


async def main(conninfo: str) -> None:
    """See above."""
    database = conninfo_to_dict(conninfo)
    path = f"{database['host']}/.s.PGSQL.{database.get('port') or 5432}"

    async def copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while chunk := await source.read(65536):
            sink.write(chunk)

    async def serve(client_in: asyncio.StreamReader, client_out: asyncio.StreamWriter) -> None:
        server_in, server_out = await asyncio.open_unix_connection(path)
        await asyncio.gather(copy(client_in, server_out), copy(server_in, client_out))

    network(up=True)
    proxy = await asyncio.start_server(serve, "127.0.0.1", 0)
    way = make_conninfo(conninfo, host="127.0.0.1", port=proxy.sockets[0].getsockname()[1])
    both = [await connect(way), await connect(way)]
    waiting = [asyncio.create_task(lost_after(each, statement)) for each, statement in zip(both, _ASKED, strict=True)]
    with psycopg.connect(conninfo, autocommit=True) as owner:
        await until(lambda: owner.execute(_HEARD, (list(_ASKED),)).fetchone() == (2,))
    network(up=False)
    print(*await asyncio.gather(*waiting), flush=True)  # noqa: T201


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
