"""The explicit lists (events, read models) are complete: they are held against the files on disk."""

import ast
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import accounts_es.domain
import projections
from accounts_es.domain import catalog
from accounts_es.domain.event import Event, personal_fields
from accounts_es.eventstore.projection import Projection

DOMAIN = Path(next(iter(accounts_es.domain.__path__)))
READ_MODELS = Path(next(iter(projections.__path__)))


def classes_with_a_topic(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ClassDef) and any(keyword.arg == "topic" for keyword in node.keywords):
            yield node.name


def test_every_event_class_in_the_domain_is_in_the_catalogue() -> None:
    on_disk = {
        (".".join(("accounts_es.domain", *file.relative_to(DOMAIN).with_suffix("").parts)), name)
        for file in DOMAIN.rglob("*.py")
        for name in classes_with_a_topic(file)
    }
    assert {(event.__module__, event.__name__) for event in catalog.EVENTS} == on_disk


def test_every_topic_is_one_event_s_alone() -> None:
    assert len(catalog.BY_TOPIC) == len(catalog.EVENTS) == len(set(catalog.EVENTS))
    assert all(catalog.BY_TOPIC[event.topic] is event for event in catalog.EVENTS)


def test_a_topic_is_the_aggregate_and_the_fact_in_snake_case() -> None:
    for event in catalog.EVENTS:
        assert re.fullmatch(r"[a-z]+\.[a-z0-9]+(_[a-z0-9]+)*", event.topic), event
        aggregate, _, fact = event.topic.partition(".")
        assert event.__module__ == f"accounts_es.domain.{aggregate}.events"
        # ``account.deleted`` is AccountDeleted: the fact is the class name, whose leading aggregate may be left out.
        snake = re.sub(r"(?<!^)(?=[A-Z])", "_", event.__name__).lower()
        assert fact in {snake, snake.removeprefix(f"{aggregate}_")}, event


def test_events_are_facts_without_behaviour_and_cannot_be_changed() -> None:
    for event in catalog.EVENTS:
        assert event.__doc__, event
        assert not event.__name__.endswith("Event"), event
        assert event.model_config.get("frozen"), event
        assert event.model_config.get("extra") == "forbid", event
        assert personal_fields(event).keys() <= event.model_fields.keys()


def test_every_module_of_read_models_is_in_the_list() -> None:
    on_disk = {file.stem for file in READ_MODELS.glob("*.py")} - {"__init__"}
    assert [projection.name for projection in projections.ALL] == list(
        dict.fromkeys(projection.name for projection in projections.ALL)
    )
    assert {projection.name for projection in projections.ALL} == on_disk
    for name in on_disk:
        projection: Projection = import_module(f"projections.{name}").projection
        assert projection in projections.ALL
        assert projection.name == name


def test_tables_of_read_models_are_numbered_and_nobody_shares_one() -> None:
    tables = [table for projection in projections.ALL for table in projection.tables]
    assert len(tables) == len(set(tables))
    for projection in projections.ALL:
        for table in projection.tables:
            assert re.fullmatch(r"[a-z_]+_v[0-9]+", table)
            assert f"CREATE TABLE {table} (" in projection.ddl


def test_handlers_are_called_after_their_events() -> None:
    for projection in projections.ALL:
        for event, handler in projection.handlers.items():
            assert issubclass(event, Event)
            snake = re.sub(r"(?<!^)(?=[A-Z])", "_", event.__name__).lower()
            assert handler.__name__ == snake
