"""Outboxes of version 0.1.0 are brought up to date where they lie, all at once or not at all."""

import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from client_autoencoder.outbox.entries import Limits
from client_autoencoder.outbox.outbox import Outbox
from client_autoencoder.outbox.reading import list_waiting, read_status
from tests.version_0_1_0.made import CLIENT, FOLDER

FILES = {f"{CLIENT}.db": "learning", f"{CLIENT}.questions.db": "service"}
OWNER = f"client {CLIENT} with topics v010.*"
LONG_AGO = 1_000_000_000.0  # before any deadline
COLUMNS = "number, message_id, state, due_at, sends, made_at, sent_at, deadline, size, name"

# Opens an outbox in a process that is killed when SQLite begins a statement.
KILLED = """
import os, signal, sqlite3, sys
from pathlib import Path
from client_autoencoder.outbox import database

connect = sqlite3.connect

def connect_mortal(*arguments, **options):
    def kill(statement):
        if statement.strip().startswith(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGKILL)
    connection = connect(*arguments, **options)
    connection.set_trace_callback(kill)
    return connection

sqlite3.connect = connect_mortal
database.open_file(Path(sys.argv[1]))
"""


@pytest.fixture(params=FILES)
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    copy = shutil.copy(FOLDER / "outbox" / request.param, tmp_path)
    return Path(copy)


def open_outbox(path: Path) -> Outbox:
    return Outbox(path, owner=OWNER, limits=Limits(resend=1e9), clock=lambda: LONG_AGO)


def read_all(path: Path) -> dict[str, list[Any]]:
    """Return all that an outbox holds, but for the column that is new."""
    with closing(sqlite3.connect(path)) as raw:
        tables = {
            table: list(raw.execute(f"SELECT * FROM {table} ORDER BY 1"))  # noqa: S608
            for table in ("body", "remark", "counter", "owner")
        }
        letters = list(raw.execute(f"SELECT {COLUMNS} FROM letter ORDER BY 1"))  # noqa: S608
    return {**tables, "letter": letters}


def read_version(path: Path) -> int:
    with closing(sqlite3.connect(path)) as raw:
        (version,) = raw.execute("PRAGMA user_version").fetchone()
    return int(version)


def read_kinds(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as raw:
        return {kind for (kind,) in raw.execute("SELECT kind FROM letter")}


def test_all_is_kept_and_each_record_gets_its_kind(path: Path) -> None:
    before, status, waiting = read_all(path), read_status(path), [*list_waiting(path, bodies=True)]
    assert (read_version(path), len(before["letter"]) > 0) == (2, True)
    open_outbox(path).close()
    after = read_all(path)
    # Opening brings closer when a record is due again, since the clock may have been set back.
    due = COLUMNS.split(", ").index("due_at")
    for letters in (before["letter"], after["letter"]):
        letters[:] = [(*row[:due], *row[due + 1 :]) for row in letters]
    assert after == before
    assert (read_version(path), read_kinds(path)) == (3, {FILES[path.name]})
    assert (read_status(path), [*list_waiting(path, bodies=True)]) == (status, waiting)


@pytest.mark.parametrize(
    "statement", ["ALTER", "UPDATE letter", "PRAGMA user_version = ", "COMMIT"]
)
def test_killed_in_the_middle_it_is_whole_and_goes_on(path: Path, statement: str) -> None:
    before = read_all(path)
    killed = subprocess.run([sys.executable, "-c", KILLED, path, statement], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert (read_version(path), read_all(path)) == (2, before)
    open_outbox(path).close()
    assert (read_version(path), read_kinds(path)) == (3, {FILES[path.name]})
    assert read_all(path)["body"] == before["body"]


def test_it_takes_and_settles_records_of_both_times(tmp_path: Path) -> None:
    path = Path(shutil.copy(FOLDER / "outbox" / f"{CLIENT}.db", tmp_path))
    with Outbox(path, owner=OWNER, limits=Limits(), clock=time.time) as outbox:
        held = outbox.counts.waiting
        assert len(outbox.discard()) == held
    assert read_status(path).discarded == held


def test_only_reading_changes_nothing(path: Path) -> None:
    content = path.read_bytes()
    read_status(path)
    assert path.read_bytes() == content
