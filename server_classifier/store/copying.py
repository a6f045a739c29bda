"""Latents into PostgreSQL by binary COPY, several times as fast as INSERT.

COPY knows no ON CONFLICT. Nearly every batch is all new, so it is copied straight into the table;
when PostgreSQL then reports a known ``message_id``, the batch is undone and takes the long way,
over a table of its own from which only the new rows are inserted.
"""

from collections.abc import Sequence

import psycopg
from psycopg.errors import UniqueViolation
from sqlalchemy import BigInteger, Connection, Integer, LargeBinary
from sqlalchemy.exc import OperationalError

from server_classifier.store.latents import LatentRow
from server_classifier.store.tables import UtcTime, latent

_COLUMNS = ", ".join(LatentRow._fields)
_KINDS = {Integer: "int4", BigInteger: "int8", UtcTime: "int8", LargeBinary: "bytea"}
_TYPES = [_KINDS.get(type(latent.c[name].type), "text") for name in LatentRow._fields]
_MAKE_STAGE = (
    f"CREATE TEMPORARY TABLE IF NOT EXISTS stage ON COMMIT DELETE ROWS "  # noqa: S608
    f"AS SELECT {_COLUMNS} FROM latent WITH NO DATA"
)
_FROM_STAGE = (
    f"INSERT INTO latent ({_COLUMNS}) SELECT {_COLUMNS} FROM stage "  # noqa: S608
    "ON CONFLICT (message_id) DO NOTHING"
)


def copy_latents(connection: Connection, rows: Sequence[LatentRow]) -> int:
    """Store latents in the transaction of ``connection``; return how many were new."""
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)  # noqa: S101 - database.py opens no other
    try:
        return _copy_or_merge(driver, rows)
    except (psycopg.OperationalError, psycopg.InterfaceError) as error:
        # As SQLAlchemy reports it, which has not seen this one: it comes past it.
        raise OperationalError("COPY", None, error) from error


def _copy_or_merge(driver: psycopg.Connection[object], rows: Sequence[LatentRow]) -> int:
    with driver.cursor() as cursor:
        cursor.execute("SAVEPOINT before_copy")
        try:
            _copy(cursor, "latent", rows)
        except UniqueViolation:
            cursor.execute("ROLLBACK TO before_copy")
            return _copy_over_stage(cursor, rows)
        cursor.execute("RELEASE before_copy")
    return len(rows)


def _copy_over_stage(cursor: psycopg.Cursor[object], rows: Sequence[LatentRow]) -> int:
    cursor.execute(_MAKE_STAGE)
    cursor.execute("TRUNCATE stage")
    _copy(cursor, "stage", rows)
    return cursor.execute(_FROM_STAGE).rowcount


def _copy(cursor: psycopg.Cursor[object], table: str, rows: Sequence[LatentRow]) -> None:
    with cursor.copy(f"COPY {table} ({_COLUMNS}) FROM STDIN (FORMAT BINARY)".encode()) as copy:
        copy.set_types(_TYPES)
        for row in rows:
            copy.write_row(row)
