"""A running accounts-es: the real command in a process of its own, and clients that hold it to its table.

Every answer a `Client` gets is checked against the operation it came from: its status, its body, its refusal.
"""

import base64
import json
import os
import signal
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import httpx
import psycopg

from accounts_es.adapters.embedded_postgres import connection
from accounts_es.domain.event import Event, Recorded
from accounts_es.eventstore.keys import KeyRing, MasterKey
from accounts_es.eventstore.mapper import decode, sealed_for
from tests.support.processes import children
from tests.support.wire import check

COMMAND = str(Path(sys.executable).with_name("accounts-es"))

MASTER = b"k" * 32
"""The secret of the fixture ``master``."""

FAST = {
    "ACCOUNTS_HASH_MEMORY_KIB": "7168",
    "ACCOUNTS_HASH_ITERATIONS": "1",
    "ACCOUNTS_EVEN_ANSWERS": "0",
    "ACCOUNTS_RATE_LIMITS": "off",
    "ACCOUNTS_CHECKPOINT_SECONDS": "0.05",
    "ACCOUNTS_REACHABLE_NETWORKS": "127.0.0.0/8,::1/128",
}
"""The cheapest hashing the settings allow, answers as soon as they are ready, as many as one address wants, and servers
of projects on this machine."""


def environment(**settings: str) -> dict[str, str]:
    """This process's environment, without what it says about servers, with these settings."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("ACCOUNTS_")}
    return {**inherited, **settings}


def keys() -> dict[str, str]:
    """The settings that give a server the test's keys."""
    return {f"ACCOUNTS_{name}_KEY": base64.b64encode(MASTER).decode() for name in ("MASTER", "JWT", "LEDGER")}


_NO_TLS: Final = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Spares each client to read the machine's certificates: 15 ms and 0.7 MB."""


class Client(httpx.Client):
    """Somebody who calls a server. Keeps cookies, as browsers do."""

    def __init__(self, server: "Server", project: str | None, key: str | None, headers: dict[str, str]) -> None:
        ours = {"x-appwrite-project": project, "x-appwrite-key": key}
        super().__init__(
            base_url=server.url,
            headers={**{name: value for name, value in ours.items() if value is not None}, **headers},
            timeout=60,
            trust_env=False,
            verify=_NO_TLS,
            event_hooks={"response": [check]},
        )

    def ask(self, method: str, path: str, **fields: Any) -> httpx.Response:
        """A request with a JSON body of these fields, as the SDKs send it, also without any."""
        if method == "GET":
            return self.request(method, path, params=fields)
        return self.request(method, path, json=fields)


class Server:
    """``accounts-es serve`` for the length of a ``with`` block. Without a database URL it brings its own."""

    def __init__(self, data: Path, *, database_url: str | None = None, **settings: str) -> None:
        self.data = data
        self.database_url = database_url
        self.log = data.parent / f"{data.name}.log"
        given = {"ACCOUNTS_DATABASE_URL": database_url, **keys()} if database_url is not None else {}
        self._environment = environment(**{**FAST, **given, **settings})
        self._clients: list[Client] = []
        self._process: subprocess.Popen[str] | None = None
        self._said: list[str] = []
        self._listener: threading.Thread | None = None
        self.url = ""

    def start(self, port: int = 0) -> Self:
        """Returns when the server says where it answers."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [COMMAND, "serve", "--data", str(self.data), "--port", str(port)],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._said.append(line)
            if line.startswith("accounts-es answers at "):
                self.url = line.split()[3]
                break
        else:
            self._process.wait()
            self._process.stdout.close()
            raise AssertionError(f"the server did not start: {self.logged[-2000:]}")
        self._listener = threading.Thread(target=self._said.extend, args=(self._process.stdout,), daemon=True)
        self._listener.start()
        return self

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Ask the server to stop, and say how it ended."""
        while self._clients:
            self._clients.pop().close()
        assert self._process is not None
        process, self._process = self._process, None
        process.send_signal(how)
        ended = process.wait(60)
        assert self._listener is not None
        self._listener.join()
        assert process.stdout is not None
        process.stdout.close()
        return ended

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._process is not None:
            self.stop()

    def owner(self) -> psycopg.Connection[Any]:
        """A connection of the owner of the server's database."""
        conninfo = self.database_url or connection(self.data)
        assert conninfo is not None
        return psycopg.connect(conninfo, autocommit=True)

    @property
    def pid(self) -> int:
        """The process."""
        assert self._process is not None
        return self._process.pid

    @property
    def children(self) -> list[int]:
        """The processes it has started: workers, if there are several, and delivery."""
        return children(self.pid)

    @property
    def logged(self) -> str:
        """What the server wrote to standard error."""
        return self.log.read_text()

    @property
    def said(self) -> str:
        """What the server wrote to standard output."""
        return "".join(self._said)

    @property
    def credentials(self) -> dict[str, str]:
        """What the first start left for the operator."""
        return json.loads((self.data / "credentials.json").read_text())

    def client(self, *, project: str | None = "default", key: str | None = None, **headers: str) -> Client:
        """Somebody new, who is closed with the server. Header names are written with underscores."""
        client = Client(self, project, key, {name.replace("_", "-"): value for name, value in headers.items()})
        self._clients.append(client)
        return client

    def operator(self, **headers: str) -> Client:
        """Somebody with the first key, which may do everything."""
        return self.client(key=self.credentials["key"], **headers)


class Log:
    """The events of a database, read as the owner."""

    def __init__(self, conninfo: str, master: bytes = MASTER) -> None:
        self.connection = psycopg.connect(conninfo, autocommit=True)
        self._keys = KeyRing(MasterKey(master))

    def of(self, answer: httpx.Response) -> list[Event]:
        """What one request recorded, in order, but for the note that its key is in use."""
        recorded = self.read("request_id = %s", answer.headers["x-request-id"])
        return [each.event for each in recorded if each.event.topic != "project.api_key_used"]

    def recorded(self, answer: httpx.Response) -> list[Recorded[Event]]:
        """What one request recorded, with who and why, but for the note that its key is in use."""
        recorded = self.read("request_id = %s", answer.headers["x-request-id"])
        return [each for each in recorded if each.event.topic != "project.api_key_used"]

    def read(self, where: str = "true", *params: object) -> Iterator[Recorded[Event]]:
        """The events a condition picks, in the order of the log."""
        rows = self.connection.execute(
            f"""SELECT originator_id, originator_version, topic, state, notification_id FROM log.accounts_events
                WHERE {where} ORDER BY notification_id""",
            params,
        ).fetchall()
        streams = list({subject for row in rows for subject in sealed_for(row[0], bytes(row[3]))})
        wrapped = self.connection.execute(
            "SELECT subject, wrapped FROM log.subject_keys WHERE subject = ANY(%s)", (streams,)
        )
        self._keys.add(dict(wrapped.fetchall()))
        for stream, version, topic, state, position in rows:
            yield decode(stream, version, topic, bytes(state), position, self._keys)

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()
