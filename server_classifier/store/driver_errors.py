"""Errors of the database's driver in the words of an operator: what may pass and what does not."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

from server_classifier.store.errors import StoreError, StoreUnavailable

SQLITE_TRANSIENT = {
    sqlite3.SQLITE_BUSY: "another process keeps it locked",
    sqlite3.SQLITE_FULL: "the disk is full; free some space",
    sqlite3.SQLITE_READONLY: "it is read-only; make the file and its folder writable",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened; its folder must exist and be writable",
    sqlite3.SQLITE_IOERR: "the disk reports an error",
}
SQLITE_FATAL = {
    sqlite3.SQLITE_NOTADB: "it is no SQLite database; name another file",
    sqlite3.SQLITE_CORRUPT: "it is damaged; restore a backup",
}

# After a failover to a replica, or a pause of this process: these pass like a lost connection.
POSTGRESQL_TRANSIENT = ("25006", "25P03")  # read-only transaction, idle-in-transaction timeout


@contextmanager
def explaining_errors(name: str) -> Iterator[None]:
    """Raise errors of the driver as those of the database ``name``.

    Raises:
        StoreUnavailable: it does not answer, is locked or full.
        StoreError: it is damaged, or no database.
        DBAPIError: a statement of ours is wrong.
    """
    try:
        yield
    except DBAPIError as error:
        explained = _explain(name, error)
        if explained is None:
            raise
        raise explained from error


def _explain(name: str, error: DBAPIError) -> StoreError | None:
    if isinstance(error.orig, sqlite3.Error):
        # Its upper bits only refine the cause; errors of the sqlite3 module itself have no code.
        code = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF
        if code in SQLITE_TRANSIENT:
            return StoreUnavailable(f"the database {name}: {SQLITE_TRANSIENT[code]}")
        if code in SQLITE_FATAL:
            return StoreError(f"the database {name}: {SQLITE_FATAL[code]}")
        return None
    transient = isinstance(error, OperationalError | InterfaceError)
    if transient or getattr(error.orig, "sqlstate", None) in POSTGRESQL_TRANSIENT:
        return StoreUnavailable(f"the database {name} does not answer: {error.orig}")
    return None
