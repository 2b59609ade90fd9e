"""Where an account can be reached."""

from collections.abc import Iterator

from accounts_es.domain.account.aggregate import Account, Target
from accounts_es.domain.account.commands.guards import ensure_exists, session_of
from accounts_es.domain.account.events import AccountEvent, TargetAdded, TargetChanged, TargetRemoved
from accounts_es.domain.errors import UserTargetAlreadyExists, UserTargetNotFound


def add_target(
    account: Account,
    *,
    target_id: str,
    provider_type: str,
    identifier: str,
    name: str = "",
    provider_id: str | None = None,
    session_id: str | None = None,
) -> Iterator[AccountEvent]:
    """Reach the account somewhere else, too. Raises `UserTargetAlreadyExists`."""
    ensure_exists(account)
    if session_id is not None:
        session_of(account, session_id)
    if any(each.target_id == target_id or each.identifier == identifier for each in account.targets):
        raise UserTargetAlreadyExists
    yield TargetAdded(
        target_id=target_id,
        provider_type=provider_type,
        identifier=identifier,
        name=name,
        provider_id=provider_id,
        session_id=session_id,
    )


def change_target(
    account: Account,
    *,
    target_id: str,
    identifier: str | None = None,
    name: str | None = None,
    provider_id: str | None = None,
    provider_type: str | None = None,
) -> Iterator[AccountEvent]:
    """Change what is given of a target. Raises `UserTargetNotFound`, also when it is of another ``provider_type``."""
    ensure_exists(account)
    target = target_of(account, target_id, provider_type)
    changed = TargetChanged(
        target_id=target_id,
        identifier=target.identifier if identifier is None else identifier,
        name=target.name if name is None else name,
        provider_id=target.provider_id if provider_id is None else provider_id,
    )
    if (changed.identifier, changed.name, changed.provider_id) != (target.identifier, target.name, target.provider_id):
        if any(each.identifier == identifier for each in account.targets if each.target_id != target_id):
            raise UserTargetAlreadyExists
        yield changed


def remove_target(account: Account, *, target_id: str, provider_type: str | None = None) -> Iterator[AccountEvent]:
    """Reach the account there no more. Raises `UserTargetNotFound`, also when it is of another ``provider_type``."""
    ensure_exists(account)
    target_of(account, target_id, provider_type)
    yield TargetRemoved(target_id=target_id)


def target_of(account: Account, target_id: str, provider_type: str | None = None) -> Target:
    """The target, of this type if one is named. Raises `UserTargetNotFound`."""
    for target in account.targets:
        if target.target_id == target_id and provider_type in {None, target.provider_type}:
            return target
    raise UserTargetNotFound
