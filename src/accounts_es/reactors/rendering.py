"""Messages as people read them: the words of a language, put into one layout for mail in plain text and in HTML."""

import re
from datetime import datetime
from typing import Any, Final, NamedTuple

from babel.dates import format_datetime
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from accounts_es.messages import Mail, Sms
from accounts_es.reactors import wording
from accounts_es.reactors.languages import doubled, language, words_of

_LINKLIKE: Final = re.compile(r"://|\w\.\w{2}")
"""Names that mail programs would make links of. Whoever signs up with another's address does not write to them."""

_environment: Final = Environment(
    loader=PackageLoader("accounts_es.reactors", "templates"),
    autoescape=select_autoescape(["html"]),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


class Rendered(NamedTuple):
    """A mail."""

    subject: str
    text: str
    html: str


def render_mail(mail: Mail) -> Rendered:
    """The mail in the language it asks for, or in English."""
    locale = language(mail.locale)
    words, common = words_of(locale)[mail.template], words_of(locale)["common"]
    values = _values(mail.values, locale)
    if mail.message:
        named = wording.placeholders(values)
        subject = wording.fill(mail.subject or doubled(words["subject"]), named)
        body = wording.page(locale, subject, wording.fill_html(mail.message, named))
        return Rendered(subject, wording.plain(body), body)
    filled: dict[str, Any] = {
        "language": locale,
        "project": values["project"],
        "hello": (common["hello"] if values["user"] else common["hello_nobody"]).format_map(values),
        "preview": words["preview"].format_map(values),
        "lines": [line.format_map(values) for line in words["lines"]],
        "link": values["link"],
        "action": words.get("action", "").format_map(values),
        "otp": values["otp"],
        "notes": [line.format_map(values) for line in words.get("notes", ())],
        "phrase": common["phrase"].format_map(values) if values["phrase"] else "",
        "agent": common["agent"].format_map(values) if values["device"] and "facts" not in words else "",
        "facts": [fact for line in words.get("facts", ()) if (fact := line.format_map(values))],
        "closing": common["closing"].format_map(values),
    }
    html = _environment.get_template("mail.html").render(filled)
    text = _environment.get_template("mail.txt").render(filled)
    if mail.subject:
        return Rendered(wording.fill(mail.subject, wording.placeholders(values)), text, html)
    return Rendered(words["subject"].format_map(values), text, html)


def render_sms(sms: Sms) -> str:
    """The text message: the code or the link and nothing else (contract: cross-cutting, 16)."""
    return sms.values.get("otp") or sms.values["link"]


def _values(values: dict[str, str], locale: str) -> dict[str, str]:
    unset = dict.fromkeys(("user", "link", "otp", "phrase", "client", "os", "country", "ip"), "")
    given = {**unset, **values}
    given["device"] = ", ".join(each for each in (given["client"], given["os"]) if each)
    if _LINKLIKE.search(given["user"]):
        given["user"] = ""
    if "at" in given:
        given["moment"] = given["at"]
        given["at"] = format_datetime(datetime.fromisoformat(given["at"]), "long", locale=locale.replace("-", "_"))
    return given
