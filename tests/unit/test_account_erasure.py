"""What keeps a person from being erased, and what is left of one who was."""

import pytest

from accounts_es.domain.account import commands
from accounts_es.domain.account.aggregate import Account, claims
from accounts_es.domain.account.events import AccountDeleted, AccountErased, LegalHoldLifted, LegalHoldPlaced
from accounts_es.domain.errors import UserErased, UserNotFound, UserUnderLegalHold
from tests.support.examples import account_deleted, name_changed, signed_up
from tests.support.given_when_then import account

HELD = LegalHoldPlaced(reason="court")
ERASED = AccountErased(reason="request")


def test_whoever_is_erased_is_deleted_as_well() -> None:
    account.given(signed_up).when(commands.erase, reason="request").then(AccountDeleted(), ERASED)
    account.given(signed_up, account_deleted).when(commands.erase, reason="retention").then(
        AccountErased(reason="retention")
    )


def test_nothing_is_left_of_an_erased_person() -> None:
    state = account.given(signed_up, name_changed, HELD, LegalHoldLifted(), account_deleted, ERASED).state
    assert state == Account(deleted=True, erased=True)
    assert claims(state) == frozenset()


@pytest.mark.parametrize("deleted", [(), (account_deleted,)], ids=["alive", "deleted"])
def test_a_legal_hold_keeps_people_alive_or_deleted(deleted) -> None:
    story = account.given(signed_up, HELD, *deleted)
    story.when(commands.erase, reason="request").then_refused(UserUnderLegalHold)
    story.when(commands.erase, reason="retention").then_refused(UserUnderLegalHold)
    story.when(commands.place_hold, reason="again").then_nothing()
    story.when(commands.lift_hold).then(LegalHoldLifted())
    story.given(LegalHoldLifted()).when(commands.lift_hold).then_nothing()
    account.given(signed_up, *deleted).when(commands.place_hold, reason="court").then(HELD)


def test_a_hold_from_an_older_backup_does_not_bring_anybody_back() -> None:
    account.given(signed_up, HELD).when(commands.erase, reason="restored").then(
        AccountDeleted(), AccountErased(reason="restored")
    )


@pytest.mark.parametrize(
    ("command", "arguments"),
    [(commands.erase, {"reason": "request"}), (commands.place_hold, {"reason": ""}), (commands.lift_hold, {})],
    ids=["erase", "place_hold", "lift_hold"],
)
def test_nobody_is_erased_twice_and_nobody_who_never_was(command, arguments) -> None:
    account.given(signed_up, account_deleted, ERASED).when(command, **arguments).then_refused(UserErased)
    account.given().when(command, **arguments).then_refused(UserNotFound)


def test_an_erased_account_does_nothing_more() -> None:
    account.given(signed_up, account_deleted, ERASED).when(commands.change_name, name="x").then_refused(UserNotFound)


def test_whoever_comes_back_after_a_deletion_is_held_as_before() -> None:
    story = account.given(signed_up, HELD, account_deleted, signed_up)
    assert (story.state.exists, story.state.deleted, story.state.held) == (True, False, True)
    story.when(commands.erase, reason="retention").then_refused(UserUnderLegalHold)


def test_retention_erases_nobody_who_came_back() -> None:
    for story in ((signed_up,), (signed_up, account_deleted, signed_up)):
        account.given(*story).when(commands.erase, reason="retention").then_refused(UserNotFound)
    account.given(signed_up, account_deleted, signed_up).when(commands.erase, reason="request").then(
        AccountDeleted(), ERASED
    )
