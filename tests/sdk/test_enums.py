"""What the SDKs let their users choose from is there."""

import re

from accounts_es.adapters.providers import MOCKS, PROVIDERS
from tests.support.tools import SDK

UNKNOWN = {"cloudflare", "resend", "tiktok"}
"""Newer than the contract's level: they are answered 400."""


def test_the_oauth_providers() -> None:
    enum = (SDK / "node_modules/appwrite/types/enums/o-auth-provider.d.ts").read_text()
    assert set(re.findall(r'= "([\w-]+)"', enum)) - UNKNOWN == set(PROVIDERS) - MOCKS
