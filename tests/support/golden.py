"""Golden files: for every (topic, version) ever released the bytes that were stored, and what they mean.

A file is written once, when the shape is new, and never again: `python -m tests.golden.write`.
"""

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from accounts_es.domain.catalog import EVENTS
from accounts_es.domain.event import Actor, Event, Recorded, personal_fields
from accounts_es.eventstore.keys import KeyRing, MasterKey
from accounts_es.eventstore.mapper import decode, encode
from tests.support.bound import ring
from tests.support.examples import EXAMPLE_OF
from tests.support.metadata import metadata

FOLDER: Final = Path(__file__).parent.parent / "golden" / "events"
MASTER: Final = MasterKey(b"golden golden golden golden gold")
META: Final = metadata(
    "users.create",
    actor=Actor(kind="account", id="account-0190", impersonator="account-0017"),
    causation_id="account-0190:6",
)


@dataclass(frozen=True)
class Golden:
    """One file."""

    topic: str
    version: int
    stream: str
    stream_version: int
    wrapped_key: bytes
    state: bytes
    event: dict[str, Any]
    shape: dict[str, Any]

    @property
    def path(self) -> Path:
        """Where it lies."""
        return path_of(self.topic, self.version)

    def decoded(self, *, erased: bool = False) -> Recorded[Event]:
        """What this release reads from the bytes; ``erased`` as if the key were gone."""
        keys = KeyRing(MASTER)
        if not erased:
            keys.add({self.stream: self.wrapped_key})
        return decode(self.stream, self.stream_version, self.topic, self.state, 42, keys)


def path_of(topic: str, version: int) -> Path:
    """Where the golden file of a shape lies."""
    return FOLDER / f"{topic}.v{version}.json"


def goldens() -> Iterator[Golden]:
    """All files there are."""
    for file in sorted(FOLDER.glob("*.json")):
        content = json.loads(file.read_text(encoding="utf-8"))
        yield Golden(
            **{
                **content,
                "wrapped_key": base64.b64decode(content["wrapped_key"]),
                "state": content["state"].encode(),
            }
        )


def shape(event_type: type[Event]) -> dict[str, Any]:
    """What a stored event of this type looks like: fields, types, defaults, and which fields are sealed."""
    schema = event_type.model_json_schema(mode="serialization")
    return {"fields": _bare(schema), "sealed": sorted(personal_fields(event_type))}


def _bare(schema: object) -> Any:
    """A schema without the words that are for people."""
    if isinstance(schema, Mapping):
        return {
            key: {name: _bare(each) for name, each in value.items()} if key == "properties" else _bare(value)
            for key, value in schema.items()
            if key not in {"title", "description"}
        }
    return [_bare(each) for each in schema] if isinstance(schema, list) else schema


def write_missing() -> list[Path]:
    """Write the files of the shapes that have none yet; returns them."""
    return [write(event_type) for event_type in EVENTS if not path_of(event_type.topic, event_type.version).exists()]


def write(event_type: type[Event]) -> Path:
    """Write one new file. Refuses to replace one."""
    keys = ring(MASTER)
    stream = f"{event_type.topic.partition('.')[0]}-0190"
    wrapped = keys.create(stream)
    event = EXAMPLE_OF[event_type]
    content = {
        "topic": event_type.topic,
        "version": event_type.version,
        "stream": stream,
        "stream_version": 7,
        "wrapped_key": base64.b64encode(wrapped).decode(),
        "state": encode(Recorded(stream, 7, event, META), keys).decode(),
        "event": event.model_dump(mode="json"),
        "shape": shape(event_type),
    }
    path = path_of(event_type.topic, event_type.version)
    with path.open("x", encoding="utf-8") as file:
        json.dump(content, file, indent=2, ensure_ascii=False)
        file.write("\n")
    return path
