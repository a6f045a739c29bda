"""The images of a consortium in disjoint parts, and the files in which its processes find them."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from client_autoencoder.images.batches import (
    ImageBatch,
    ImageSource,
    Skipped,
    UnreadableImage,
    read_all,
)
from client_autoencoder.images.sources import open_source
from schemas.models.network_manifest import ImageInput

_LARGEST_SIDE = 32
_SMALL_SIDE = 28


@dataclass(frozen=True)
class Parts:
    """Disjoint images: encoder and attacker see ``public``, nobody has learned from ``unseen``."""

    name: str
    public: ImageBatch
    clients: list[ImageBatch]
    unseen: ImageBatch
    skipped: list[Skipped]


def name_clients(count: int) -> list[str]:
    """Return the ids of so many clients: ``client-1``, ``client-2`` ..."""
    return [f"client-{number}" for number in range(1, count + 1)]


def write_parts(directory: Path, parts: Parts) -> None:
    """Write ``public.npz``, ``client-N.npz`` and ``unseen-N.npz``; pixels are rounded to 8 bits."""
    _write_npz(directory / "public.npz", parts.public)
    shares = np.array_split(np.arange(len(parts.unseen)), len(parts.clients))
    for number, (own, share) in enumerate(zip(parts.clients, shares, strict=True), start=1):
        _write_npz(directory / f"client-{number}.npz", own)
        _write_npz(directory / f"unseen-{number}.npz", parts.unseen.select(share))


def read_parts(directory: Path) -> Parts:
    """Read what ``write_parts`` wrote, of all clients that it wrote."""
    clients = name_clients(len(list(directory.glob("client-*.npz"))))
    own = [read_part(directory, client) for client in clients]
    unseen = [read_part(directory, client.replace("client", "unseen")) for client in clients]
    return Parts(directory.name, read_part(directory, "public"), own, join(unseen), skipped=[])


def join(batches: Sequence[ImageBatch]) -> ImageBatch:
    """Return the images of several batches as one batch."""
    return ImageBatch(
        np.concatenate([batch.images for batch in batches]),
        [label for batch in batches for label in batch.labels],
        [name for batch in batches for name in batch.names],
    )


def choose_input(source: ImageSource, order: Iterable[int]) -> ImageInput:
    """Return the images to work with: grey, of their size, or 28x28 above 32 pixels to save time.

    The first readable image of ``order`` decides.
    """
    for index in order:
        with suppress(UnreadableImage):
            _, rows, columns = source.load(int(index)).shape
            if max(rows, columns) <= _LARGEST_SIDE:
                return ImageInput(1, rows, columns)
    return ImageInput(1, _SMALL_SIDE, _SMALL_SIDE)


def read_part(directory: Path, name: str) -> ImageBatch:
    """Read one part, such as ``public``."""
    return read_all(open_source(str(directory / f"{name}.npz")), [])


def _write_npz(path: Path, images: ImageBatch) -> None:
    pixels = np.rint(images.images[:, 0] * 255).astype(np.uint8)
    np.savez(path, images=pixels, labels=np.array(images.labels), names=np.array(images.names))
