"""A copy of the database in one file, made while the services run, and the way back from it.

The file is an SQLite database with the same tables, whatever it was copied from. So a backup of
PostgreSQL needs no program of the server's own version, is checked like any other, and may be
restored into either kind. It is one snapshot: the positions in it belong to its rows. Kafka keeps
the learning topic, so that ingestion reads again what came after the backup.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, inspect, text

from server_classifier.store.backup.checking import find_damage
from server_classifier.store.backup.inventory import Inventory, find_tables, take_inventory
from server_classifier.store.database import (
    describe,
    lift_limits,
    lock_tables,
    open_database,
    open_read_only,
    reading,
    writing,
)
from server_classifier.store.errors import StoreError
from server_classifier.store.migrate import migrate, refuse_newer
from stream.artefacts.atomic_file import replace_atomically

OnProgress = Callable[[int, int], None]
"""Takes how much is copied and how much there is: pages of SQLite, rows of PostgreSQL."""

PAGES = 256  # copied at once, 4 MiB
ROWS = 2_000


def back_up(engine: Engine, file: Path, on_progress: OnProgress = lambda *_: None) -> Inventory:
    """Copy the database into a new file, check the copy, and return what is in it.

    The file appears under its name when it is complete, readable by its owner only.

    Raises:
        StoreError: the file is there already or cannot be written, or there is nothing to copy.
        StoreUnavailable: the database does not answer.
    """
    with _new_file(file) as draft:
        with reading(engine) as connection:
            lift_limits(connection)
            inventory = take_inventory(connection)  # which begins the snapshot
            _refuse_unknown(inventory, describe(engine))
            if engine.dialect.name == "sqlite":
                _copy_pages(connection, draft, on_progress)
            else:
                _copy_into_file(connection, draft, inventory, on_progress)
        _drop_log(draft)
        _verify(draft, inventory, f"copy of {describe(engine)}")
        draft.chmod(0o600)
    return inventory


def restore(engine: Engine, file: Path, on_progress: OnProgress = lambda *_: None) -> Inventory:
    """Fill an empty database from a backup, in one transaction; return what was in the backup.

    The tables of an older backup are brought to this program's revision.

    Raises:
        StoreError: the database has tables of ours already, or the file is no sound backup.
        StoreUnavailable: the database does not answer.
    """
    with _opened_backup(file) as backup, reading(backup) as source:
        _refuse_damage(source, f"backup {file}")
        inventory = take_inventory(source)
        revision = _refuse_unknown(inventory, str(file))
        with writing(engine) as target:
            lock_tables(target)
            _refuse_tables(target, describe(engine))
            migrate(target, revision)
            _copy_rows(source, target, inventory, on_progress)
            _check_copy(take_inventory(target), inventory, f"copy in {describe(engine)}")
            migrate(target, "head")
    return inventory


def _refuse_unknown(inventory: Inventory, name: str) -> str:
    """Return the revision of the tables."""
    if inventory.revision is None:
        raise StoreError(f"{name} has no tables of this program")
    refuse_newer(inventory.revision, name)
    return inventory.revision


def _refuse_tables(target: Connection, name: str) -> None:
    if find_tables(target):
        raise StoreError(
            f"the database {name} has tables of this program already and stays as it is: restore "
            "into a new file, or into a new database of PostgreSQL (createdb)"
        )


def _refuse_damage(connection: Connection, name: str) -> None:
    if damage := find_damage(connection):
        raise StoreError(f"the {name} is damaged: {damage[0]}")


@contextmanager
def _new_file(file: Path) -> Iterator[Path]:
    """Yield the path of a draft, which becomes ``file`` at the end; an error is a StoreError."""
    already_there = f"{file} is there already and stays as it is: name a new file"
    if file.exists():
        raise StoreError(already_there)
    try:
        with replace_atomically(file, overwrite=False) as draft:
            yield draft
    except FileExistsError as error:  # it appeared meanwhile
        raise StoreError(already_there) from error
    except (OSError, sqlite3.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise StoreError(
            f"the backup {file} cannot be written ({reason}): name a file in a folder with "
            "enough room"
        ) from error


def _copy_pages(connection: Connection, draft: Path, on_progress: OnProgress) -> None:
    """Copy an SQLite file with its online backup interface.

    The open snapshot keeps it from beginning anew whenever another process writes.
    """
    source = connection.connection.driver_connection
    assert isinstance(source, sqlite3.Connection)  # noqa: S101 - by the dialect's name
    with closing(sqlite3.connect(draft)) as target:
        source.backup(
            target,
            pages=PAGES,
            progress=lambda _, remaining, total: on_progress(total - remaining, total),
        )


def _copy_into_file(
    source: Connection, draft: Path, inventory: Inventory, on_progress: OnProgress
) -> None:
    engine = open_database(URL.create("sqlite", database=str(draft)))
    with writing(engine) as target:
        migrate(target, inventory.revision or "head")
        _copy_rows(source, target, inventory, on_progress)
    engine.dispose()


def _copy_rows(
    source: Connection, target: Connection, inventory: Inventory, on_progress: OnProgress
) -> None:
    total, copied = sum(inventory.rows.values()), 0
    for table in inventory.rows:
        for count in _copy_table(source, target, table):
            copied += count
            on_progress(copied, total)
    if target.dialect.name == "postgresql":
        target.execute(
            text("SELECT setval(pg_get_serial_sequence('latent', 'id'), max(id)) FROM latent")
        )


def _copy_table(source: Connection, target: Connection, table: str) -> Iterator[int]:
    """Copy a table and yield the length of each piece."""
    names = [column["name"] for column in inspect(source).get_columns(table)]
    columns = ", ".join(names)
    mark = "%s" if target.dialect.name == "postgresql" else "?"
    marks = ", ".join(mark for _ in names)
    # By the drivers' own statements: numbers and bytes pass as they are, in tuples.
    select = text(f"SELECT {columns} FROM {table}")  # noqa: S608 (names of our own)
    insert = f"INSERT INTO {table} ({columns}) VALUES ({marks})"  # noqa: S608
    rows = source.execute(select, execution_options={"yield_per": ROWS})
    for piece in rows.partitions(ROWS):
        target.exec_driver_sql(insert, [tuple(row) for row in piece])
        yield len(piece)


def _drop_log(draft: Path) -> None:
    """Put what stands in the write-ahead log into the file itself, which is then complete."""
    with closing(sqlite3.connect(draft)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")


def _verify(draft: Path, inventory: Inventory, name: str) -> None:
    with _opened_backup(draft) as backup, reading(backup) as connection:
        _refuse_damage(connection, name)
        _check_copy(take_inventory(connection), inventory, name)


def _check_copy(copy: Inventory, original: Inventory, name: str) -> None:
    if copy != original:
        raise StoreError(f"the {name} holds {copy}, not {original}; nothing was kept of it")


@contextmanager
def _opened_backup(file: Path) -> Iterator[Engine]:
    if not file.is_file():
        raise StoreError(f"there is no backup {file}")
    engine = open_read_only(URL.create("sqlite", database=str(file)))
    try:
        yield engine
    finally:
        engine.dispose()
