"""Datasets: named, unchanging lists of latents in the order of their messageIDs.

A dataset lists (messageID, revision) and copies nothing. Its digest is over this list, so the same
latents give the same digest in the live database, in a replay, and on either kind of database.
"""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import BigInteger, Connection, Engine, select, type_coerce
from sqlalchemy import insert as insert_into

from schemas.errors import SchemaError
from schemas.validation import check_name
from server_classifier.store.database import lift_limits, reading, writing
from server_classifier.store.errors import DatasetError
from server_classifier.store.latents import LatentRow
from server_classifier.store.revisions import compute_digest, compute_revision
from server_classifier.store.selection import Selection
from server_classifier.store.tables import dataset, dataset_member, latent

CHUNK = 5_000  # rows at once: what bounds the memory beside the list of members

OnProgress = Callable[[int], None]
"""Takes how many latents are read."""


class Member(NamedTuple):
    """A latent of a dataset, and the hash of what it held when the dataset was made."""

    message_id: str
    revision: str


class Dataset(NamedTuple):
    """What is known of a dataset beside its members. ``selection`` is JSON."""

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
    """List what is selected now under a name; return the dataset and whether it is new.

    The latents are read in one snapshot and keep nobody waiting.

    Raises:
        DatasetError: nothing is selected, or the name belongs to another list.
    """
    _check(name)
    with reading(engine) as connection:
        lift_limits(connection)
        members = sorted(_find_members(connection, selection, on_progress))
    if not members:
        raise DatasetError("no latent is selected")
    made = Dataset(0, name, selection.to_json(), len(members), compute_digest(members), now)
    with writing(engine) as connection:
        lift_limits(connection)
        known = find_dataset(connection, name)
        if known is None:
            return _insert(connection, made, members), True
        if known.digest != made.digest:
            raise DatasetError(
                f"dataset {name} holds {known.rows} latents since {known.created_at:%Y-%m-%d} and "
                f"never changes; this selection gives {made.rows} others: choose another name"
            )
        return known, False


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
        known = ", ".join(one.name for one in list_datasets(connection))
        raise DatasetError(f"there is no dataset {name}; there are: {known or 'none'}")
    return found


def list_datasets(connection: Connection) -> list[Dataset]:
    """Return all datasets, the oldest first."""
    return [Dataset._make(row) for row in connection.execute(select(dataset).order_by("id"))]


def compare_datasets(connection: Connection, first: Dataset, second: Dataset) -> Difference:
    """Return in which members two datasets differ."""
    ours, theirs = (dict(read_members(connection, one)) for one in (first, second))
    return Difference(
        sorted(ours.keys() - theirs.keys()),
        sorted(theirs.keys() - ours.keys()),
        sorted(one for one in ours.keys() & theirs.keys() if ours[one] != theirs[one]),
    )


def read_members(connection: Connection, chosen: Dataset) -> Iterator[Member]:
    """Yield the members in their order."""
    query = (
        select(dataset_member.c.message_id, dataset_member.c.revision)
        .where(dataset_member.c.dataset_id == chosen.id)
        .order_by(dataset_member.c.ordinal)
    )
    for row in connection.execute(query, execution_options={"yield_per": CHUNK}):
        yield Member._make(row)


def find_changes(connection: Connection, chosen: Dataset) -> tuple[list[str], list[str]]:
    """Return the messageIDs of members that are gone, and of those that hold something else."""
    query = (
        select(dataset_member.c.message_id, dataset_member.c.revision, *_RAW)
        .outerjoin_from(dataset_member, latent, latent.c.message_id == dataset_member.c.message_id)
        .where(dataset_member.c.dataset_id == chosen.id)
        .order_by(dataset_member.c.ordinal)
    )
    gone: list[str] = []
    changed: list[str] = []
    for message_id, revision, *columns in connection.execute(
        query, execution_options={"yield_per": CHUNK}
    ):
        row = LatentRow(*columns)
        if row.message_id is None:
            gone.append(message_id)
        elif compute_revision(row) != revision:
            changed.append(message_id)
    return gone, changed


# Times as they are stored, which is what a revision is computed from.
_RAW = [
    type_coerce(latent.c[name], BigInteger) if name.endswith("_at") else latent.c[name]
    for name in LatentRow._fields
]


def _check(name: str) -> None:
    try:
        check_name("clientID", name)
    except SchemaError as error:
        raise DatasetError(f"the name of a dataset {error.reason}") from error


def _find_members(
    connection: Connection, selection: Selection, on_progress: OnProgress
) -> Iterator[Member]:
    query = select(*_RAW).where(selection.to_condition())
    found = connection.execute(query, execution_options={"yield_per": CHUNK})
    for done, row in enumerate(found, 1):
        stored = LatentRow._make(row)
        yield Member(stored.message_id, compute_revision(stored))
        if done % CHUNK == 0:
            on_progress(done)


def _insert(connection: Connection, made: Dataset, members: list[Member]) -> Dataset:
    values = made._asdict()
    del values["id"]
    (number,) = connection.execute(insert_into(dataset).values(values)).inserted_primary_key or (0,)
    rows = [{"dataset_id": number, "ordinal": i, **one._asdict()} for i, one in enumerate(members)]
    for start in range(0, len(rows), CHUNK):
        connection.execute(insert_into(dataset_member), rows[start : start + CHUNK])
    return made._replace(id=number)
