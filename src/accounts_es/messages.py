"""What the server says to people outside a request: mail and text messages.

A message is put into the outbox in the transaction of the events it follows from, sealed, and sent by a reactor.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import ClassVar, Final, Literal

from pydantic import BaseModel, ConfigDict

MailTemplate = Literal[
    "verification",
    "verification-otp",
    "magic-url",
    "otp",
    "recovery",
    "recovery-otp",
    "invitation",
    "mfa-challenge",
    "session-alert",
    "email-changed",
    "phone-changed",
    "password-changed",
    "mfa-changed",
    "smtp-test",
]
SmsTemplate = Literal["login", "verification", "mfa", "invitation"]


CUSTOM_TEMPLATES: Final[Mapping[str, MailTemplate]] = {
    "verification": "verification",
    "magicSession": "magic-url",
    "recovery": "recovery",
    "invitation": "invitation",
    "mfaChallenge": "mfa-challenge",
    "sessionAlert": "session-alert",
    "otpSession": "otp",
}
"""The mails a project may put into words of its own, by the names it knows them by."""


class Message(BaseModel):
    """To one person, in one language. ``values`` go into the template.

    After ``good_until`` it is dropped rather than delivered: nobody needs a code that has ended.
    """

    model_config = ConfigDict(frozen=True)

    kind: ClassVar[str]

    to: str
    locale: str = "en"
    values: dict[str, str] = {}
    good_until: datetime | None = None


class Mail(Message):
    """An e-mail. ``to`` is the address, ``to_name`` what the person is called."""

    kind: ClassVar[str] = "mail"

    template: MailTemplate
    to_name: str = ""
    project: str = ""
    """The project whose own server and words are to be used, if it has any."""
    subject: str = ""
    message: str = ""
    """The project's words, filled in on the way out."""


class Sms(Message):
    """A text message. ``to`` is the number, with its country code."""

    kind: ClassVar[str] = "sms"

    template: SmsTemplate
