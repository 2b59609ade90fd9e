"""Events to stored bytes and back: whatever goes in comes out, and nobody reads it without the key."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts_es.domain.account.events import LabelAdded, PrefsUpdated, SignedUp
from accounts_es.domain.catalog import EVENTS
from accounts_es.domain.event import Actor, Event, JSONObject, Personal, Recorded, personal_fields
from accounts_es.eventstore.keys import KeyRing, MasterKey
from accounts_es.eventstore.mapper import RecordedMapper, decode, encode, format_actor, parse_actor
from tests.support import bound
from tests.support.examples import EXAMPLES, signed_up
from tests.support.metadata import metadata

TEXT = st.text(st.characters(codec="utf-8"), max_size=40)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
IDS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,35}", fullmatch=True)


def ring() -> KeyRing:
    keys = bound.ring(MasterKey(b"k" * 32))
    keys.create("account-1")
    return keys


def there_and_back(recorded: Recorded[Event]) -> Recorded[Event]:
    keys = ring()
    state = encode(recorded, keys)
    return decode(recorded.stream, recorded.stream_version, recorded.event.topic, state, recorded.position, keys)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.topic)
def test_every_event_comes_back_as_it_was(example: Event) -> None:
    recorded = Recorded("account-1", 3, example, metadata(causation_id="account-1:2"), position=9)
    assert there_and_back(recorded) == recorded


@given(prefs=st.dictionaries(TEXT, JSON, max_size=5))
def test_preferences_come_back_in_their_order_and_types(prefs: JSONObject) -> None:
    recorded = Recorded("account-1", 1, PrefsUpdated(prefs=prefs), metadata())
    back = there_and_back(recorded).event
    assert isinstance(back, PrefsUpdated)
    assert json.dumps(back.prefs) == json.dumps(prefs)


@given(name=TEXT, ip=st.none() | TEXT, user_agent=st.none() | TEXT, at=st.datetimes(timezones=st.just(UTC)))
def test_any_text_and_time_come_back(name: str, ip: str | None, user_agent: str | None, at: datetime) -> None:
    recorded = Recorded(
        "account-1", 1, SignedUp(account_id="a", name=name), metadata(ip=ip, user_agent=user_agent, at=at)
    )
    assert there_and_back(recorded) == recorded


@given(kind=st.sampled_from(["account", "key", "guest", "system"]), identity=st.just("") | IDS, by=st.none() | IDS)
def test_an_actor_comes_back_from_its_text(kind, identity: str, by: str | None) -> None:
    actor = Actor(kind=kind, id=identity, impersonator=by)
    assert parse_actor(format_actor(actor)) == actor


def test_an_event_with_nothing_personal_needs_no_key() -> None:
    recorded = Recorded("team-1", 1, LabelAdded(label="x"), metadata(ip=None, user_agent=None))
    assert b"sealed" not in encode(recorded, KeyRing(MasterKey(b"k" * 32)))


def test_an_event_with_something_personal_is_not_stored_without_a_key() -> None:
    with pytest.raises(KeyError):
        encode(Recorded("account-2", 1, signed_up, metadata()), ring())


def test_the_same_event_never_has_the_same_bytes() -> None:
    keys = ring()
    recorded = Recorded("account-1", 1, signed_up, metadata())
    assert encode(recorded, keys) != encode(recorded, keys)


def test_the_library_s_mapper_says_the_same() -> None:
    mapper = RecordedMapper(ring())
    recorded = Recorded("account-1", 1, signed_up, metadata())
    stored = mapper.to_stored_event(recorded)
    assert (stored.originator_id, stored.originator_version, stored.topic) == ("account-1", 1, "account.signed_up")
    assert mapper.to_domain_event(stored) == recorded


@pytest.mark.parametrize("event_type", EVENTS, ids=lambda event_type: event_type.topic)
def test_what_erasure_leaves_is_a_valid_event(event_type: type[Event]) -> None:
    example = next(each for each in EXAMPLES if type(each) is event_type)
    erased = example.model_dump(mode="json") | dict(personal_fields(event_type))
    event_type.model_validate(erased)


def test_a_personal_field_without_an_empty_value_is_found_when_it_is_first_used() -> None:
    class Undecided(Event, topic="test.undecided"):
        at: Personal[datetime]

    with pytest.raises(TypeError, match="needs an empty value"):
        personal_fields(Undecided)
