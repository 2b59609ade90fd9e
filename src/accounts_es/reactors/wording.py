"""A project's own words for a mail: a subject and an HTML text with ``{{placeholders}}`` (contract: 16)."""

import html
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Final

_PLACEHOLDER: Final = re.compile(r"\{\{\s*(/?\w+)\s*\}\}")
_HIDDEN: Final = re.compile(r"<(style|script|head)\b.*?</\1\s*>", re.IGNORECASE | re.DOTALL)
_BREAK: Final = re.compile(r"<(br|/p|/div|/h[1-6]|/li|/tr)\b[^>]*>", re.IGNORECASE)
_TAG: Final = re.compile(r"<[^>]*>")
_BLANKS: Final = re.compile(r"\n\s*\n\s*")
_BOLD: Final = {"b": "<b>", "/b": "</b>"}


def fill(text: str, values: Mapping[str, str]) -> str:
    """A plain text with its placeholders filled; those nobody knows are empty."""
    return _PLACEHOLDER.sub(lambda found: values.get(found[1], ""), text)


def fill_html(text: str, values: Mapping[str, str]) -> str:
    """An HTML text with its placeholders filled by escaped values."""
    return _PLACEHOLDER.sub(lambda found: _BOLD.get(found[1]) or html.escape(values.get(found[1], "")), text)


def page(language: str, title: str, body: str) -> str:
    """A whole HTML document, unless the body is one."""
    if "<html" in body.lower():
        return body
    return (
        f'<!doctype html>\n<html lang="{html.escape(language)}">\n<head>\n<meta charset="utf-8">\n'
        f"<title>{html.escape(title)}</title>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def plain(body: str) -> str:
    """An HTML text for those who read none."""
    text = _TAG.sub("", _BREAK.sub("\n", _HIDDEN.sub("", body)))
    return _BLANKS.sub("\n\n", html.unescape(text)).strip() + "\n"


def placeholders(values: Mapping[str, str]) -> dict[str, str]:
    """What our messages carry, by the names templates use."""
    named = {
        **values,
        "redirect": values.get("link", ""),
        "agentClient": values.get("client", ""),
        "agentOs": values.get("os", ""),
        "agentDevice": values.get("form", ""),
        "ipAddress": values.get("ip", ""),
    }
    if "moment" in values:
        at = datetime.fromisoformat(values["moment"])
        named |= {"date": f"{at:%Y-%m-%d}", "time": f"{at:%H:%M} UTC", "year": f"{at:%Y}"}
    return named
