"""Tests stand on databases of their own."""

from accounts_es.application import Application
from accounts_es.domain.account import ACCOUNT, commands
from tests.support.metadata import metadata


async def test_a_sign_up_is_found_again(application: Application) -> None:
    await application.execute(metadata(), ACCOUNT, "account-1", commands.sign_up, account_id="a", name="Ann")
    assert (await application.load(ACCOUNT, "account-1")).state.name == "Ann"


async def test_no_test_sees_what_another_one_wrote(application: Application) -> None:
    assert (await application.load(ACCOUNT, "account-1")).version == 0
