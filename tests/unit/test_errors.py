"""Refusals are named after their wire types, and those are the ones of the contract."""

from collections.abc import Iterator

import pytest

from accounts_es.domain import errors
from accounts_es.domain.errors import Refusal

# The contract's error tables (cross-cutting, 5.1 to 5.3; users-teams, 5): every type with its status.
CONTRACT = """
    general_unknown 500, general_server_error 500, general_mock 400, general_access_forbidden 401,
    general_resource_blocked 403, general_unknown_origin 403, general_api_disabled 403, general_service_disabled 403,
    general_unauthorized_scope 401, general_rate_limit_exceeded 429, general_resource_locked 409,
    general_smtp_disabled 503, general_phone_disabled 503, general_argument_invalid 400, general_query_invalid 400,
    general_cursor_not_found 400, general_route_not_found 404, general_protocol_unsupported 426,
    general_codes_disabled 500, general_usage_disabled 501, general_not_implemented 405, general_invalid_email 400,
    general_invalid_phone 400, general_region_access_denied 451, general_bad_request 400,
    general_feature_unsupported 400,

    user_count_exceeded 400, user_console_count_exceeded 501, user_jwt_invalid 401, user_jwt_and_cookie_set 403,
    user_jwt_creation_denied 403, user_api_key_and_session_set 403, user_already_exists 409, user_blocked 403,
    user_invalid_token 401, user_invalid_code 401, user_password_reset_required 412, user_email_not_whitelisted 401,
    user_ip_not_whitelisted 401, user_invalid_credentials 401, user_anonymous_console_prohibited 401,
    user_session_already_exists 401, user_not_found 404, user_email_not_found 400, user_phone_not_found 400,
    user_email_already_exists 409, user_phone_already_exists 409, user_email_disposable 400, user_email_free 400,
    user_email_not_canonical 400, user_email_not_corporate 400, user_password_mismatch 400,
    password_recently_used 400, password_personal_data 400, user_session_not_found 404, user_identity_not_found 404,
    user_unauthorized 401, user_auth_method_unsupported 501, user_recovery_codes_already_exists 409,
    user_recovery_codes_not_found 404, user_authenticator_not_found 404, user_authenticator_already_verified 409,
    user_missing_id 400, user_more_factors_required 401, user_challenge_required 401, user_oauth2_bad_request 400,
    user_oauth2_unauthorized 401, user_oauth2_provider_error 424, user_oauth2_provider_failure 424,
    user_email_not_verified 400, user_phone_not_verified 400, user_email_already_verified 409,
    user_phone_already_verified 409, user_deletion_prohibited 400, user_target_not_found 404,
    user_target_already_exists 409, api_key_expired 401, account_key_expired 401, project_key_expired 401,
    user_id_missing 403, organization_id_missing 403, project_id_missing 403,

    team_not_found 404, team_invite_not_found 404, team_invalid_secret 401, team_membership_mismatch 404,
    team_invite_mismatch 401, team_already_exists 409, membership_not_found 404, membership_already_confirmed 409,
    membership_deletion_prohibited 400, membership_downgrade_prohibited 400, token_not_found 404, token_expired 401,
    token_resource_type_invalid 400, mock_number_not_found 404, mock_number_already_exists 409,
    mock_number_limit_exceeded 400, target_provider_invalid_type 400, document_not_found 404,
    database_query_order_null 400,
    project_not_found 404, project_already_exists 409, project_provider_disabled 412,
    project_provider_unsupported 400, project_invalid_success_url 400, project_invalid_failure_url 400,
    project_reserved_project 400, project_smtp_config_invalid 400, project_template_default_deletion 401,
    project_region_unsupported 400, webhook_not_found 404, webhook_already_exists 409, key_not_found 404,
    key_already_exists 409, key_creation_denied 403, dev_key_gone 410, platform_not_found 404,
    platform_already_exists 409, platform_method_unsupported 400, provider_not_found 404, provider_already_exists 409
"""
STATUS_OF = {name: int(status) for name, status in (entry.split() for entry in CONTRACT.split(","))}

# Said by no Appwrite server: they answer what it has no word for.
OURS = {
    "access_forbidden": 403,
    "audit_event_not_found": 404,
    "audit_checkpoint_not_found": 404,
    "resource_not_found": 404,
    "resource_already_exists": 409,
    "webhook_position_invalid": 400,
    "revert_too_large": 400,
    "user_erased": 410,
    "user_under_legal_hold": 409,
    "general_service_unavailable": 503,
    "general_idempotency_key_reused": 409,
    "health_projections_behind": 503,
}

# Every other status reaches the client as 500 (contract, beginning of 5).
ON_THE_WIRE = {400, 401, 402, 403, 404, 405, 408, 409, 410, 412, 416, 422, 429, 451, 500, 501, 503}


def refusals(of: type[Refusal] = Refusal) -> Iterator[type[Refusal]]:
    for each in of.__subclasses__():
        if each.__module__ == errors.__name__:
            yield each
            yield from refusals(each)


ALL = list(refusals())


def test_the_types_are_derived_from_the_names() -> None:
    assert errors.UserSessionNotFound.wire_type == "user_session_not_found"
    assert errors.GeneralUnknown.wire_type == "general_unknown"
    assert len({each.wire_type for each in ALL}) == len(ALL)


@pytest.mark.parametrize("refusal", ALL, ids=lambda each: each.__name__)
def test_every_refusal_is_one_of_the_contract_or_knowingly_ours(refusal: type[Refusal]) -> None:
    assert {**STATUS_OF, **OURS}.get(refusal.wire_type) == refusal.status
    assert refusal.wire_status in ON_THE_WIRE


def test_what_is_ours_is_not_in_the_contract_and_in_use() -> None:
    assert not OURS.keys() & STATUS_OF.keys()
    assert OURS.keys() <= {each.wire_type for each in ALL}


@pytest.mark.parametrize("refusal", ALL, ids=lambda each: each.__name__)
def test_every_refusal_says_in_one_line_what_is_wrong(refusal: type[Refusal]) -> None:
    message = refusal().message
    assert message
    assert "\n" not in message
    assert message == message.strip()
    assert str(refusal()) == message


def test_a_refusal_may_say_more_than_its_class() -> None:
    assert errors.UserNotFound("no such user").message == "no such user"
