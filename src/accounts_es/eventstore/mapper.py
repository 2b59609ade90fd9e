"""Events to stored bytes and back.

The stored state is one JSON object, readable without us but for what is personal::

    {"v": 1, "meta": {"at", "project", "actor", "operation", "request", "correlation", "causation"?},
     "data": {...}, "sealed": "<base64>", "origin": "<base64>"?, "keys": {"data"?, "origin"?}?}

``sealed`` holds the personal fields under the stream's key, bound to the stream and version, so that no sealed value
can be moved to another event. In ``data`` stands what each personal field reads as once the key is gone: so an erased
event of an old shape still has all fields its upcasters expect.

The IP address and the user agent are sealed with a key of the project's day first, so that they can go before the
rest, and stand in ``sealed`` as well. Where an event speaks of somebody whose stream is another one, or was caused by
such a person, that key is put around as well, and ``keys`` names it: either key gone is enough. What comes from
somebody else's hand stands apart then, in ``origin``.
"""

import base64
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, Final, NamedTuple, cast

from eventsourcing.domain import DomainEventProtocol
from eventsourcing.persistence import Mapper, StoredEvent
from pydantic import JsonValue
from pydantic_core import from_json, to_json

from accounts_es.domain.catalog import BY_TOPIC
from accounts_es.domain.event import Actor, Event, JSONObject, Metadata, Recorded, personal_fields, without_personal
from accounts_es.eventstore.keys import KeyRing, seal, unseal

_KNOWN_ACTORS: Final = 2048
DAY: Final = "origins-"
"""What the keys of days are called: followed by the project and the day."""


class UnknownTopic(Exception):  # noqa: N818
    """The log holds an event of a kind that only a later release knows."""

    def __init__(self, topic: str) -> None:
        super().__init__(f"{topic} was written by a later release of accounts-es")


class Owners(NamedTuple):
    """Besides the stream's own: the keys of whom an event speaks, of whom it came from, and of its day."""

    data: str
    origin: str
    day: str

    @property
    def named(self) -> tuple[str, ...]:
        """Those that there are."""
        return tuple(each for each in self if each)


def owners(recorded: Recorded[Event]) -> Owners:
    """Whose keys seal an event besides the stream's."""
    event, meta, stream = recorded.event, recorded.meta, recorded.stream
    data = str(getattr(event, event.whose)) if event.whose else ""
    actor = meta.actor
    person = actor.impersonator or (actor.id if actor.kind == "account" else "") or data
    day = day_key(meta.project, meta.at.date().isoformat()) if meta.ip or meta.user_agent else ""
    return Owners(data if data != stream else "", person if person != stream and day else "", day)


def day_key(project: str, day: str) -> str:
    """The subject whose key seals where things came from, on a day (YYYY-MM-DD) in a project."""
    return f"{DAY}{project}-{day}"


def encode(recorded: Recorded[Event], keys: KeyRing) -> bytes:
    """The state to store. The stream's key must be in the ring.

    Of people whose key is not there nothing is kept: they were erased a moment ago. Without the day's key, where
    something came from goes with the stream's.
    """
    event, meta, stream = recorded.event, recorded.meta, recorded.stream
    whose, person, day = owners(recorded)
    gone = {each for each in (whose, person) if each and keys.get(each) is None} if whose or person else ()
    bound_to = _bound_to(stream, recorded.stream_version)
    data: JSONObject = event.model_dump(mode="json")
    personal = personal_fields(type(event))
    secrets: JSONObject = {"data": {name: data[name] for name in personal}} if personal and whose not in gone else {}
    data.update(personal)
    origin: JSONObject = {}
    if not gone:
        if meta.ip is not None:
            origin["ip"] = meta.ip
        if meta.user_agent is not None:
            origin["user_agent"] = meta.user_agent
    if origin and (key := keys.get(day)) is not None:
        origin = {"origin": base64.b64encode(seal(key, to_json(origin), bound_to)).decode()}
    public: JSONObject = {
        "at": meta.at.isoformat(timespec="microseconds"),
        "project": meta.project,
        "actor": format_actor(meta.actor),
        "operation": meta.operation,
        "request": meta.request_id,
        "correlation": meta.correlation_id,
    }
    if meta.causation_id is not None:
        public["causation"] = meta.causation_id
    state: JSONObject = {"v": event.version, "meta": public, "data": data}
    named: JSONObject = {}
    if whose and whose not in gone:
        named["data"] = whose
    if person and person not in gone:
        named["origin"] = person
    if origin and not named:
        secrets.update(origin)
    elif origin:
        state["origin"] = _seal_through((stream, *_text(named, "origin")), origin, bound_to, keys)
    if secrets:
        state["sealed"] = _seal_through((stream, *_text(named, "data")), secrets, bound_to, keys)
    if named:
        state["keys"] = named
    return to_json(state)


def _text(named: JSONObject, name: str) -> tuple[str, ...]:
    return (str(named[name]),) if name in named else ()


def _seal_through(subjects: tuple[str, ...], secrets: JSONObject, bound_to: bytes, keys: KeyRing) -> str:
    """Sealed with one key after the other."""
    plain = to_json(secrets)
    for subject in subjects:
        key = keys.get(subject)
        if key is None:
            raise KeyError(subject)
        plain = seal(key, plain, bound_to)
    return base64.b64encode(plain).decode()


def _open_through(subjects: tuple[str, ...], sealed: str, bound_to: bytes, keys: KeyRing) -> dict[str, Any] | None:
    """Opened in the other order; nothing when one of the keys is gone. Raises `SealBroken`."""
    plain = base64.b64decode(sealed)
    for subject in reversed(subjects):
        key = keys.get(subject)
        if key is None:
            return None
        plain = unseal(key, plain, bound_to)
    return cast("dict[str, Any]", from_json(plain))


class Opened(NamedTuple):
    """The personal part of a stored event: nothing for what there is no key for."""

    data: Mapping[str, JsonValue] | None
    ip: str | None
    user_agent: str | None
    origin_gone: bool


def opened(stream: str, version: int, stored: Mapping[str, Any], keys: KeyRing) -> Opened:
    """What of a stored event opens with the keys of the ring. Raises `SealBroken`, ``ValueError``."""
    bound_to = _bound_to(stream, version)
    named: Mapping[str, str] = stored.get("keys", {})
    secrets: Mapping[str, Any] | None = {}
    if "sealed" in stored:
        outer = (named["data"],) if "data" in named else ()
        secrets = _open_through((stream, *outer), stored["sealed"], bound_to, keys)
    origin: Mapping[str, Any] | None = secrets
    if "origin" in stored:
        outer = (named["origin"],) if "origin" in named else ()
        origin = _open_through((stream, *outer), stored["origin"], bound_to, keys)
    if origin is not None and "origin" in origin:
        meta = stored["meta"]
        origin = _open_through((day_key(meta["project"], meta["at"][:10]),), origin["origin"], bound_to, keys)
    return Opened(
        data=secrets.get("data", {}) if secrets is not None else None,
        ip=origin.get("ip") if origin is not None else None,
        user_agent=origin.get("user_agent") if origin is not None else None,
        origin_gone=origin is None,
    )


_DAY_OF = re.compile(rb'"meta":\{"at":"(\d{4}-\d\d-\d\d)[^"]*","project":"([^"\\]*)"')
_KEYS_OF = re.compile(rb'"keys":(\{[^{}]*\})\}\Z')


def sealed_for(stream: str, state: bytes) -> tuple[str, ...]:
    """Whose keys open a stored event."""
    found = [stream]
    if (day := _DAY_OF.search(state)) is not None:
        found.append(day_key(day[2].decode(), day[1].decode()))
    if (named := _KEYS_OF.search(state)) is not None:
        found.extend(map(str, from_json(named[1]).values()))
    return tuple(found)


def decode(stream: str, version: int, topic: str, state: bytes, position: int, keys: KeyRing) -> Recorded[Event]:
    """The event as it was recorded; its personal part reads as erased when a key is gone.

    Raises `UnknownTopic`, `NewerShape`, `SealBroken`, pydantic's ``ValidationError``.
    """
    event_type = BY_TOPIC.get(topic)
    if event_type is None:
        raise UnknownTopic(topic)
    stored = cast("dict[str, Any]", from_json(state))
    data: JSONObject = stored["data"]
    meta: dict[str, str] = stored["meta"]
    found = opened(stream, version, stored, keys)
    erased = found.data is None
    if found.data is not None:
        data.update(found.data)
    event = event_type.from_shape(stored["v"], data)
    if erased and stored["v"] < event_type.version:
        # An older shape may hold in clear what is sealed by now.
        event = without_personal(event)
    return Recorded(
        stream=stream,
        stream_version=version,
        event=event,
        meta=Metadata(
            at=datetime.fromisoformat(meta["at"]),
            project=meta["project"],
            actor=parse_actor(meta["actor"]),
            operation=meta["operation"],
            request_id=meta["request"],
            correlation_id=meta["correlation"],
            causation_id=meta.get("causation"),
            ip=found.ip,
            user_agent=found.user_agent,
        ),
        position=position,
        erased=erased,
    )


def _bound_to(stream: str, version: int) -> bytes:
    return f"{stream}:{version}".encode()


def format_actor(actor: Actor) -> str:
    """``kind:id``, followed by ``<impersonator`` when somebody acted in another's name."""
    return f"{actor}<{actor.impersonator}" if actor.impersonator else str(actor)


@lru_cache(maxsize=_KNOWN_ACTORS)
def parse_actor(text: str) -> Actor:
    """The actor of a stored text; the same few come again and again."""
    who, _, impersonator = text.partition("<")
    kind, _, identity = who.partition(":")
    return Actor.model_validate({"kind": kind, "id": identity, "impersonator": impersonator or None})


class RecordedMapper(Mapper[str]):
    """The same bytes through the eventsourcing library's own mapper interface."""

    def __init__(self, keys: KeyRing) -> None:
        super().__init__(transcoder=cast("Any", None))
        self.keys = keys

    def to_stored_event(self, domain_event: DomainEventProtocol[str]) -> StoredEvent:
        """Encode one recorded event."""
        recorded = cast("Recorded[Event]", domain_event)
        return StoredEvent(
            originator_id=recorded.stream,
            originator_version=recorded.stream_version,
            topic=recorded.event.topic,
            state=encode(recorded, self.keys),
        )

    def to_domain_event(self, stored_event: StoredEvent) -> DomainEventProtocol[str]:
        """Decode one stored event."""
        return cast(
            "DomainEventProtocol[str]",
            decode(
                str(stored_event.originator_id),
                stored_event.originator_version,
                stored_event.topic,
                stored_event.state,
                getattr(stored_event, "id", 0),
                self.keys,
            ),
        )


def subjects(streams: Iterable[str], keys: KeyRing) -> list[str]:
    """Those of the streams whose keys are not in memory yet."""
    return [stream for stream in dict.fromkeys(streams) if keys.get(stream) is None]
