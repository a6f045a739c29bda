"""Datasets: named, unchanging lists of latents in the order of their messageIDs.

A dataset lists (messageID, revision) and copies nothing. Its digest is over this list, so the same
latents give the same digest in the live database, in a replay, and on either kind of database.
"""

from collections.abc import Iterator
from datetime import datetime
from heapq import merge
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine, func, insert, select, text

from schemas.errors import SchemaError
from schemas.messages.validation import check_name
from server_classifier.store.database import lift_limits, reading, writing
from server_classifier.store.datasets.members import (
    OnProgress,
    find_members,
    insert_members,
    read_members,
    split_members,
)
from server_classifier.store.errors import DatasetError
from server_classifier.store.latents.revisions import compute_digest
from server_classifier.store.latents.selection import Selection
from server_classifier.store.latents.selection_check import explain_nothing, refuse_unknown
from server_classifier.store.tables import dataset, replay


class Dataset(NamedTuple):
    """A dataset without its members. ``selection`` is JSON."""

    id: int
    name: str
    selection: str
    rows: int
    digest: str
    created_at: datetime


class Difference(NamedTuple):
    """The messageIDs, sorted, in which two datasets differ."""

    only_first: list[str]
    only_second: list[str]
    changed: list[str]


def create_dataset(
    engine: Engine,
    name: str,
    selection: Selection,
    *,
    now: datetime,
    on_progress: OnProgress = lambda _: None,
) -> tuple[Dataset, bool]:
    """List the latents selected now under a name; return the dataset and whether it is new.

    The latents are read in one snapshot; writers wait only while the list is stored.

    Raises:
        DatasetError: nothing is selected, the name belongs to another list, or it is not allowed.
        StoreUnavailable: the database does not answer.
    """
    _refuse_name(name)
    with reading(engine) as connection:
        lift_limits(connection)
        _refuse_unfinished(connection)
        refuse_unknown(connection, selection)
        members = find_members(connection, selection, on_progress)
        if not len(members):
            raise DatasetError(explain_nothing(connection, selection))
    digest = compute_digest(split_members(members))
    new = Dataset(0, name, selection.to_json(), len(members), digest, now)
    with writing(engine) as connection:
        lift_limits(connection)
        return _store(connection, new, members)


def find_dataset(connection: Connection, name: str) -> Dataset | None:
    """Return a dataset, or None when there is none of that name."""
    row = connection.execute(select(dataset).where(dataset.c.name == name)).first()
    return None if row is None else Dataset._make(row)


def get_dataset(connection: Connection, name: str) -> Dataset:
    """Return a dataset.

    Raises:
        DatasetError: there is none of that name.
    """
    found = find_dataset(connection, name)
    if found is None:
        known = ", ".join(other.name for other in list_datasets(connection))
        there = f"there are: {known}" if known else "make it with `ioa dataset create`"
        raise DatasetError(f"there is no dataset {name}; {there}")
    return found


def list_datasets(connection: Connection) -> list[Dataset]:
    """Return all datasets, the oldest first."""
    return [Dataset._make(row) for row in connection.execute(select(dataset).order_by("id"))]


def compare_datasets(connection: Connection, first: Dataset, second: Dataset) -> Difference:
    """Return the members in which two datasets of a database differ."""
    difference = Difference([], [], [])
    both = merge(_list_members(connection, first), _list_members(connection, second))
    for message_id, members in groupby(both, itemgetter(0)):
        _, revisions, dataset_ids = zip(*members, strict=True)
        if len(dataset_ids) == 1:
            only_first = dataset_ids[0] == first.id
            (difference.only_first if only_first else difference.only_second).append(message_id)
        elif revisions[0] != revisions[1]:
            difference.changed.append(message_id)
    return difference


def _refuse_name(name: str) -> None:
    try:
        check_name("clientID", name)
    except SchemaError as error:
        raise DatasetError(f"the name of a dataset {error.reason}") from error


def _refuse_unfinished(connection: Connection) -> None:
    if connection.scalar(select(func.count()).where(replay.c.finished_at.is_(None))):
        raise DatasetError(
            "the replay that fills this database is not finished: let it end, or run it again"
        )


def _store(
    connection: Connection, new: Dataset, members: NDArray[np.bytes_]
) -> tuple[Dataset, bool]:
    if connection.dialect.name == "postgresql":  # an SQLite transaction has the only lock already
        connection.execute(text("LOCK TABLE dataset IN SHARE ROW EXCLUSIVE MODE"))
    known = find_dataset(connection, new.name)
    if known is not None:
        _refuse_other(known, new)
        return known, False
    new = new._replace(id=(connection.scalar(select(func.max(dataset.c.id))) or 0) + 1)
    connection.execute(insert(dataset).values(new._asdict()))
    insert_members(connection, new.id, members)
    return new, True


def _refuse_other(known: Dataset, new: Dataset) -> None:
    if known.digest != new.digest:
        raise DatasetError(
            f"dataset {known.name} was made on {known.created_at:%Y-%m-%d} of {known.rows} latents "
            f"and never changes; this would be another one, of {new.rows}: give it a name of its "
            f"own, such as {known.name[:60]}-2"
        )


def _list_members(connection: Connection, chosen: Dataset) -> Iterator[tuple[str, str, int]]:
    """Yield messageID, revision and the dataset's id, by messageID."""
    for member in read_members(connection, chosen.id):
        yield (*member, chosen.id)
