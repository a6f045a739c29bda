"""Dividing a set of images into public ones, five clients' ones, and ones nobody has seen."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from client_autoencoder.errors import ClientError
from client_autoencoder.image_sets import split
from client_autoencoder.image_sources import open_source
from client_autoencoder.images import ImageBatch, Size, Skipped, read_all, too_many_skipped

CLIENTS = 5
_MOST_PUBLIC = 2000
_MOST_PER_CLIENT = 1000
_MOST_UNSEEN = 1000
_FEWEST_IMAGES = 60
_LARGEST_SIDE = 32
_SMALL_SIDE = 28


@dataclass(frozen=True)
class DemoImages:
    """Disjoint, stratified parts: the encoder and the attacker see ``public`` only."""

    name: str
    public: ImageBatch
    clients: list[ImageBatch]
    unseen: ImageBatch
    skipped: list[Skipped]


def divide_images(data: str, rng: np.random.Generator, max_skip: float) -> DemoImages:
    """Read a source and divide it; images over 32 pixels are resized to 28x28 to save time.

    Raises:
        ClientError: there are too few images, unlabelled ones, or too many unreadable.
    """
    source = open_source(data)
    skipped: list[Skipped] = []
    limit = _MOST_PUBLIC + CLIENTS * _MOST_PER_CLIENT + _MOST_UNSEEN
    order = [int(index) for index in rng.permutation(len(source))[:limit]]
    images = read_all(source, skipped, size=_demo_size(source.load(order[0]).shape), order=order)
    if too_many_skipped(len(skipped), len(order), max_skip):
        raise ClientError(
            f"{len(skipped)} of {len(order)} images cannot be read, the first: "
            f"{skipped[0].name}: {skipped[0].reason}"
        )
    if None in images.labels or len(set(images.labels)) < 2:
        raise ClientError(f"{data}: the demo needs images of at least two classes, with labels")
    if len(images) < _FEWEST_IMAGES:
        raise ClientError(f"{data}: the demo needs {_FEWEST_IMAGES} images, not {len(images)}")
    public = min(_MOST_PUBLIC, len(images) // 3)
    unseen = min(_MOST_UNSEEN, len(images) * 2 // 9)
    each = min(_MOST_PER_CLIENT, (len(images) - public - unseen) // CLIENTS)
    parts = split(images, [public, unseen, *[each] * CLIENTS], rng)
    return DemoImages(source.name, parts[0], parts[2 : 2 + CLIENTS], parts[1], skipped)


def write_parts(directory: Path, images: DemoImages) -> None:
    """Write ``public.npz`` and, for each client, ``client-N.npz`` and ``unseen-N.npz``."""
    _write_npz(directory / "public.npz", images.public)
    shares = np.array_split(np.arange(len(images.unseen)), CLIENTS)
    for number, (own, share) in enumerate(zip(images.clients, shares, strict=True), start=1):
        _write_npz(directory / f"client-{number}.npz", own)
        _write_npz(directory / f"unseen-{number}.npz", images.unseen.select(share))


def read_parts(directory: Path) -> DemoImages:
    """Read what ``write_parts`` wrote."""
    numbers = range(1, CLIENTS + 1)
    return DemoImages(
        directory.name,
        _read_npz(directory, "public"),
        [_read_npz(directory, f"client-{number}") for number in numbers],
        _read_npz(directory, *(f"unseen-{number}" for number in numbers)),
        skipped=[],
    )


def _read_npz(directory: Path, *names: str) -> ImageBatch:
    batches = [read_all(open_source(str(directory / f"{name}.npz")), []) for name in names]
    return ImageBatch(
        np.concatenate([batch.images for batch in batches]),
        [label for batch in batches for label in batch.labels],
        [name for batch in batches for name in batch.names],
    )


def _write_npz(path: Path, images: ImageBatch) -> None:
    pixels = np.rint(images.images[:, 0] * 255).astype(np.uint8)
    np.savez(path, images=pixels, labels=np.array(images.labels))


def _demo_size(shape: tuple[int, ...]) -> Size:
    rows, columns = shape
    return (rows, columns) if max(shape) <= _LARGEST_SIDE else (_SMALL_SIDE, _SMALL_SIDE)
