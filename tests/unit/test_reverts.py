"""What undoing facts comes to: given these facts, when some of them are undone, then these facts (or why not)."""

from dataclasses import replace
from typing import Any

import pytest

from accounts_es.domain.account import events as a
from accounts_es.domain.catalog import EVENTS, REVERTS
from accounts_es.domain.event import Event
from accounts_es.domain.project import Grant
from accounts_es.domain.project import events as p
from accounts_es.domain.project.reverts import within
from accounts_es.domain.resource import events as r
from accounts_es.domain.reverts import Plan, plan
from accounts_es.domain.team import events as t
from tests.support.examples import EXAMPLE_OF
from tests.support.metadata import NOON
from tests.support.reverting import after, history, state, undo

SIGNED_UP = a.SignedUp(account_id="walter", email="walter@example.org", name="Walter")
MADE = p.ProjectCreated(project_id="default", name="Default")
TEAM = t.TeamCreated(team_id="crew", name="The Crew")
NOTE = r.ResourceProtected(resource_type="notes", resource_id="note", permissions=('read("any")',))
ALIVE = {"account": SIGNED_UP, "project": MADE, "team": TEAM, "resource": NOTE}


def facts_of(planned: Plan) -> list[Event]:
    return [event for each in planned.compensations for event in each.events]


def said(planned: Plan) -> list[tuple[str, str]]:
    return [(each.outcome, each.reason) for each in planned.items]


# The catalogue --------------------------------------------------------------------------------------------------------

UNDONE = [event for event in EVENTS if not event.topic.startswith("security.")]


@pytest.mark.parametrize("event", UNDONE, ids=lambda each: each.topic)
def test_every_event_can_be_undone_or_says_why_not(event: type[Event]) -> None:
    reverts = REVERTS[event.topic.partition(".")[0]]
    assert (event in reverts.sets) != (event in reverts.never)
    if event in reverts.sets:
        found = reverts.field_of(EXAMPLE_OF[event])
        assert found is not None
        assert found.name in reverts.fields
    else:
        assert reverts.never[event]


def test_nothing_is_named_that_is_no_event() -> None:
    named = {each for reverts in REVERTS.values() for each in (*reverts.sets, *reverts.never)}
    assert named == set(UNDONE)


# One by one -----------------------------------------------------------------------------------------------------------

TARGET = a.TargetAdded(target_id="mail", provider_type="email", identifier="walter@example.org")
LINKED = EXAMPLE_OF[a.IdentityLinked]
KEY = p.ApiKeyCreated(key_id="backend", name="Backend", scopes=("users.read",), secret_hash="hash")
SMTP = p.SmtpConfigured(enabled=True, host="smtp.example.org", sender_email="shop@example.org")
TEMPLATE = p.EmailTemplateChanged(template="recovery", locale="de", subject="Passwort?")
HOOK = EXAMPLE_OF[p.WebhookAdded]
PLATFORM = p.PlatformAdded(platform_id="web", kind="web", name="Site", identifier="example.org")
MEMBER = t.MemberAdded(membership_id="m", account="account-1", roles=("owner",))
INVITED = t.MemberInvited(membership_id="m", account="account-1", roles=("coach",), secret_hash="hash")
JOINED = t.MemberJoined(membership_id="m")
PHONE = p.MockPhoneAdded(number="+4930901822", otp="123456")

ONE_BY_ONE: list[tuple[tuple[Event, ...], tuple[Event, ...]]] = [
    ((SIGNED_UP,), (a.AccountDeleted(),)),
    ((SIGNED_UP, a.NameChanged(name="W")), (a.NameChanged(name="Walter"),)),
    ((SIGNED_UP, a.PrefsUpdated(prefs={"x": 1})), (a.PrefsUpdated(prefs={}),)),
    ((SIGNED_UP, a.EmailChanged(email=None)), (a.EmailChanged(email="walter@example.org"),)),
    (
        (SIGNED_UP, a.VerifiedEmail(), a.EmailChanged(email="other@example.org")),
        (a.EmailChanged(email="walter@example.org"), a.VerifiedEmail()),
    ),
    ((SIGNED_UP, a.VerifiedEmail()), (a.EmailVerificationRevoked(),)),
    ((SIGNED_UP, a.VerifiedEmail(), a.EmailVerificationRevoked()), (a.VerifiedEmail(),)),
    ((SIGNED_UP, a.PhoneChanged(phone="+4930901820")), (a.PhoneChanged(phone=None),)),
    ((SIGNED_UP, a.VerifiedPhone()), (a.PhoneVerificationRevoked(),)),
    ((SIGNED_UP, a.VerifiedPhone(), a.PhoneVerificationRevoked()), (a.VerifiedPhone(),)),
    ((SIGNED_UP, a.LabelAdded(label="vip")), (a.LabelRemoved(label="vip"),)),
    ((SIGNED_UP, a.LabelAdded(label="vip"), a.LabelRemoved(label="vip")), (a.LabelAdded(label="vip"),)),
    ((SIGNED_UP, a.AccountBlocked()), (a.AccountUnblocked(),)),
    ((SIGNED_UP, a.AccountBlocked(), a.AccountUnblocked()), (a.AccountBlocked(),)),
    ((SIGNED_UP, a.MfaSwitchedOn()), (a.MfaSwitchedOff(),)),
    ((SIGNED_UP, a.MfaSwitchedOn(), a.MfaSwitchedOff()), (a.MfaSwitchedOn(),)),
    ((SIGNED_UP, a.ImpersonatorAppointed()), (a.ImpersonatorDismissed(),)),
    ((SIGNED_UP, a.ImpersonatorAppointed(), a.ImpersonatorDismissed()), (a.ImpersonatorAppointed(),)),
    ((SIGNED_UP, TARGET), (a.TargetRemoved(target_id="mail"),)),
    ((SIGNED_UP, TARGET, a.TargetRemoved(target_id="mail")), (TARGET,)),
    (
        (SIGNED_UP, TARGET, a.TargetChanged(target_id="mail", identifier="x@example.org")),
        (a.TargetChanged(target_id="mail", identifier="walter@example.org"),),
    ),
    ((SIGNED_UP, LINKED), (a.IdentityRemoved(identity_id="identity"),)),
    ((TEAM,), (t.TeamDeleted(),)),
    ((TEAM, MEMBER, t.TeamDeleted()), (TEAM, MEMBER)),
    ((TEAM, t.TeamRenamed(name="Other")), (t.TeamRenamed(name="The Crew"),)),
    ((TEAM, t.PrefsUpdated(prefs={"x": 1})), (t.PrefsUpdated(prefs={}),)),
    ((TEAM, MEMBER), (t.MemberRemoved(membership_id="m"),)),
    ((TEAM, MEMBER, t.MemberLeft(membership_id="m")), (MEMBER,)),
    ((TEAM, MEMBER, t.MemberRemoved(membership_id="m")), (MEMBER,)),
    ((TEAM, INVITED), (t.MemberRemoved(membership_id="m"),)),
    ((TEAM, INVITED, t.MemberRemoved(membership_id="m")), (INVITED.model_copy(update={"secret_hash": ""}),)),
    (
        (TEAM, INVITED, JOINED),
        (t.MemberRemoved(membership_id="m"), INVITED.model_copy(update={"secret_hash": ""})),
    ),
    (
        (TEAM, MEMBER, t.MemberRolesChanged(membership_id="m", roles=("coach",))),
        (t.MemberRolesChanged(membership_id="m", roles=("owner",)),),
    ),
    ((NOTE,), (r.ResourceReleased(),)),
    ((NOTE, r.ResourceReleased()), (NOTE,)),
    (
        (NOTE, r.PermissionsReplaced(permissions=())),
        (r.PermissionsReplaced(permissions=('read("any")',)),),
    ),
    ((MADE, p.ProjectRenamed(name="Shop")), (p.ProjectRenamed(name="Default"),)),
    ((MADE, p.LabelsReplaced(labels=("x",))), (p.LabelsReplaced(labels=()),)),
    ((MADE, KEY), (p.ApiKeyDeleted(key_id="backend"),)),
    ((MADE, KEY, p.ApiKeyDeleted(key_id="backend")), (KEY,)),
    (
        (MADE, KEY, p.ApiKeyUpdated(key_id="backend", name="Writer", scopes=("users.write",))),
        (p.ApiKeyUpdated(key_id="backend", name="Backend", scopes=("users.read",)),),
    ),
    ((MADE, PLATFORM), (p.PlatformRemoved(platform_id="web"),)),
    ((MADE, PLATFORM, p.PlatformRemoved(platform_id="web")), (PLATFORM,)),
    (
        (MADE, PLATFORM, p.PlatformChanged(platform_id="web", name="Other", identifier="other.example")),
        (p.PlatformChanged(platform_id="web", name="Site", identifier="example.org"),),
    ),
    (
        (MADE, p.PolicyChanged(policy="session_limit", settings={"total": 5})),
        (p.PolicyChanged(policy="session_limit", settings={"total": 10}),),
    ),
    (
        (MADE, p.AuthMethodSwitched(method="jwt", enabled=False)),
        (p.AuthMethodSwitched(method="jwt", enabled=True),),
    ),
    (
        (MADE, p.ServiceSwitched(service="teams", enabled=False)),
        (p.ServiceSwitched(service="teams", enabled=True),),
    ),
    (
        (MADE, p.ProtocolSwitched(protocol="rest", enabled=False)),
        (p.ProtocolSwitched(protocol="rest", enabled=True),),
    ),
    ((MADE, PHONE), (p.MockPhoneRemoved(number="+4930901822"),)),
    ((MADE, PHONE, p.MockPhoneRemoved(number="+4930901822")), (PHONE,)),
    (
        (MADE, PHONE, p.MockPhoneChanged(number="+4930901822", otp="654321")),
        (p.MockPhoneChanged(number="+4930901822", otp="123456"),),
    ),
    ((MADE, EXAMPLE_OF[p.ProviderConfigured]), (p.ProviderConfigured(provider="google", enabled=False),)),
    ((MADE, SMTP), (p.SmtpConfigured(enabled=False),)),
    ((MADE, TEMPLATE), (p.EmailTemplateChanged(template="recovery", locale="de"),)),
    ((MADE, HOOK), (p.WebhookRemoved(webhook_id=getattr(HOOK, "webhook_id")),)),  # noqa: B009
]


@pytest.mark.parametrize(("facts", "expected"), ONE_BY_ONE, ids=lambda each: type(each[-1]).__name__)
def test_the_last_fact_is_undone_by_these(facts: tuple[Event, ...], expected: tuple[Event, ...]) -> None:
    told = history(*facts)
    planned = undo(told, len(facts))
    assert [each.outcome for each in planned.items] == ["reverted"]
    assert facts_of(planned) == list(expected)


@pytest.mark.parametrize(("facts", "expected"), ONE_BY_ONE, ids=lambda each: type(each[-1]).__name__)
def test_what_was_undone_can_be_undone(facts: tuple[Event, ...], expected: tuple[Event, ...]) -> None:
    told = history(*facts)
    undone = after(told, undo(told, len(facts)))
    again = undo(undone, *range(len(facts) + 1, len(undone) + 1))
    reverts = REVERTS[told[0].stream.partition("-")[0]]
    found = reverts.field_of(facts[-1])
    assert found is not None
    if isinstance(facts[-1], a.IdentityLinked | p.WebhookAdded):
        assert {each.outcome for each in again.items} == {"impossible"}
        return
    now = state(after(undone, again))
    assert reverts.value(now, found) == reverts.value(state(told), found)


ALL_NEVER = [(reverts, event) for reverts in REVERTS.values() for event in reverts.never]


@pytest.mark.parametrize(("reverts", "event"), ALL_NEVER, ids=lambda each: getattr(each, "topic", ""))
def test_what_cannot_be_undone_says_why(reverts: Any, event: type[Event]) -> None:
    planned = undo(history(ALIVE[reverts.decider.category], EXAMPLE_OF[event]), 2)
    assert said(planned) == [("impossible", reverts.never[event])]
    assert not planned.compensations


# Several, and what came between ---------------------------------------------------------------------------------------


def test_several_changes_of_a_field_go_back_to_the_value_before_the_first() -> None:
    told = history(SIGNED_UP, a.NameChanged(name="A"), a.NameChanged(name="B"), a.NameChanged(name="C"))
    planned = undo(told, 2, 3, 4)
    assert facts_of(planned) == [a.NameChanged(name="Walter")]
    assert {(each.outcome, each.before, each.after) for each in planned.items} == {("reverted", "C", "Walter")}


def test_a_later_change_that_was_not_selected_stays_and_is_named() -> None:
    told = history(SIGNED_UP, a.NameChanged(name="A"), a.NameChanged(name="B"))
    planned = undo(told, 2)
    assert said(planned) == [("conflict", "changed since by event 30")]
    assert not planned.compensations


def test_only_what_came_after_the_change_that_stays_is_undone() -> None:
    told = history(SIGNED_UP, a.NameChanged(name="A"), a.NameChanged(name="B"), a.NameChanged(name="C"))
    planned = undo(told, 2, 4)
    assert said(planned) == [("conflict", "changed since by event 30"), ("reverted", "")]
    assert facts_of(planned) == [a.NameChanged(name="B")]


def test_changes_of_other_fields_are_in_nobodys_way() -> None:
    told = history(SIGNED_UP, a.LabelAdded(label="vip"), a.LabelAdded(label="staff"), a.NameChanged(name="A"))
    assert facts_of(undo(told, 2)) == [a.LabelRemoved(label="vip")]


def test_what_was_undone_is_not_undone_twice() -> None:
    told = history(SIGNED_UP, a.NameChanged(name="A"))
    undone = after(told, undo(told, 2))
    assert said(undo(undone, 2)) == [("conflict", "undone already by event 30")]


def test_changes_that_came_to_nothing_are_nothing_to_undo() -> None:
    told = history(SIGNED_UP, a.AccountBlocked(), a.AccountUnblocked())
    assert [each.outcome for each in undo(told, 2, 3).items] == ["nothing", "nothing"]


def test_an_address_that_moved_on_leaves_its_verification_alone() -> None:
    told = history(SIGNED_UP, a.VerifiedEmail(), a.EmailChanged(email="other@example.org"))
    assert said(undo(told, 2)) == [("conflict", "changed since by event 30")]


def test_a_value_is_free_again_before_another_wants_it_back() -> None:
    first = a.TargetAdded(target_id="one", provider_type="email", identifier="x@example.org")
    second = a.TargetAdded(target_id="two", provider_type="email", identifier="y@example.org")
    told = history(
        SIGNED_UP,
        first,
        second,
        a.TargetChanged(target_id="one", identifier="z@example.org"),
        a.TargetChanged(target_id="two", identifier="x@example.org"),
    )
    planned = undo(told, 4, 5)
    assert {each.outcome for each in planned.items} == {"reverted"}
    assert state(after(told, planned)).targets == state(told[:3]).targets
    assert said(undo(told, 4)) == [("impossible", "another target of the account has this address by now")]


# Whole aggregates -----------------------------------------------------------------------------------------------------


def test_a_deleted_account_comes_back_as_it_was_without_its_sessions_and_secrets() -> None:
    facts = [
        SIGNED_UP,
        TARGET,
        a.PasswordChanged(password_hash="one"),
        a.PasswordChanged(password_hash="two"),
        a.VerifiedEmail(),
        a.LabelAdded(label="vip"),
        a.PrefsUpdated(prefs={"x": 1}),
        LINKED,
        a.AuthenticatorAdded(secret="seed"),
        a.AuthenticatorVerified(step=7),
        a.RecoveryCodesGenerated(codes=("a", "b")),
        a.RecoveryCodeUsed(number=0),
        a.MfaSwitchedOn(),
        a.ImpersonatorAppointed(),
        a.AccountBlocked(),
        a.LegalHoldPlaced(reason="a case"),
    ]
    signed_in = EXAMPLE_OF[a.SessionCreated]
    device = EXAMPLE_OF[a.TargetAdded]
    before = history(*facts)
    told = history(*facts, signed_in, device, EXAMPLE_OF[a.TokenIssued], a.AccountDeleted())
    planned = undo(told, len(told))
    assert said(planned) == [("reverted", "")]
    now = state(after(told, planned))
    was = state(before)
    assert now._replace(registered_at=None, accessed_at=None) == was._replace(registered_at=None, accessed_at=None)


def test_an_account_somebody_uses_is_not_deleted_and_keeps_what_it_was_made_with() -> None:
    told = history(SIGNED_UP, TARGET, a.NameChanged(name="A"), requests=("made", "made", "later"))
    assert said(undo(told, 1, 2)) == [("conflict", "changed since by event 30")] * 2
    told = history(SIGNED_UP, TARGET, a.Accessed(), requests=("made", "made", "later"))
    assert facts_of(undo(told, 1, 2)) == [a.AccountDeleted()]


def test_all_that_happened_to_an_account_is_undone_by_ending_it() -> None:
    told = history(SIGNED_UP, TARGET, a.NameChanged(name="A"))
    planned = undo(told, 1, 2, 3)
    assert {each.outcome for each in planned.items} == {"reverted"}
    assert facts_of(planned) == [a.AccountDeleted()]


def test_a_change_and_the_deletion_after_it_are_undone_together() -> None:
    told = history(SIGNED_UP, a.NameChanged(name="A"), a.AccountDeleted())
    planned = undo(told, 2, 3)
    assert {each.outcome for each in planned.items} == {"reverted"}
    assert state(after(told, planned)).name == "Walter"


def test_a_change_before_a_deletion_that_stays_is_a_conflict() -> None:
    told = history(SIGNED_UP, a.NameChanged(name="A"), a.AccountDeleted())
    assert said(undo(told, 2)) == [("conflict", "it ended with event 30")]


def test_what_was_made_and_ended_is_nothing_to_undo() -> None:
    told = history(SIGNED_UP, a.NameChanged(name="A"), a.AccountDeleted())
    assert [each.outcome for each in undo(told, 1, 2, 3).items] == ["nothing"] * 3


def test_a_member_who_came_back_another_way_keeps_that() -> None:
    other = MEMBER.model_copy(update={"membership_id": "n"})
    told = history(TEAM, MEMBER, t.MemberRemoved(membership_id="m"), other)
    assert said(undo(told, 3)) == [("impossible", "the account has another membership of the team by now")]


# Rights ---------------------------------------------------------------------------------------------------------------


def test_T23_a_key_gives_no_other_key_back_more_than_it_has() -> None:
    told = history(MADE, KEY, p.ApiKeyUpdated(key_id="backend", name="Backend", scopes=()))
    gone = history(MADE, KEY, p.ApiKeyDeleted(key_id="backend"))
    small, large = Grant.of({"keys.write"}, None), Grant.of({"keys.write", "users.read"}, None)
    for facts in (told, gone):
        assert [each.outcome for each in undo(facts, 3, permitted=within(small)).items] == ["impossible"]
        assert [each.outcome for each in undo(facts, 3, permitted=within(large)).items] == ["reverted"]
        short = Grant.of({"keys.write", "users.read"}, NOON)
        assert [each.outcome for each in undo(facts, 3, permitted=within(short)).items] == ["impossible"]


def test_no_secret_is_shown() -> None:
    for reverts in REVERTS.values():
        for event in reverts.sets:
            facts = history(ALIVE[reverts.decider.category], EXAMPLE_OF[event])
            for item in undo(facts, 2).items:
                assert not any(secret in repr((item.before, item.after)) for secret in SECRETS), item


SECRETS = ("argon2", "their-", "JBSWY3DPEHPK3PXP", '123456"', "secret")


def test_of_an_erased_person_nothing_is_undone() -> None:
    told = [replace(each, erased=True) for each in history(SIGNED_UP, a.NameChanged(name=""))]
    assert said(undo(told, 2)) == [("impossible", "what was personal is erased for good")]


def test_a_plan_says_what_scopes_it_needs() -> None:
    assert undo(history(SIGNED_UP, a.NameChanged(name="A")), 2).scopes == {"users.write"}
    assert undo(history(MADE, KEY), 2).scopes == {"keys.write"}
    assert undo(history(MADE, p.SmtpTested(recipients=1)), 2).scopes == frozenset()


def test_many_fields_in_a_long_history_are_looked_at_only_where_they_change() -> None:
    looked = 0
    label = REVERTS["account"].fields["label"]

    def value(account: Any, of: str) -> Any:
        nonlocal looked
        looked += 1
        return label.value(account, of)

    told = history(SIGNED_UP, *(a.LabelAdded(label=f"l{nth}") for nth in range(200)))
    watched = replace(REVERTS["account"], fields={**REVERTS["account"].fields, "label": replace(label, value=value)})
    planned = plan(watched, told, {each.position for each in told[1:]})
    assert len(planned.compensations) == 200
    assert looked < 200 * 20
