"""The verifiable log. Hashes are in base64; `docs/operate/audit.md` says how to check them."""

from typing_extensions import TypedDict

from accounts_es.eventstore.ledger.entry import Entry


class AuditKey(TypedDict):
    """The key that signs checkpoints: ``verifier`` in the encoding of C2SP signed-note."""

    origin: str
    verifier: str
    publicKey: str


class AuditCheckpoint(TypedDict):
    """A signed statement of what the first ``size`` events are. The other fields stand in the ``note``."""

    origin: str
    size: int
    root: str
    note: str


class AuditProof(TypedDict):
    """What shows that an event is in the log of a checkpoint."""

    event: Entry
    index: int
    size: int
    path: list[str]
    checkpoint: str


AuditConsistency = TypedDict(
    "AuditConsistency", {"from": int, "to": int, "fromRoot": str, "toRoot": str, "path": list[str]}
)
"""What shows that a smaller log is the beginning of a larger one."""
