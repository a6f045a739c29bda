"""Files that are there whole or not at all."""

import os
from pathlib import Path

import pytest

from stream.artefacts.atomic_file import replace_atomically, write_atomically


def test_a_file_is_replaced_whole_and_is_private(tmp_path: Path) -> None:
    target = tmp_path / "record.json"
    write_atomically(target, b"first")
    write_atomically(target, b"second")
    assert target.read_bytes() == b"second"
    assert target.stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["record.json"]


def test_what_raises_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "record.json"
    write_atomically(target, b"old")

    def fail_half_way() -> None:
        with replace_atomically(target) as draft:
            draft.write_bytes(b"half")
            raise ValueError("stopped")

    with pytest.raises(ValueError, match="stopped"):
        fail_half_way()
    assert target.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["record.json"]


def test_a_folder_takes_the_place_of_an_empty_one_only(tmp_path: Path) -> None:
    target = tmp_path / "encoder"
    target.mkdir()
    with replace_atomically(target) as draft:
        draft.mkdir()
        (draft / "weights").write_bytes(b"first")
    with pytest.raises(OSError, match="not empty"), replace_atomically(target) as draft:
        draft.mkdir()
    assert (target / "weights").read_bytes() == b"first"


def test_an_existing_file_may_be_kept(tmp_path: Path) -> None:
    target = tmp_path / "backup.db"
    target.write_bytes(b"old")
    with (
        pytest.raises(FileExistsError),
        replace_atomically(target, overwrite=False) as draft,
    ):
        draft.write_bytes(b"new")
    assert target.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["backup.db"]
