"""What an account decides: generator functions from a state and plain arguments to events, or a refusal."""

from accounts_es.domain.account.commands.administration import (
    delete_account,
    replace_labels,
    set_active,
    set_email_verification,
    set_impersonator,
    set_phone_verification,
)
from accounts_es.domain.account.commands.credentials import change_email, change_password, change_phone, rehash_password
from accounts_es.domain.account.commands.erasure import erase, lift_hold, place_hold
from accounts_es.domain.account.commands.identities import (
    begin_with_provider,
    come_from_provider,
    link_identity,
    remove_identity,
    renew_tokens,
)
from accounts_es.domain.account.commands.invitations import follow_invitation
from accounts_es.domain.account.commands.mfa import (
    add_authenticator,
    create_challenge,
    generate_recovery_codes,
    pass_challenge,
    regenerate_recovery_codes,
    remove_authenticator,
    switch_mfa,
    verify_authenticator,
)
from accounts_es.domain.account.commands.profile import change_name, note_access, update_prefs
from accounts_es.domain.account.commands.sessions import create_session, delete_session, delete_sessions, extend_session
from accounts_es.domain.account.commands.signup import bring_along, sign_up, sign_up_anonymously
from accounts_es.domain.account.commands.targets import add_target, change_target, remove_target
from accounts_es.domain.account.commands.tokens import (
    issue_email_verification,
    issue_phone_verification,
    issue_token,
    recover_password,
    sign_in_with_token,
    verify_email_with_token,
    verify_phone_with_token,
)

__all__ = [
    "add_authenticator",
    "add_target",
    "begin_with_provider",
    "bring_along",
    "change_email",
    "change_name",
    "change_password",
    "change_phone",
    "change_target",
    "come_from_provider",
    "create_challenge",
    "create_session",
    "delete_account",
    "delete_session",
    "delete_sessions",
    "erase",
    "extend_session",
    "follow_invitation",
    "generate_recovery_codes",
    "issue_email_verification",
    "issue_phone_verification",
    "issue_token",
    "lift_hold",
    "link_identity",
    "note_access",
    "pass_challenge",
    "place_hold",
    "recover_password",
    "regenerate_recovery_codes",
    "rehash_password",
    "remove_authenticator",
    "remove_identity",
    "remove_target",
    "renew_tokens",
    "replace_labels",
    "set_active",
    "set_email_verification",
    "set_impersonator",
    "set_phone_verification",
    "sign_in_with_token",
    "sign_up",
    "sign_up_anonymously",
    "switch_mfa",
    "update_prefs",
    "verify_authenticator",
    "verify_email_with_token",
    "verify_phone_with_token",
]
