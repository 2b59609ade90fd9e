"""Merkle trees as RFC 9162, section 2.1, defines them: roots, proofs of inclusion, proofs of consistency.

Everything is computed from nodes: ``Node(height, index)`` is the hash over the leaves from ``index * 2**height`` on,
``2**height`` of them, all of which are there.
"""

import hashlib
from collections.abc import Callable
from typing import Final

HASH_BYTES: Final = 32
EMPTY: Final = hashlib.sha256(b"").digest()
"""The root of a tree without leaves."""

Node = Callable[[int, int], bytes]


def leaf_hash(content: bytes) -> bytes:
    """The hash of a leaf."""
    return hashlib.sha256(b"\x00" + content).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def fold(hashes: list[bytes]) -> bytes:
    """The hash over a full subtree's hashes of one height."""
    while len(hashes) > 1:
        hashes = [node_hash(*hashes[at : at + 2]) for at in range(0, len(hashes), 2)]
    return hashes[0]


def root(size: int, node: Node) -> bytes:
    """The root of the tree of the first ``size`` leaves."""
    return _over(0, size, node) if size else EMPTY


def inclusion(index: int, size: int, node: Node) -> list[bytes]:
    """PATH(index, D[size]): what leads from a leaf to the root, from the leaf upwards (2.1.3)."""
    if not 0 <= index < size:
        raise ValueError("there is no such leaf")
    path: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append(_over(middle, end, node))
            end = middle
        else:
            path.append(_over(start, middle, node))
            start = middle
    return path[::-1]


def consistency(old: int, new: int, node: Node) -> list[bytes]:
    """PROOF(old, D[new]): what shows that the smaller tree begins the larger one (2.1.4)."""
    if not 0 < old <= new:
        raise ValueError("there is no such tree")
    path: list[bytes] = []
    start, end = 0, new
    while end != old:
        middle = start + _split(end - start)
        if old <= middle:
            path.append(_over(middle, end, node))
            end = middle
        else:
            path.append(_over(start, middle, node))
            start = middle
    # The smaller tree itself is known to whoever checks; a part of it is not.
    return [*([_over(start, end, node)] if start else []), *path[::-1]]


def _split(count: int) -> int:
    """The largest power of two below ``count``."""
    return 1 << (count - 1).bit_length() - 1


def _over(start: int, end: int, node: Node) -> bytes:
    """MTH of the leaves from ``start`` to ``end``, which begin where a subtree of their size can."""
    count = end - start
    if count.bit_count() == 1:
        height = count.bit_length() - 1
        return node(height, start >> height)
    middle = start + _split(count)
    return node_hash(_over(start, middle, node), _over(middle, end, node))
