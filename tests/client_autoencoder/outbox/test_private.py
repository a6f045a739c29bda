"""Nobody but its owner reads an outbox, whatever the umask is or was."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from client_autoencoder.outbox.entries import Limits
from client_autoencoder.outbox.outbox import Outbox
from client_autoencoder.outbox.reading import export_waiting
from tests.support.outgoing_records import make_records


@pytest.fixture(autouse=True)
def no_umask() -> Iterator[None]:
    """Permit everything to everybody, unless a file says otherwise."""
    before = os.umask(0)
    yield
    os.umask(before)


def read_modes(folder: Path) -> dict[str, str]:
    return {
        path.name: oct(stat.S_IMODE(path.stat().st_mode)) for path in (folder, *folder.iterdir())
    }


def fill(path: Path) -> dict[str, str]:
    """Put a record, and return the modes of all files while the outbox is open."""
    with Outbox(path, owner="a", limits=Limits(), clock=lambda: 1e6) as outbox:
        outbox.put(make_records(1), ["a.png"])
        return read_modes(path.parent)


PRIVATE = {
    "outbox": "0o700",
    "a.db": "0o600",
    "a.db-wal": "0o600",
    "a.db-shm": "0o600",
    "a.db.lock": "0o600",
}


def test_a_new_outbox_is_private(tmp_path: Path) -> None:
    assert fill(tmp_path / "outbox" / "a.db") == PRIVATE


def test_one_that_everybody_could_read_is_tightened(tmp_path: Path) -> None:
    path = tmp_path / "outbox" / "a.db"
    outbox = Outbox(path, owner="a", limits=Limits(), clock=lambda: 1e6)
    outbox.put(make_records(1), ["a.png"])
    # As a process that was killed leaves them: with the log beside the file.
    left = {file.name: file.read_bytes() for file in path.parent.iterdir()}
    outbox.close()
    for name, content in left.items():
        (path.parent / name).write_bytes(content)
    for file in (path.parent, *path.parent.iterdir()):
        file.chmod(0o777 if file.is_dir() else 0o666)
    assert fill(path) == PRIVATE


def test_what_is_exported_is_private(tmp_path: Path) -> None:
    path = tmp_path / "outbox" / "a.db"
    fill(path)
    assert export_waiting(tmp_path / "waiting.jsonl", path) == 1
    assert stat.S_IMODE((tmp_path / "waiting.jsonl").stat().st_mode) == 0o600


def test_a_folder_that_all_share_stays_shared(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    modes = fill(shared / "a.db")
    assert (modes.pop("shared"), set(modes.values())) == ("0o1777", {"0o600"})
