"""The log made verifiable: a Merkle tree over its events, and signed checkpoints of it.

`entry` says what of an event is hashed, `merkle` how hashes become roots and proofs, `tiles` where they are kept,
`note` how a root is signed.
"""
