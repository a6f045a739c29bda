"""Reading the latents to train a classifier on: all of one encoder, or a stratified sample."""

from dataclasses import dataclass
from itertools import compress

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, func, select

from schemas.models.network_manifest import NetworkManifest
from server_classifier.store.errors import RegistryError
from server_classifier.store.latents.fetching import fetch_columns
from server_classifier.store.latents.vectors import decode, learnable
from server_classifier.store.registry.entries import get_encoder
from server_classifier.store.tables import latent


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """N latents of one encoder, sorted by target and then by bytes, ready for ``fit``.

    Attributes:
        values: [N, D] float32; int8 latents are restored by the encoder's manifest.
        targets: [N] int64, the place of each row's label in ``labels``.
        labels: the labels that occur, sorted.
        last_id: the newest latent there was, drawn or not; 0 when there was none.
        available: how many latents could have been drawn; N is the smaller of it and ``max_rows``.
        skipped: how many cannot be learned from: sums, int32, vectors of another length, and
            latents without a label.
    """

    values: NDArray[np.float32]
    targets: NDArray[np.int64]
    labels: tuple[str, ...]
    last_id: int
    available: int
    skipped: int


@dataclass(frozen=True, slots=True)
class _Listing:
    """The rows to draw from: id and number of the stratum of each, [N], and the strata's names."""

    ids: NDArray[np.int64]
    strata: NDArray[np.int64]
    names: list[tuple[str, str]]  # (site, label)


def read_training_set(
    connection: Connection, encoder_id: str, *, max_rows: int, rng: np.random.Generator
) -> TrainingSet:
    """Read at most ``max_rows`` latents of an encoder.

    Where there are more, every pair of site and label keeps its share, and at least one row as
    long as ``max_rows`` allows.

    The rows do not come in the order of storage. So the classifier depends on the set of latents
    alone: a replay of the topic, or a second run of an experiment, gives the same weights with the
    same seed, in whatever order the clients' messages arrived. There is one exception: where
    ``max_rows`` forces a draw, the order of storage decides which rows are drawn.

    Raises:
        RegistryError: the encoder is not registered.
    """
    encoder = get_encoder(connection, encoder_id)
    if encoder is None:
        raise RegistryError(f"encoder {encoder_id} is not registered")
    stored, last_id = connection.execute(
        select(func.count(), func.max(latent.c.id)).where(latent.c.encoder_id == encoder_id)
    ).one()
    listing = _list_rows(connection, encoder.manifest)
    chosen = draw_stratified(listing.strata, max_rows, rng)
    labels = tuple(sorted({label for _, label in listing.names}))
    places = {label: place for place, label in enumerate(labels)}
    target_of = np.array([places[label] for _, label in listing.names], np.int64)
    values = _read_values(connection, encoder.manifest, listing.ids[chosen])
    targets = target_of[listing.strata[chosen]]
    order = _canonical_order(values, targets)
    return TrainingSet(
        values=values[order],
        targets=targets[order],
        labels=labels,
        last_id=last_id or 0,
        available=len(listing.ids),
        skipped=stored - len(listing.ids),
    )


def _canonical_order(values: NDArray[np.float32], targets: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the positions [N] of the rows by target, then by the bytes of values [N, D].

    Rows that tie are equal, so that it does not matter which of them comes first.
    """
    rows = values.view(np.dtype((np.void, values.shape[1] * values.itemsize)))[:, 0]
    by_bytes = np.argsort(rows)
    return by_bytes[np.argsort(targets[by_bytes], kind="stable")]


def draw_stratified(
    strata: NDArray[np.int64], size: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Return the sorted positions of ``size`` of the rows, or of all when there are no more.

    ``strata`` [N] numbers the stratum of each row from 0. Every stratum gets one row, the largest
    first where ``size`` does not reach; the rest is shared in proportion.
    """
    if len(strata) <= size:
        return np.arange(len(strata))
    counts = np.bincount(strata)
    order = rng.permutation(len(strata))
    by_stratum = order[np.argsort(strata[order], kind="stable")]
    starts = np.cumsum(counts) - counts
    shares = _share(counts, size)
    picks = [by_stratum[start : start + share] for start, share in zip(starts, shares, strict=True)]
    return np.sort(np.concatenate(picks))


def _share(counts: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Split ``size`` (below the sum of ``counts``) over strata, largest remainder first."""
    shares = np.zeros_like(counts)
    shares[np.argsort(-counts, kind="stable")[:size]] = 1
    shares = np.minimum(shares, counts)
    spare = counts - shares
    ideal = (size - shares.sum()) * spare / spare.sum()
    shares += np.floor(ideal).astype(np.int64)
    remainder = ideal - np.floor(ideal)
    left = size - int(shares.sum())
    shares[np.argsort(-remainder, kind="stable")[:left]] += 1
    return shares


def _list_rows(connection: Connection, manifest: NetworkManifest) -> _Listing:
    """List the rows without their values, and number their strata."""
    query = select(latent.c.id, latent.c.site, latent.c.label).where(learnable(manifest))
    ids: list[int] = []
    strata: list[int] = []
    numbers: dict[tuple[str, str], int] = {}
    for row_ids, sites, labels in fetch_columns(connection, query, latent.c.id):
        ids += row_ids
        strata += [
            numbers.setdefault(pair, len(numbers)) for pair in zip(sites, labels, strict=True)
        ]
    return _Listing(np.array(ids, np.int64), np.array(strata, np.int64), list(numbers))


def _read_values(
    connection: Connection, manifest: NetworkManifest, ids: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Return the vectors [N, D] of the rows with these sorted ids, by one pass over the table."""
    values = np.empty((len(ids), manifest.latent_dim), np.float32)
    query = select(latent.c.id, latent.c.dtype, latent.c.value).where(learnable(manifest))
    filled = 0
    for row_ids, dtypes, blobs in fetch_columns(connection, query, latent.c.id):
        stop = int(np.searchsorted(ids, row_ids[-1], side="right"))
        drawn = np.isin(row_ids, ids[filled:stop], assume_unique=True)
        values[filled:stop] = decode(
            list(compress(dtypes, drawn)), list(compress(blobs, drawn)), manifest
        )
        filled = stop
    return values
