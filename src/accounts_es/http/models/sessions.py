"""Sessions."""

from typing_extensions import TypedDict

from accounts_es.domain.account.aggregate import Session as OpenSession
from accounts_es.http.models.dates import date
from accounts_es.http.models.origins import Origin, origin
from projections.sessions import SessionRow

_Session = TypedDict(
    "_Session",
    {
        "$id": str,
        "$createdAt": str,
        "$updatedAt": str,
        "userId": str,
        "expire": str,
        "provider": str,
        "providerUid": str,
        "providerAccessToken": str,
        "providerAccessTokenExpiry": str,
        "providerRefreshToken": str,
        "current": bool,
        "factors": list[str],
        "secret": str,
        "mfaUpdatedAt": str,
    },
)


class Session(Origin, _Session):
    """A session, with the device it was opened from."""


class SessionList(TypedDict):
    """The sessions of an account."""

    total: int
    sessions: list[Session]


def session(
    row: SessionRow,
    account_id: str,
    *,
    locale: str = "en",
    current: bool = False,
    secret: str = "",
    opened: OpenSession | None = None,
) -> Session:
    """A session, its country named in ``locale``; ``secret`` is only for callers that may see it (account, 1.2).

    The tokens of its provider come from the account itself, where they are sealed.
    """
    return {
        "$id": row.session_id,
        "$createdAt": date(row.created_at),
        "$updatedAt": date(row.updated_at),
        "userId": account_id,
        "expire": date(row.expires_at),
        "provider": row.provider,
        "providerUid": row.provider_uid,
        "providerAccessToken": opened.provider_access_token if opened is not None else "",
        "providerAccessTokenExpiry": date(opened.provider_access_token_expires_at if opened is not None else None),
        "providerRefreshToken": opened.provider_refresh_token if opened is not None else "",
        **origin(row.ip, row.user_agent, locale),
        "current": current,
        "factors": row.factors,
        "secret": secret,
        "mfaUpdatedAt": date(row.factor_shown_at),
    }
