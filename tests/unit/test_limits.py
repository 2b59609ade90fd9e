"""Limits as they are declared."""

from typing import Annotated, Any

import pytest

from accounts_es.http.operation import OPERATION, Limit, Operation, guesses, operation
from accounts_es.http.rules import Email


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        (Limit(10, 3600, "url", "ip"), "10 per hour by url, ip"),
        (Limit(120, 60, "url", "user"), "120 per minute by url, user"),
        (Limit(5, 90, "param:email", success="resets"), "5 per 90 s by param:email; success resets"),
        (Limit(5, 1800, "ip", success="returns"), "5 per 30 minutes by ip; success does not count"),
    ],
)
def test_a_limit_says_what_it_is(limit: Limit, said: str) -> None:
    assert str(limit) == said


@pytest.mark.parametrize(
    "wrong", [(0, 3600, "ip"), (10, 0, "ip"), (10, 3600), (10, 3600, "IP"), (10, 3600, "ip", "email")]
)
def test_a_limit_that_limits_nothing_cannot_be_declared(wrong: tuple[Any, ...]) -> None:
    with pytest.raises(TypeError):
        Limit(*wrong)


def declared(*limits: Limit, scope: str = "public") -> Operation:
    @operation("POST", "/tried", id="account.tried", scope=scope, limits=limits)
    async def tried(ctx: object, *, email: Annotated[str, Email()]) -> None:
        """Nothing."""

    found: Operation = getattr(tried, OPERATION)
    return found


def test_limits_count_by_parameters_the_operation_has() -> None:
    assert declared(Limit(1, 1, "param:email")).limits[0].by == ("param:email",)
    with pytest.raises(TypeError, match="phone"):
        declared(Limit(1, 1, "param:phone"))


def test_limits_are_counted_within_a_project() -> None:
    with pytest.raises(TypeError, match="without a project"):
        declared(Limit(1, 1, "ip"), scope="")


def test_T10_a_hundred_guesses_in_a_row_meet_a_delay_wherever_the_windows_fall() -> None:
    by_account = [limit for limit in guesses("param:email") if "ip" not in limit.by]
    assert min(2 * limit.count for limit in by_account) <= 100
