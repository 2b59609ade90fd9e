"""Events to stored bytes and back.

The stored state is one JSON object, readable without us but for what is personal::

    {"v": 1, "meta": {"at", "project", "actor", "operation", "request", "correlation", "causation"?},
     "data": {...}, "sealed": "<base64>"}

``sealed`` holds the personal fields, the IP address and the user agent, under the stream's key and bound to the
stream and version, so that no sealed value can be moved to another event. In ``data`` stands what each personal field
reads as once the key is gone: so an erased event of an old shape still has all fields its upcasters expect.
"""

import base64
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final, cast

from eventsourcing.domain import DomainEventProtocol
from eventsourcing.persistence import Mapper, StoredEvent
from pydantic import JsonValue
from pydantic_core import from_json, to_json

from accounts_es.domain.catalog import BY_TOPIC
from accounts_es.domain.event import Actor, Event, JSONObject, Metadata, Recorded, personal_fields
from accounts_es.eventstore.keys import KeyRing, seal, unseal

_ACTORS: Final[dict[str, Actor]] = {}
_KNOWN_ACTORS: Final = 10_000


class UnknownTopic(Exception):  # noqa: N818
    """The log holds an event of a kind that only a later release knows."""

    def __init__(self, topic: str) -> None:
        super().__init__(f"{topic} was written by a later release of accounts-es")


def encode(recorded: Recorded[Event], keys: KeyRing) -> bytes:
    """The state to store. The stream's key must be in the ring."""
    event, meta = recorded.event, recorded.meta
    data: JSONObject = event.model_dump(mode="json")
    personal = personal_fields(type(event))
    sealed: JSONObject = {name: data[name] for name in personal}
    data.update(personal)
    secrets: JSONObject = {"data": sealed} if sealed else {}
    if meta.ip is not None:
        secrets["ip"] = meta.ip
    if meta.user_agent is not None:
        secrets["user_agent"] = meta.user_agent
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
    if secrets:
        key = keys.get(recorded.stream)
        if key is None:
            raise KeyError(recorded.stream)
        blob = seal(key, to_json(secrets), _bound_to(recorded.stream, recorded.stream_version))
        state["sealed"] = base64.b64encode(blob).decode()
    return to_json(state)


def decode(stream: str, version: int, topic: str, state: bytes, position: int, keys: KeyRing) -> Recorded[Event]:
    """The event as it was recorded; its personal part reads as erased when the key is gone.

    Raises `UnknownTopic`, `NewerShape`, `SealBroken`, pydantic's ``ValidationError``.
    """
    event_type = BY_TOPIC.get(topic)
    if event_type is None:
        raise UnknownTopic(topic)
    stored = cast("dict[str, Any]", from_json(state))
    data: JSONObject = stored["data"]
    meta: dict[str, str] = stored["meta"]
    sealed: str | None = stored.get("sealed")
    secrets: Mapping[str, Any] = {}
    erased = False
    if sealed is not None:
        key = keys.get(stream)
        if key is None:
            erased = True
        else:
            plain = unseal(key, base64.b64decode(sealed), _bound_to(stream, version))
            secrets = cast("dict[str, Any]", from_json(plain))
            data.update(cast("dict[str, JsonValue]", secrets.get("data", {})))
    event = event_type.from_shape(stored["v"], data)
    if erased and stored["v"] < event_type.version:
        # An older shape may hold in clear what is sealed by now.
        event = event_type.model_validate({**event.model_dump(mode="json"), **personal_fields(event_type)})
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
            ip=secrets.get("ip"),
            user_agent=secrets.get("user_agent"),
        ),
        position=position,
        erased=erased,
    )


def _bound_to(stream: str, version: int) -> bytes:
    return f"{stream}:{version}".encode()


def format_actor(actor: Actor) -> str:
    """``kind:id``, followed by ``<impersonator`` when somebody acted in another's name."""
    return f"{actor}<{actor.impersonator}" if actor.impersonator else str(actor)


def parse_actor(text: str) -> Actor:
    """The actor of a stored text; the same few come again and again."""
    actor = _ACTORS.get(text)
    if actor is None:
        who, _, impersonator = text.partition("<")
        kind, _, identity = who.partition(":")
        actor = Actor.model_validate({"kind": kind, "id": identity, "impersonator": impersonator or None})
        if len(_ACTORS) < _KNOWN_ACTORS:
            _ACTORS[text] = actor
    return actor


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
