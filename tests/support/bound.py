"""Master keys as those of databases that do not exist."""

from accounts_es.eventstore.keys import BoundKey, LogKeys, MasterKey


def bound(master: MasterKey) -> BoundKey:
    """The key of a database whose first one it is."""
    return master.bound(master.first_check())


def ring(master: MasterKey) -> LogKeys:
    """A ring that makes keys for it."""
    return LogKeys(bound(master))
