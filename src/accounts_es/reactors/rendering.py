"""Messages as people read them: the words of a language, put into one layout for mail in plain text and in HTML."""

import re
import tomllib
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Any, Final, NamedTuple

from babel.dates import format_datetime
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from accounts_es.messages import Mail, MailTemplate, Sms
from accounts_es.reactors import wording

FALLBACK: Final = "en"
_WITH_CODE: Final = frozenset({"otp", "mfa-challenge"})
_PACKAGE: Final = "accounts_es.reactors"
_LOCALES: Final = files(_PACKAGE) / "locales"
_LINKLIKE: Final = re.compile(r"://|\w\.\w{2}")
"""Names that mail programs would make links of. Whoever signs up with another's address does not write to them."""

_environment: Final = Environment(
    loader=PackageLoader(_PACKAGE, "templates"),
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
    words, common = _words(locale)[mail.template], _words(locale)["common"]
    values = _values(mail.values, locale)
    if mail.message:
        named = wording.placeholders(values)
        subject = wording.fill(mail.subject or _doubled(words["subject"]), named)
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


def our_wording(template: MailTemplate, locale: str) -> tuple[str, str]:
    """Our subject and text of a mail, as a project would write them."""
    words = _words(language(locale))[template]
    what = "<p>{{otp}}</p>" if template in _WITH_CODE else '<p><a href="{{redirect}}">{{redirect}}</a></p>'
    lines = [words["preview"], *words["lines"], *words.get("notes", ())]
    paragraphs = [f"<p>{_doubled(line)}</p>" for line in lines]
    middle = [] if template == "session-alert" else [what]
    return _doubled(words["subject"]), "\n".join([*paragraphs[:2], *middle, *paragraphs[2:]])


def _doubled(text: str) -> str:
    return re.sub(r"\{(\w+)\}", r"{{\1}}", text)


def render_sms(sms: Sms) -> str:
    """The text message: the code or the link and nothing else (contract: cross-cutting, 16)."""
    return sms.values.get("otp") or sms.values["link"]


def language(asked: str) -> str:
    """The closest there is: the language with its region, without it, with another region, English."""
    wanted = asked.strip().lower().replace("_", "-")
    alone = wanted.partition("-")[0]
    elsewhere = sorted(each for each in languages() if each.startswith(f"{alone}-"))
    return next((each for each in (wanted, alone, *elsewhere) if each in languages()), FALLBACK)


@cache
def languages() -> frozenset[str]:
    """The languages there are."""
    return frozenset(each.name.removesuffix(".toml") for each in _LOCALES.iterdir() if each.name.endswith(".toml"))


@cache
def _words(locale: str) -> dict[str, Any]:
    return tomllib.loads((_LOCALES / f"{locale}.toml").read_text(encoding="utf-8"))


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
