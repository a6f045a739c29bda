from pathlib import Path

import pytest
from sqlalchemy import Engine

from server_classifier.store.datasets.snapshots import read_snapshot, write_snapshot
from server_classifier.store.errors import DatasetError
from tests.server_classifier.store.datasets.test_latents import ROWS, list_bytes, read, store


def test_a_snapshot_gives_the_same_arrays(sqlite_engine: Engine, tmp_path: Path) -> None:
    store(sqlite_engine, ROWS)
    latents = read(sqlite_engine)
    write_snapshot(latents, tmp_path / "all.snapshot")
    assert list_bytes(read_snapshot(tmp_path / "all.snapshot")) == list_bytes(latents)
    assert [path.name for path in tmp_path.glob("*snapshot*")] == ["all.snapshot"]


def test_what_is_written_to_an_array_stays_in_the_process(
    sqlite_engine: Engine, tmp_path: Path
) -> None:
    store(sqlite_engine, ROWS)
    latents, folder = read(sqlite_engine), tmp_path / "all.snapshot"
    write_snapshot(latents, folder)
    read_snapshot(folder).values[:] = 0
    assert list_bytes(read_snapshot(folder)) == list_bytes(latents)


def test_every_flipped_byte_and_every_cut_of_a_snapshot_is_noticed(
    sqlite_engine: Engine, tmp_path: Path
) -> None:
    store(sqlite_engine, ROWS)
    folder = tmp_path / "all.snapshot"
    write_snapshot(read(sqlite_engine), folder)
    for file in folder.iterdir():
        whole = file.read_bytes()
        for place in range(0, len(whole), 7):
            damaged = bytearray(whole)
            damaged[place] ^= 0x10
            for content in (bytes(damaged), whole[:place]):
                file.write_bytes(content)
                with pytest.raises(DatasetError, match=r"all\.snapshot .* make it again"):
                    read_snapshot(folder)
        file.write_bytes(whole)
    read_snapshot(folder)


def test_nothing_is_left_of_a_snapshot_that_cannot_be_written(
    sqlite_engine: Engine, tmp_path: Path
) -> None:
    store(sqlite_engine, ROWS)
    target = tmp_path / "all.snapshot"
    target.write_text("in the way of the folder")
    with pytest.raises(DatasetError, match="cannot be written"):
        write_snapshot(read(sqlite_engine), target)
    assert not list(tmp_path.glob(".all*"))


def test_a_missing_snapshot_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="there is no snapshot"):
        read_snapshot(tmp_path / "all.snapshot")
