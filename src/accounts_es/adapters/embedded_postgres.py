"""A PostgreSQL of the server's own, in a data folder, for whoever has none to connect to.

The cluster lives in `<data>/postgres`. It listens on a Unix socket inside that folder, which nobody but its owner and
root may enter, and on no network address.

Run as root, PostgreSQL itself gets an unprivileged user number. That user needs no way to the folder: PostgreSQL is
started *in* it and told that its data is `/proc/self/cwd`, so the data may lie below a private home, and nothing
outside `<data>/postgres` changes hands or permissions.
"""

import contextlib
import fcntl
import logging
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import IO, Final

import psycopg
from psycopg.conninfo import make_conninfo

from accounts_es.adapters.postgres_binaries import MAJOR, BinariesError, Identity, environment, find

__all__ = ["EmbeddedPostgres", "EmbeddedPostgresError", "connection"]

logger = logging.getLogger(__name__)

_DATABASE: Final = "accounts"
_OWNER: Final = "postgres"
_SOCKET: Final = ".s.PGSQL.5432"
_LONGEST_SOCKET: Final = 103  # 107 bytes on Linux, 103 on macOS

_ROOT_DROPS_TO: Final = 60907
"""In the range that systemd's registry of user numbers keeps unused: no account, service or `nobody` shares it."""

_PROC: Final = Path("/proc")
_LOCK: Final = "server.lock"
_CONNECTION: Final = "postgres.connection"
_LOG_LIMIT: Final = 10 * 1024 * 1024
_POLL: Final = 0.01
_REPORT_EVERY: Final = 5.0

_SETTINGS: Final = {
    "listen_addresses": "",
    "unix_socket_directories": ".",
    "unix_socket_permissions": "0700",
    "port": "5432",
    "max_connections": "100",
    "shared_buffers": "128MB",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "jit": "off",
    # A young database is planned for what it was a minute ago; statistics follow sooner than by default.
    "autovacuum_naptime": "10s",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_destination": "stderr",
    "logging_collector": "off",
    "log_line_prefix": "%m [%p] ",
    "log_checkpoints": "off",
    # People's data stays out of the log: no statements, no "Key (email)=(...) already exists".
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
}


class EmbeddedPostgresError(Exception):
    """The embedded PostgreSQL cannot be started; the message says in one sentence what is wrong."""


def connection(data: Path) -> str | None:
    """Return how to reach the embedded PostgreSQL that a server is running on this data folder now, if one is."""
    try:
        with (data / _LOCK).open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        with contextlib.suppress(OSError):
            return (data / _CONNECTION).read_text().strip() or None
    except OSError:
        pass
    return None


class EmbeddedPostgres:
    """Starts, finds again and stops the PostgreSQL in one data folder. Not for use from several threads at once."""

    def __init__(self, data: Path, *, startup_limit: float = 600.0, shutdown_limit: float = 30.0) -> None:
        """Name the data folder; `startup_limit` is how long crash recovery may take, both limits are in seconds."""
        self.data = data.absolute()
        self._startup_limit = startup_limit
        self._shutdown_limit = shutdown_limit
        self._lock: IO[str] | None = None
        self._alias: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        """Whether the PostgreSQL started here is still there."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> str:
        """Start PostgreSQL, making the cluster first if there is none, and return the owner's connection string."""
        if self._lock is not None:
            raise EmbeddedPostgresError(f"the PostgreSQL in {self.data} has already been started here")
        try:
            return self._start()
        except (BinariesError, PermissionError) as error:
            self.stop()
            raise EmbeddedPostgresError(self._explained(error)) from error
        except OSError as error:
            self.stop()
            raise EmbeddedPostgresError(f"{self.data} cannot be used: {error}") from error
        except BaseException:
            self.stop()
            raise

    def revive(self) -> None:
        """Start PostgreSQL again where it ended by itself; it is reached as before.

        Raises `EmbeddedPostgresError`.
        """
        if self._process is None or self.running:
            return
        identity = self._identity()
        try:
            self._take_over(identity)
            self._launch(find(identity), identity)
            self._await_ready()
        except (BinariesError, OSError) as error:
            raise EmbeddedPostgresError(self._explained(error)) from error

    def stop(self) -> None:
        """Stop PostgreSQL, cleanly if it can within the limit, and give the folder free; nothing if it does not run."""
        process, self._process = self._process, None
        if process is not None:
            self._shut_down(process)
        if self._alias is not None:
            shutil.rmtree(self._alias.parent, ignore_errors=True)
            self._alias = None
        if self._lock is not None:
            (self.data / _CONNECTION).unlink(missing_ok=True)
            self._lock.close()
            self._lock = None

    def __enter__(self) -> str:
        """Start, and give the connection string."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()

    @property
    def _cluster(self) -> Path:
        return self.data / "postgres"

    @property
    def _log(self) -> Path:
        return self.data / "postgres.log"

    def _explained(self, error: Exception) -> str:
        return f"{self.data} cannot be written to: {error}" if isinstance(error, PermissionError) else str(error)

    def _start(self) -> str:
        self._claim_folder()
        identity = self._identity()
        binaries = find(identity)
        if self._holds_cluster():
            self._take_over(identity)
        else:
            self._make_cluster(binaries, identity)
        self._launch(binaries, identity)
        self._await_ready()
        conninfo = self._reachable()
        _ensure_database(conninfo)
        (self.data / _CONNECTION).touch(mode=0o600)
        (self.data / _CONNECTION).write_text(conninfo + "\n")
        return conninfo

    # -- the folder ----------------------------------------------------------------------------------------------------

    def _claim_folder(self) -> None:
        if self.data.exists() and not self.data.is_dir():
            raise EmbeddedPostgresError(f"{self.data} is a file, not a data folder")
        self.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        if (self.data / "PG_VERSION").exists():
            raise EmbeddedPostgresError(f"{self.data} is itself a PostgreSQL cluster: choose another data folder")
        lock = os.fdopen(os.open(self.data / _LOCK, os.O_RDWR | os.O_CREAT, 0o600), "r+")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = lock.read().strip() or "unknown"
            lock.close()
            raise EmbeddedPostgresError(f"{self.data} is in use by process {holder}") from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        self._lock = lock
        (self.data / _CONNECTION).unlink(missing_ok=True)

    def _identity(self) -> Identity:
        """Whom PostgreSQL is to run as: the owner of an existing cluster, and never root, because it refuses that."""
        owner = self._cluster.stat() if self._cluster.is_dir() else None
        me = os.geteuid()
        if me != 0:
            if owner is not None and owner.st_uid != me:
                raise EmbeddedPostgresError(
                    f"{self._cluster} belongs to user {owner.st_uid}: start the server as that user or as root"
                )
            return Identity()
        if owner is not None and owner.st_uid != 0:
            return Identity(owner.st_uid, owner.st_gid)
        return Identity(_ROOT_DROPS_TO, _ROOT_DROPS_TO)

    def _holds_cluster(self) -> bool:
        try:
            version = (self._cluster / "PG_VERSION").read_text().strip()
        except FileNotFoundError:
            if self._cluster.is_dir() and not any(self._cluster.iterdir()):
                self._cluster.rmdir()
            if self._cluster.exists():
                raise EmbeddedPostgresError(f"{self._cluster} holds something else than a PostgreSQL cluster") from None
            return False
        except NotADirectoryError:
            raise EmbeddedPostgresError(f"{self._cluster} is a file, not a PostgreSQL cluster") from None
        if version != MAJOR:
            raise EmbeddedPostgresError(
                f"{self._cluster} was made by PostgreSQL {version} and this release brings {MAJOR}: "
                "dump it with the release that made it and load it into a new folder"
            )
        return True

    def _make_cluster(self, binaries: Path, identity: Identity) -> None:
        """Make the cluster beside its place and move it there, so that a killed attempt leaves nothing half made."""
        staging = self.data / "postgres.new"
        if staging.exists():
            shutil.rmtree(staging)
        staging.mkdir(mode=0o700)
        maker = _named(identity)
        _hand_over(staging, maker)
        # The built-in C.UTF-8 sorts and folds the same on every machine, whatever its C library brings.
        done = subprocess.run(  # noqa: S603 (the wheel's own program)
            [
                *(binaries / "initdb", "-D", _own_folder(staging), "-U", _OWNER),
                *("--auth-local=trust", "--auth-host=reject", "--data-checksums", "--no-instructions"),
                *("--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
            ],
            cwd=staging,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            umask=0o077,
            user=maker.uid,
            group=maker.gid,
            extra_groups=maker.extra_groups,
        )
        if done.returncode != 0:
            shutil.rmtree(staging, ignore_errors=True)
            raise EmbeddedPostgresError(
                f"PostgreSQL could not make a cluster in {self.data}: {_last_line(done.stdout)}"
            )
        _hand_over(staging, identity)
        staging.rename(self._cluster)
        folder = os.open(self.data, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _take_over(self, identity: Identity) -> None:
        """Make an existing cluster ours: the right owner, and no process left over from a server that was killed."""
        if identity.dropping and self._cluster.stat().st_uid == 0:  # a back-up that root has put back
            _hand_over(self._cluster, identity)
        self._cluster.chmod(0o700)
        pid_file = self._cluster / "postmaster.pid"
        postmaster = _first_number(pid_file)
        if left_over := self._processes():
            logger.warning("stopping the PostgreSQL that a killed server left running (process %s)", postmaster)
            _end(self._processes, postmaster if postmaster in left_over else None, self._shutdown_limit)
            postmaster = _first_number(pid_file)
        if postmaster is None or _command_line(postmaster) is not None:
            # The number is another program's by now (likely in a container, where numbers start again), or a zombie's,
            # or a power cut has left the file empty. PostgreSQL cannot tell and would refuse to start. A number that
            # nobody has it clears away by itself.
            for stale in (pid_file, self._cluster / f"{_SOCKET}.lock"):
                stale.unlink(missing_ok=True)

    # -- the processes -------------------------------------------------------------------------------------------------

    @property
    def _name(self) -> str:
        """What all processes of this cluster, and of no other on this machine, show in their command line."""
        status = self._cluster.stat()
        return f"accounts-es-{status.st_dev:x}-{status.st_ino:x}"

    def _processes(self) -> set[int]:
        return {pid for pid in _all_processes() if _is_postgres(_command_line(pid) or b"", self._name.encode())}

    def _launch(self, binaries: Path, identity: Identity) -> None:
        settings = {**_SETTINGS, "cluster_name": self._name}
        if (self._cluster / "recovery.signal").exists():
            # On its way back to a point in time it is not there yet, rather than there and without writes.
            settings["hot_standby"] = "off"
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with contextlib.suppress(FileNotFoundError):
            if self._log.stat().st_size > _LOG_LIMIT:
                self._log.replace(self._log.with_suffix(".log.1"))
        log = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            self._process = subprocess.Popen(  # noqa: S603 (the wheel's own program)
                [binaries / "postgres", "-D", _own_folder(self._cluster), *options],
                cwd=self._cluster,
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                umask=0o077,
                start_new_session=True,  # a Ctrl-C is for the server, which then stops PostgreSQL last
                user=identity.uid,
                group=identity.gid,
                extra_groups=identity.extra_groups,
            )
        finally:
            os.close(log)

    def _await_ready(self) -> None:
        """Wait as long as PostgreSQL is alive and says that it is starting: after a crash that may take minutes."""
        assert self._process is not None  # noqa: S101 (just launched)
        began = reported = time.monotonic()
        while not self._ready():
            if self._process.poll() is not None:
                raise EmbeddedPostgresError(f"PostgreSQL did not start ({self._log}): {_last_line(_tail(self._log))}")
            now = time.monotonic()
            if now - began > self._startup_limit:
                raise EmbeddedPostgresError(
                    f"PostgreSQL was still starting after {now - began:.0f} seconds ({self._log})"
                )
            if now - reported > _REPORT_EVERY:
                reported = now
                logger.info("PostgreSQL is starting since %.0f seconds: %s", now - began, _last_line(_tail(self._log)))
            time.sleep(_POLL)

    def _ready(self) -> bool:
        """Whether PostgreSQL says so in its own file, the way its own tools are told; a standby takes no writes yet."""
        try:
            lines = (self._cluster / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        ours = len(lines) >= 8 and lines[0] == str(self._process and self._process.pid)
        return ours and lines[7].strip() == "ready"

    def _shut_down(self, process: subprocess.Popen[bytes]) -> None:
        patience = self._shutdown_limit
        for how, limit in ((signal.SIGINT, patience), (signal.SIGQUIT, patience), (signal.SIGKILL, None)):
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.send_signal(how)
                process.wait(limit)
                break
            logger.warning("PostgreSQL has not stopped on %s within %s seconds", how.name, limit)

    # -- the way in ----------------------------------------------------------------------------------------------------

    def _reachable(self) -> str:
        """The connection string; by a short alias of the folder if its own path does not fit into a socket address."""
        folder = self._cluster
        if not _fits(folder):
            folder = self._alias = _short_alias(folder)
        return make_conninfo(host=str(folder), port="5432", user=_OWNER, dbname=_DATABASE)


def _fits(folder: Path) -> bool:
    # libpq reads a comma as the end of a host.
    return len(os.fsencode(folder / _SOCKET)) <= _LONGEST_SOCKET and "," not in str(folder)


def _short_alias(folder: Path) -> Path:
    """Link to the folder from a new folder that only we may enter, so nobody can put another link in its place."""
    for place in (os.environ.get("XDG_RUNTIME_DIR"), tempfile.gettempdir(), "/tmp", "/var/tmp"):  # noqa: S108
        if (
            place
            and Path(place).is_dir()
            and os.access(place, os.W_OK)
            and _fits(Path(place, "accounts-es-12345678", "pg"))
        ):
            alias = Path(tempfile.mkdtemp(prefix="accounts-es-", dir=place), "pg")
            alias.symlink_to(folder)
            return alias
    raise EmbeddedPostgresError(
        f"{folder} is too long a path for a socket, and no temporary folder can hold a short one"
    )


def _ensure_database(conninfo: str) -> None:
    try:
        with psycopg.connect(conninfo, dbname="postgres", autocommit=True) as owner:
            if not owner.execute("SELECT FROM pg_database WHERE datname = %s", [_DATABASE]).fetchall():
                owner.execute(f"CREATE DATABASE {_DATABASE}")
    except psycopg.Error as error:
        raise EmbeddedPostgresError(f"PostgreSQL started but does not answer: {error}") from error


def _own_folder(folder: Path) -> str:
    """What a program started in `folder` calls it; on Linux that needs no way through the folders above."""
    return "/proc/self/cwd" if (_PROC / "self" / "cwd").exists() else str(folder)


def _named(identity: Identity) -> Identity:
    """Whom to run `initdb` as: it alone insists on a user with a name, so it borrows that of nobody."""
    if not identity.dropping:
        return identity
    for user in sorted(pwd.getpwall(), key=lambda entry: entry.pw_name != "nobody"):
        if user.pw_uid != 0:
            return Identity(user.pw_uid, user.pw_gid)
    raise EmbeddedPostgresError("run as root, PostgreSQL needs an unprivileged user such as nobody, and there is none")


def _hand_over(folder: Path, identity: Identity) -> None:
    if identity.uid is None or identity.gid is None:
        return
    os.chown(folder, identity.uid, identity.gid)
    for inside, folders, files in os.walk(folder):
        for entry in (*folders, *files):
            os.chown(Path(inside, entry), identity.uid, identity.gid, follow_symlinks=False)


def _is_postgres(command_line: bytes, name: bytes) -> bool:
    """Whether this is a process of the cluster called `name`, known by its title or, just started, by its arguments."""
    program = command_line.split(b"\0")[0].split(b" ")[0]
    return command_line.startswith(b"postgres: " + name) or (
        program.endswith(b"/postgres") and b"cluster_name=" + name in command_line
    )


def _all_processes() -> set[int]:
    if _PROC.exists():
        return {int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit()}
    listed = subprocess.run(["/bin/ps", "-axo", "pid="], capture_output=True, text=True, check=True)
    return {int(line) for line in listed.stdout.split()}


def _command_line(pid: int) -> bytes | None:
    """The command line of a process, empty for a zombie, `None` if there is no such process."""
    if _PROC.exists():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            return (_PROC / str(pid) / "cmdline").read_bytes()
        return None
    listed = subprocess.run(["/bin/ps", "-o", "command=", "-p", str(pid)], capture_output=True, check=False)  # noqa: S603
    return listed.stdout or None


def _end(processes: Callable[[], set[int]], postmaster: int | None, limit: float) -> None:
    """End a PostgreSQL left over: cleanly by its head; without a head the rest ends by itself, or is made to."""
    if postmaster is not None:
        _signal({postmaster}, signal.SIGINT)
    for how, patience in ((None, limit), (signal.SIGQUIT, 10.0), (signal.SIGKILL, 10.0)):
        if how is not None:
            _signal(processes(), how)
        until = time.monotonic() + (patience if how or postmaster else min(patience, 5.0))
        while time.monotonic() < until:
            if not processes():
                return
            time.sleep(_POLL)
    raise EmbeddedPostgresError(
        f"a PostgreSQL left running on this folder does not end (processes {sorted(processes())})"
    )


def _signal(pids: set[int], how: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, how)


def _first_number(path: Path) -> int | None:
    try:
        return int(path.read_text().splitlines()[0])
    except (FileNotFoundError, IndexError, ValueError):
        return None


def _tail(path: Path) -> str:
    try:
        with path.open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - 4096))
            return log.read().decode(errors="replace")
    except OSError:
        return ""


def _last_line(text: str) -> str:
    """What was said last; the reason why PostgreSQL gave up, if there is one, rather than hints that follow it."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    reasons = [line for line in lines if "FATAL:" in line or "PANIC:" in line]
    return (reasons or lines or ["no message"])[-1]
