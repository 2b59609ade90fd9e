"""Accounts as their owners and as servers see them."""

from datetime import datetime
from functools import lru_cache
from typing import Any, Final, cast

from argon2 import extract_parameters
from argon2.exceptions import InvalidHashError
from pydantic_core import from_json, to_json
from typing_extensions import TypedDict  # pydantic reads those of typing only from Python 3.12 on

from accounts_es.adapters.email_domains import email_facts
from accounts_es.adapters.imported_hashes import (
    Argon2,
    Bcrypt,
    ImportedHash,
    Md5,
    Phpass,
    Scrypt,
    ScryptModified,
    Sha,
    imported_hash,
)
from accounts_es.domain.event import JSONObject
from accounts_es.http.models.dates import date
from projections.accounts import AccountRow, TargetRow

Target = TypedDict(
    "Target",
    {
        "$id": str,
        "$createdAt": str,
        "$updatedAt": str,
        "name": str,
        "userId": str,
        "providerId": str | None,
        "providerType": str,
        "identifier": str,
        "expired": bool,
    },
)

Account = TypedDict(
    "Account",
    {
        "$id": str,
        "$createdAt": str,
        "$updatedAt": str,
        "name": str,
        "registration": str,
        "status": bool,
        "labels": list[str],
        "passwordUpdate": str,
        "email": str,
        "phone": str,
        "emailVerification": bool,
        "phoneVerification": bool,
        "emailCanonical": str | None,
        "emailIsFree": bool | None,
        "emailIsDisposable": bool | None,
        "emailIsCorporate": bool | None,
        "emailIsCanonical": bool | None,
        "mfa": bool,
        "prefs": dict[str, Any],
        "targets": list[Target],
        "accessedAt": str,
        "impersonator": bool,
        "impersonatorUserId": str | None,
    },
)


class User(Account):
    """An account as servers see it."""

    password: str | None
    hash: str
    hashOptions: dict[str, Any]  # noqa: N815 - the wire's name


class UserList(TypedDict):
    """A page of users."""

    total: int
    users: list[User]


Preferences = dict[str, Any]


def account(row: AccountRow) -> Account:
    """An account as its owner sees it."""
    facts = email_facts(row.email)
    created = date(row.created_at)
    return {
        "$id": row.account_id,
        "$createdAt": created,
        "$updatedAt": date(row.updated_at),
        "name": row.name,
        "registration": created,
        "status": row.active,
        "labels": row.labels,
        "passwordUpdate": date(row.password_updated_at),
        "email": row.email or "",
        "phone": row.phone or "",
        "emailVerification": row.email_verified,
        "phoneVerification": row.phone_verified,
        "emailCanonical": facts.canonical,
        "emailIsFree": facts.free,
        "emailIsDisposable": facts.disposable,
        "emailIsCorporate": facts.corporate,
        "emailIsCanonical": facts.is_canonical,
        "mfa": row.mfa,
        "prefs": prefs(row),
        "targets": _targets(row.account_id, row.targets),
        "accessedAt": date(row.accessed_at),
        "impersonator": row.impersonator,
        "impersonatorUserId": None,
    }


def account_body(row: AccountRow) -> bytes:
    """`account` as the JSON that is sent. What a row reads as is remembered by its stream and version."""
    known = _BODIES.get(row.stream)
    if known is not None and known[0] == row.version:
        return known[1]
    body = to_json(account(row))
    if len(body) <= _LARGEST_BODY:
        if len(_BODIES) >= _MOST_BODIES:
            del _BODIES[next(iter(_BODIES))]
        _BODIES[row.stream] = (row.version, body)
    return body


_BODIES: Final[dict[str, tuple[int, bytes]]] = {}
_MOST_BODIES: Final = 4096
_LARGEST_BODY: Final = 4096


def prefs(row: AccountRow) -> JSONObject:
    """The preferences, as an object even when empty."""
    return cast("JSONObject", from_json(row.prefs))


def user(row: AccountRow) -> User:
    """An account as servers see it, with the password's hash."""
    stored = row.password_hash
    imported = imported_hash(stored) if stored is not None else None
    if imported is None:
        return {**account(row), "password": stored, "hash": "argon2", "hashOptions": _argon2_options(stored)}
    name, options = _imported_options(imported)
    return {**account(row), "password": imported.hash, "hash": name, "hashOptions": options}


@lru_cache(maxsize=1024)
def _parameters(prefix: str) -> tuple[int, int, int]:
    found = extract_parameters(prefix)
    return found.memory_cost, found.time_cost, found.parallelism


def _argon2_options(stored: str | None) -> JSONObject:
    memory, iterations, lanes = 65536, 4, 3
    if stored is not None:
        try:
            memory, iterations, lanes = _parameters(stored)
        except InvalidHashError:
            return {"type": "argon2"}
    return {"type": "argon2", "memory_cost": memory, "time_cost": iterations, "threads": lanes}


def _imported_options(imported: ImportedHash) -> tuple[str, JSONObject]:
    """What the wire calls a hash and its options (contract: users-teams, 1.2), some of which say nothing about it."""
    match imported:
        case Argon2():
            return "argon2", _argon2_options(imported.hash)
        case Bcrypt():
            return "bcrypt", {"type": "bcrypt", "cost": 8}
        case Md5():
            return "md5", {"type": "md5"}
        case Sha():
            return "sha", {"version": imported.version}
        case Phpass():
            return "phpass", {
                "type": "phpass",
                "iteration_count_log2": 8,
                "portable_hashes": False,
                "random_state": "",
            }
        case Scrypt():
            return "scrypt", {
                "type": "scrypt",
                "costCpu": imported.cpu,
                "costMemory": imported.memory,
                "costParallel": imported.parallel,
                "length": imported.length,
                "salt": imported.salt,
            }
        case ScryptModified():
            return "scryptMod", {
                "type": "scryptMod",
                "salt": imported.salt,
                "saltSeparator": imported.separator,
                "signerKey": imported.signer_key,
            }


@lru_cache(maxsize=2048)
def _targets(account_id: str, stored: str) -> list[Target]:
    return [_target(account_id, each) for each in cast("list[JSONObject]", from_json(stored))]


def forget(_stream: str) -> None:
    """Somebody was erased: no address that was shown lately stays in memory."""
    _targets.cache_clear()


class TargetList(TypedDict):
    """A page of targets."""

    total: int
    targets: list[Target]


def target(account_id: str, row: TargetRow) -> Target:
    """One target of an account."""
    return _target(account_id, cast("JSONObject", from_json(row.target)))


def _target(account_id: str, stored: JSONObject) -> Target:
    created = date(datetime.fromisoformat(str(stored["created_at"])))
    return {
        "$id": str(stored["target_id"]),
        "$createdAt": created,
        "$updatedAt": date(datetime.fromisoformat(str(stored["updated_at"]))),
        "name": str(stored["name"]),
        "userId": account_id,
        "providerId": cast("str | None", stored["provider_id"]),
        "providerType": str(stored["provider_type"]),
        "identifier": str(stored["identifier"]),
        "expired": False,
    }
