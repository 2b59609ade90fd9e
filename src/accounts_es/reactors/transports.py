"""How messages leave: by SMTP, by a provider's HTTP interface, or as files when nothing else is set up."""

import json
import logging
import os
import ssl
import time
from collections.abc import Mapping
from email.message import EmailMessage
from email.utils import formataddr, formatdate, make_msgid
from pathlib import Path
from typing import Any, Final, cast
from urllib.parse import parse_qsl

import aiosmtplib
import httpx
from pydantic import JsonValue

from accounts_es.adapters.public_addresses import OutOfReach, Reach
from accounts_es.messages import Mail, Message, Sms
from accounts_es.reactors.outbox import Postponed, Refused, Transport
from accounts_es.reactors.projects import LoadProject, ProjectMail
from accounts_es.reactors.rendering import Rendered, render_mail, render_sms
from accounts_es.settings import Settings

log = logging.getLogger(__name__)

_PERMANENT: Final = range(500, 600)
"""SMTP replies that say never (RFC 5321, 4.2.1)."""


def transports(settings: Settings, project: LoadProject | None = None) -> Mapping[str, Transport]:
    """What each kind of message travels by, as configured here or, where projects can be loaded, by the project."""
    folder = settings.data / "outbox"
    mail: Transport = Smtp(settings) if settings.smtp_host is not None else MailFiles(settings, folder)
    return {
        Mail.kind: mail if project is None else ProjectMail(settings, mail, ProjectSmtp, project),
        Sms.kind: HttpSms(settings) if settings.sms_url is not None else SmsFiles(folder),
    }


def tls_of(settings: Settings) -> ssl.SSLContext | None:
    """Whom to trust on the way to the mail server; nothing where the way is open."""
    if settings.smtp_security == "none":
        return None
    tls = ssl.create_default_context()
    if settings.smtp_ca_file is not None:
        tls.load_verify_locations(settings.smtp_ca_file)
    return tls


async def send(settings: Settings, tls: ssl.SSLContext | None, mail: EmailMessage, **way: Any) -> None:
    """Hand a mail to the server that is set up. Raises aiosmtplib's errors."""
    await aiosmtplib.send(
        mail,
        hostname=settings.smtp_host,
        **(way or {"port": settings.smtp_port}),
        username=settings.smtp_username,
        password=settings.smtp_password.get_secret_value() if settings.smtp_password is not None else None,
        use_tls=settings.smtp_security == "tls",
        start_tls=settings.smtp_security == "starttls",
        tls_context=tls,
        timeout=settings.smtp_timeout,
    )


class Smtp:
    """One connection for each mail: a server that is down or slow holds up nothing but itself."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._tls = tls_of(settings)

    async def deliver(self, message: Message) -> None:
        """Hand it to the server. Raises `Refused` when the server says never, to us or to the address."""
        mail = _mail(self._settings, cast("Mail", message))
        try:
            await send(self._settings, self._tls, mail, **await self._way())
        except aiosmtplib.SMTPRecipientsRefused as refused:
            raise _no(refused.recipients[0].code, "recipient") from None
        except aiosmtplib.SMTPDataError as refused:
            raise _no(refused.code, "mail") from None
        except aiosmtplib.SMTPResponseException as refused:
            # Our sign-in or our sender: the operator's to put right, and no mail is lost meanwhile.
            raise Postponed(f"the server refuses us ({refused.code})") from None

    async def _way(self) -> dict[str, Any]:
        """How the server is connected to."""
        return {"port": self._settings.smtp_port}


class ProjectSmtp(Smtp):
    """A server that a project names, which is no way into the network we are in."""

    async def _way(self) -> dict[str, Any]:
        settings, reach = self._settings, Reach(self._settings.reachable_networks)
        try:
            # What becomes of the socket is the connection's business from here on.
            return {"sock": await reach.connect(str(settings.smtp_host), settings.smtp_port, settings.smtp_timeout)}
        except OutOfReach:
            raise Postponed("the project's server has no public address") from None


class MailFiles:
    """A file for each mail, to be opened by any mail program."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self._settings = settings
        self._folder = folder

    async def deliver(self, message: Message) -> None:
        """Write it."""
        path = _write(self._folder, "eml", bytes(_mail(self._settings, cast("Mail", message))))
        log.info("no SMTP server is set up: mail written", extra={"file": str(path)})


class SmsFiles:
    """A file for each text message: the number, an empty line, the text."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def deliver(self, message: Message) -> None:
        """Write it."""
        text = render_sms(cast("Sms", message))
        path = _write(self._folder, "txt", f"To: {message.to}\n\n{text}\n".encode())
        log.info("no SMS provider is set up: message written", extra={"file": str(path)})


class HttpSms:
    """Any provider that takes a message in one request, as JSON, as a form or in the query."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._headers: dict[str, str] = json.loads(settings.sms_headers.get_secret_value())
        self._auth = _basic(settings)
        try:
            self._template: JsonValue = json.loads(settings.sms_body)
            self._form = False
        except ValueError:
            self._template = dict(parse_qsl(settings.sms_body, keep_blank_values=True))
            self._form = True

    async def deliver(self, message: Message) -> None:
        """Send it. Raises `Refused` when the provider says that the request is wrong."""
        settings = self._settings
        values = {"to": message.to, "from": settings.sms_from, "message": render_sms(cast("Sms", message))}
        filled = _filled(self._template, values)
        sent: dict[str, Any] = {"data": filled} if self._form else {"json": filled}
        async with httpx.AsyncClient(timeout=settings.sms_timeout, trust_env=False, auth=self._auth) as client:
            if settings.sms_method == "GET":
                sent = {
                    "params": httpx.QueryParams(httpx.URL(str(settings.sms_url)).params).merge(
                        cast("dict[str, str]", filled)
                    )
                }
            answer = await client.request(settings.sms_method, str(settings.sms_url), headers=self._headers, **sent)
        if answer.status_code in {400, 422}:
            raise Refused(f"the provider refuses it ({answer.status_code})")
        if not answer.is_success:
            raise Postponed(f"the provider does not take it ({answer.status_code})")


def _basic(settings: Settings) -> httpx.BasicAuth | None:
    if settings.sms_username is None:
        return None
    password = settings.sms_password.get_secret_value() if settings.sms_password is not None else ""
    return httpx.BasicAuth(settings.sms_username, password)


def _no(code: int, what: str) -> Refused | Postponed:
    """What an SMTP server says about a recipient or a mail."""
    answer = Refused if code in _PERMANENT else Postponed
    return answer(f"the {what} is refused ({code})")


def _mail(settings: Settings, mail: Mail) -> EmailMessage:
    """The mail with a plain and an HTML part."""
    rendered: Rendered = render_mail(mail)
    message = EmailMessage()
    message["Subject"] = _line(rendered.subject)
    message["From"] = formataddr((_line(settings.mail_from_name), settings.mail_from))
    message["To"] = formataddr((_line(mail.to_name), mail.to))
    if settings.mail_reply_to is not None:
        message["Reply-To"] = settings.mail_reply_to
    message["Date"] = formatdate()
    message["Message-ID"] = make_msgid(domain=settings.mail_from.rpartition("@")[2])
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(rendered.text)
    message.add_alternative(rendered.html, subtype="html")
    return message


def _line(text: str) -> str:
    """What people chose, as it may stand in a header: one line, and no encoded word (RFC 2047).

    The email package decodes encoded words in what it is given, line breaks included, which then begin headers.
    """
    printable = "".join(each if each.isprintable() else " " for each in text)
    return " ".join(printable.split()).replace("=?", "= ?")


def _fill(text: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        text = text.replace(f"{{{name}}}", value)
    return text


def _filled(template: JsonValue, values: Mapping[str, str]) -> JsonValue:
    """The template with the values put into its texts; they are escaped when it is written."""
    if isinstance(template, str):
        return _fill(template, values)
    if isinstance(template, list):
        return [_filled(each, values) for each in template]
    if isinstance(template, dict):
        return {key: _filled(each, values) for key, each in template.items()}
    return template


def _write(folder: Path, suffix: str, content: bytes) -> Path:
    """A file only its owner may read, whole or not there."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"{time.time_ns():020}-{os.getpid()}.{suffix}"
    aside = path.with_suffix(".part")
    with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
    return aside.rename(path)
