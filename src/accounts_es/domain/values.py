"""Values with rules of their own: ids, e-mail addresses, phone numbers."""

import re
from typing import Final

ID_PATTERN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,35}\Z")
"""Contract 1.6 (CustomId, UID): 1 to 36 characters, the first a letter or a digit."""

MAX_SESSIONS: Final = 10
"""Contract 1.8: sessions kept per account unless the project says otherwise."""

SESSION_SECONDS: Final = 31_536_000
"""Contract 1.8: the life of a session unless the project says otherwise."""

_LOCAL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*\Z")
_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\Z")


def is_id(text: str) -> bool:
    """Whether the text can be the id of an account, a session, a team or a project."""
    return ID_PATTERN.match(text) is not None


def is_email(text: str) -> bool:
    """Whether the text is one address of the form ``local@domain`` (RFC 5321, sizes of section 4.5.3.1)."""
    local, at, domain = text.rpartition("@")
    labels = domain.split(".")
    return (
        at == "@"
        and len(local) <= 64
        and len(domain) <= 255
        and _LOCAL.match(local) is not None
        and len(labels) > 1
        and all(_LABEL.match(label) for label in labels)
        and not labels[-1].isdigit()
    )


_DOTLESS = frozenset({"gmail.com", "googlemail.com"})
_FAMILIES: Final = {
    "gmail.com": ("gmail.com", "googlemail.com"),
    "outlook.com": ("outlook.com", "hotmail.com", "live.com", "msn.com"),
    "icloud.com": ("icloud.com", "me.com", "mac.com"),
    "yahoo.com": ("yahoo.com", "ymail.com", "rocketmail.com"),
    "proton.me": ("proton.me", "protonmail.com", "pm.me"),
    "fastmail.com": ("fastmail.com", "fastmail.fm"),
}
_FAMILY_OF: Final = {domain: family for family, domains in _FAMILIES.items() for domain in domains}
_TAG: Final = {"gmail.com": "+", "outlook.com": "+", "icloud.com": "+", "yahoo.com": "-"}


def canonical_email(email: str) -> str:
    """The address all spellings of one mailbox share (contract: users, 1.1)."""
    local, _, domain = email.lower().rpartition("@")
    family = _FAMILY_OF.get(domain)
    if family is None:
        return f"{local}@{domain}"
    if domain in _DOTLESS:
        local = local.replace(".", "")
    mark = _TAG.get(family)
    if mark == "+":
        local = local.split("+", 1)[0]
    elif mark == "-" and "-" in local:
        local = local.rsplit("-", 1)[0]
    return f"{local}@{family}"
