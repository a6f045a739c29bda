"""COPY of latents and of members of datasets into PostgreSQL, several times as fast as INSERT.

COPY has no ON CONFLICT. Nearly every batch is all new, so it is copied straight into the table.
Where PostgreSQL then reports a known ``message_id``, the copy is undone and repeated without the
known rows.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.errors import UniqueViolation
from sqlalchemy import BigInteger, Connection, Integer, LargeBinary
from sqlalchemy.exc import OperationalError

from server_classifier.store.errors import StoreError
from server_classifier.store.latents.contents import separate_known
from server_classifier.store.latents.latent_row import COLUMN_NAMES, LATENT_COLUMNS, LatentRow
from server_classifier.store.tables import UtcTime

_POSTGRESQL_TYPES = {Integer: "int4", BigInteger: "int8", UtcTime: "int8", LargeBinary: "bytea"}
_TYPES = [_POSTGRESQL_TYPES.get(type(column.type), "text") for column in LATENT_COLUMNS]
_COPY = f"COPY latent ({COLUMN_NAMES}) FROM STDIN (FORMAT BINARY)".encode()
_COPY_MEMBERS = b"COPY dataset_member FROM STDIN"
_REMEDY = (
    "Where a restore or a failover left sequences behind: "
    "SELECT setval('latent_id_seq', (SELECT max(id) FROM latent))"
)
_CONSTRAINT = "uq_latent_message_id"
_FIND_KNOWN = "SELECT message_id FROM latent WHERE message_id = ANY(%s)"


def copy_latents(connection: Connection, rows: Sequence[LatentRow]) -> list[LatentRow]:
    """Store latents in the transaction of ``connection``; return those whose ids were known."""
    with _opened_cursor(connection) as cursor:
        return _copy_new(cursor, rows)


def copy_members(connection: Connection, rows: Iterable[tuple[int, int, str, str]]) -> None:
    """Store rows of ``dataset_member`` in the transaction of ``connection``."""
    with _opened_cursor(connection) as cursor, cursor.copy(_COPY_MEMBERS) as copy:
        for row in rows:
            copy.write_row(row)


@contextmanager
def _opened_cursor(connection: Connection) -> Iterator[psycopg.Cursor[Any]]:
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)  # noqa: S101 - database.py opens no other
    try:
        with driver.cursor() as cursor:
            yield cursor
    except (psycopg.OperationalError, psycopg.InterfaceError) as error:
        # SQLAlchemy does not see errors of the driver's own cursor; this is how it reports them.
        raise OperationalError("COPY", None, error) from error


def _copy_new(cursor: psycopg.Cursor[Any], rows: Sequence[LatentRow]) -> list[LatentRow]:
    known: list[LatentRow] = []
    while True:
        cursor.execute("SAVEPOINT before_copy")
        try:
            _copy(cursor, rows)
        except UniqueViolation as error:
            if error.diag.constraint_name != _CONSTRAINT:
                raise StoreError(f"latents cannot be stored: {error}. {_REMEDY}") from error
            # More than once only where another process stores the same message at this moment.
            cursor.execute("ROLLBACK TO before_copy")
            ids = [row.message_id for row in rows]
            stored = cursor.execute(_FIND_KNOWN, (ids,)).fetchall()
            rows, found = separate_known(rows, (message_id for (message_id,) in stored))
            known += found
        else:
            cursor.execute("RELEASE before_copy")
            return known


def _copy(cursor: psycopg.Cursor[Any], rows: Sequence[LatentRow]) -> None:
    with cursor.copy(_COPY) as copy:
        copy.set_types(_TYPES)
        for row in rows:
            copy.write_row(row)
