"""The log is provable over the wire: whoever keeps a checkpoint can check every event against it, offline."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.running import Person, World, signed_event
from tests.support.server import Client
from tests.support.verifier import verifier


@pytest.fixture(scope="module")
def auditor(world: World) -> Client:
    """Somebody with a key for the audit and nothing else."""
    return world.server.client(key=world.key("audit.read"))


@pytest.fixture(scope="module")
def key(auditor: Client) -> Any:
    """The key that checks signatures, in the verifier's words."""
    return verifier.read_key(auditor.ask("GET", "/audit/key").json()["verifier"])


def newest(auditor: Client, key: Any) -> Any:
    answer = auditor.ask("GET", "/audit/checkpoint").json()
    (found,) = verifier.read_notes(answer["note"], f"checkpoint {answer['size']}", key)
    return found


def test_T53_an_event_a_path_and_a_checkpoint_are_all_it_takes(
    world: World, auditor: Client, key: Any, jane: Person
) -> None:
    position = signed_event(world, jane)
    proof = auditor.ask("GET", "/audit/proof", event=position)
    said = verifier.check_proof(proof.text, key, [])
    assert f"position {position} is event" in said
    assert proof.json()["event"]["topic"] == "account.signed_up"

    for name, value in {"actor": "key:other", "version": 7, "digest": "0" * 64, "recorded": "2026-01-01"}.items():
        forged = proof.json()
        forged["event"][name] = value
        with pytest.raises(verifier.Wrong, match="is not event"):
            verifier.check_proof(json.dumps(forged), key, [])
    for name, value in {"index": proof.json()["index"] + 1, "path": proof.json()["path"][:-1], "event": None}.items():
        with pytest.raises(verifier.Wrong):
            verifier.check_proof(json.dumps(proof.json() | {name: value}), key, [])


def test_a_proof_shows_no_stored_value(world: World, auditor: Client, jane: Person) -> None:
    event = auditor.ask("GET", "/audit/proof", event=signed_event(world, jane)).json()["event"]
    assert "state" not in event
    assert len(event["digest"]) == 64


def test_T53_a_later_checkpoint_is_shown_to_continue_an_earlier_one(
    world: World, auditor: Client, key: Any, jane: Person
) -> None:
    signed_event(world, jane)
    earlier = newest(auditor, key)
    signed_event(world, world.person())
    later = newest(auditor, key)
    assert later.size > earlier.size
    answer = auditor.ask("GET", "/audit/consistency", **{"from": earlier.size, "to": later.size})
    assert "is the beginning of" in verifier.check_both(answer.text, [earlier, later])
    open_end = auditor.ask("GET", "/audit/consistency", **{"from": earlier.size}).json()
    assert open_end["to"] >= later.size
    with pytest.raises(verifier.Wrong):
        verifier.check_both(answer.text, [earlier._replace(root=bytes(32)), later])


def test_what_cannot_be_proved_is_refused(world: World, auditor: Client, jane: Person) -> None:
    position = signed_event(world, jane)
    assert auditor.ask("GET", "/audit/proof", event=2**40).json()["type"] == "audit_event_not_found"
    size = auditor.ask("GET", "/audit/checkpoint").json()["size"]
    for sizes in ({"from": 2, "to": 1}, {"from": 1, "to": size + 10**6}):
        assert auditor.ask("GET", "/audit/consistency", **sizes).json()["type"] == "general_argument_invalid"
    other = world.project("audited")
    stranger = world.server.client(project=other, key=world.key("audit.read", project=other))
    assert stranger.ask("GET", "/audit/proof", event=position).json()["type"] == "audit_event_not_found"
    assert stranger.ask("GET", "/audit/checkpoint").status_code == 200


def test_checkpoints_are_kept_in_files_that_fit_the_log(world: World, auditor: Client, key: Any, jane: Person) -> None:
    signed_event(world, jane)
    folder = world.server.data / "checkpoints"
    (log,) = folder.iterdir()
    found = [each for path in sorted(log.iterdir()) for each in verifier.read_notes(path.read_text(), "file", key)]
    sizes = [each.size for each in found]
    assert sizes == sorted(set(sizes))
    assert Path(log / next(log.iterdir()).name).stat().st_mode & 0o077 == 0
