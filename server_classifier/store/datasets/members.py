"""The members of datasets: found among the latents, stored, read, and compared with the latents.

There may be millions. Found members are kept as text of equal length in one array, 69 bytes each.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, select

from server_classifier.store.latents.fetching import CHUNK, Columns, fetch_columns
from server_classifier.store.latents.latent_row import LATENT_COLUMNS, LatentRow
from server_classifier.store.latents.revisions import compute_digest, compute_revision
from server_classifier.store.latents.selection import Selection
from server_classifier.store.tables import dataset_member, latent

OnProgress = Callable[[int], None]
"""Takes how many latents are read."""


class Member(NamedTuple):
    """A latent of a dataset, and the hash of what it held when the dataset was made."""

    message_id: str
    revision: str


class Stated(NamedTuple):
    """The fields by which members are counted."""

    site: str
    client_id: str
    label: str
    encoder_id: str


class MemberSummary(NamedTuple):
    """What became of the members of a dataset.

    Attributes:
        counts: the latents that are there, by what they state now.
        gone: the messageIDs of members whose latent is not there.
        changed: the messageIDs of members whose latent holds something else.
        digest: of the members that are listed now.
    """

    counts: Counter[Stated]
    gone: list[str]
    changed: list[str]
    digest: str


def find_members(
    connection: Connection, selection: Selection, on_progress: OnProgress
) -> NDArray[np.bytes_]:
    """Return ``messageID revision`` [N] of the selected latents, in the order of their bytes."""
    query = select(*LATENT_COLUMNS).where(selection.to_condition())
    members = [np.empty(0, "S69")]
    done = 0
    for columns in fetch_columns(connection, query, latent.c.id):
        rows = map(LatentRow._make, zip(*columns, strict=True))
        lines = [f"{row.message_id} {compute_revision(row)}" for row in rows]
        members.append(np.array(lines, "S69"))
        done += len(lines)
        on_progress(done)
    found = np.concatenate(members)
    found.sort()
    return found


def split_members(members: NDArray[np.bytes_]) -> Iterator[Member]:
    """Yield the members that ``find_members`` returned."""
    for line in members:
        yield Member(*line.decode().split(" "))


def insert_members(connection: Connection, dataset_id: int, members: NDArray[np.bytes_]) -> None:
    """Store what ``find_members`` returned as the members of a dataset."""
    rows = ((dataset_id, ordinal, *member) for ordinal, member in enumerate(split_members(members)))
    if connection.dialect.name == "postgresql":
        from server_classifier.store.latents.copying import copy_members  # psycopg is an extra

        return copy_members(connection, rows)
    while chunk := list(islice(rows, CHUNK)):
        connection.exec_driver_sql("INSERT INTO dataset_member VALUES (?, ?, ?, ?)", chunk)


def read_members(connection: Connection, dataset_id: int) -> Iterator[Member]:
    """Yield the members of a dataset in their order."""
    query = select(dataset_member.c.message_id, dataset_member.c.revision).where(
        dataset_member.c.dataset_id == dataset_id
    )
    for columns in fetch_columns(connection, query, dataset_member.c.ordinal):
        yield from map(Member._make, zip(*columns, strict=True))


def summarise_members(connection: Connection, dataset_id: int) -> MemberSummary:
    """Compare the revisions of all latents of a dataset with those of its members."""
    query = (
        select(dataset_member.c.message_id, dataset_member.c.revision, *LATENT_COLUMNS)
        .outerjoin_from(dataset_member, latent, latent.c.message_id == dataset_member.c.message_id)
        .where(dataset_member.c.dataset_id == dataset_id)
    )
    summary = MemberSummary(Counter(), [], [], "")
    chunks = fetch_columns(connection, query, dataset_member.c.ordinal)
    return summary._replace(digest=compute_digest(_add_members(chunks, summary)))


def _add_members(chunks: Iterable[Columns], summary: MemberSummary) -> Iterator[tuple[str, str]]:
    """Add each member to the summary, and yield it."""
    for chunk in chunks:
        for message_id, revision, *columns in zip(*chunk, strict=True):
            yield message_id, revision
            row = LatentRow._make(columns)
            if row.message_id is None:
                summary.gone.append(message_id)
                continue
            summary.counts[Stated(row.site, row.client_id, row.label, row.encoder_id)] += 1
            if compute_revision(row) != revision:
                summary.changed.append(message_id)


def count_latents_of(connection: Connection, message_ids: Sequence[str]) -> Counter[Stated]:
    """Count the stored latents with these messageIDs."""
    columns = [latent.c[name] for name in Stated._fields]
    counts: Counter[Stated] = Counter()
    for start in range(0, len(message_ids), CHUNK):
        condition = latent.c.message_id.in_(message_ids[start : start + CHUNK])
        counts.update(map(Stated._make, connection.execute(select(*columns).where(condition))))
    return counts
