"""``accounts-es version``."""

from importlib.metadata import version as installed

from accounts_es.settings import SERVER_VERSION


def version() -> None:
    """Print the version of accounts-es and the level of the wire contract it speaks."""
    print(f"accounts-es {installed('accounts-es')} (wire contract {SERVER_VERSION})")
