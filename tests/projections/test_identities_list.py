"""An account's identities can be asked for as every list can."""

import json
from typing import Any

import pytest

from accounts_es.domain.account.events import IdentityLinked
from accounts_es.domain.errors import DatabaseQueryOrderNull, GeneralCursorNotFound
from accounts_es.eventstore.log import EventLog
from accounts_es.http.account.identities import ATTRIBUTES
from accounts_es.http.listing import Queries
from projections import identities
from tests.support.appends import beginning
from tests.support.metadata import NOON


def link(name: str, provider: str, email: str, *, expires: bool) -> IdentityLinked:
    return IdentityLinked(
        identity_id=name,
        provider=provider,
        provider_uid=f"uid-{name}",
        provider_email=email,
        access_token_expires_at=NOON if expires else None,
    )


async def test_filters_orders_and_cursors(log: EventLog) -> None:
    mine = [
        link("b", "google", "Jane@example.com", expires=True),
        link("a", "github", "jane@example.org", expires=False),
        link("c", "google", "", expires=True),
    ]
    await log.append(beginning(log, "account-jane", *mine))
    await log.append(beginning(log, "account-john", link("d", "google", "john@example.com", expires=True)))

    async def ids(*queries: dict[str, Any]) -> str:
        asked = Queries(ATTRIBUTES).parse([json.dumps(each) for each in queries])
        rows, total = await identities.list_identities(log.reads, "account-jane", asked=asked)
        assert total >= len(rows)
        return "".join(row.identity_id for row in rows)

    after: dict[str, Any] = {"method": "cursorAfter", "values": ["b"]}
    by_end = {"method": "orderDesc", "attribute": "providerAccessTokenExpiry"}
    assert await ids() == "bac"
    assert await ids({"method": "equal", "attribute": "provider", "values": ["google"]}) == "bc"
    assert await ids({"method": "startsWith", "attribute": "providerEmail", "values": ["jane@EXAMPLE.com"]}) == "b"
    assert await ids({"method": "equal", "attribute": "providerUid", "values": ["uid-a"]}) == "a"
    assert await ids({"method": "orderAsc", "attribute": "$id"}) == "abc"
    assert await ids(by_end) == "bca"
    assert await ids(by_end, after) == "ca"
    with pytest.raises(GeneralCursorNotFound):
        await ids({"method": "cursorAfter", "values": ["d"]})
    with pytest.raises(DatabaseQueryOrderNull):
        await ids(by_end, {"method": "cursorAfter", "values": ["a"]})
