"""What a project registered at providers, and the tokens they gave."""

import logging
from datetime import datetime, timedelta
from typing import Final

from accounts_es.adapters.oauth import App, Grant, NotConfigured, ProviderFailed
from accounts_es.adapters.providers import MOCKS, PROVIDERS
from accounts_es.domain.account import ACCOUNT
from accounts_es.domain.account.profiles import ProviderTokens
from accounts_es.domain.errors import ProjectProviderDisabled, ProjectProviderUnsupported
from accounts_es.domain.project import PROJECT
from accounts_es.http.context import Context

log = logging.getLogger(__name__)

LONGEST: Final = 10 * 365 * 86_400
"""Seconds: what a provider may say its tokens are good for, before it is taken at its word no longer."""


async def app_of(ctx: Context, provider: str) -> App:
    """The project's registration at a provider.

    Raises `ProjectProviderUnsupported` and `ProjectProviderDisabled`.
    """
    facts = PROVIDERS.get(provider)
    if facts is None or (provider in MOCKS and not ctx.services.settings.mock_providers):
        raise ProjectProviderUnsupported
    configured = (await ctx.load(PROJECT, ctx.required_project.stream)).providers.get(provider)
    if configured is None or not configured.enabled:
        raise ProjectProviderDisabled
    app = App(provider, facts, configured.client_id, configured.settings, ctx.root)
    if not app.complete:
        raise ProjectProviderDisabled
    return app


def tokens_of(grant: Grant, at: datetime) -> ProviderTokens:
    """The tokens of a grant given at this time."""
    expires_at = at + timedelta(seconds=min(grant.expires_in, LONGEST)) if grant.expires_in is not None else None
    return ProviderTokens(grant.access, grant.refresh, expires_at)


async def renewed_tokens(ctx: Context, stream: str, session_id: str) -> ProviderTokens | None:
    """Newer tokens from the provider of a session, where it has a refresh token.

    A provider that gives none, or is away, keeps nobody from using their session here.
    """
    session = (await ctx.load(ACCOUNT, stream)).sessions.get(session_id)
    if session is None or not session.provider_refresh_token:
        return None
    try:
        app = await app_of(ctx, session.provider)
        return tokens_of(await ctx.services.oauth.refresh(app, session.provider_refresh_token), ctx.at)
    except (ProjectProviderDisabled, ProjectProviderUnsupported, NotConfigured, ProviderFailed) as error:
        log.warning("provider's tokens not renewed", extra={"request": ctx.request.id, "error": type(error).__name__})
        return None
