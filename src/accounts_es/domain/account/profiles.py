"""What providers say of people."""

from datetime import datetime
from typing import NamedTuple


class ProviderTokens(NamedTuple):
    """What calls a provider's API in the name of somebody."""

    access: str = ""
    refresh: str = ""
    access_expires_at: datetime | None = None


class Profile(NamedTuple):
    """What a provider says of somebody who signed in there. Without ``tokens``, those known before stay."""

    provider: str
    uid: str
    email: str = ""
    email_verified: bool = False
    name: str = ""
    tokens: ProviderTokens | None = None
