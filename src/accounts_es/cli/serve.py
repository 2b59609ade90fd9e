"""``accounts-es serve``: an embedded or given PostgreSQL, the first project, the workers."""

import asyncio
import json
import logging
import os
import secrets
import signal
import socket
import threading
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, Final, cast

import psycopg
import typer
import uvicorn
from uvicorn.supervisors import Multiprocess

from accounts_es import logs
from accounts_es.adapters.embedded_postgres import EmbeddedPostgres, EmbeddedPostgresError
from accounts_es.adapters.ids import fingerprint, key_secret, now, wire_id
from accounts_es.adapters.key_files import KeyFileError, generate_key, load_key
from accounts_es.bootstrap import Server, ServerParts, application, prepare, running_application
from accounts_es.cli.answers import AnswerProtocol, SharingProtocol
from accounts_es.cli.console import Trouble, read_settings
from accounts_es.cli.database import needed_key
from accounts_es.cli.delivery import announce, delivering, erase_again
from accounts_es.domain.errors import ProjectAlreadyExists
from accounts_es.domain.event import SYSTEM, Metadata
from accounts_es.domain.project import PROJECT, commands
from accounts_es.domain.project.aggregate import project_stream
from accounts_es.eventstore.connection import primary
from accounts_es.eventstore.keys import MasterKey, WrongMasterKey
from accounts_es.eventstore.migrate import UnsuitableDatabase
from accounts_es.eventstore.rebuild import RebuildRunning, StreamsParked, UnreadableEvent
from accounts_es.http.callers import ALL_KEY_SCOPES
from accounts_es.settings import Settings

KEYS: Final = ("master", "jwt", "ledger")
OTHER_JWT: Final = "jwt_other"
_CONNINFO: Final = "ACCOUNTS_WORKER_CONNINFO"
_BACKLOG: Final = 2048
_LONGEST_MESSAGE: Final = 64 * 1024
"""Bytes a client may send over a socket at once."""
_PING_SECONDS: Final = 30.0
"""How often a socket is asked whether somebody is still there."""
_WATCH_SECONDS: Final = 0.2
_KEEP_ALIVE_SECONDS: Final = 75
"""Longer than the proxies in front of us keep idle connections (nginx: 60), so that they close them first."""

log = logging.getLogger(__name__)


def serve(
    data: Annotated[Path | None, typer.Option(help="Folder of the database, the keys and the credentials.")] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes that answer requests.")] = None,
) -> None:
    """Serve the API until told to stop (SIGTERM or Ctrl-C)."""
    settings = read_settings(data=data, host=host, port=port, workers=workers)
    logs.configure(settings.log_level)
    # However we are asked to stop, what was started is stopped on the way out.
    stop = Stop()
    for ending in (signal.SIGTERM, signal.SIGINT):
        signal.signal(ending, stop)
    begun = (settings.data / "postgres" / "PG_VERSION").exists()
    with listening(settings) as listener, database(settings) as conninfo:
        make_keys(settings, begun=begun)
        master = needed_key(settings.data, conninfo)
        try:
            prepare(conninfo, master)
        except (UnsuitableDatabase, WrongMasterKey, StreamsParked, UnreadableEvent, RebuildRunning) as error:
            raise Trouble(str(error)) from None
        asyncio.run(erase_again(settings, conninfo, master))
        stop.raises = False
        endpoint = settings.public_url or f"http://{settings.host}:{listener.getsockname()[1]}/v1"
        asyncio.run(first_start(settings, conninfo, master, endpoint))
        # From here on callers wait instead of being refused, while the workers start.
        listener.listen(_BACKLOG)
        print(f"accounts-es answers at {endpoint} (data in {settings.data})", flush=True)
        announce(settings)
        run(settings, conninfo, listener, stop)


class Stop:
    """What SIGTERM and SIGINT ask for.

    While things start one after another it raises. Once an event loop runs it is only noted: an exception out of
    nowhere may be lost there.
    """

    def __init__(self) -> None:
        self.asked = False
        self.raises = True

    def __call__(self, _number: int, _frame: FrameType | None) -> None:
        """The signal handler."""
        self.asked = True
        if self.raises:
            warnings.simplefilter("ignore")  # what had only begun to start is dropped, and need not be said
            raise SystemExit(0)


class Worker(uvicorn.Server):
    """The only worker, which may be asked to stop before it can listen for that."""

    def __init__(self, config: uvicorn.Config, stop: Stop) -> None:
        super().__init__(config)
        self._stop = stop

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start; end at once if that was asked for meanwhile."""
        await super().startup(sockets)
        if self._stop.asked:
            self.should_exit = True


@contextmanager
def listening(settings: Settings) -> Generator[socket.socket]:
    """The socket, taken before anything else is started."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if settings.reuse_port:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        listener.close()
        raise Trouble(f"cannot listen on {settings.host}:{settings.port}: {error.strerror or error}") from None
    listener.set_inheritable(True)
    try:
        yield listener
    finally:
        listener.close()


@contextmanager
def database(settings: Settings) -> Generator[str]:
    """The owner's connection string of the given database, or of the embedded one, running while we are."""
    if settings.database_url is not None:
        try:
            conninfo = primary(settings.database_url)
            psycopg.connect(conninfo, connect_timeout=10).close()
        except psycopg.Error as error:
            raise Trouble(f"cannot connect to ACCOUNTS_DATABASE_URL: {str(error).splitlines()[0]}") from None
        yield conninfo
        return
    embedded = EmbeddedPostgres(settings.data)
    try:
        conninfo = embedded.start()
    except EmbeddedPostgresError as error:
        raise Trouble(str(error)) from None
    stopping = threading.Event()
    watcher = threading.Thread(target=_keep_alive, args=(embedded, stopping), name="embedded PostgreSQL")
    watcher.start()
    try:
        yield conninfo
    finally:
        stopping.set()
        watcher.join()
        embedded.stop()


def _keep_alive(embedded: EmbeddedPostgres, stopping: threading.Event) -> None:
    """Start the database again if it dies under us; requests wait or are answered 503 meanwhile."""
    while not stopping.wait(_WATCH_SECONDS):
        if not embedded.running:
            log.error("the embedded PostgreSQL has ended: starting it again")
            try:
                embedded.revive()
            except EmbeddedPostgresError:
                log.exception("the embedded PostgreSQL does not start")


def make_keys(settings: Settings, *, begun: bool) -> None:
    """The keys are there, in the environment or files; made on the first start with an embedded database.

    ``begun`` says that the embedded database is older than this start: then a master key cannot be made for it.
    """
    try:
        for name in KEYS:
            if load_key(name, settings.data, os.environ) is None:
                if settings.database_url is not None:
                    raise Trouble(
                        f"there is no {name} key: set ACCOUNTS_{name.upper()}_KEY or ACCOUNTS_{name.upper()}_KEY_FILE"
                    )
                if begun and name == "master":
                    raise Trouble(f"the master key of the database in {settings.data} is gone: put it back to start")
                generate_key(name, settings.data)
        load_key(OTHER_JWT, settings.data, os.environ)
    except KeyFileError as error:
        raise Trouble(str(error)) from None


async def first_start(settings: Settings, conninfo: str, master: MasterKey, endpoint: str) -> None:
    """The project ``default`` with a key of all scopes, and where to find them, unless they are there already."""
    credentials = settings.data / "credentials.json"
    project_id, stream = "default", project_stream("default")
    async with running_application(conninfo, master) as app:
        meta = Metadata(now(), project_id, SYSTEM, "serve", secrets.token_hex(10), "first-start")
        try:
            await app.execute(meta, PROJECT, stream, commands.create_project, project_id=project_id, name="Default")
        except ProjectAlreadyExists:
            if credentials.exists() or settings.database_url is not None:
                return
        key = key_secret()
        await app.execute(
            meta,
            PROJECT,
            stream,
            commands.create_api_key,
            key_id=wire_id(),
            name="First key, with all scopes",
            scopes=ALL_KEY_SCOPES,
            secret_hash=fingerprint(key),
        )
    settings.data.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"endpoint": endpoint, "project": project_id, "key": key}, indent=2)
    handle = os.open(credentials, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(f"{text}\n")


def run(settings: Settings, conninfo: str, listener: socket.socket, stop: Stop) -> None:
    """Answer requests until told to stop."""
    # Workers are fresh processes: they learn from the environment what this one found out.
    os.environ[_CONNINFO] = conninfo
    os.environ["ACCOUNTS_DATA"] = str(settings.data.absolute())
    os.environ["ACCOUNTS_HOST"] = settings.host
    os.environ["ACCOUNTS_PORT"] = str(listener.getsockname()[1])
    config = uvicorn.Config(
        "accounts_es.cli.serve:worker",
        factory=True,
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http=AnswerProtocol if settings.workers == 1 else SharingProtocol,
        ws=cast("type[asyncio.Protocol]", socket_protocol),
        ws_max_size=_LONGEST_MESSAGE,
        ws_ping_interval=_PING_SECONDS,
        ws_per_message_deflate=False,
        lifespan="on",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        backlog=_BACKLOG,
        timeout_graceful_shutdown=20,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        workers=settings.workers,
    )
    with delivering(settings, conninfo):
        if settings.workers == 1:
            Worker(config, stop).run(sockets=[listener])
            return
        supervisor = Multiprocess(config, sockets=[listener])
        if not stop.asked:
            supervisor.run()


def socket_protocol(**parts: Any) -> asyncio.Protocol:
    """What uvicorn speaks to sockets with, loaded when one opens."""
    from accounts_es.cli.websocket import protocol  # noqa: PLC0415 - see there

    return protocol(**parts)


def worker() -> Server:
    """The application of one worker process."""
    settings = Settings()
    logs.configure(settings.log_level)
    conninfo = os.environ[_CONNINFO]
    master = needed_key(settings.data, conninfo)
    jwt_key, ledger_key = (load_key(name, settings.data, os.environ) for name in ("jwt", "ledger"))
    if jwt_key is None or ledger_key is None:
        raise Trouble("there is no jwt key, or no ledger key")
    other = load_key(OTHER_JWT, settings.data, os.environ)
    return application(ServerParts(settings, conninfo, master, jwt_key, ledger_key, other))
