"""Opening the database, its two kinds of transaction, and the check that its tables are current.

The server's processes share SQLite through one file: its write-ahead log lets any number read while
one process writes. A ``writing`` transaction takes the write lock at its start (BEGIN IMMEDIATE),
because a read that turns into a write half way fails at once when another process wrote in between.
A ``reading`` transaction never takes the lock: it sees the snapshot of its first statement, waits
for no writer and makes no writer wait.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import ConnectionPoolEntry

from server_classifier.store.driver_errors import explaining_errors
from server_classifier.store.errors import StoreError

HEAD = "0005"  # the newest migration; stands here so that a start need not import alembic
MIGRATION_LOCK = 0x10A  # any number, the same in every process

BUSY_TIMEOUT_SECONDS = 10.0  # how long a transaction waits for the lock

# So that no dead link, hung server or forgotten transaction holds a service up for ever
# (milliseconds where PostgreSQL reads them). An address may say otherwise: ?connect_timeout=3.
POSTGRESQL_LIMITS: dict[str, str | int] = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
    "options": "-c statement_timeout=60000 -c idle_in_transaction_session_timeout=60000",
}

# Larger pages and rarer checkpoints than the defaults make bulk inserts of latents faster.
SQLITE_PRAGMAS = (
    "page_size=16384",  # first: it only counts while the file is empty
    "journal_mode=WAL",
    "synchronous=FULL",  # what was acknowledged survives a power cut
    "wal_autocheckpoint=4000",
    "foreign_keys=ON",
)

READING: dict[str, dict[str, Any]] = {
    "sqlite": {"begin": "BEGIN"},
    "postgresql": {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True},
}


def open_database(url: str | URL) -> Engine:
    """Return the engine of an ``sqlite:///file`` or ``postgresql://...`` address.

    Nothing connects before the first transaction. A missing SQLite file is created then.

    Raises:
        StoreError: the address is neither, or the file's folder is missing or not writable.
    """
    address = _parse(url)
    if address.get_backend_name() == "postgresql":
        return _open_postgresql(address.set(drivername="postgresql+psycopg"))
    _check_folder(Path(address.database or ""))
    patience = {} if "timeout" in address.query else {"timeout": BUSY_TIMEOUT_SECONDS}
    # hide_parameters: rows are patients' data, and an error with them would stand in the log.
    engine = create_engine(address, connect_args=patience, hide_parameters=True)
    event.listen(engine, "do_connect", _make_private)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def open_read_only(url: str | URL) -> Engine:
    """Return the engine for ``reading`` alone: an SQLite file keeps its bytes.

    Services may go on writing to it, and it may lie on read-only media.

    Raises:
        StoreError: the address is neither ``sqlite:///file`` nor ``postgresql://...``.
    """
    address = _parse(url)
    if address.get_backend_name() == "postgresql":
        return open_database(address)
    file = Path(address.database or "").absolute()

    def connect() -> sqlite3.Connection:
        name = f"{file.as_uri()}?{_choose_mode(file)}"
        return sqlite3.connect(name, BUSY_TIMEOUT_SECONDS, isolation_level=None, uri=True)

    engine = create_engine(address, creator=connect, hide_parameters=True)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _choose_mode(file: Path) -> str:
    """Return ``mode=ro``, or where SQLite can make no log beside the file, ``immutable=1``.

    A file of a service that runs has its log already.
    """
    logged = file.with_name(f"{file.name}-wal").exists()
    return "mode=ro" if logged or os.access(file.parent, os.W_OK) else "immutable=1"


def refuse_missing(engine: Engine) -> None:
    """Raise StoreError where there is no SQLite file; connecting would make an empty one."""
    if not has_file(engine):
        file = engine.url.database
        raise StoreError(f"there is no database {file}; name the one that the services use")


def has_file(engine: Engine) -> bool:
    """Tell whether an SQLite file is there; PostgreSQL has no file that could be missing."""
    return engine.dialect.name != "sqlite" or Path(engine.url.database or "").is_file()


def _open_postgresql(address: URL) -> Engine:
    limits = {name: POSTGRESQL_LIMITS[name] for name in POSTGRESQL_LIMITS.keys() - address.query}
    engine = create_engine(address, connect_args=limits, pool_pre_ping=True, hide_parameters=True)
    event.listen(engine, "before_cursor_execute", _choose_format)
    return engine


def _choose_format(
    _connection: Connection, cursor: Any, _text: str, _values: Any, context: Any, _many: bool
) -> None:
    """Let PostgreSQL answer in binary where ``fetching.py`` asks for it: no bytes as hex digits."""
    cursor.format = int(context.execution_options.get("binary_results", False))


def _parse(url: str | URL) -> URL:
    try:
        address = make_url(url)
    except ArgumentError as error:
        raise StoreError(f"{url!r} is no database address; try sqlite:///ioa.db") from error
    if address.get_backend_name() not in ("sqlite", "postgresql"):
        raise StoreError(f"{address.drivername} is not supported; use sqlite or postgresql")
    if address.get_backend_name() == "sqlite" and address.database in (None, "", ":memory:"):
        raise StoreError("the server's processes share the database: name a file, sqlite:///ioa.db")
    return address


def _check_folder(file: Path) -> None:
    folder = file.absolute().parent
    if not folder.is_dir():
        raise StoreError(f"the database {file} cannot be made: there is no folder {folder}")
    if not os.access(file if file.exists() else folder, os.W_OK):
        raise StoreError(f"the database {file} is not writable for this user")


def _make_private(*arguments: Any) -> None:
    """Make a missing file that its owner alone may read: it will hold patients' data."""
    with suppress(OSError):  # connecting, which comes next, says what is wrong
        Path(arguments[2][0]).touch(mode=0o600)


def _prepare_sqlite(connection: sqlite3.Connection, _entry: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # sqlite3 begins nothing by itself; _begin_sqlite does
    for pragma in SQLITE_PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("begin", "BEGIN IMMEDIATE"))


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """Yield a connection in a transaction that commits at the end, or rolls back on an error.

    Raises:
        StoreUnavailable: the database does not answer, is locked or full; nothing was written.
        StoreError: it is damaged, or no database.
    """
    with explaining_errors(describe(engine)), engine.begin() as connection:
        yield connection


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Yield a connection for reading; nothing it does is kept. Raises as ``writing``.

    Keep it short: while it is open, SQLite's write-ahead log cannot be cut back.
    """
    with explaining_errors(describe(engine)), engine.connect() as connection:
        connection.execution_options(**READING[engine.dialect.name])
        yield connection


def lift_limits(connection: Connection) -> None:
    """Let this transaction take its time, as reading all of a large PostgreSQL does."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))


def describe(engine: Engine) -> str:
    """Return the address of a database without its password."""
    return engine.url.render_as_string(hide_password=True)


def ensure_current(engine: Engine) -> None:
    """Create the tables, or bring them to this program's revision, when they are not there yet.

    Several processes may call it at once: the first does the work while the others wait.

    Raises:
        StoreError: a newer program made the tables, or the file is no database.
        StoreUnavailable: the database does not answer.
    """
    if (revision := current_revision(engine)) == HEAD:
        return
    # alembic takes longer to import than everything else a start needs.
    from server_classifier.store.migrate import migrate, refuse_newer

    refuse_newer(revision, describe(engine))
    with writing(engine) as connection:
        lock_tables(connection)
        migrate(connection, "head")


def lock_tables(connection: Connection) -> None:
    """Let one transaction at a time change the tables, and wait for it however long it takes."""
    lift_limits(connection)
    # On SQLite the transaction itself has already waited for the only write lock.
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})


def current_revision(engine: Engine) -> str | None:
    """Return the revision of the tables, or None in a database without ours."""
    with reading(engine) as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        revision: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
        return revision
