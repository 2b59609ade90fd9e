"""Check an exported log, or one proof, against signed checkpoints. Needs this file, Python 3.11 and `cryptography`.

    python verify_audit.py --key KEY --checkpoint FILE... EXPORT
    python verify_audit.py --key KEY --proof FILE [--checkpoint FILE...]
    python verify_audit.py --key KEY --consistency FILE --checkpoint FILE...
    python verify_audit.py --key KEY --certificate FILE

KEY is what `GET /v1/audit/key` calls `verifier`, or a file with it. It must come from whoever runs the server, not from
where the log came from. Ends with 1 and the first thing that is wrong.
"""

import argparse
import base64
import binascii
import hashlib
import json
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

FORMAT: Final = b"accounts-es/event/1\n"
FIELDS: Final = {
    "position": int,
    "stream": str,
    "version": int,
    "topic": str,
    "digest": str,
    "project": str,
    "recorded": str,
    "actor": str,
    "operation": str,
    "request": str,
    "correlation": str,
}
"""What a leaf is made of, in this order."""
NOTE: Final = re.compile(
    r"(?P<text>(?P<origin>[^\n]+)\n(?P<size>0|[1-9][0-9]{0,18})\n(?P<root>[A-Za-z0-9+/]{43}=)\n(?:[^\n]+\n)*)"
    r"\n(?P<signatures>(?:\N{EM DASH} [^\n ]+ [A-Za-z0-9+/]+=*\n)+)\n*"
)


class Wrong(Exception):  # noqa: N818
    """What is wrong, in one sentence."""


class Key(NamedTuple):
    """A verifier key (C2SP signed-note)."""

    name: str
    id: bytes
    public: Ed25519PublicKey


class Checkpoint(NamedTuple):
    """What somebody signed: the first ``size`` events have this root."""

    size: int
    root: bytes
    source: str

    def __str__(self) -> str:
        return f"the checkpoint of {self.size} events in {self.source}"


# Hashing (RFC 9162, 2.1) ----------------------------------------------------------------------------------------------


def leaf_hash(content: bytes) -> bytes:
    """The hash of a leaf."""
    return hashlib.sha256(b"\x00" + content).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Tree:
    """A tree that grows, of which only the full subtrees at its edge are kept."""

    def __init__(self) -> None:
        self.size = 0
        self._edge: list[bytes] = []

    def add(self, leaf: bytes) -> None:
        """Put a leaf behind the others."""
        carried = self.size
        while carried & 1:
            leaf = node_hash(self._edge.pop(), leaf)
            carried >>= 1
        self._edge.append(leaf)
        self.size += 1

    @property
    def root(self) -> bytes:
        """The hash over all leaves."""
        if not self._edge:
            return hashlib.sha256(b"").digest()
        root = self._edge[-1]
        for left in reversed(self._edge[:-1]):
            root = node_hash(left, root)
        return root


def root_by_inclusion(index: int, size: int, leaf: bytes, path: Sequence[bytes]) -> bytes:
    """The root that a path leads to from a leaf (2.1.3.2). Raises `Wrong`."""
    if not 0 <= index < size:
        raise Wrong(f"there is no leaf {index} in a tree of {size}")
    at, last, root = index, size - 1, leaf
    for step in path:
        if last == 0:
            raise Wrong("the path is too long")
        if at & 1 or at == last:
            root = node_hash(step, root)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            root = node_hash(root, step)
        at, last = at >> 1, last >> 1
    if last:
        raise Wrong("the path is too short")
    return root


def check_consistency(old: Checkpoint, new: Checkpoint, path: Sequence[bytes]) -> None:
    """The smaller tree begins the larger one (2.1.4.2). Raises `Wrong`."""
    if not 0 < old.size <= new.size:
        raise Wrong(f"a tree of {old.size} does not begin one of {new.size}")
    if old.size == new.size:
        if path or old.root != new.root:
            raise Wrong(f"{old} and {new} differ: the log was forked")
        return
    steps = [old.root, *path] if old.size.bit_count() == 1 else list(path)
    if not steps:
        raise Wrong("the path is too short")
    at, last = old.size - 1, new.size - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    before = after = steps[0]
    for step in steps[1:]:
        if last == 0:
            raise Wrong("the path is too long")
        if at & 1 or at == last:
            before, after = node_hash(step, before), node_hash(step, after)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            after = node_hash(after, step)
        at, last = at >> 1, last >> 1
    if last or before != old.root or after != new.root:
        raise Wrong(f"{old} is not the beginning of {new}")


# Reading --------------------------------------------------------------------------------------------------------------


def unbase64(text: Any, what: str) -> bytes:
    """Bytes in the one way of writing them. Raises `Wrong`."""
    try:
        found = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError, TypeError):
        raise Wrong(f"{what} is not base64") from None
    if base64.b64encode(found).decode() != text:
        raise Wrong(f"{what} is not written as base64 is")
    return found


def parsed(text: str, what: str) -> dict[str, Any]:
    """A JSON object in which no name stands twice. Raises `Wrong`."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(found := dict(pairs)) != len(pairs):
            raise Wrong(f"{what}: a name stands twice")
        return found

    try:
        found = json.loads(text, object_pairs_hook=once)
    except (ValueError, RecursionError):
        raise Wrong(f"{what} is not JSON") from None
    if not isinstance(found, dict):
        raise Wrong(f"{what} is not an object")
    return cast("dict[str, Any]", found)


def leaf(event: dict[str, Any], what: str) -> bytes:
    """The leaf of an event; of an exported one from its stored bytes, of one in a proof from their digest."""
    fields = dict(event)
    if "state" in fields:
        if "digest" in fields:
            raise Wrong(f"{what} has both its bytes and their digest")
        fields["digest"] = hashlib.sha256(unbase64(fields.pop("state"), f"{what}: state")).hexdigest()
    if fields.keys() != FIELDS.keys():
        raise Wrong(f"{what} lacks fields or has others: {', '.join(sorted(fields.keys() ^ FIELDS.keys()))}")
    content = FORMAT
    for name, kind in FIELDS.items():
        if type(fields[name]) is not kind:
            raise Wrong(f"{what}: {name} is of another type")
        try:
            encoded = str(fields[name]).encode()
        except UnicodeEncodeError:
            raise Wrong(f"{what}: {name} is not text") from None
        content += len(encoded).to_bytes(4, "big") + encoded
    return leaf_hash(content)


def read_key(text: str) -> Key:
    """A verifier key. Raises `Wrong`."""
    match = re.fullmatch(r"([^\s+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]+=*)", text.strip())
    if match is None:
        raise Wrong("the key is not a verifier key (name+id+key)")
    name, encoded = match[1], unbase64(match[3], "the key")
    id_ = hashlib.sha256(name.encode() + b"\n" + encoded).digest()[:4]
    if encoded[:1] != b"\x01" or len(encoded) != 33 or id_.hex() != match[2]:
        raise Wrong("the key is damaged, or not of Ed25519")
    return Key(name, id_, Ed25519PublicKey.from_public_bytes(encoded[1:]))


def read_notes(text: str, source: str, key: Key) -> Iterator[Checkpoint]:
    """The checkpoints in a file, each with a good signature of this key. Raises `Wrong`."""
    at = 0
    while at < len(text):
        note = NOTE.match(text, at)
        if note is None:
            if re.search(r"\n\n\N{EM DASH} [^\n]*\n", text[at:]) is None and at:
                print(f"{source}: the last note is incomplete and was left out")
                return
            raise Wrong(f"{source} holds something that is no checkpoint, at character {at}")
        found = Checkpoint(int(note["size"]), base64.b64decode(note["root"]), source)
        if note["origin"] != key.name:
            raise Wrong(f"{found} is of another log: {note['origin']!r}")
        check_signature(note["text"], note["signatures"], found, key)
        yield found
        at = note.end()


def check_signature(text: str, signatures: str, checkpoint: Checkpoint, key: Key) -> None:
    """One of the signatures is the key's. Raises `Wrong`."""
    for line in signatures.splitlines():
        _, name, encoded = line.split(" ")
        signature = unbase64(encoded, f"{checkpoint}: a signature")
        if name == key.name and signature[:4] == key.id:
            try:
                key.public.verify(signature[4:], text.encode())
            except InvalidSignature:
                raise Wrong(f"{checkpoint} has a false signature") from None
            return
    raise Wrong(f"{checkpoint} is not signed by this key")


def check_certificate(text: str, key: Key) -> str:
    """A certificate of erasure is signed by this key. Says what it says; raises `Wrong`."""
    body, dash, signature = text.rpartition("\n\N{EM DASH} ")
    lines = body.splitlines()
    if not dash or lines[:2] != ["accounts-es/erasure/1", f"log: {key.name}"] or len(signature.split("\n")) != 2:
        raise Wrong("it is no certificate of an erasure in this log")
    name, _, encoded = signature.removesuffix("\n").partition(" ")
    signed = unbase64(encoded, "the signature")
    if name != key.name or signed[:4] != key.id:
        raise Wrong("the certificate is not signed by this key")
    try:
        key.public.verify(signed[4:], body.encode())
    except InvalidSignature:
        raise Wrong("the certificate has a false signature") from None
    return "certified: " + ", ".join(lines[2:])


# Checking -------------------------------------------------------------------------------------------------------------


def check_export(lines: Iterable[str], checkpoints: Iterable[Checkpoint]) -> str:
    """All events are those that were signed, in their order, none missing. Says what was checked; raises `Wrong`.

    The roots at all sizes are computed from one reading, so the checkpoints are consistent with each other as well.
    """
    waiting = sorted(set(checkpoints))
    if not waiting:
        raise Wrong("there is no checkpoint")
    count, covered, position, tree = len(waiting), 0, 0, Tree()
    # Nothing stands for the end, so that a checkpoint of all events is looked at as well.
    for line in chain(lines, [None]):
        while waiting and waiting[0].size == tree.size:
            if tree.root != waiting[0].root:
                raise Wrong(
                    f"{waiting[0]} does not fit: of events {covered + 1} to {tree.size} (up to position {position}) "
                    "some were changed, added, removed or moved"
                )
            covered = waiting.pop(0).size
        if line is None:
            break
        what = f"line {tree.size + 1}"
        event = parsed(line, what)
        hashed = leaf(event, what)
        if event["position"] <= position:
            raise Wrong(f"{what}: position {event['position']} comes after position {position}")
        position = event["position"]
        tree.add(hashed)
    if waiting:
        raise Wrong(f"the export ends after {tree.size} events (position {position}), before {waiting[-1]}")
    beyond = f"; the {tree.size - covered} after them are not signed yet" if tree.size > covered else ""
    return f"{covered} events are those signed in {count} checkpoints{beyond}"


def check_proof(text: str, key: Key, checkpoints: Iterable[Checkpoint]) -> str:
    """The event of a proof is in the tree of its checkpoint. Says what was checked; raises `Wrong`."""
    proof = parsed(text, "the proof")
    try:
        event, index, path = proof["event"], proof["index"], [unbase64(each, "a hash") for each in proof["path"]]
        (signed,) = read_notes(proof["checkpoint"], "the proof", key)
        hashed = leaf(event, "the event")
        root = root_by_inclusion(index, signed.size, hashed, path)
    except (KeyError, TypeError, ValueError):
        raise Wrong("the proof lacks something") from None
    if root != signed.root:
        raise Wrong(f"the event at position {event['position']} is not event {index + 1} of {signed}")
    for other in checkpoints:
        if other.size == signed.size and other.root != signed.root:
            raise Wrong(f"{signed} and {other} differ: the log was forked")
    return f"the event at position {event['position']} is event {index + 1} of {signed}"


def check_both(text: str, checkpoints: Sequence[Checkpoint]) -> str:
    """Of two checkpoints one begins the other. Says what was checked; raises `Wrong`."""
    proof = parsed(text, "the proof")
    try:
        path = [unbase64(each, "a hash") for each in proof["path"]]
        pairs = [(a, b) for a in checkpoints for b in checkpoints if (a.size, b.size) == (proof["from"], proof["to"])]
    except (KeyError, TypeError):
        raise Wrong("the proof lacks something") from None
    if not pairs:
        raise Wrong("there is no checkpoint of one of the two sizes")
    for old, new in pairs:
        check_consistency(old, new, path)
    return f"{pairs[0][0]} is the beginning of {pairs[0][1]}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Check what the command line says."""
    parser = argparse.ArgumentParser(description="Check an exported log, or one proof, against signed checkpoints.")
    parser.add_argument("--key", required=True, help="the verifier key, or a file with it")
    parser.add_argument("--checkpoint", action="append", default=[], type=Path, metavar="FILE", help="with notes in it")
    parser.add_argument("--proof", type=Path, metavar="FILE", help="an answer of GET /v1/audit/proof")
    parser.add_argument("--consistency", type=Path, metavar="FILE", help="an answer of GET /v1/audit/consistency")
    parser.add_argument("--certificate", type=Path, metavar="FILE", help="of an erasure")
    parser.add_argument("export", nargs="?", type=Path, help="a file written by accounts-es audit --export")
    given = parser.parse_args(arguments)
    asked = (given.export, given.proof, given.consistency, given.certificate)
    if all(each is None for each in asked):
        parser.error("name an export, a proof, a consistency proof or a certificate")
    if not given.checkpoint and (given.export is not None or given.consistency is not None):
        parser.error("name at least one checkpoint")
    try:
        key = read_key(Path(given.key).read_text("utf-8") if Path(given.key).is_file() else given.key)
        checkpoints = [
            found
            for path in given.checkpoint
            for found in read_notes(path.read_bytes().decode(errors="replace"), str(path), key)
        ]
        if given.export is not None:
            with given.export.open(encoding="utf-8", newline="\n") as lines:
                print(f"good: {check_export(lines, checkpoints)}")
        if given.proof is not None:
            print(f"good: {check_proof(given.proof.read_text('utf-8'), key, checkpoints)}")
        if given.consistency is not None:
            print(f"good: {check_both(given.consistency.read_text('utf-8'), checkpoints)}")
        if given.certificate is not None:
            print(f"good: {check_certificate(given.certificate.read_text('utf-8'), key)}")
    except Wrong as wrong:
        print(f"WRONG: {wrong}")
        return 1
    except (OSError, UnicodeDecodeError) as error:
        print(f"WRONG: cannot be read: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
