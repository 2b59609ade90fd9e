"""The tree is that of RFC 9162: known vectors, an independent implementation, and the verifier's own arithmetic."""

import base64
import hashlib
import random
from collections.abc import Callable

import pytest
from pymerkle import InmemoryTree
from pymerkle import verify_consistency as pymerkle_consistency
from pymerkle import verify_inclusion as pymerkle_inclusion

from accounts_es.eventstore.ledger.merkle import EMPTY, consistency, fold, inclusion, leaf_hash, root
from accounts_es.eventstore.ledger.note import Checkpoint, Signer, read
from accounts_es.eventstore.ledger.tiles import HASH_BYTES, WIDTH, Tiles, split, wanted
from tests.support.verifier import verifier

# The test data of the Certificate Transparency implementations (RFC 6962).
LEAVES = [
    bytes.fromhex(each)
    for each in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
PATHS = {
    (0, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (5, 8): [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 3): ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"],
}
CONSISTENT = {
    (1, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (6, 8): [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 5): [
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
}


def all_tiles(leaves: list[bytes]) -> Callable[[list[int], list[int]], Tiles]:
    """The tiles of a tree; only those asked for are found."""
    rows, level, hashes = {}, 0, leaves
    while hashes:
        parts = [hashes[at : at + WIDTH] for at in range(0, len(hashes), WIDTH)]
        rows |= {(level, tile): b"".join(part) for tile, part in enumerate(parts)}
        level, hashes = level + 1, [fold(part) for part in parts if len(part) == WIDTH]
    return lambda levels, tiles: Tiles((*at, rows[at]) for at in zip(levels, tiles, strict=True) if at in rows)


def checkpoint(size: int, root_hash: bytes) -> object:
    return verifier.Checkpoint(size, root_hash, "test")


SMALL = all_tiles([leaf_hash(each) for each in LEAVES])(*wanted(8))


@pytest.mark.parametrize("size", range(9))
def test_roots_are_those_of_certificate_transparency(size: int) -> None:
    tree = verifier.Tree()
    for each in LEAVES[:size]:
        tree.add(verifier.leaf_hash(each))
    assert root(size, SMALL.node).hex() == tree.root.hex() == ROOTS[size]


def test_the_empty_tree_has_the_root_of_the_standard() -> None:
    assert hashlib.sha256().digest() == EMPTY


@pytest.mark.parametrize(("index", "size"), PATHS)
def test_paths_are_those_of_certificate_transparency(index: int, size: int) -> None:
    assert [each.hex() for each in inclusion(index, size, SMALL.node)] == PATHS[index, size]


@pytest.mark.parametrize(("old", "new"), CONSISTENT)
def test_consistency_proofs_are_those_of_certificate_transparency(old: int, new: int) -> None:
    assert [each.hex() for each in consistency(old, new, SMALL.node)] == CONSISTENT[old, new]


def test_T53_an_independent_implementation_agrees_on_every_root_and_proof() -> None:
    contents = [f"event {nth}".encode() for nth in range(600)]
    theirs = InmemoryTree(algorithm="sha256")
    for content in contents:
        theirs.append_entry(content)
    tiles = all_tiles([leaf_hash(content) for content in contents])
    chance = random.Random(9162)
    for _ in range(300):
        size = chance.randint(1, 600)
        index, old = chance.randrange(size), chance.randint(1, size)
        here = tiles(*wanted(index, size))
        assert root(size, here.node) == theirs.get_root(size)
        proof = theirs.prove_inclusion(index + 1, size)
        pymerkle_inclusion(leaf_hash(contents[index]), root(size, here.node), proof)
        assert sorted(proof.path) == sorted([leaf_hash(contents[index]), *inclusion(index, size, here.node)])
        here = tiles(*wanted(old - 1, old, size))
        proof = theirs.prove_consistency(old, size)
        pymerkle_consistency(root(old, here.node), root(size, here.node), proof)


@pytest.mark.parametrize("most", [9, 600, 256 * 256 + 300])
def test_every_proof_convinces_the_verifier_and_no_other_tree(most: int) -> None:
    leaves = [leaf_hash(nth.to_bytes(4)) for nth in range(most)]
    tiles = all_tiles(leaves)
    chance = random.Random(most)
    edges = [at for at in (1, 2, 255, 256, 257, 511, 512, 65535, 65536, 65537, most) if at <= most]
    for nth in range(300):
        size = edges[nth % len(edges)] if nth % 2 else chance.randint(1, most)
        index, old = chance.randrange(size), chance.choice([*(each for each in edges if each <= size), size])
        here = tiles(*wanted(index, size))
        whole, path = root(size, here.node), inclusion(index, size, here.node)
        assert verifier.root_by_inclusion(index, size, leaves[index], path) == whole
        assert verifier.root_by_inclusion(index, size, leaf_hash(b"other"), path) != whole
        here = tiles(*wanted(old - 1, old, size))
        before, proof = root(old, here.node), consistency(old, size, here.node)
        verifier.check_consistency(checkpoint(old, before), checkpoint(size, whole), proof)
        for false in ((leaf_hash(b"other"), whole), (before, leaf_hash(b"other"))):
            with pytest.raises(verifier.Wrong):
                verifier.check_consistency(checkpoint(old, false[0]), checkpoint(size, false[1]), proof)
        if old < size:
            for broken in (proof[:-1], [*proof, before]):
                with pytest.raises(verifier.Wrong):
                    verifier.check_consistency(checkpoint(old, before), checkpoint(size, whole), broken)


def test_what_is_not_there_has_no_proof() -> None:
    for asked in (lambda: inclusion(8, 8, SMALL.node), lambda: inclusion(-1, 8, SMALL.node)):
        with pytest.raises(ValueError, match="no such leaf"):
            asked()
    for old, new in ((0, 8), (8, 7)):
        with pytest.raises(ValueError, match="no such tree"):
            consistency(old, new, SMALL.node)
    with pytest.raises(LookupError):
        root(9, SMALL.node)
    assert len(split(bytes(3 * HASH_BYTES))) == 3


# Notes ----------------------------------------------------------------------------------------------------------------


def test_the_verifier_reads_the_keys_and_signatures_of_the_reference_implementation() -> None:
    # The example of golang.org/x/mod/sumdb/note. It is no checkpoint, so only its signature is looked at.
    key = verifier.read_key("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")
    text = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
    signature = (
        "\N{EM DASH} PeterNeumann "
        "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
    )
    verifier.check_signature(text, signature, checkpoint(1, b""), key)
    with pytest.raises(verifier.Wrong, match="false signature"):
        verifier.check_signature(text + "x", signature, checkpoint(1, b""), key)


def test_our_keys_are_written_as_the_reference_implementation_writes_them() -> None:
    secret = base64.b64decode("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz")[1:]
    signer = Signer("PeterNeumann", secret)
    assert signer.verifier == "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"


def test_a_note_is_read_back_and_every_change_of_it_is_noticed() -> None:
    signer = Signer("example.org/log", b"s" * 32)
    made = Checkpoint("example.org/log", 7, hashlib.sha256(b"root").digest())
    note = signer.sign(made)
    assert read(note) == made
    key = verifier.read_key(signer.verifier)
    assert list(verifier.read_notes(note, "here", key)) == [(7, made.root, "here")]
    assert len(list(verifier.read_notes(f"{note}\n{note}", "here", key))) == 2
    for at in range(len(note)):
        for other in {"A", "9", "\n", " "} - {note[at]}:
            with pytest.raises(verifier.Wrong):
                list(verifier.read_notes(note[:at] + other + note[at + 1 :], "here", key))


def test_a_note_that_was_cut_off_is_left_out_only_behind_others(capsys: pytest.CaptureFixture[str]) -> None:
    signer = Signer("example.org/log", b"s" * 32)
    note = signer.sign(Checkpoint("example.org/log", 7, bytes(32)))
    key = verifier.read_key(signer.verifier)
    for at in range(1, len(note)):
        assert len(list(verifier.read_notes(f"{note}\n{note[:at]}", "here", key))) == 1
        assert "incomplete" in capsys.readouterr().out
        with pytest.raises(verifier.Wrong):
            list(verifier.read_notes(note[:at], "here", key))


def test_a_signature_of_another_key_or_another_log_is_none() -> None:
    signer, other = Signer("example.org/log", b"s" * 32), Signer("example.org/log", b"t" * 32)
    elsewhere = Signer("example.com/log", b"s" * 32)
    key = verifier.read_key(signer.verifier)
    for note in (
        other.sign(Checkpoint("example.org/log", 7, bytes(32))),
        elsewhere.sign(Checkpoint("example.com/log", 7, bytes(32))),
        elsewhere.sign(Checkpoint("example.org/log", 7, bytes(32))),
    ):
        with pytest.raises(verifier.Wrong):
            list(verifier.read_notes(note, "here", key))


@pytest.mark.parametrize("text", ["", "a", "a+b+c", "a+00000000+AQ==", "a b+00000000+AQ=="])
def test_a_damaged_key_is_none(text: str) -> None:
    with pytest.raises(verifier.Wrong):
        verifier.read_key(text)
