"""Every refusal a caller can meet: the class name is the wire type, the docstring the message.

Types and statuses follow the wire contract (Appwrite 1.9.6, error table); the messages are ours except where
clients compare them.
"""

import re
from typing import ClassVar


class Refusal(Exception):  # noqa: N818
    """A request the server understands and does not carry out."""

    status: ClassVar[int] = 400
    wire_type: ClassVar[str]
    message: str

    def __init_subclass__(cls, *, status: int = 400, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        cls.status = status
        cls.wire_type = re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()

    def __init__(self, message: str | None = None) -> None:
        self.message = message or (type(self).__doc__ or "").strip()
        super().__init__(self.message)


class GeneralUnknown(Refusal, status=500):
    """Server Error"""


class GeneralArgumentInvalid(Refusal):
    """The request has one or more invalid parameters."""


class GeneralQueryInvalid(Refusal):
    """The query cannot be read or is not allowed here."""


class GeneralCursorNotFound(Refusal):
    """The item the cursor points at does not exist."""


class GeneralBadRequest(Refusal):
    """The request could not be carried out."""


class GeneralRouteNotFound(Refusal, status=404):
    """There is no such route. Check the path and the method."""


class GeneralUnknownOrigin(Refusal, status=403):
    """This origin is not registered as a platform of the project."""


class GeneralUnauthorizedScope(Refusal, status=401):
    """The caller lacks the scope this route needs."""


class GeneralServiceUnavailable(Refusal, status=503):
    """The server is at its limit. Please try again shortly."""


class GeneralResourceLocked(Refusal, status=409):
    """The resource changed while the request was carried out. Please try again."""


class GeneralIdempotencyKeyReused(Refusal, status=409):
    """This idempotency key belongs to another request, or to one whose answer is not known yet."""


class ProjectNotFound(Refusal, status=404):
    """Project with the requested ID could not be found."""


class ProjectAlreadyExists(Refusal, status=409):
    """A project with this ID exists already."""


class ProjectKeyExpired(Refusal, status=401):
    """The API key has expired."""


class ProjectIdMissing(Refusal, status=403):
    """A request with an API key must name its project in the X-Appwrite-Project header."""


class KeyNotFound(Refusal, status=404):
    """Key with the requested ID could not be found."""


class KeyAlreadyExists(Refusal, status=409):
    """A key with this ID exists already."""


class UserNotFound(Refusal, status=404):
    """User with the requested ID could not be found."""


class UserAlreadyExists(Refusal, status=409):
    """A user with the same ID, email, or phone already exists in this project."""


class UserInvalidCredentials(Refusal, status=401):
    """Invalid credentials. Please check the email and password."""


class UserBlocked(Refusal, status=403):
    """The current user has been blocked."""


class UserUnauthorized(Refusal, status=401):
    """The current user is not authorized to perform the requested action."""


class UserSessionAlreadyExists(Refusal, status=401):
    """A session is active already: sign out before creating another."""


class UserSessionNotFound(Refusal, status=404):
    """Session with the requested ID could not be found."""


class TeamNotFound(Refusal, status=404):
    """Team with the requested ID could not be found."""


class TeamAlreadyExists(Refusal, status=409):
    """A team with this ID exists already."""
