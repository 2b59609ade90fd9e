"""Addresses have countries, and countries have names in many languages."""

import pytest

from accounts_es.adapters.countries import UNKNOWN, country_name, country_of


@pytest.mark.parametrize(
    ("ip", "code"),
    [
        ("8.8.8.8", "us"),
        ("193.0.6.139", "nl"),  # RIPE NCC
        ("133.11.0.1", "jp"),  # University of Tokyo
        ("2001:4860:4860::8888", "us"),
        ("2001:67c:2e8:22::c100:68b", "nl"),
        ("::ffff:8.8.8.8", "us"),
    ],
)
def test_a_public_address_has_a_country(ip: str, code: str) -> None:
    assert country_of(ip) == code


@pytest.mark.parametrize(
    "ip", ["127.0.0.1", "10.1.2.3", "192.168.0.1", "203.0.113.7", "::1", "fe80::1%eth0", "2001:db8::1", "", "nowhere"]
)
def test_other_addresses_have_none(ip: str) -> None:
    assert country_of(ip) == UNKNOWN


@pytest.mark.parametrize(
    ("locale", "name", "unknown"),
    [
        ("en", "Germany", "Unknown"),
        ("en-GB", "Germany", "Unknown"),
        ("de", "Deutschland", "Unbekannte Region"),
        ("de_AT", "Deutschland", "Unbekannte Region"),
        ("fr", "Allemagne", "région indéterminée"),
        ("pt-br", "Alemanha", "Região desconhecida"),
        ("zh-tw", "德國", "未知區域"),
        ("zh-cn", "德国", "未知地区"),
        ("tlh", "Germany", "Unknown"),
        ("", "Germany", "Unknown"),
        ("../../etc", "Germany", "Unknown"),
        ("de" * 5000, "Germany", "Unknown"),
    ],
)
def test_a_country_is_named_in_the_language_asked_for(locale: str, name: str, unknown: str) -> None:
    assert country_name("de", locale) == name
    assert country_name(UNKNOWN, locale) == unknown
    assert country_name("qq", locale) == unknown


def test_languages_that_were_asked_for_once_are_not_kept_whole() -> None:
    from babel import localedata

    country_name("de", "sv")
    assert not localedata._cache
