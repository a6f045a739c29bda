"""The latents of a dataset as arrays."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, select

from schemas.models.network_manifest import NetworkManifest
from server_classifier.store.database import lift_limits
from server_classifier.store.datasets.catalogue import Dataset, get_dataset
from server_classifier.store.datasets.members import MemberSummary, summarise_members
from server_classifier.store.errors import DatasetError
from server_classifier.store.latents.fetching import Columns, fetch_columns
from server_classifier.store.latents.vectors import decode, learnable
from server_classifier.store.registry.entries import get_encoder
from server_classifier.store.tables import dataset_member, latent


@dataclass(frozen=True, slots=True)
class DatasetLatents:
    """N latents of one encoder, in the order of the dataset: by messageID.

    Attributes:
        values: [N, D] float32; int8 latents are restored by the encoder's manifest.
        targets: [N] int64, the place of each label in ``labels``.
        labels: the labels that occur, sorted.
        site_of: [N] int64, the place of each site in ``sites``.
        sites: the sites that occur, sorted.
        groups: [N] int64, one number for latents that share a subject or an image of a site, also
            through other latents: a group must not be split between learning and testing.
        received_at: [N] int64, milliseconds since 1970 UTC.
        digest: of the whole dataset.
        skipped: members of this encoder that cannot be learned from: sums, int32, and vectors of
            another length.
        with_subject: how many of the N name a subject.
        with_image: how many name an image.
    """

    values: NDArray[np.float32]
    targets: NDArray[np.int64]
    labels: tuple[str, ...]
    site_of: NDArray[np.int64]
    sites: tuple[str, ...]
    groups: NDArray[np.int64]
    received_at: NDArray[np.int64]
    digest: str
    encoder_id: str
    skipped: int = 0
    with_subject: int = 0
    with_image: int = 0


def read_dataset(
    connection: Connection, name: str, encoder_id: str | None = None
) -> DatasetLatents:
    """Read a dataset's latents of one encoder, after checking that nothing has changed.

    The arrays follow from the dataset alone, whatever the database and the order of storage.

    Args:
        encoder_id: or its first digits; needed where the dataset has latents of several encoders.

    Raises:
        DatasetError: there is no such dataset, its list is damaged, members are gone or changed,
            or it is not clear which encoder is meant.
    """
    lift_limits(connection)
    chosen = get_dataset(connection, name)
    summary = summarise_members(connection, chosen.id)
    _refuse_changes(chosen, summary)
    counts: Counter[str] = Counter()
    for stated, count in summary.counts.items():
        counts[stated.encoder_id] += count
    manifest = _get_manifest(connection, _choose_encoder(chosen, counts, encoder_id))
    latents = read_latents(connection, chosen, manifest, counts[manifest.network_id])
    if not len(latents.values):
        raise DatasetError(f"dataset {name} has no latent of {manifest.network_id} to learn from")
    return latents


def _refuse_changes(chosen: Dataset, summary: MemberSummary) -> None:
    if summary.digest != chosen.digest:
        raise DatasetError(
            f"the list of dataset {chosen.name} is damaged: its digest is no longer that of the "
            "dataset; restore the database from a backup, or make a dataset of another name"
        )
    if lost := summary.gone + summary.changed:
        raise DatasetError(
            f"dataset {chosen.name} no longer holds: of {chosen.rows} latents {len(summary.gone)} "
            f"are gone and {len(summary.changed)} changed, the first of them {min(lost)}; "
            "restore them, or make a dataset of another name from what there is"
        )


def _choose_encoder(chosen: Dataset, counts: Counter[str], wanted: str | None) -> str:
    fitting = [encoder_id for encoder_id in counts if encoder_id.startswith(wanted or "")]
    if len(fitting) == 1:
        return fitting[0]
    known = ", ".join(f"{name[:12]} ({rows} latents)" for name, rows in sorted(counts.items()))
    reason = "several encoders" if fitting else f"no latent of encoder {wanted}"
    raise DatasetError(f"dataset {chosen.name} has {reason}; name one of: {known}")


def _get_manifest(connection: Connection, encoder_id: str) -> NetworkManifest:
    encoder = get_encoder(connection, encoder_id)
    if encoder is None:
        raise DatasetError(f"encoder {encoder_id} is not registered; add it first")
    return encoder.manifest


def read_latents(
    connection: Connection, chosen: Dataset, manifest: NetworkManifest, stored: int
) -> DatasetLatents:
    """Read a dataset's ``stored`` latents of one encoder, unchecked: as they are now."""
    values = np.empty((stored, manifest.latent_dim), np.float32)
    received = np.empty(stored, np.int64)
    labels, sites, groups = _Names(), _Names(), _Groups()
    filled = 0
    for chunk in _fetch(connection, chosen, manifest):
        dtypes, blobs, some_labels, some_sites, subjects, images, times = chunk
        rows = slice(filled, filled + len(blobs))
        values[rows] = decode(dtypes, blobs, manifest)
        received[rows] = times
        labels.add(some_labels)
        sites.add(some_sites)
        groups.add(some_sites, subjects, images)
        filled = rows.stop
    targets, known_labels = labels.number()
    site_of, known_sites = sites.number()
    return DatasetLatents(
        values=values[:filled],
        targets=targets,
        labels=known_labels,
        site_of=site_of,
        sites=known_sites,
        groups=groups.number(),
        received_at=received[:filled],
        digest=chosen.digest,
        encoder_id=manifest.network_id,
        skipped=stored - filled,
        with_subject=groups.with_subject,
        with_image=groups.with_image,
    )


def _fetch(connection: Connection, chosen: Dataset, manifest: NetworkManifest) -> Iterator[Columns]:
    query = (
        select(
            *(latent.c.dtype, latent.c.value, latent.c.label, latent.c.site),
            *(latent.c.subject, latent.c.image_id, latent.c.received_at),
        )
        .join(dataset_member, latent.c.message_id == dataset_member.c.message_id)
        .where(dataset_member.c.dataset_id == chosen.id, learnable(manifest))
    )
    return fetch_columns(connection, query, dataset_member.c.ordinal)


class _Names:
    """Names that come in chunks, numbered."""

    def __init__(self) -> None:
        self._places: dict[str, int] = {}
        self._chunks = [np.empty(0, np.int64)]

    def add(self, names: Sequence[str]) -> None:
        for name in set(names):
            self._places.setdefault(name, len(self._places))
        numbers = map(self._places.__getitem__, names)
        self._chunks.append(np.fromiter(numbers, np.int64, len(names)))

    def number(self) -> tuple[NDArray[np.int64], tuple[str, ...]]:
        """Return the place of each name among the sorted names, and these."""
        known = tuple(sorted(self._places))
        order = np.empty(len(known), np.int64)
        order[[self._places[name] for name in known]] = np.arange(len(known))
        return order[np.concatenate(self._chunks)], known


class _Groups:
    """Rows that come in chunks, each with the place of an earlier row of its group, or its own."""

    def __init__(self) -> None:
        self.with_subject = self.with_image = 0
        self._first: dict[tuple[str, str, str], int] = {}
        self._places: list[int] = []

    def add(
        self,
        sites: Sequence[str],
        subjects: Sequence[str | None],
        images: Sequence[str | None],
    ) -> None:
        for site, subject, image in zip(sites, subjects, images, strict=True):
            place = len(self._places)
            self._places.append(place)
            if subject is not None:  # a pseudonym means the same within its site only
                self.with_subject += 1
                self._join(place, self._first.setdefault((site, "subject", subject), place))
            if image is not None:
                self.with_image += 1
                self._join(place, self._first.setdefault((site, "image", image), place))

    def number(self) -> NDArray[np.int64]:
        """Return the groups of the rows, numbered from 0 by their first rows."""
        first = np.fromiter(map(self._find, range(len(self._places))), np.int64)
        return np.unique(first, return_inverse=True)[1]

    def _join(self, row: int, other: int) -> None:
        if row != other:
            first, second = sorted((self._find(row), self._find(other)))
            self._places[second] = first

    def _find(self, row: int) -> int:
        """Return the first row of a row's group; the way there gets shorter."""
        while (place := self._places[row]) != row:
            self._places[row] = self._places[place]
            row = place
        return row
