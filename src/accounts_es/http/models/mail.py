"""What the API answers about a project's mail (contract: cross-cutting, 15 and 16)."""

from typing import Final

from typing_extensions import TypedDict

from accounts_es.domain.event import JSONObject
from accounts_es.domain.project.events import EmailTemplateChanged
from accounts_es.messages import CUSTOM_TEMPLATES

TEMPLATE_IDS: Final = tuple(CUSTOM_TEMPLATES)

SMTP_FIELDS: Final = {
    "host": "host",
    "port": "port",
    "username": "username",
    "password": "password",
    "senderEmail": "sender_email",
    "senderName": "sender_name",
    "replyToEmail": "reply_to_email",
    "replyToName": "reply_to_name",
    "secure": "security",
    "enabled": "enabled",
}
TEMPLATE_FIELDS: Final = {
    "subject": "subject",
    "message": "message",
    "senderName": "sender_name",
    "senderEmail": "sender_email",
    "replyToEmail": "reply_to_email",
    "replyToName": "reply_to_name",
}


class EmailTemplate(TypedDict):
    """What one kind of mail says in one language."""

    templateId: str
    locale: str
    subject: str
    message: str
    senderName: str
    senderEmail: str
    replyToEmail: str
    replyToName: str


class EmailTemplateList(TypedDict):
    """A page of templates."""

    total: int
    templates: list[EmailTemplate]


def email_template(known: EmailTemplateChanged, subject: str, message: str) -> EmailTemplate:
    """A template; what it leaves empty is what is said without it."""
    return {
        "templateId": known.template,
        "locale": known.locale,
        "subject": known.subject or subject,
        "message": known.message or message,
        "senderName": known.sender_name,
        "senderEmail": known.sender_email,
        "replyToEmail": known.reply_to_email,
        "replyToName": known.reply_to_name,
    }


def renamed(given: JSONObject, fields: dict[str, str]) -> JSONObject:
    """What was sent, by the names of our events; nothing is an empty text there."""
    return {fields[name]: "" if value is None else value for name, value in given.items()}
