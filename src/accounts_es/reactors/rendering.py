"""Messages as people read them: the words of a language, put into one layout for mail in plain text and in HTML."""

import tomllib
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Any, Final, NamedTuple

from babel.dates import format_datetime
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from accounts_es.messages import Mail, Sms

FALLBACK: Final = "en"
_PACKAGE: Final = "accounts_es.reactors"
_LOCALES: Final = files(_PACKAGE) / "locales"

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
        "agent": common["agent"].format_map(values) if values["user_agent"] else "",
        "facts": [line.format_map(values) for line in words.get("facts", ())],
        "closing": common["closing"].format_map(values),
    }
    html = _environment.get_template("mail.html").render(filled)
    text = _environment.get_template("mail.txt").render(filled)
    return Rendered(words["subject"].format_map(values), text, html)


def render_sms(sms: Sms) -> str:
    """The text message: the code or the link and nothing else (contract: cross-cutting, 16)."""
    return sms.values.get("otp") or sms.values["link"]


def language(asked: str) -> str:
    """The closest language there is: with its region, without it, English."""
    wanted = asked.strip().lower().replace("_", "-")
    for each in (wanted, wanted.partition("-")[0]):
        if each in languages():
            return each
    return FALLBACK


@cache
def languages() -> frozenset[str]:
    """The languages there are."""
    return frozenset(each.name.removesuffix(".toml") for each in _LOCALES.iterdir() if each.name.endswith(".toml"))


@cache
def _words(locale: str) -> dict[str, Any]:
    return tomllib.loads((_LOCALES / f"{locale}.toml").read_text(encoding="utf-8"))


def _values(values: dict[str, str], locale: str) -> dict[str, str]:
    given = {"user": "", "link": "", "otp": "", "phrase": "", "user_agent": "", **values}
    if "at" in given:
        given["at"] = format_datetime(datetime.fromisoformat(given["at"]), "long", locale=locale.replace("-", "_"))
    return given
