"""Ids and e-mail addresses: what passes, what does not, what counts as the same mailbox."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts_es.domain.values import canonical_email, is_email, is_id


@pytest.mark.parametrize("text", ["a", "0", "A.b_c-9", "x" * 36, "unique.id"])
def test_an_id(text: str) -> None:
    assert is_id(text)


@pytest.mark.parametrize(
    "text", ["", "_a", "-a", ".a", "x" * 37, "a b", "a/b", "a\n", "a\x00", "é", "unique()", "a<b", "a:b", "٣"]
)
def test_not_an_id(text: str) -> None:
    assert not is_id(text)


@pytest.mark.parametrize(
    "text",
    [
        "a@b.co",
        "first.last+tag@sub.example.org",
        "o'brien@example.org",
        "!#$%&'*+/=?^_`{|}~-@example.org",
        "x" * 64 + "@example.org",
        "a@" + "x" * 63 + ".org",
        "a@xn--bcher-kva.example",
        "a@1.2.3.4.example",
    ],
)
def test_an_email_address(text: str) -> None:
    assert is_email(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "@",
        "a@",
        "@b.co",
        "a@b",
        "a@b.co\n",
        "a@b.co ",
        " a@b.co",
        "a b@c.de",
        "a@b@c.de",
        ".a@b.co",
        "a.@b.co",
        "a..b@c.de",
        "a@-b.co",
        "a@b-.co",
        "a@b..co",
        "a@.b.co",
        "a@b.co.",
        "a@127.0.0.1",
        "a@[127.0.0.1]",
        '"a b"@c.de',
        "a@b_c.de",
        "ä@b.co",
        "a@bücher.example",
        "x" * 65 + "@example.org",
        "a@" + "x" * 64 + ".org",
        "a@" + ".".join(["x" * 60] * 5),
        "a\r\nBcc: x@y.org@b.co",
        "a\x00@b.co",
    ],
)
def test_not_an_email_address(text: str) -> None:
    assert not is_email(text)


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=40))
def test_any_text_is_an_address_or_not_and_nothing_breaks(text: str) -> None:
    if is_email(text):
        assert text.isascii()
        assert text.count("@") == 1
        assert is_email(canonical_email(text))


# The families of the contract (users, 1.1).
CANONICAL = [
    ("Ann@Example.org", "ann@example.org"),
    ("first.last+tag@example.org", "first.last+tag@example.org"),
    ("f.i.r.s.t+tag+more@gmail.com", "first@gmail.com"),
    ("f.irst@googlemail.com", "first@gmail.com"),
    ("first.last+tag@hotmail.com", "first.last@outlook.com"),
    ("a+b@live.com", "a@outlook.com"),
    ("a@msn.com", "a@outlook.com"),
    ("a.b+c@me.com", "a.b@icloud.com"),
    ("a@mac.com", "a@icloud.com"),
    ("first-tag@yahoo.com", "first@yahoo.com"),
    ("a-b-c@ymail.com", "a-b@yahoo.com"),
    ("a+b@rocketmail.com", "a+b@yahoo.com"),
    ("a.b+c@protonmail.com", "a.b+c@proton.me"),
    ("a+b@pm.me", "a+b@proton.me"),
    ("a+b@fastmail.fm", "a+b@fastmail.com"),
]


@pytest.mark.parametrize(("spelling", "mailbox"), CANONICAL)
def test_spellings_of_one_mailbox_meet(spelling: str, mailbox: str) -> None:
    assert canonical_email(spelling) == mailbox
