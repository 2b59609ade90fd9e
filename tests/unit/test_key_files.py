"""The server's keys: where they are looked for, how they are made, and what is said when they are no good."""

import base64
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from accounts_es.adapters.key_files import KeyFileError, generate_key, key_source, load_key, remove_key, replace_key


def text(key: bytes) -> str:
    return base64.b64encode(key).decode()


def test_a_key_is_looked_for_in_the_environment_in_a_named_file_and_in_the_data_folder(tmp_path: Path) -> None:
    assert load_key("master", tmp_path, {}) is None
    assert load_key("master", None, {}) is None
    made = generate_key("master", tmp_path)
    assert load_key("master", tmp_path, {}) == made
    elsewhere = tmp_path / "secret"
    elsewhere.write_text(f"{text(b'f' * 32)}\n")
    environ = {"ACCOUNTS_MASTER_KEY_FILE": str(elsewhere)}
    assert load_key("master", tmp_path, environ) == b"f" * 32
    environ["ACCOUNTS_MASTER_KEY"] = text(b"e" * 32)
    assert load_key("master", tmp_path, environ) == b"e" * 32
    assert load_key("jwt", tmp_path, environ) is None


def test_a_made_key_is_its_owners_alone_and_never_overwritten(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        key = generate_key("master", tmp_path / "data")
    finally:
        os.umask(before)
    file = tmp_path / "data" / "keys" / "master.key"
    assert len(key) == 32
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    with pytest.raises(KeyFileError, match="exists already"):
        generate_key("master", tmp_path / "data")
    assert load_key("master", tmp_path / "data", {}) == key
    assert [each.name for each in file.parent.iterdir()] == ["master.key"]


def test_of_many_makers_one_wins(tmp_path: Path) -> None:
    def make(_: int) -> bytes | None:
        try:
            return generate_key("master", tmp_path)
        except KeyFileError:
            return None

    with ThreadPoolExecutor(8) as makers:
        made = [key for key in makers.map(make, range(16)) if key is not None]
    assert made == [load_key("master", tmp_path, {})]


def test_a_crash_while_a_key_is_made_leaves_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(_handle: int) -> None:
        raise OSError("no space left")

    with monkeypatch.context() as failing:
        failing.setattr(os, "fsync", crash)
        with pytest.raises(OSError, match="no space"):
            generate_key("master", tmp_path)
    assert load_key("master", tmp_path, {}) is None
    generate_key("master", tmp_path)


@pytest.mark.parametrize(
    ("content", "sentence"), [("", "0 bytes"), ("not base64!", "not base64"), (text(b"short"), "5 bytes instead of 32")]
)
def test_a_key_that_is_no_good_is_named_but_not_shown(tmp_path: Path, content: str, sentence: str) -> None:
    file = tmp_path / "keys" / "master.key"
    file.parent.mkdir()
    file.write_text(content)
    with pytest.raises(KeyFileError, match=sentence) as refused:
        load_key("master", tmp_path, {})
    assert str(file) in str(refused.value)
    assert not content or content not in str(refused.value)
    with pytest.raises(KeyFileError, match="cannot read"):
        load_key("master", tmp_path, {"ACCOUNTS_MASTER_KEY_FILE": str(tmp_path / "missing")})


def test_another_key_takes_the_place_of_one_that_is_kept_and_that_may_be_done_again(tmp_path: Path) -> None:
    former, new = generate_key("master", tmp_path), generate_key("new_master", tmp_path)
    with ThreadPoolExecutor(8) as at_once:
        kept = {path for path in at_once.map(lambda _: replace_key("master", tmp_path, new), range(16)) if path}
    (path,) = kept
    assert path.read_text() == f"{text(former)}\n"
    assert load_key("master", tmp_path, {}) == new
    assert replace_key("master", tmp_path, new) is None
    remove_key("new_master", tmp_path)
    remove_key("new_master", tmp_path)
    assert sorted(each.name for each in path.parent.iterdir()) == sorted([path.name, "master.key"])
    assert all(stat.S_IMODE(each.stat().st_mode) == 0o600 for each in path.parent.iterdir())


def test_it_is_known_which_variable_says_a_key() -> None:
    file = {"ACCOUNTS_MASTER_KEY_FILE": "master.key"}
    assert key_source("master", {}) is None
    assert key_source("master", file) == "ACCOUNTS_MASTER_KEY_FILE"
    assert key_source("master", {**file, "ACCOUNTS_MASTER_KEY": "..."}) == "ACCOUNTS_MASTER_KEY"
    assert key_source("new_master", file) is None
