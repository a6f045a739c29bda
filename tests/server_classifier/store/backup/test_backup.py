import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event, select, text

from server_classifier.store.backup.backup import back_up, restore
from server_classifier.store.backup.checking import check_database
from server_classifier.store.backup.inventory import take_inventory
from server_classifier.store.database import (
    HEAD,
    current_revision,
    describe,
    open_database,
    reading,
    writing,
)
from server_classifier.store.datasets.catalogue import create_dataset
from server_classifier.store.errors import StoreError
from server_classifier.store.latents.rows import count_latents, insert_latents
from server_classifier.store.latents.selection import Selection
from server_classifier.store.migrate import migrate
from server_classifier.store.positions import move_position, take_position
from server_classifier.store.registry.entries import add_client
from server_classifier.store.registry.labels import take_labels
from server_classifier.store.tables import latent, metadata
from stream.kafka.offsets import OffsetRange
from tests.server_classifier.stored import NOW, make_row
from tests.support.postgres import DATABASES

OFFSETS = OffsetRange("ioa.learning", 0, "log", low=0, high=1_000_000)
EXTREMES = make_row(0, label="Lungenödem \N{HOSPITAL}", value=bytes(range(256)), image_id="a:b")


def store(engine: Engine, numbers: range, **changes: Any) -> None:
    """Store rows and the position behind them, as ingestion does."""
    with writing(engine) as connection:
        held = take_position(connection, OFFSETS, owner="test")
        move_position(connection, held, numbers.stop, now=NOW)
        insert_latents(connection, [make_row(number, **changes) for number in numbers])


def read_all(engine: Engine) -> dict[str, list[Any]]:
    with reading(engine) as connection:
        return {
            name: sorted(map(tuple, connection.execute(select(table))))
            for name, table in metadata.tables.items()
        }


def fill(engine: Engine) -> Engine:
    """Put one client and position, a thousand latents and a dataset beside the encoder."""
    with writing(engine) as connection:
        add_client(connection, client_id="north-1", site="north", default_encoder=None, now=NOW)
        insert_latents(connection, [EXTREMES])
        take_labels(connection, [EXTREMES.label, "cat"], maximum=None)
    store(engine, range(1, 1001))
    create_dataset(engine, "all", Selection(), now=NOW)
    return engine


@pytest.fixture
def filled(engine: Engine) -> Engine:
    return fill(engine)


@pytest.fixture
def backup(sqlite_engine: Engine, tmp_path: Path) -> Path:
    """A backup in a folder of its own."""
    file = tmp_path / "backups" / "backup.db"
    file.parent.mkdir()
    back_up(fill(sqlite_engine), file)
    return file


@pytest.fixture(params=DATABASES)
def empty(
    request: pytest.FixtureRequest, make_database: Callable[[str, Path], str], tmp_path: Path
) -> Iterator[Engine]:
    """An empty database of each kind, to be restored into."""
    folder = tmp_path / "restored"
    folder.mkdir()
    engine = open_database(make_database(request.param, folder))
    yield engine
    engine.dispose()


def test_every_row_and_position_comes_back_on_either_kind(
    filled: Engine, empty: Engine, tmp_path: Path
) -> None:
    copied = back_up(filled, tmp_path / "backup.db")
    assert copied.rows == {
        **dict.fromkeys(("site", "encoder", "client", "position"), 1),
        **dict.fromkeys(("classifier", "replay", "skip"), 0),
        "label": 2,
        "latent": 1001,
        "dataset": 1,
        "dataset_member": 1001,
    }
    assert restore(empty, tmp_path / "backup.db") == copied
    assert read_all(empty) == read_all(filled)


def test_a_restored_database_takes_new_latents(backup: Path, empty: Engine) -> None:
    restore(empty, backup)
    store(empty, range(1001, 1011))
    with reading(empty) as connection:
        ids = list(connection.scalars(select(latent.c.id).order_by(latent.c.id)))
    assert len(set(ids)) == 1011
    assert ids[-10:] == list(range(ids[1000] + 1, ids[1000] + 11))


def test_what_is_stored_while_copying_is_not_in_the_backup(filled: Engine, tmp_path: Path) -> None:
    """A large value each, so that SQLite is copied in several pieces, with writes between them."""
    store(filled, range(1001, 3001), value=bytes(8_000))
    seen: list[tuple[int, int]] = []

    def store_more(done: int, total: int) -> None:
        seen.append((done, total))
        store(filled, range(10_000 + len(seen), 10_001 + len(seen)))

    copied = back_up(filled, tmp_path / "backup.db", store_more)
    assert copied.rows["latent"] == 3001
    assert [position.next_offset for position in copied.positions] == [3001]
    assert len(seen) > 3
    assert seen == sorted(seen), "the copy began anew"
    assert seen[-1][0] == seen[-1][1]
    with reading(filled) as connection:
        assert count_latents(connection) == 3001 + len(seen)


@pytest.mark.parametrize("command", [back_up, check_database])
def test_no_limit_of_postgresql_ends_what_reads_all_of_it(
    postgres_engine: Engine, tmp_path: Path, command: Callable[..., object]
) -> None:
    limits: list[Any] = []

    @event.listens_for(fill(postgres_engine), "before_cursor_execute")
    def note_limits(_connection: object, cursor: Any, statement: str, *_: object) -> None:
        if "FROM latent" in statement:
            names = ("statement_timeout", "idle_in_transaction_session_timeout")
            limits.extend(cursor.connection.execute(f"SHOW {name}").fetchone() for name in names)

    command(postgres_engine, *[tmp_path / "backup.db"] * (command is back_up))
    assert len(limits) >= 4
    assert set(limits) == {("0",)}


def test_the_backup_is_one_file_that_only_its_owner_reads(filled: Engine, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    back_up(filled, folder / "backup.db")
    assert [path.name for path in folder.iterdir()] == ["backup.db"]
    assert (folder / "backup.db").stat().st_mode & 0o777 == 0o600


def test_a_restore_leaves_the_backup_as_it_was(backup: Path, empty: Engine) -> None:
    before = backup.read_bytes()
    restore(empty, backup)
    assert backup.read_bytes() == before
    assert list(backup.parent.iterdir()) == [backup]


def test_an_existing_file_is_never_overwritten(filled: Engine, tmp_path: Path) -> None:
    (tmp_path / "backup.db").write_text("mine")
    with pytest.raises(StoreError, match="there already"):
        back_up(filled, tmp_path / "backup.db")
    assert (tmp_path / "backup.db").read_text() == "mine"


def test_a_file_that_appears_meanwhile_is_never_overwritten(filled: Engine, tmp_path: Path) -> None:
    file = tmp_path / "backup.db"

    def appear() -> None:
        file.write_text("mine")

    with pytest.raises(StoreError, match="there already"):
        back_up(filled, file, lambda *_: appear())
    assert file.read_text() == "mine"


def test_a_missing_folder_is_named(filled: Engine, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"nowhere/backup.db cannot be written"):
        back_up(filled, tmp_path / "nowhere" / "backup.db")


CUT = """
import resource, sys
from pathlib import Path
from server_classifier.store.backup.backup import back_up
from server_classifier.store.database import open_database
from server_classifier.store.errors import StoreError
engine = open_database(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
try:
    back_up(engine, Path(sys.argv[2]))
except StoreError as error:
    sys.exit(f"refused: {error}")
"""


def test_a_file_that_cannot_grow_leaves_nothing(filled: Engine, tmp_path: Path) -> None:
    """As on a full disk; SQLite meets the limit as an error of the disk."""
    store(filled, range(2000, 2100), value=bytes(8_000))
    folder = tmp_path / "backups"
    folder.mkdir()
    url = filled.url.render_as_string(hide_password=False)
    command = [sys.executable, "-c", CUT, url, str(folder / "backup.db")]
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)
    assert result.stderr.startswith("refused: "), result.stderr
    assert list(folder.iterdir()) == []


def test_a_database_in_use_is_never_restored_into(filled: Engine, tmp_path: Path) -> None:
    back_up(filled, tmp_path / "backup.db")
    store(filled, range(2000, 2001))
    with pytest.raises(StoreError, match="has tables of this program already"):
        restore(filled, tmp_path / "backup.db")
    with reading(filled) as connection:
        assert count_latents(connection) == 1002


def test_a_damaged_backup_is_not_restored(backup: Path, empty: Engine) -> None:
    with closing(sqlite3.connect(backup)) as connection:
        connection.execute("PRAGMA writable_schema=ON")
        connection.execute(
            "UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM sqlite_schema "
            "WHERE name = 'site') WHERE name = 'sqlite_autoindex_latent_1'"
        )
        connection.commit()
    with pytest.raises(StoreError, match="damaged"):
        restore(empty, backup)
    assert current_revision(empty) is None


@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "there is no backup"), (b"x" * 4096, "no SQLite database"), (b"", "has no tables")],
)
def test_what_is_no_backup_is_not_restored(
    empty: Engine, tmp_path: Path, content: bytes | None, reason: str
) -> None:
    if content is not None:
        (tmp_path / "backup.db").write_bytes(content)
    with pytest.raises(StoreError, match=reason):
        restore(empty, tmp_path / "backup.db")
    assert current_revision(empty) is None


def test_a_restore_that_breaks_off_leaves_nothing(backup: Path, empty: Engine) -> None:
    def break_off(done: int, total: int) -> None:
        if done > 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        restore(empty, backup, break_off)
    assert current_revision(empty) is None
    restore(empty, backup)


def test_tables_of_an_older_program_are_copied_as_they_are_and_restored_as_today(
    empty: Engine, make_database: Callable[[str, Path], str], tmp_path: Path
) -> None:
    old = open_database(make_database(empty.dialect.name, tmp_path))
    with writing(old) as connection:
        migrate(connection, "0001")
        insert_latents(connection, [EXTREMES])
    copied = back_up(old, tmp_path / "backup.db")
    old.dispose()
    assert (copied.revision, copied.positions) == ("0001", [])
    assert "position" not in copied.rows
    restore(empty, tmp_path / "backup.db")
    with reading(empty) as connection:
        inventory = take_inventory(connection)
        assert connection.scalar(select(latent.c.label)) == EXTREMES.label
    assert inventory.revision == HEAD
    newer = ("position", "skip", "replay", "dataset", "dataset_member")
    assert inventory.rows == {**copied.rows, **dict.fromkeys(newer, 0), "label": 1}


def test_tables_of_a_newer_program_are_refused(filled: Engine, tmp_path: Path) -> None:
    with writing(filled) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreError, match=r"newer program") as raised:
        back_up(filled, tmp_path / "backup.db")
    assert describe(filled) in str(raised.value)


def test_a_database_without_tables_is_refused(empty: Engine, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="has no tables"):
        back_up(empty, tmp_path / "backup.db")
