"""The server's keys: 32 bytes each, base64 in the environment or in files only their owner may read."""

import base64
import binascii
import hashlib
import os
import secrets
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

KEY_BYTES: Final = 32


class KeyFileError(Exception):
    """A key that cannot be read; the message says which and why, never what it is."""


def load_key(name: str, data: Path | None, environ: Mapping[str, str]) -> bytes | None:
    """A key from ``ACCOUNTS_<NAME>_KEY``, ``ACCOUNTS_<NAME>_KEY_FILE`` or ``<data>/keys/<name>.key``, in this order.

    Nothing when none of them is there. Raises `KeyFileError`.
    """
    variable = f"ACCOUNTS_{name.upper()}_KEY"
    if text := environ.get(variable):
        return _decode(text, variable)
    if file := environ.get(f"{variable}_FILE"):
        return _read(Path(file))
    path = _path(name, data) if data is not None else None
    return _read(path) if path is not None and path.exists() else None


def key_source(name: str, environ: Mapping[str, str]) -> str | None:
    """The variable that says a key, or which file it is in; nothing when it is that of the data folder."""
    variable = f"ACCOUNTS_{name.upper()}_KEY"
    return next((each for each in (variable, f"{variable}_FILE") if environ.get(each)), None)


def generate_key(name: str, data: Path) -> bytes:
    """A new key in ``<data>/keys``, on disk when this returns. Raises `KeyFileError` if there is one already."""
    key = secrets.token_bytes(KEY_BYTES)
    store_key(name, data, key)
    return key


def store_key(name: str, data: Path, key: bytes) -> None:
    """Put a key into ``<data>/keys``, as `generate_key` does."""
    path = _path(name, data)
    with _written(path, key) as aside:
        try:
            path.hardlink_to(aside)
        except FileExistsError:
            raise KeyFileError(f"{path} exists already") from None


def replace_key(name: str, data: Path, key: bytes) -> Path | None:
    """Put another key in the place of the one in ``<data>/keys``; returns where that is kept, unless they are one.

    Killed at any point it may be done again, and several processes may do it at once. Raises `KeyFileError`.
    """
    path = _path(name, data)
    former = _read(path) if path.exists() else None
    if former == key:
        return None
    kept = None
    with _written(path, key) as aside:
        if former is not None:
            kept = path.with_name(f"former_{name}-{hashlib.sha256(former).hexdigest()[:12]}.key")
            with suppress(FileExistsError):
                kept.hardlink_to(path)
        aside.replace(path)
    return kept


def remove_key(name: str, data: Path) -> None:
    """Remove a key from ``<data>/keys``, if there is one."""
    _path(name, data).unlink(missing_ok=True)


@contextmanager
def _written(path: Path, key: bytes) -> Generator[Path]:
    """A file with the key beside its place; what is done with it is on disk in the end."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Written aside and put in place whole: half a key file would keep the server from starting ever again.
    aside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(base64.b64encode(key) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        yield aside
    finally:
        aside.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _path(name: str, data: Path) -> Path:
    return data / "keys" / f"{name}.key"


def _read(path: Path) -> bytes:
    try:
        return _decode(path.read_text(encoding="ascii"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise KeyFileError(f"cannot read the key in {path}: {type(error).__name__}") from None


def _decode(text: str, where: str) -> bytes:
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        raise KeyFileError(f"{where} is not base64") from None
    if len(key) != KEY_BYTES:
        raise KeyFileError(f"{where} holds {len(key)} bytes instead of {KEY_BYTES}")
    return key
