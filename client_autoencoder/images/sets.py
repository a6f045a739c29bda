"""Sets of images: stratified splits and samples by a seed, and a hash of the set."""

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from client_autoencoder.errors import ClientError
from client_autoencoder.images.batches import ImageBatch, ImageSource, Pixels

Indices = NDArray[np.intp]


def stratified_order(labels: Sequence[str | None], rng: np.random.Generator) -> Indices:
    """Shuffle positions so that every slice of them holds the classes in about their shares.

    Each class is shuffled and spread evenly over the whole length.
    """
    ranks = np.empty(len(labels))
    places: dict[str | None, list[int]] = {}
    for place, label in enumerate(labels):
        places.setdefault(label, []).append(place)
    for label in sorted(places, key=str):
        members = places[label]
        steps = rng.permutation(len(members)) + rng.random()
        ranks[members] = steps / len(members)
    return np.argsort(ranks, kind="stable")


def split(images: ImageBatch, sizes: Sequence[int], rng: np.random.Generator) -> list[ImageBatch]:
    """Divide images into splits of ``sizes``, stratified by class; the last split is the rest.

    Raises:
        ClientError: there are fewer images than the sizes add up to.
    """
    if sum(sizes) > len(images):
        raise ClientError(f"{sum(sizes)} images are needed for the splits, {len(images)} are there")
    order = stratified_order(images.labels, rng)
    return [images.select(positions) for positions in np.split(order, np.cumsum(sizes))]


def draw(source: ImageSource, limit: int | None, rng: np.random.Generator) -> list[int]:
    """Return the positions of at most ``limit`` images, stratified by class; None means all."""
    if limit is None or limit >= len(source):
        return list(range(len(source)))
    labels = [source.label(index) for index in range(len(source))]
    return sorted(int(index) for index in stratified_order(labels, rng)[:limit])


def digest(pixels: Pixels) -> str:
    """Return a sha256 (hex) of the images [N, 1, H, W] as a set: their order does not matter."""
    shape = str(pixels.shape[1:]).encode()
    wire = np.ascontiguousarray(pixels, "<f4")
    sums = sorted(hashlib.sha256(shape + image.tobytes()).digest() for image in wire)
    return hashlib.sha256(b"".join(sums)).hexdigest()
