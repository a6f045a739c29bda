"""Reading millions of rows by column, in chunks.

Making an object of each row takes longer than anything else on the way to an array. So the rows of
SQLite are taken as its driver gives them, and PostgreSQL gathers each column of a chunk into an
array, which its driver reads in binary: a third of the time.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, func, select, type_coerce
from sqlalchemy.exc import DatabaseError
from sqlalchemy.types import NullType

CHUNK = 2_000  # rows at once; with more, the garbage collector goes through them in vain

Query = Select[*tuple[Any, ...]]
Columns = Sequence[Sequence[Any]]
"""For each column of a query the values of a chunk, as the driver gives them: times in ms."""


def fetch_columns(
    connection: Connection, query: Query, order: ColumnElement[int]
) -> Iterator[Columns]:
    """Yield the columns of a query's rows in the order of a column, some rows at a time."""
    if connection.dialect.name == "postgresql":
        options = {"yield_per": 1, "binary_results": True}
        yield from connection.execute(_gather(query, order), execution_options=options)
    else:
        for rows in _fetch(connection, query.order_by(order)):
            yield list(zip(*rows, strict=True))


def _gather(query: Query, order: ColumnElement[int]) -> Query:
    """Return a query for one row of arrays for each ``CHUNK`` places in the order."""
    rows = query.add_columns(order.label("place")).subquery()
    *columns, place = rows.c
    chunk = place // CHUNK
    arrays = (func.array_agg(column).aggregate_order_by(place) for column in columns)
    # NullType: else SQLAlchemy would look at every single value.
    untouched = (type_coerce(array, NullType()) for array in arrays)
    return select(*untouched).group_by(chunk).order_by(chunk)


def _fetch(connection: Connection, query: Query) -> Iterator[list[tuple[Any, ...]]]:
    cursor = connection.execute(query).cursor
    assert isinstance(cursor, sqlite3.Cursor)  # noqa: S101 - by the dialect's name
    try:
        while rows := cursor.fetchmany(CHUNK):
            yield rows
    except sqlite3.DatabaseError as error:
        # As SQLAlchemy reports it, which has not seen this one: it comes past it.
        raise DatabaseError("SELECT", None, error) from error
