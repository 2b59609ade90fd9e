"""Words for undoing in tests: a history, what undoing some of it comes to, and what must be as it was."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from accounts_es.domain.account import Account
from accounts_es.domain.catalog import REVERTS
from accounts_es.domain.event import Event, Recorded
from accounts_es.domain.project import Project
from accounts_es.domain.reverts import Permitted, Plan, anybody, plan
from accounts_es.domain.team import Team
from tests.support.metadata import NOON, metadata


def history(*facts: Event, requests: Sequence[str] = ()) -> list[Recorded[Any]]:
    """Facts of one stream: the nth is at position n * 10, n seconds after noon, of request n unless said otherwise."""
    category = facts[0].topic.partition(".")[0] if facts else ""
    return [
        Recorded(
            f"{category}-1",
            nth,
            fact,
            metadata(at=NOON + timedelta(seconds=nth), request_id=requests[nth - 1] if requests else f"r{nth}"),
            nth * 10,
        )
        for nth, fact in enumerate(facts, start=1)
    ]


def undo(facts: Sequence[Recorded[Any]], *which: int, permitted: Permitted = anybody) -> Plan:
    """The plan of undoing the facts with these numbers, the first being 1."""
    reverts = REVERTS[facts[0].stream.partition("-")[0]]
    return plan(reverts, facts, {nth * 10 for nth in which}, permitted=permitted)


def after(facts: Sequence[Recorded[Any]], planned: Plan, request: str = "undo") -> list[Recorded[Any]]:
    """The history with what was undone, as it would be stored."""
    more = [
        Recorded(
            facts[0].stream,
            len(facts) + nth,
            event,
            metadata(at=NOON + timedelta(hours=1), request_id=request, causation_id=str(cause)),
            (len(facts) + nth) * 10,
        )
        for nth, (cause, event) in enumerate(
            ((each.cause, event) for each in planned.compensations for event in each.events), start=1
        )
    ]
    return [*facts, *more]


def state(facts: Iterable[Recorded[Any]], command: Callable[..., Any] | None = None) -> Any:
    """What is true after these facts; before the first one, of the kind that the command decides about."""
    facts = list(facts)
    if facts:
        return REVERTS[facts[0].stream.partition("-")[0]].decider.fold(facts)
    assert command is not None
    return REVERTS[command.__module__.split(".")[2]].decider.initial


def lasting(state: Any) -> Any:
    """What undoing gives back: all but secrets, sessions, traces of use and times; labels are a set."""
    match state:
        case Account() if state.exists:
            return state._replace(
                sessions={},
                tokens={},
                challenges={},
                password_hash=None,
                passwords=(),
                password_chosen=False,
                authenticator=None,
                recovery_codes=(),
                recovery_codes_used=frozenset(),
                registered_at=None,
                accessed_at=None,
                labels=tuple(sorted(state.labels)),
                targets=tuple(sorted((t for t in state.targets if t.session_id is None), key=lambda t: t.target_id)),
                identities={
                    key: replace(each, access_token="", refresh_token="", access_token_expires_at=None)
                    for key, each in state.identities.items()
                },
            )
        case Account():
            return Account()
        case Team():
            members = {key: replace(each, secret_hash="") for key, each in state.memberships.items()}
            return replace(state, memberships=members)
        case Project():
            return replace(
                state,
                updated_at=None,
                keys={key: replace(each, used_at=None) for key, each in state.keys.items()},
                platforms={
                    key: replace(each, created_at=NOON, updated_at=NOON) for key, each in state.platforms.items()
                },
                mock_phones={
                    key: replace(each, created_at=NOON, updated_at=NOON) for key, each in state.mock_phones.items()
                },
                providers={
                    key: each
                    for key, each in state.providers.items()
                    if each.enabled or each.client_id or each.settings
                },
                templates={
                    key: each
                    for key, each in state.templates.items()
                    if any(value for name, value in each if name not in {"template", "locale"})
                },
                webhooks={key: replace(each, secret="") for key, each in state.webhooks.items()},
            )
        case _:
            return state
