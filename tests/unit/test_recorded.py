"""What has to be recorded is tried: every way to authenticate, and every refusal of access."""

from typing import Final

from accounts_es.domain import errors
from accounts_es.domain.errors import Refusal
from accounts_es.http.api import DENIALS
from tests.http.test_authentication_recorded import AUTHENTICATING, NOTHING_TO_SHOW, WRONG
from tests.http.test_denials_recorded import PROVOKE

OTHERWISE: Final = {
    "a refused sign-in": {errors.UserInvalidCredentials, errors.UserInvalidToken, errors.TeamInvalidSecret},
    "there is no project to record it in": {errors.ProjectNotFound},
    "switched off, for everybody": {errors.GeneralApiDisabled, errors.GeneralServiceDisabled},
    "asked for wrongly, and nobody else's": {
        errors.GeneralRouteNotFound,
        errors.GeneralUnknownOrigin,
        errors.UserJwtAndCookieSet,
        errors.UserSessionAlreadyExists,
        errors.UserAuthenticatorNotFound,
        errors.UserRecoveryCodesNotFound,
        errors.MockNumberNotFound,
        errors.AuditCheckpointNotFound,
    },
}
"""Refusals of access, or so it seems, that are no denied accesses."""


def test_T49_every_operation_that_authenticates_is_made_to_fail() -> None:
    assert {each.id for each in AUTHENTICATING} == WRONG.keys() | NOTHING_TO_SHOW


def test_T50_every_refusal_of_access_is_provoked_or_explained() -> None:
    denying = {
        each
        for each in vars(errors).values()
        if isinstance(each, type) and issubclass(each, Refusal) and each.status in {401, 403, 404}
    } - {Refusal}
    assert set(DENIALS) == PROVOKE.keys()
    assert denying == {*DENIALS, *(each for group in OTHERWISE.values() for each in group)}
