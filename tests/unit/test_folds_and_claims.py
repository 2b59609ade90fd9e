"""Folds are total: they accept every history. Claims follow from the state alone."""

from collections.abc import Callable, Sequence
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts_es.domain.account import ACCOUNT, Account
from accounts_es.domain.account.events import AccountEvent
from accounts_es.domain.decider import Claim, Decider
from accounts_es.domain.event import Event
from accounts_es.domain.project import PROJECT
from accounts_es.domain.project.events import ProjectEvent
from accounts_es.domain.team import TEAM, Team
from accounts_es.domain.team.events import TeamEvent
from tests.support.examples import (
    EXAMPLE_OF,
    account_deleted,
    member_added,
    member_invited,
    member_removed,
    signed_up,
    team_created,
    team_deleted,
)
from tests.support.given_when_then import Story, account

DECIDERS = [(ACCOUNT, AccountEvent), (PROJECT, ProjectEvent), (TEAM, TeamEvent)]

TEXT = st.text(max_size=12)


def variants(event_type: type[Event]) -> st.SearchStrategy[Event]:
    """The example and others like it, with ids from so few that they meet."""
    example = EXAMPLE_OF[event_type]
    texts = [name for name, info in event_type.model_fields.items() if info.annotation is str]
    few = st.sampled_from(["a", "b", "", "🜚"])
    changed = st.fixed_dictionaries(dict.fromkeys(texts, few))
    return st.just(example) | changed.map(lambda update: example.model_copy(update=update))


@pytest.mark.parametrize(("decider", "union"), DECIDERS, ids=["account", "project", "team"])
def test_every_history_folds_whatever_its_order(decider: Decider, union: object) -> None:
    events = st.one_of([variants(event_type) for event_type in get_args(union)])

    @given(st.lists(events, max_size=30))
    def folds(history: Sequence[Event]) -> None:
        story = Story(decider, tuple(history))
        state = story.state
        assert state == story.state
        for claim in decider.claims(state):
            assert claim.kind in decider.taken, "every claim must say which refusal it becomes when it is taken"
            assert claim.kind.startswith(decider.category)

    folds()


@pytest.mark.parametrize(("decider", "union"), DECIDERS, ids=["account", "project", "team"])
def test_every_event_of_an_aggregate_has_its_topic_and_is_folded(decider: Decider, union: object) -> None:
    for event_type in get_args(union):
        assert event_type.topic.startswith(f"{decider.category}.")
        Story(decider, (EXAMPLE_OF[event_type],)).state  # noqa: B018 - must not raise


def test_an_event_of_another_aggregate_is_a_mistake_that_does_not_pass_in_silence() -> None:
    with pytest.raises(AssertionError):
        Story(TEAM, (signed_up,)).state  # noqa: B018


CLAIMED = [
    (Account(), frozenset()),
    (Account(exists=True, account_id="a"), frozenset({Claim("account.id", "a")})),
    (
        Account(exists=True, account_id="a", email="a@b.co", phone="+491234567"),
        frozenset({Claim("account.id", "a"), Claim("account.email", "a@b.co"), Claim("account.phone", "+491234567")}),
    ),
    (Account(exists=True, account_id="a", email="", phone=""), frozenset({Claim("account.id", "a")})),
]


@pytest.mark.parametrize(("state", "held"), CLAIMED)
def test_an_account_holds_its_id_and_the_addresses_it_has(state: Account, held: frozenset[Claim]) -> None:
    assert ACCOUNT.claims(state) == held


def test_an_account_that_is_gone_holds_nothing() -> None:
    assert ACCOUNT.claims(account.given(signed_up, account_deleted).state) == frozenset()
    assert ACCOUNT.claims(account.given(signed_up).state._replace(exists=False)) == frozenset()


def test_a_team_holds_its_id() -> None:
    assert TEAM.claims(Team()) == frozenset()
    assert TEAM.claims(Team(exists=True, team_id="crew")) == frozenset({Claim("team.id", "crew")})


def test_a_team_holds_the_ids_of_its_memberships() -> None:
    begun = Story(TEAM, (team_created, member_added, member_invited))
    held = {Claim("team.id", "crew"), Claim("team.membership_id", "founder"), Claim("team.membership_id", "membership")}
    assert TEAM.claims(begun.state) == held
    assert TEAM.claims(begun.given(member_removed).state) == held - {Claim("team.membership_id", "membership")}
    assert TEAM.claims(begun.given(team_deleted).state) == frozenset()


def test_a_project_holds_nothing_because_its_id_names_its_stream() -> None:
    claims: Callable[[object], frozenset[Claim]] = PROJECT.claims
    assert claims(PROJECT.initial) == frozenset()
