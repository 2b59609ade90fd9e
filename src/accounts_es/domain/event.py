"""The base of every event, what an event carries besides its own fields, and how old shapes are read.

STORAGE FORMAT. A topic is never renamed or reused. A changed shape takes a new ``version`` and an upcaster; a
changed meaning takes a new topic. Every (topic, version) has a golden payload in ``tests/golden``.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, ClassVar, Generic, Literal, TypeAlias, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, JsonValue

JSONObject: TypeAlias = dict[str, JsonValue]
Upcaster: TypeAlias = Callable[[JSONObject], JSONObject]


class _Personal:
    """Marks a field whose value is sealed with the key of the stream's subject."""


T = TypeVar("T")
Personal = Annotated[T, _Personal]


class Event(BaseModel):
    """A fact, in the past tense, of one stream.

    Class arguments: ``topic`` is ``<aggregate>.<snake past>``, stable for ever; ``version`` counts the shapes.
    ``upcasters[n]`` turns the fields of shape ``n`` into those of shape ``n + 1``; every shape but the newest has one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    topic: ClassVar[str]
    version: ClassVar[int] = 1
    upcasters: ClassVar[Mapping[int, Upcaster]] = {}
    whose: ClassVar[str] = ""
    """The field that names whom the personal values speak of, where that is not whom the stream is of."""
    destroys: ClassVar[bool] = False
    """Whether keys are destroyed in the transaction of the event (``log.erase`` knows which)."""
    erases: ClassVar[bool] = False
    """Whether the stream's own is among them, so that nothing can follow."""

    def __init_subclass__(cls, *, topic: str = "", version: int = 1, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if topic:
            cls.topic = topic
            cls.version = version
            if set(cls.upcasters) != set(range(1, version)):
                raise TypeError(f"{cls.__name__} v{version} needs an upcaster for every shape before it")

    @classmethod
    def from_shape(cls, version: int, fields: JSONObject) -> "Event":
        """The event from the fields of a stored shape.

        Raises `NewerShape` when the shape was written by a later release: a projector must stop, not skip.
        """
        if version > cls.version:
            raise NewerShape(cls.topic, version)
        for shape in range(version, cls.version):
            fields = cls.upcasters[shape](fields)
        return cls.model_validate(fields)


class NewerShape(Exception):  # noqa: N818
    """The log holds an event shape that only a later release can read."""

    def __init__(self, topic: str, version: int) -> None:
        super().__init__(f"{topic} version {version} was written by a later release of accounts-es")


@cache
def personal_fields(event_type: type[Event]) -> Mapping[str, JsonValue]:
    """The sealed fields of an event type, each with the value it reads as once its key is gone."""
    return {
        name: _erased_value(info.annotation)
        for name, info in event_type.model_fields.items()
        if any(mark is _Personal for mark in info.metadata)
    }


def without_personal(event: "Event") -> "Event":
    """The event as it reads once its key is gone."""
    kind = type(event)
    return kind.model_validate({**event.model_dump(mode="json"), **personal_fields(kind)})


def _erased_value(annotation: Any) -> JsonValue:
    """Nothing where the field may be empty, otherwise the empty value of its type."""
    origin = get_origin(annotation)
    if origin in {Union, UnionType} and NoneType in get_args(annotation):
        return None
    empty: dict[Any, JsonValue] = {str: "", dict: {}, list: [], tuple: [], int: 0, bool: False}
    try:
        return empty[origin or annotation]
    except KeyError:
        raise TypeError(f"a personal field of type {annotation} needs an empty value") from None


class Actor(BaseModel):
    """Who caused an event. ``id`` is never a personal value: a stream, a key id, or a name of ours."""

    model_config = ConfigDict(frozen=True)

    kind: Literal["account", "key", "guest", "system"]
    id: str = ""
    impersonator: str | None = None

    def __str__(self) -> str:
        return f"{self.kind}:{self.id}" if self.id else self.kind


SYSTEM = Actor(kind="system")


@dataclass(frozen=True, slots=True)
class Metadata:
    """Who and why, on every event. ``at`` is UTC with microseconds; ``ip`` and ``user_agent`` are sealed."""

    at: datetime
    project: str
    actor: Actor
    operation: str
    request_id: str
    correlation_id: str
    causation_id: str | None = None
    ip: str | None = None
    user_agent: str | None = None


E_co = TypeVar("E_co", bound=Event, covariant=True)


@dataclass(frozen=True, slots=True)
class Recorded(Generic[E_co]):
    """An event with its place in its stream and, once stored, in the log."""

    stream: str
    stream_version: int
    event: E_co
    meta: Metadata
    position: int = 0
    erased: bool = field(default=False)
    """The subject's key is gone: the personal fields read as empty."""

    @property
    def originator_id(self) -> str:
        """The stream, in the words of the eventsourcing library."""
        return self.stream

    @property
    def originator_version(self) -> int:
        """The version in the stream, in the words of the eventsourcing library."""
        return self.stream_version
