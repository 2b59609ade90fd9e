"""What a caller is in the words of permissions (contract: users-teams, 3.1 and 3.2).

Read afresh for each request: nothing of it is kept in a session or a JWT.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from accounts_es.http.context import Context
from projections import teams
from projections.accounts import AccountRow
from projections.teams import MemberOf

GUEST: Final = ("any", "guests")
KEY: Final = ("any", "keys")


async def roles_of(ctx: Context) -> tuple[str, ...]:
    """The caller's roles. Who is blocked or unknown does not get as far as having any but a guest's."""
    caller = ctx.caller
    if caller.kind == "key":
        return KEY
    if caller.account is None:
        return GUEST
    return ("any", *roles_of_account(caller.account, await teams.member_of(ctx.reads, caller.account.stream)))


def roles_of_account(account: AccountRow, memberships: Sequence[MemberOf]) -> Iterator[str]:
    """What an account is by itself, in its teams, and by its labels."""
    user, dimension = f"user:{account.account_id}", _dimension(account)
    yield from ("users", user, f"users/{dimension}", f"{user}/{dimension}")
    for membership in memberships:
        team = f"team:{membership.team_id}"
        yield from (team, f"member:{membership.membership_id}", *(f"{team}/{role}" for role in membership.roles))
    for label in account.labels:
        yield f"label:{label}"


def _dimension(account: AccountRow) -> str:
    return "verified" if account.email_verified or account.phone_verified else "unverified"
