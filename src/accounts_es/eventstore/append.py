"""What one request wants to commit, and how a group of them becomes the parameters of ``log.append``."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from accounts_es.domain.decider import Decider
from accounts_es.domain.event import Event, Recorded
from accounts_es.eventstore.arrays import Array, BigIntegers, Booleans, Bytes, Integers, Texts, Times
from accounts_es.eventstore.keys import KeyRing, LogKeys
from accounts_es.eventstore.mapper import encode, format_actor

S = TypeVar("S")

APPEND_LOCK: Final = 7017280570803617907
"""The advisory lock of ``log.append``: whoever holds it sees the log as it is, and nobody adds to it."""

Kind = type[Booleans] | type[Bytes] | type[Integers] | type[Texts] | type[BigIntegers] | type[Times]
_EVENT: Final[tuple[Kind, ...]] = (Integers, Texts, BigIntegers, Texts, Bytes, Texts, Times, *(Texts,) * 4)
_CLAIM: Final[tuple[Kind, ...]] = (Integers, Booleans, Texts, Texts, Bytes, Texts)
_KEY: Final[tuple[Kind, ...]] = (Integers, Texts, Bytes)
_USED: Final[tuple[Kind, ...]] = (Integers, Bytes, Bytes)
"""The columns of ``log.append``, in its order."""


@dataclass(frozen=True, slots=True)
class ClaimChange:
    """A unique value taken (or freed) by a stream of a project."""

    project: str
    kind: str
    value: str
    stream: str
    take: bool


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """A client's key, hashed with its caller, and a fingerprint of the request it stands for."""

    key: bytes
    fingerprint: bytes


@dataclass(frozen=True, slots=True)
class Effect:
    """Something to do once the events are stored, and only then. The recorder seals ``body`` with the subject's key."""

    kind: str
    subject: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Append:
    """Events of one or several streams, and what commits with them: all of it or nothing.

    ``new_keys`` maps a stream that begins here to its wrapped data key.
    """

    events: tuple[Recorded[Event], ...]
    claims: tuple[ClaimChange, ...] = ()
    new_keys: tuple[tuple[str, bytes], ...] = ()
    idempotency: IdempotencyKey | None = None
    effects: tuple[Effect, ...] = ()


class AppendRefused(Exception):  # noqa: N818
    """Nothing of the append was stored."""


class Conflict(AppendRefused):
    """Another writer was first on the stream: decide again from fresh state."""


class StreamErased(AppendRefused):
    """The stream's key is destroyed: nothing follows."""


class ClaimTaken(AppendRefused):
    """A value belongs to another stream. ``kind`` says which one."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


class KeyUsed(AppendRefused):
    """The idempotency key stands for a request that was carried out already."""


class LogBusy(AppendRefused):
    """The writer's queue is full, or the database did not answer in time."""


def refusal(text: str) -> AppendRefused:
    """The exception for what ``log.append`` says."""
    match text.split(":", 1):
        case ["version"]:
            return Conflict()
        case ["erased"]:
            return StreamErased()
        case ["claim", kind]:
            return ClaimTaken(kind)
        case _:
            return KeyUsed()


def claim_changes(project: str, stream: str, decider: Decider[S, Any], before: S, after: S) -> list[ClaimChange]:
    """The values that a stream takes and frees between two of its states, those it takes first."""
    return [
        ClaimChange(project, claim.kind, claim.value, stream, take=take)
        for take, claims in zip((True, False), decider.claimed(before, after), strict=True)
        for claim in sorted(claims)
    ]


def encoded(append: Append, keys: KeyRing) -> tuple[bytes, ...]:
    """The bytes to store, one for each event."""
    return tuple([encode(recorded, keys) for recorded in append.events])


def outbox_rows(append: Append, keys: KeyRing) -> tuple[tuple[str, str, bytes], ...]:
    """Kind, subject and sealed body of each effect."""
    return tuple(
        (effect.kind, effect.subject, keys.seal(effect.subject, effect.body, f"outbox:{effect.kind}"))
        for effect in append.effects
    )


def parameters(group: Sequence[tuple[Append, Sequence[bytes]]], keys: LogKeys) -> tuple[Array, ...]:
    """The parameters of ``log.append``, in its order; requests are numbered by their place in the group."""
    events: list[tuple[Any, ...]] = []
    claims: list[tuple[Any, ...]] = []
    new_keys: list[tuple[Any, ...]] = []
    used: list[tuple[Any, ...]] = []
    for number, (append, states) in enumerate(group):
        for recorded, state in zip(append.events, states, strict=True):
            meta = recorded.meta
            events.append(
                (
                    number,
                    recorded.stream,
                    recorded.stream_version,
                    recorded.event.topic,
                    state,
                    meta.project,
                    meta.at,
                    format_actor(meta.actor),
                    meta.operation,
                    meta.request_id,
                    meta.correlation_id,
                )
            )
        for claim in append.claims:
            digest = keys.digest(claim.project, claim.kind, claim.value)
            claims.append((number, claim.take, claim.project, claim.kind, digest, claim.stream))
        new_keys.extend((number, subject, wrapped) for subject, wrapped in append.new_keys)
        if append.idempotency is not None:
            used.append((number, append.idempotency.key, append.idempotency.fingerprint))
    return (*_columns(events, _EVENT), *_columns(claims, _CLAIM), *_columns(new_keys, _KEY), *_columns(used, _USED))


def _columns(rows: Sequence[tuple[Any, ...]], kinds: tuple[Kind, ...]) -> list[Array]:
    columns = zip(*rows, strict=True) if rows else ((),) * len(kinds)
    return [kind.of(column) for kind, column in zip(kinds, columns, strict=True)]
