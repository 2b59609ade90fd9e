"""What people read: every message in every language, escaped, with the code where phones look for it."""

import re
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import get_args

import pytest

from accounts_es.messages import Mail, MailTemplate
from accounts_es.reactors.languages import FALLBACK, language, languages
from accounts_es.reactors.rendering import render_mail
from accounts_es.reactors.transports import _mail
from accounts_es.settings import Settings

VALUES = {
    "project": "Shop",
    "user": "Jane",
    "owner": "Walter",
    "team": "Crew",
    "at": "2026-03-14T15:09:26+00:00",
    "ip": "203.0.113.7",
    "client": "Firefox",
    "os": "Linux",
    "country": "Germany",
}
LINKED = {"verification", "magic-url", "recovery", "invitation"}
CODED = {"verification-otp", "otp", "recovery-otp", "mfa-challenge"}
LINK = "https://shop.example/in?userId=jane&secret=" + "a" * 64

SUBJECTS = {
    "verification": "Account Verification for Shop",
    "magic-url": "Shop Login",
    "otp": "OTP for Shop Login",
    "recovery": "Password Reset for Shop",
    "invitation": "Invitation to Crew Team at Shop",
    "mfa-challenge": "Verification Code for Shop",
    "session-alert": "Security alert: new session on your Shop account",
}
PREVIEWS = {
    "verification": "Verify your email to activate your Shop account.",
    "magic-url": "Sign in to Shop with your secure link. Expires in 1 hour.",
    "otp": "Use OTP 123456 to sign in to Shop. Expires in 15 minutes.",
    "recovery": "Reset your Shop password using the link.",
    "invitation": "Walter invited you to join Crew at Shop",
    "session-alert": "New login detected on Shop",
}
"""What clients compare."""


def mail(template: MailTemplate, locale: str = "en", **values: str) -> Mail:
    given = {**VALUES, **values}
    if template in LINKED:
        given["link"] = LINK
    if template in CODED:
        given["otp"] = "123456"
    return Mail(template=template, to="jane@example.org", to_name=given["user"], locale=locale, values=given)


@pytest.mark.parametrize("locale", sorted(languages()))
@pytest.mark.parametrize("template", get_args(MailTemplate))
def test_every_mail_can_be_read_in_every_language(template: MailTemplate, locale: str) -> None:
    rendered = render_mail(mail(template, locale))
    assert "Shop" in rendered.subject
    for part in (rendered.subject, rendered.text, rendered.html):
        assert not re.search(r"\{\w+\}", part), part
    assert f'lang="{locale}"' in rendered.html
    if template in CODED:
        assert re.findall(r"\b\d{6}\b", rendered.text)[0] == "123456"
    if template in LINKED:
        assert LINK in rendered.text.splitlines()
        assert f'href="{LINK.replace("&", "&amp;")}"' in rendered.html


@pytest.mark.parametrize(("template", "subject"), SUBJECTS.items())
def test_subjects_are_those_that_clients_compare(template: MailTemplate, subject: str) -> None:
    assert render_mail(mail(template)).subject == subject


@pytest.mark.parametrize(("template", "preview"), PREVIEWS.items())
def test_mail_begins_with_the_line_that_clients_compare(template: MailTemplate, preview: str) -> None:
    assert render_mail(mail(template)).text.startswith(preview)


def test_dates_are_written_as_the_language_writes_them() -> None:
    written = {locale: render_mail(mail("session-alert", locale)).text for locale in ("de", "pt-br", "ja")}
    assert "14. März 2026" in written["de"]
    assert "14 de março de 2026" in written["pt-br"]
    assert "2026年3月14日" in written["ja"]


def test_a_phrase_is_there_when_it_was_asked_for() -> None:
    for locale in languages():
        assert "Brave otter" in render_mail(mail("magic-url", locale, phrase="Brave otter")).text
    assert "security phrase" in render_mail(mail("otp", phrase="Brave otter")).text
    assert "Brave otter" in render_mail(mail("otp", phrase="Brave otter")).html
    assert "phrase" not in render_mail(mail("otp")).text


@pytest.mark.parametrize(
    ("asked", "read"),
    [
        ("de", "de"),
        ("de-AT", "de"),
        ("DE_at", "de"),
        ("pt", "pt-br"),
        ("pt-PT", "pt-br"),
        ("ja-JP", "ja"),
        ("d", FALLBACK),
        ("tlh", FALLBACK),
        ("", FALLBACK),
        ("../../etc/passwd", FALLBACK),
    ],
)
def test_the_closest_language_is_taken(asked: str, read: str) -> None:
    assert language(asked) == read


HOSTILE = "<script>alert(1)</script>{project}{0.__class__}\"'&"


def test_T64_what_people_chose_stays_text() -> None:
    rendered = render_mail(mail("session-alert", user=HOSTILE, project=HOSTILE, client=HOSTILE))
    assert "<script>" not in rendered.html
    assert "&lt;script&gt;" in rendered.html
    assert HOSTILE in rendered.text, "nothing in it is filled in or run"


@pytest.mark.parametrize(
    "hostile",
    [
        "Jane\r\nBcc: everybody@example.org",
        "Jane\u2028Bcc: everybody@example.org",
        "=?utf-8?q?Jane=0d=0aBcc:_everybody@example.org=0d=0a?=",
        "=?utf-8?b?SmFuZQ0KQmNjOiBldmVyeWJvZHlAZXhhbXBsZS5vcmcNCg==?= =?utf-8?q?=0aBcc:x?=",
        "=\x00?utf-8?q?Jane=0d=0aBcc:_everybody@example.org?=",
        '"Jane" <everybody@example.org>, "',
        "Jane, everybody@example.org; \\",
        "J\x00\x1b[31mane",
        "x" * 256,
        "é" * 256,
    ],
)
def test_T64_a_name_cannot_add_a_header_or_a_reader(hostile: str) -> None:
    injected = mail("invitation", user=hostile, project=hostile, team=hostile, owner=hostile)
    built = _mail(Settings(data=Path(), mail_from_name=hostile), injected)
    ours = {"subject", "from", "to", "date", "message-id", "auto-submitted", "mime-version", "content-type"}
    sent = message_from_bytes(bytes(built), policy=policy.default)
    assert isinstance(sent, EmailMessage)
    assert sorted(name.lower() for name in sent) == sorted(ours)
    assert [address.addr_spec for address in sent["to"].addresses] == ["jane@example.org"]
    assert [address.addr_spec for address in sent["from"].addresses] == ["accounts@localhost"]
    assert all(each.isprintable() for each in str(sent["subject"]))
    assert max(map(len, bytes(built).splitlines())) <= 998


@pytest.mark.parametrize("name", ["http://evil.example", "Win a prize at evil.example now", "www.evil.example"])
def test_T64_a_name_that_reads_as_a_link_is_not_repeated_to_the_owner_of_the_address(name: str) -> None:
    rendered = render_mail(mail("verification", user=name))
    assert "evil" not in rendered.text + rendered.html + rendered.subject
    for honest in ("J. R. R. Tolkien", "Dr. Jane O'Neill", "Zoë"):
        assert honest in render_mail(mail("verification", user=honest)).text


def test_an_alert_says_when_from_where_and_with_what() -> None:
    text = render_mail(mail("session-alert")).text
    for fact in ("March 14, 2026", "203.0.113.7", "Germany", "Firefox, Linux"):
        assert fact in text


def test_an_alert_in_a_project_s_own_words_says_the_same() -> None:
    own = "<p>{{device}} {{ipAddress}} {{country}} {{date}} {{time}} {{agentOs}}</p>"
    rendered = render_mail(mail("session-alert").model_copy(update={"message": own}))
    assert rendered.text == "Firefox, Linux 203.0.113.7 Germany 2026-03-14 15:09 UTC Linux\n"


def test_mail_says_that_a_machine_wrote_it() -> None:
    assert _mail(Settings(data=Path()), mail("otp"))["auto-submitted"] == "auto-generated"
