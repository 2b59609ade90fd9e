"""What our mails say, in each language there is. Apart from their rendering, which no worker needs."""

import re
import tomllib
from functools import cache
from importlib.resources import files
from typing import Any, Final

from accounts_es.messages import MailTemplate

FALLBACK: Final = "en"
_WITH_CODE: Final = frozenset({"otp", "mfa-challenge"})
_LOCALES: Final = files("accounts_es.reactors") / "locales"


def our_wording(template: MailTemplate, locale: str) -> tuple[str, str]:
    """Our subject and text of a mail, as a project would write them."""
    words = words_of(language(locale))[template]
    what = "<p>{{otp}}</p>" if template in _WITH_CODE else '<p><a href="{{redirect}}">{{redirect}}</a></p>'
    lines = [words["preview"], *words["lines"], *words.get("notes", ())]
    paragraphs = [f"<p>{doubled(line)}</p>" for line in lines]
    middle = [] if template == "session-alert" else [what]
    return doubled(words["subject"]), "\n".join([*paragraphs[:2], *middle, *paragraphs[2:]])


def doubled(text: str) -> str:
    """Our placeholders as those of a project are written: ``{{name}}``."""
    return re.sub(r"\{(\w+)\}", r"{{\1}}", text)


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
def words_of(locale: str) -> dict[str, Any]:
    """The words of one of them, by template."""
    return tomllib.loads((_LOCALES / f"{locale}.toml").read_text(encoding="utf-8"))
