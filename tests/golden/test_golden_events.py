"""What was ever stored can be read for ever.

If a test here fails after you changed an event: its stored shape is not what it was. Raise the event's ``version``,
give it an upcaster for the shape before, and run `python -m tests.golden.write`. Never edit a golden file.
"""

import json
from collections.abc import Mapping
from typing import ClassVar

import pytest

from accounts_es.domain.catalog import BY_TOPIC, EVENTS
from accounts_es.domain.event import Event, JSONObject, NewerShape, Personal, Recorded, Upcaster, personal_fields
from accounts_es.eventstore import mapper
from accounts_es.eventstore.keys import KeyRing, SealBroken
from accounts_es.eventstore.mapper import UnknownTopic, decode, encode
from tests.support import bound
from tests.support.golden import FOLDER, MASTER, META, Golden, goldens, path_of, shape, write

ALL = list(goldens())
each_golden = pytest.mark.parametrize("golden", ALL, ids=lambda golden: f"{golden.topic} v{golden.version}")


def test_T36_every_shape_ever_released_has_a_golden_file() -> None:
    expected = {path_of(event.topic, version) for event in EVENTS for version in range(1, event.version + 1)}
    assert set(FOLDER.iterdir()) == expected


@each_golden
def test_T36_stored_bytes_mean_what_they_meant(golden: Golden) -> None:
    recorded = golden.decoded()
    event_type = BY_TOPIC[golden.topic]
    assert type(recorded.event) is event_type
    assert recorded.event == event_type.from_shape(golden.version, dict(golden.event))
    assert recorded.meta == META
    assert (recorded.stream, recorded.stream_version, recorded.position) == (golden.stream, golden.stream_version, 42)
    assert not recorded.erased
    if golden.version == event_type.version:
        assert recorded.event.model_dump(mode="json") == golden.event


@each_golden
def test_T57_stored_bytes_without_their_key_still_replay(golden: Golden) -> None:
    recorded = golden.decoded(erased=True)
    event_type = BY_TOPIC[golden.topic]
    assert recorded.erased
    assert (recorded.meta.ip, recorded.meta.user_agent) == (None, None)
    for name, empty in personal_fields(event_type).items():
        assert recorded.event.model_dump(mode="json")[name] == empty
    if golden.version == event_type.version:
        public = event_type.model_fields.keys() - personal_fields(event_type).keys()
        assert recorded.event.model_dump(mode="json", include=public) == {name: golden.event[name] for name in public}


@each_golden
def test_T57_stored_bytes_show_nothing_of_what_is_sealed(golden: Golden) -> None:
    stored = json.loads(golden.state)
    assert stored["v"] == golden.version
    assert not any(stored["data"][name] for name in golden.shape["sealed"])
    assert META.ip not in golden.state.decode()
    assert META.user_agent not in golden.state.decode()
    for name in golden.shape["sealed"]:
        assert json.dumps(golden.event[name], ensure_ascii=False) not in golden.state.decode()


@each_golden
def test_a_changed_shape_takes_a_new_version(golden: Golden) -> None:
    event_type = BY_TOPIC[golden.topic]
    if golden.version == event_type.version:
        assert shape(event_type) == golden.shape


def test_a_golden_file_is_never_written_twice() -> None:
    with pytest.raises(FileExistsError):
        write(EVENTS[0])


# Shapes and topics that change ----------------------------------------------------------------------------------------


def _rename_label(fields: JSONObject) -> JSONObject:
    return {"name": fields["label"]}


def _split_name(fields: JSONObject) -> JSONObject:
    first, _, last = str(fields["name"]).partition(" ")
    return {"first": first, "last": last}


class Renamed(Event, topic="test.renamed", version=3):
    """Had one ``label``, then one ``name``, now has two names."""

    upcasters: ClassVar[Mapping[int, Upcaster]] = {1: _rename_label, 2: _split_name}

    first: Personal[str]
    last: Personal[str]


class RenamedAsOfShape1(Event, topic="test.renamed"):
    """As it was released first."""

    label: Personal[str]


class RenamedAsOfShape2(Event, topic="test.renamed", version=2):
    """As it was in between."""

    upcasters: ClassVar[Mapping[int, Upcaster]] = {1: _rename_label}

    name: Personal[str]


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> KeyRing:
    monkeypatch.setattr(mapper, "BY_TOPIC", {"test.renamed": Renamed})
    ring = bound.ring(MASTER)
    ring.create("account-1")
    return ring


@pytest.mark.parametrize(
    "old", [RenamedAsOfShape1(label="Ann Lee"), RenamedAsOfShape2(name="Ann Lee"), Renamed(first="Ann", last="Lee")]
)
def test_T36_every_old_shape_is_read_as_the_newest(keys: KeyRing, old: Event) -> None:
    state = encode(Recorded("account-1", 1, old, META), keys)
    assert decode("account-1", 1, "test.renamed", state, 1, keys).event == Renamed(first="Ann", last="Lee")


@pytest.mark.parametrize("old", [RenamedAsOfShape1(label="Ann Lee"), RenamedAsOfShape2(name="Ann Lee")])
def test_T57_an_old_shape_whose_key_is_gone_reads_as_the_newest_without_personal_values(
    keys: KeyRing, old: Event
) -> None:
    state = encode(Recorded("account-1", 1, old, META), keys)
    keys.forget("account-1")
    recorded = decode("account-1", 1, "test.renamed", state, 1, keys)
    assert recorded.event == Renamed(first="", last="")
    assert recorded.erased


def test_T36_T37_a_shape_from_a_later_release_stops_the_reader(keys: KeyRing) -> None:
    state = b'{"v": 4, "meta": {}, "data": {"first": "Ann", "last": "Lee"}}'
    full = state.replace(
        b'"meta": {}',
        b'"meta": {"at": "2026-03-14T12:00:00.000000+00:00", "project": "p", "actor": "system", "operation": "o",'
        b' "request": "r", "correlation": "c"}',
    )
    with pytest.raises(NewerShape, match=r"test\.renamed version 4 was written by a later release of accounts-es"):
        decode("account-1", 1, "test.renamed", full, 1, keys)


def test_T36_T37_a_topic_from_a_later_release_stops_the_reader(keys: KeyRing) -> None:
    with pytest.raises(UnknownTopic, match=r"test\.unheard_of was written by a later release of accounts-es"):
        decode("account-1", 1, "test.unheard_of", b"{}", 1, keys)


def test_an_event_without_an_upcaster_for_an_old_shape_cannot_be_defined() -> None:
    with pytest.raises(TypeError, match="needs an upcaster for every shape before it"):

        class Forgotten(Event, topic="test.forgotten", version=2):
            name: str


@pytest.mark.parametrize(("stream", "version"), [("account-1", 2), ("account-2", 1)])
def test_a_sealed_value_cannot_be_moved_to_another_event(keys: KeyRing, stream: str, version: int) -> None:
    state = encode(Recorded("account-1", 1, Renamed(first="Ann", last="Lee"), META), keys)
    keys._remember("account-2", keys._keys["account-1"])
    with pytest.raises(SealBroken):
        decode(stream, version, "test.renamed", state, 1, keys)
