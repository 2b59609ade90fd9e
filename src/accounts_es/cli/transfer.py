"""Accounts as lines of a file: what a line may say, and how it is read and written."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple
from uuid import NAMESPACE_OID, uuid5

from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json

from accounts_es.adapters.imported_hashes import Argon2, ImportedHash, Uncheckable, imported_hash, kept
from accounts_es.http.requests import as_mapping
from accounts_es.http.rules import Email, Flag, Id, Invalid, Label, Phone, Prefs, Rule, Text, Texts
from projections.accounts import AccountRow

FIELDS: Final[dict[str, Rule]] = {
    "id": Id(),
    "email": Email(),
    "phone": Phone(),
    "name": Text(128, shortest=0),
    "labels": Texts(Label(), 1000),
    "prefs": Prefs(),
    "emailVerified": Flag(loose=True),
    "phoneVerified": Flag(loose=True),
    "active": Flag(loose=True),
}
"""Besides ``password``: ``{"kind": "bcrypt", "hash": "..."}`` and what else the kind takes."""
_PASSWORD: Final[TypeAdapter[ImportedHash]] = TypeAdapter(ImportedHash)
_OURS: Final = "$argon2id$"


class Unreadable(Exception):  # noqa: N818
    """A line that says nothing we can take; the message tells why, without repeating a value."""


class Line(NamedTuple):
    """One account of a file. ``stream`` is made of what the line says: a line read again is the same account."""

    number: int
    text: str
    stream: str


def lines(file: Path, project_id: str) -> Iterator[Line]:
    """The lines of a file, one after the other: JSON lines, or CSV with a head when its name ends so."""
    with file.open(encoding="utf-8-sig", newline="") as opened:
        if file.suffix.lower() == ".csv":
            for row in (reader := csv.DictReader(opened)):
                yield _line(reader.line_num, to_json(_from_csv(row)).decode(), project_id)
        else:
            for number, text in enumerate(opened, start=1):
                if text.strip():
                    yield _line(number, text.strip(), project_id)


def _line(number: int, text: str, project_id: str) -> Line:
    return Line(number, text, f"account-{uuid5(NAMESPACE_OID, f'{project_id} {text}')}")


def _from_csv(row: dict[str, str | None]) -> dict[str, Any]:
    """Empty cells say nothing; ``labels`` are apart by spaces, ``prefs`` and ``password`` are JSON."""
    found: dict[str, Any] = {name: cell for name, cell in row.items() if cell}
    if "labels" in found:
        found["labels"] = found["labels"].split()
    for name in ("prefs", "password"):
        if name in found:
            try:
                found[name] = json.loads(found[name])
            except ValueError:
                continue  # refused as what it is, when it is read
    return found


def account(line: Line) -> dict[str, Any]:
    """The arguments of the command that brings the account along. Raises `Unreadable`."""
    try:
        said = as_mapping(json.loads(line.text))
    except ValueError:
        raise Unreadable("it is not JSON") from None
    if said is None:
        raise Unreadable("it is not an object")
    unknown = set(said) - {*FIELDS, "password"}
    if unknown:
        raise Unreadable("it has fields that are not known here; known are " + ", ".join((*FIELDS, "password")))
    read: dict[str, Any] = {}
    for name, rule in FIELDS.items():
        if said.get(name) is not None:
            try:
                read[name] = rule.parse(said[name])
            except Invalid as broken:
                raise Unreadable(f"{name}: {broken}") from None
    return {
        "account_id": read.get("id"),
        "email": read.get("email"),
        "phone": read.get("phone"),
        "name": read.get("name", ""),
        "labels": read.get("labels", []),
        "prefs": read.get("prefs"),
        "email_verified": read.get("emailVerified", False),
        "phone_verified": read.get("phoneVerified", False),
        "active": read.get("active", True),
        "password_hash": _password(said["password"]) if said.get("password") is not None else None,
    }


def _password(said: object) -> str:
    try:
        imported = _PASSWORD.validate_python(said)
        imported.ensure_checkable()
    except ValidationError:
        raise Unreadable("password: it must be a hash with its kind, and what else that kind takes") from None
    except Uncheckable as reason:
        raise Unreadable(f"password: {reason}") from None
    if isinstance(imported, Argon2) and imported.hash.startswith(_OURS):
        return imported.hash
    return kept(imported)


def exported(row: AccountRow) -> bytes:
    """The line of an account, without a line break. Read again it makes the same account."""
    said: dict[str, Any] = {
        "id": row.account_id,
        "email": row.email,
        "phone": row.phone,
        "name": row.name,
        "labels": row.labels,
        "prefs": json.loads(row.prefs),
        "emailVerified": row.email_verified,
        "phoneVerified": row.phone_verified,
        "active": row.active,
    }
    if row.password_hash is not None:
        password = imported_hash(row.password_hash) or Argon2(hash=row.password_hash)
        said["password"] = password.model_dump(mode="json")
    return to_json(said)
