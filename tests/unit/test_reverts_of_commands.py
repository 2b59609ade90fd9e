"""Every command, undone: what it changed is as before; that undone again: as the command left it."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Final

import pytest

from accounts_es.domain.account import commands as account
from accounts_es.domain.account import events as a
from accounts_es.domain.account.profiles import Profile, ProviderTokens
from accounts_es.domain.event import Event
from accounts_es.domain.project import commands as project
from accounts_es.domain.project import events as p
from accounts_es.domain.resource import commands as resource
from accounts_es.domain.resource import events as r
from accounts_es.domain.team import commands as team
from accounts_es.domain.team import events as t
from tests.support.examples import EXAMPLE_OF
from tests.support.metadata import NOON
from tests.support.reverting import after, history, lasting, state, undo

LATER: Final = NOON + timedelta(days=30)

JANE: Final[tuple[Event, ...]] = (
    a.SignedUp(account_id="jane", email="jane@example.org", phone="+4930901820", name="Jane", password_hash="hash"),
    a.TargetAdded(target_id="mail", provider_type="email", identifier="jane@example.org"),
    a.TargetAdded(target_id="phone", provider_type="sms", identifier="+4930901820"),
    a.LabelAdded(label="vip"),
    a.LabelAdded(label="staff"),
    a.PrefsUpdated(prefs={"theme": "dark"}),
    a.SessionCreated(session_id="s", secret_hash="h", provider="email", factors=("password",), expires_at=LATER),
)
LINKED: Final = a.IdentityLinked(
    identity_id="i",
    provider="google",
    provider_uid="1",
    provider_email="jane@example.org",
    provider_email_verified=True,
    access_token="old",
    refresh_token="",
    access_token_expires_at=None,
)
SEED: Final = (a.AuthenticatorAdded(secret="seed"), a.AuthenticatorVerified(step=1))
CODES: Final = a.RecoveryCodesGenerated(codes=("a", "b"))
ASKED: Final = a.ChallengeCreated(challenge_id="c", factor="totp", expires_at=LATER)


def issued(purpose: a.TokenPurpose) -> a.TokenIssued:
    return a.TokenIssued(token_id="t", purpose=purpose, secret_hash="token", expires_at=LATER)


MADE: Final = p.ProjectCreated(project_id="default", name="Default")
KEY: Final = p.ApiKeyCreated(key_id="k", name="Key", scopes=("users.read",), secret_hash="h")
SMTP: Final = p.SmtpConfigured(enabled=True, host="smtp.example.org", sender_email="shop@example.org")
PLATFORM: Final = p.PlatformAdded(platform_id="web", kind="web", name="Site", identifier="example.org")
PHONE: Final = p.MockPhoneAdded(number="+4930901822", otp="123456")
GOOGLE: Final = p.ProviderConfigured(provider="google", enabled=True, client_id="1", settings={"client_secret": "s"})
HOOK: Final = EXAMPLE_OF[p.WebhookAdded]
HOOK_ID: Final = "webhook_id"
CREW: Final = t.TeamCreated(team_id="crew", name="The Crew")
OWNER: Final = t.MemberAdded(membership_id="m", account="account-1", roles=("owner",))
INVITED: Final = t.MemberInvited(membership_id="n", account="account-2", roles=("coach",), secret_hash="secret")
NOTE: Final = r.ResourceProtected(resource_type="notes", resource_id="note", permissions=('read("any")',))

TOKENS: Final = ProviderTokens("new", "", None)
PROFILE: Final = Profile("github", "2", "other@example.org", False, "Other", TOKENS)
OPENED: Final = {"session_id": "new", "session_secret_hash": "h2", "expires_at": LATER}
SENT: Final = {"token_id": "t", "secret_hash": "token", "expires_at": LATER}
TOKEN: Final = {"secret_hash": "token", "now": NOON + timedelta(minutes=1)}
FRESH: Final = {"now": NOON, "by_owner": False}
NAMELESS: Final = a.SignedUp(account_id="nameless")

Case = tuple[Callable[..., Any], tuple[Event, ...], Mapping[str, Any]]

CASES: Final[list[Case]] = [
    (
        account.sign_up,
        (),
        {"account_id": "x", "email": "x@example.org", "email_target_id": "t", "email_verified": True},
    ),
    (
        account.bring_along,
        (),
        {"account_id": "x", "labels": ["a"], "prefs": {"a": 1}, "active": False, "phone_verified": True},
    ),
    (
        account.sign_up_anonymously,
        (),
        {"account_id": "x", "session_id": "s", "secret_hash": "h", "expires_at": LATER},
    ),
    (
        account.begin_with_provider,
        (),
        {"profile": PROFILE, "account_id": "x", "identity_id": "i", "target_id": "t"},
    ),
    (account.change_name, JANE, {"name": "Janet"}),
    (account.update_prefs, JANE, {"prefs": {"theme": "light"}}),
    (account.replace_labels, JANE, {"labels": ["staff", "new"]}),
    (account.set_active, JANE, {"active": False}),
    (account.set_active, (*JANE, a.AccountBlocked()), {"active": True}),
    (account.set_email_verification, JANE, {"verified": True}),
    (account.set_email_verification, (*JANE, a.VerifiedEmail()), {"verified": False}),
    (account.set_phone_verification, JANE, {"verified": True}),
    (account.set_impersonator, JANE, {"impersonator": True}),
    (account.delete_account, (*JANE, a.VerifiedEmail(), a.MfaSwitchedOn(), *SEED, CODES), {}),
    (account.change_email, (*JANE, a.VerifiedEmail()), {"email": "new@example.org", "target_id": "e"}),
    (account.change_email, JANE, {"email": None, "target_id": "e"}),
    (account.change_phone, (*JANE, a.VerifiedPhone()), {"phone": "+4930901899", "target_id": "e"}),
    (account.change_phone, JANE, {"phone": None, "target_id": "e"}),
    (account.change_password, JANE, {"password_hash": "other", "end_sessions": True}),
    (account.rehash_password, JANE, {"password_hash": "stronger", "checked_password_hash": "hash"}),
    (account.link_identity, JANE, {"identity_id": "i", "provider": "google", "provider_uid": "1"}),
    (account.come_from_provider, (NAMELESS,), {"profile": PROFILE, "identity_id": "i", "target_id": "e"}),
    (account.renew_tokens, (*JANE, LINKED), {"identity_id": "i", "tokens": TOKENS}),
    (account.remove_identity, (*JANE, LINKED), {"identity_id": "i"}),
    (
        account.create_session,
        JANE,
        {
            "session_id": "new",
            "secret_hash": "h2",
            "provider": "email",
            "factors": ("password",),
            "expires_at": LATER,
            "limit": 1,
        },
    ),
    (account.delete_session, JANE, {"session_id": "s", "reason": "test"}),
    (account.delete_sessions, JANE, {"reason": "test"}),
    (account.extend_session, JANE, {"session_id": "s", "expires_at": LATER + timedelta(days=1)}),
    (account.note_access, JANE, {"now": LATER}),
    (account.add_target, JANE, {"target_id": "d", "provider_type": "push", "identifier": "device", "session_id": "s"}),
    (account.change_target, JANE, {"target_id": "mail", "name": "Work"}),
    (account.remove_target, JANE, {"target_id": "mail"}),
    (account.issue_token, JANE, {**SENT, "purpose": "magic-url"}),
    (account.issue_email_verification, JANE, {**SENT, "purpose": "verification"}),
    (account.issue_phone_verification, JANE, SENT),
    (account.sign_in_with_token, (*JANE, issued("phone")), {**TOKEN, **OPENED}),
    (account.sign_in_with_token, (*JANE, a.VerifiedEmail(), issued("magic-url")), {**TOKEN, **OPENED}),
    (account.verify_email_with_token, (*JANE, issued("verification")), {**TOKEN, "purpose": "verification"}),
    (account.verify_phone_with_token, (*JANE, issued("phone")), TOKEN),
    (
        account.recover_password,
        (*JANE, a.VerifiedEmail(), issued("recovery")),
        {**TOKEN, "purpose": "recovery", "password_hash": "other"},
    ),
    (
        account.follow_invitation,
        JANE,
        {"way": "phone", "address": "+4930901820", "session_id": "new", "secret_hash": "h2", "expires_at": LATER},
    ),
    (account.switch_mfa, (*JANE, a.VerifiedEmail()), {"on": True, "session_id": "s"}),
    (account.switch_mfa, (*JANE, a.MfaSwitchedOn()), {"on": False}),
    (account.add_authenticator, JANE, {"secret": "seed"}),
    (account.verify_authenticator, (*JANE, SEED[0]), {"steps": [1], "session_id": "s"}),
    (account.remove_authenticator, (*JANE, *SEED), FRESH),
    (account.generate_recovery_codes, JANE, {"codes": ["a"]}),
    (account.regenerate_recovery_codes, (*JANE, CODES), {"codes": ["c"], **FRESH}),
    (account.create_challenge, JANE, {"challenge_id": "c", "factor": "totp", "expires_at": LATER}),
    (
        account.pass_challenge,
        (*JANE, *SEED, ASKED),
        {"challenge_id": "c", "session_id": "s", "now": NOON, "steps": [2]},
    ),
    (account.place_hold, JANE, {"reason": "a case"}),
    (account.lift_hold, (*JANE, a.LegalHoldPlaced(reason="a case")), {}),
    (account.erase, JANE, {"reason": "request"}),
    (team.create_team, (), {"team_id": "x", "name": "X", "by": "account-1", "membership_id": "m"}),
    (team.rename_team, (CREW, OWNER), {"name": "Other"}),
    (team.update_prefs, (CREW, OWNER), {"prefs": {"a": 1}}),
    (team.delete_team, (CREW, OWNER, INVITED, t.PrefsUpdated(prefs={"a": 1})), {}),
    (
        team.invite_member,
        (CREW, OWNER),
        {"membership_id": "n", "account": "account-2", "roles": ["x"], "secret_hash": "h", "by": None},
    ),
    (
        team.invite_member,
        (CREW, OWNER, INVITED),
        {"membership_id": "n", "account": "account-2", "roles": ["x"], "secret_hash": "h", "by": None},
    ),
    (team.add_member, (CREW, OWNER), {"membership_id": "n", "account": "account-2", "roles": ["x"]}),
    (team.add_member, (CREW, OWNER, INVITED), {"membership_id": "n", "account": "account-2", "roles": ["x"]}),
    (
        team.accept_invitation,
        (CREW, OWNER, INVITED),
        {"membership_id": "n", "secret_hash": "secret", "accounts": {"account-2"}},
    ),
    (team.change_roles, (CREW, OWNER), {"membership_id": "m", "roles": ["coach"]}),
    (team.end_membership, (CREW, OWNER), {"membership_id": "m"}),
    (team.end_membership, (CREW, OWNER), {"membership_id": "m", "by": "account-1"}),
    (team.end_membership, (CREW, OWNER, INVITED), {"membership_id": "n"}),
    (resource.protect, (), {"resource_type": "notes", "resource_id": "x", "permissions": ['read("any")']}),
    (resource.replace_permissions, (NOTE,), {"permissions": []}),
    (resource.release, (NOTE,), {}),
    (project.create_project, (), {"project_id": "x", "name": "X"}),
    (project.rename_project, (MADE,), {"name": "Shop"}),
    (project.replace_project_labels, (MADE,), {"labels": ["x"]}),
    (project.create_api_key, (MADE,), {"key_id": "k", "name": "K", "scopes": ["users.read"], "secret_hash": "h"}),
    (project.update_api_key, (MADE, KEY), {"key_id": "k", "name": "Other", "scopes": [], "expires_at": LATER}),
    (project.note_key_use, (MADE, KEY), {"key_id": "k", "sdk": "", "now": LATER}),
    (project.delete_api_key, (MADE, KEY), {"key_id": "k"}),
    (project.add_platform, (MADE,), {"platform_id": "web", "identifier": "example.org"}),
    (
        project.change_platform,
        (MADE, PLATFORM),
        {"platform_id": "web", "kind": "web", "name": "Other", "identifier": "other.example"},
    ),
    (project.remove_platform, (MADE, PLATFORM), {"platform_id": "web"}),
    (project.change_policy, (MADE,), {"policy": "session_limit", "settings": {"total": 3}}),
    (project.switch_auth_method, (MADE,), {"method": "jwt", "enabled": False}),
    (project.switch_service, (MADE,), {"service": "teams", "enabled": False}),
    (project.switch_protocol, (MADE,), {"protocol": "rest", "enabled": False}),
    (project.add_mock_phone, (MADE,), {"number": "+4930901822", "otp": "123456"}),
    (project.change_mock_phone, (MADE, PHONE), {"number": "+4930901822", "otp": "654321"}),
    (project.remove_mock_phone, (MADE, PHONE), {"number": "+4930901822"}),
    (project.configure_provider, (MADE,), {"provider": "google", "enabled": True, "settings": {"client_secret": "s"}}),
    (project.adjust_provider, (MADE, GOOGLE), {"provider": "google", "enabled": False, "settings": {}}),
    (project.configure_smtp, (MADE, SMTP), {"changes": {"host": "other.example"}}),
    (project.forget_details, (MADE,), {"kind": "origins", "before": NOON.date()}),
    (project.try_smtp, (MADE, SMTP), {"recipients": 1}),
    (
        project.change_email_template,
        (MADE, SMTP),
        {"template": "recovery", "locale": "de", "changes": {"subject": "Hallo"}},
    ),
    (
        project.add_webhook,
        (MADE,),
        {"webhook_id": "w", "name": "W", "url": "https://example.org", "events": [], "secret": "s", "position": 1},
    ),
    (
        project.change_webhook,
        (MADE, HOOK),
        {HOOK_ID: getattr(HOOK, HOOK_ID), "name": "Other", "url": "https://example.net", "events": []},
    ),
    (project.rotate_webhook_secret, (MADE, HOOK), {HOOK_ID: getattr(HOOK, HOOK_ID), "secret": "other"}),
    (project.rewind_webhook, (MADE, HOOK), {HOOK_ID: getattr(HOOK, HOOK_ID), "position": 1}),
    (project.disable_webhook, (MADE, HOOK), {HOOK_ID: getattr(HOOK, HOOK_ID), "attempts": 10}),
    (project.remove_webhook, (MADE, HOOK), {HOOK_ID: getattr(HOOK, HOOK_ID)}),
]

STAYS: Final = {
    "remove_identity",
    "remove_webhook",
    "erase",
    "create_project",
    "place_hold",
    "lift_hold",
    "forget_details",
}
"""Commands whose changes do not go back."""
ONCE: Final = {"link_identity", "come_from_provider", "begin_with_provider", "add_webhook"}
"""Commands whose changes go back, and do not come again."""


def test_every_command_there_is_is_undone_here() -> None:
    packages = (account, team, resource, project)
    every = {getattr(package, name) for package in packages for name in package.__all__}
    assert {case[0] for case in CASES} == every


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0].__name__)
def test_a_command_its_revert_and_the_revert_of_that(case: Case) -> None:
    command, given, arguments = case
    before = history(*given)
    decided = tuple(command(state(before, command), **arguments))
    assert decided, "the command changes something"
    done = history(*given, *decided, requests=[*(f"r{nth}" for nth in range(len(given))), *["command"] * len(decided)])
    planned = undo(done, *range(len(given) + 1, len(done) + 1))
    undone = after(done, planned)
    name = command.__name__
    if name in STAYS:
        assert {each.outcome for each in planned.items} == {"impossible"}
        assert lasting(state(undone)) == lasting(state(done))
        return
    assert {each.outcome for each in planned.items} <= {"reverted", "nothing", "impossible"}
    assert lasting(state(undone)) == lasting(state(before, command))

    again = after(undone, undo(undone, *range(len(done) + 1, len(undone) + 1)), "again")
    if name not in ONCE:
        assert lasting(state(again)) == lasting(state(done))


def test_what_lasts_is_all_but_secrets_sessions_and_times() -> None:
    jane = state(history(*JANE))
    assert lasting(jane) != lasting(jane._replace(name="Other"))
    assert lasting(jane) != lasting(jane._replace(mfa=True))
    assert lasting(jane) == lasting(jane._replace(sessions={}))
