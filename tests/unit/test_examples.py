"""The examples that other tests are fed with are one of each event, and nothing in them is left to a default."""

from accounts_es.domain.catalog import EVENTS
from accounts_es.domain.event import Event
from tests.support.examples import EXAMPLE_OF, EXAMPLES


def test_every_event_has_exactly_one_example() -> None:
    assert set(EXAMPLE_OF) == set(EVENTS)
    assert len(EXAMPLES) == len(EVENTS)


def test_examples_fill_every_field_so_that_nothing_is_tested_by_its_absence() -> None:
    def left_out(example: Event) -> set[str]:
        return set(type(example).model_fields) - example.model_fields_set

    assert {type(example).__name__: missing for example in EXAMPLES if (missing := left_out(example))} == {}
