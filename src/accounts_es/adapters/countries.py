"""Which country an IP address belongs to, and what the country is called in a language. Nobody is asked: the tables
of the registries come with `iptocc`, the names (Unicode CLDR) with `babel`.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import Final, cast

from iptocc import country_code

UNKNOWN: Final = "--"
"""The code of an address that no country has (contract: cross-cutting, 14)."""
_LANGUAGE: Final = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z]{2,4}){0,2}", re.ASCII)


@lru_cache(maxsize=4096)
def country_of(ip: str) -> str:
    """The country's code (ISO 3166-1 alpha-2, lower case); `UNKNOWN` for private addresses and what is none."""
    try:
        address = ip_address(ip)
    except ValueError:
        return UNKNOWN
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    code = country_code(str(address))
    return code.lower() if code else UNKNOWN


def country_name(code: str, locale: str) -> str:
    """What the country is called in this language; in English where the language is not known."""
    if not _LANGUAGE.fullmatch(locale):
        locale = "en"
    names = _names(locale.replace("-", "_").lower()) or _names("en")
    return names.get(code.upper(), names[UNKNOWN])


@lru_cache(maxsize=64)
def _names(locale: str) -> dict[str, str]:
    """The names of all countries in a language, by their codes; empty if nobody knows the language."""
    # Here, because few processes ever need it: 5 MB.
    from babel import Locale, UnknownLocaleError, localedata  # noqa: PLC0415 - as above

    try:
        territories = cast("Mapping[str, str]", Locale.parse(locale).territories)
        names = {code: name for code, name in territories.items() if len(code) == 2}
    except (ValueError, UnknownLocaleError):
        return {}
    finally:
        # It keeps all it ever read, a megabyte a language, and which ones are read is up to callers.
        localedata._cache.clear()  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    return {**names, UNKNOWN: "Unknown" if locale.startswith("en") else names.get("ZZ", "Unknown")}
