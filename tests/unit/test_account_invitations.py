"""What an accepted invitation means for an account."""

from typing import Any

import pytest

from accounts_es.domain.account import commands
from accounts_es.domain.account.events import (
    AccountBlocked,
    AccountDeleted,
    EmailChanged,
    SessionCreated,
    SessionDeleted,
    VerifiedEmail,
    VerifiedPhone,
)
from accounts_es.domain.errors import TeamInvalidSecret, UserBlocked, UserNotFound
from tests.support.examples import DIGEST, YEAR, session_created, signed_up
from tests.support.given_when_then import account
from tests.support.metadata import NOON

MAIL: dict[str, Any] = {"way": "email", "address": "walter@example.org"}
SMS: dict[str, Any] = {"way": "phone", "address": "+4930901820"}
SESSION: dict[str, Any] = {"session_id": "new", "secret_hash": DIGEST, "expires_at": NOON + YEAR}


@pytest.mark.parametrize(
    ("way", "verified"), [(MAIL, VerifiedEmail()), (SMS, VerifiedPhone())], ids=["by mail", "by SMS"]
)
def test_the_address_an_invitation_was_sent_to_is_verified_and_no_other(way: dict[str, Any], verified: Any) -> None:
    story = account.given(signed_up).when(commands.follow_invitation, **way).then(verified)
    story.when(commands.follow_invitation, **way).then_nothing()


@pytest.mark.parametrize("way", [MAIL, SMS], ids=["by mail", "by SMS"])
def test_whoever_is_not_signed_in_is_so_afterwards(way: dict[str, Any]) -> None:
    account.given(signed_up, VerifiedEmail(), VerifiedPhone()).when(commands.follow_invitation, **way, **SESSION).then(
        SessionCreated(
            session_id="new",
            secret_hash=DIGEST,
            provider=way["way"],
            provider_uid=way["address"],
            factors=(way["way"],),
            expires_at=NOON + YEAR,
        )
    )


def test_the_oldest_session_gives_way_as_at_every_sign_in() -> None:
    decided = account.given(signed_up, VerifiedEmail(), session_created).when(
        commands.follow_invitation, **MAIL, **SESSION, limit=1
    )
    assert decided.decide(decided.story.state)[1:] == (SessionDeleted(session_id="laptop", reason="limit"),)


def test_an_invitation_to_an_address_the_account_has_no_more_is_good_for_nothing() -> None:
    story = account.given(signed_up, EmailChanged(email="other@example.org"))
    story.when(commands.follow_invitation, **MAIL).then_refused(TeamInvalidSecret)
    story.when(commands.follow_invitation, **SMS).then(VerifiedPhone())


def test_who_is_blocked_or_gone_follows_no_invitation() -> None:
    account.given(signed_up, AccountBlocked()).when(commands.follow_invitation, **MAIL).then_refused(UserBlocked)
    account.given(signed_up, AccountDeleted()).when(commands.follow_invitation, **MAIL).then_refused(UserNotFound)
