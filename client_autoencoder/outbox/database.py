"""The SQLite file of an outbox: its tables, its version, and its errors in plain words."""

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import quote

from client_autoencoder.errors import OutboxError, OutboxFull
from stream.artefacts.private import make_private_file, make_private_folder, tighten

_APPLICATION = 0x494F414F  # "IOAO"
_VERSION = 3
# Before, a record with a deadline was a question, and any other was to be learned from.
_OLDEST_VERSION = 2
_MIGRATION = """
ALTER TABLE letter ADD COLUMN kind TEXT NOT NULL DEFAULT 'learning';
UPDATE letter SET kind = 'service' WHERE deadline IS NOT NULL;
"""

# Records that come and go write the same pages again and again. A checkpoint copies only the last
# state of each page out of the log, and waits for the disk: it should be rare.
_LOG_PAGES = 4000
# Bodies are written and deleted once. In their own table a change of state rewrites few pages.
_SCHEMA = """
CREATE TABLE letter (
    number INTEGER PRIMARY KEY,
    message_id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'queued',
    due_at REAL,
    sends INTEGER NOT NULL DEFAULT 0,
    made_at REAL NOT NULL,
    sent_at REAL,
    deadline REAL,
    size INTEGER NOT NULL,
    name TEXT NOT NULL
);
CREATE INDEX letter_due ON letter (due_at) WHERE state = 'delivered';
CREATE INDEX letter_deadline ON letter (deadline) WHERE deadline IS NOT NULL;
CREATE TABLE body (
    number INTEGER PRIMARY KEY,
    topic TEXT NOT NULL,
    key BLOB NOT NULL,
    headers BLOB NOT NULL,
    value BLOB NOT NULL
);
CREATE TABLE remark (
    number INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    message_id TEXT,
    name TEXT NOT NULL,
    text TEXT NOT NULL,
    made_at REAL NOT NULL
);
CREATE TABLE counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
CREATE TABLE owner (name TEXT NOT NULL, cluster TEXT);
"""


def make_directory(directory: Path) -> None:
    """Make the directory for outboxes, or tighten it: its owner alone may look into it.

    Raises:
        OutboxError: it cannot be made.
    """
    try:
        make_private_folder(directory)
    except OSError as error:
        raise OutboxError(
            f"the directory {directory} for the outbox cannot be made ({error.strerror}): name "
            "another one with --outbox"
        ) from error


def open_file(path: Path) -> sqlite3.Connection:
    """Open an outbox for writing; make it where there is none, migrate it where it is older.

    Its owner alone may read it: latents and the names of images are nobody else's business.

    Raises:
        OutboxError: it is damaged, of another version, no outbox, or cannot be written.
    """
    with explaining_sqlite(path), ExitStack() as on_error:
        _keep_private(path)
        connection = sqlite3.connect(path, isolation_level=None)
        on_error.callback(connection.close)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA wal_autocheckpoint = {_LOG_PAGES}")
        if _is_empty(connection):
            _create(connection)
        version = _read_version(connection, path)
        _check_pages(connection, path)
        if version < _VERSION:
            _migrate(connection)
        on_error.pop_all()
    return connection


def open_for_reading(path: Path) -> sqlite3.Connection:
    """Open an outbox that another process may be writing to, of this version or the one before.

    Raises:
        OutboxError: it is not there; else as ``open_file``.
    """
    if not path.exists():
        raise OutboxError(
            f"there is no outbox {path}: nothing was published from here by this client, or its "
            "directory is another one (--outbox)"
        )
    with explaining_sqlite(path), ExitStack() as on_error:
        connection = sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)
        on_error.callback(connection.close)
        _read_version(connection, path)
        on_error.pop_all()
    return connection


@contextmanager
def transaction(
    connection: sqlite3.Connection, path: Path, *, durable: bool = False
) -> Iterator[None]:
    """Commit what the block does, all of it or nothing.

    A commit outlives the process, however that ends. A ``durable`` commit also outlives a power
    cut: ``synchronous=FULL`` waits for the disk, NORMAL does not (sqlite.org/pragma.html).

    Raises:
        OutboxFull: the disk is full.
        OutboxError: the file cannot be written.
    """
    with explaining_sqlite(path):
        connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")


@contextmanager
def explaining_sqlite(path: Path) -> Iterator[None]:
    """Turn SQLite's errors inside the block into OutboxError, whose text says what to do."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        raise _explain(path, error) from error


def _is_empty(connection: sqlite3.Connection) -> bool:
    return connection.execute("SELECT 1 FROM sqlite_master").fetchone() is None


def _create(connection: sqlite3.Connection) -> None:
    """Make the tables in one transaction, so that a killed process leaves all or none."""
    connection.executescript(
        f"BEGIN; {_SCHEMA} PRAGMA application_id = {_APPLICATION}; "
        f"PRAGMA user_version = {_VERSION}; COMMIT"
    )


def _migrate(connection: sqlite3.Connection) -> None:
    """Bring the tables up to date in one transaction, so that a killed process leaves old or new.

    The rows stay where they are, with their ids, bytes and deadlines.
    """
    try:
        connection.executescript(
            f"BEGIN IMMEDIATE; {_MIGRATION} PRAGMA user_version = {_VERSION}; COMMIT"
        )
    finally:
        if connection.in_transaction:  # a full disk, for example
            connection.execute("ROLLBACK")


def _keep_private(path: Path) -> None:
    """Make the file for its owner alone, or tighten it and what SQLite has left beside it."""
    try:
        make_private_file(path)
        for suffix in ("-wal", "-shm"):
            tighten(path.with_name(f"{path.name}{suffix}"))
    except OSError as error:
        raise OutboxError(
            f"outbox {path} cannot be kept private ({error.strerror}): check whose it is, or name "
            "another directory with --outbox"
        ) from error


def _read_version(connection: sqlite3.Connection, path: Path) -> int:
    """Return the version of an outbox.

    Raises:
        OutboxError: it is none, or of a version that this program does not read.
    """
    version: int
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application != _APPLICATION:
        raise OutboxError(f"{path} is no outbox: name another directory with --outbox")
    if not _OLDEST_VERSION <= version <= _VERSION:
        age = "a newer" if version > _VERSION else "an older"
        raise OutboxError(
            f"outbox {path} is of version {version}, made by {age} program; this one reads "
            f"{_OLDEST_VERSION} to {_VERSION}: run `ioa outbox drain` with the program that made "
            "it, then move it away"
        )
    return version


def _check_pages(connection: sqlite3.Connection, path: Path) -> None:
    """Find damage before anything is written; this is fast, as an outbox is usually small."""
    (finding,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if finding != "ok":
        raise _damaged(path, finding)


def _explain(path: Path, error: sqlite3.DatabaseError) -> OutboxError:
    code = getattr(error, "sqlite_errorname", "")
    if code == "SQLITE_FULL":
        return OutboxFull(
            f"the disk of outbox {path} is full: it kept what it held, and took nothing new. Make "
            "room there; `ioa outbox drain` then sends what waits"
        )
    # A damaged header or a lost table gives SQLITE_ERROR; our own statements are tested.
    if code == "SQLITE_ERROR" or code.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return _damaged(path, str(error))
    return OutboxError(
        f"outbox {path} cannot be used ({error}): check who may write to it and its directory, and "
        "the disk, or name another directory with --outbox"
    )


def _damaged(path: Path, finding: str) -> OutboxError:
    return OutboxError(
        f"outbox {path} is damaged ({finding.splitlines()[-1]}); nothing was changed. Restore it, "
        f"or move {path.name}* away: messages in it that the server had not acknowledged must then "
        "be published again"
    )
