"""The images of a consortium in disjoint parts, and the files in which its processes find them."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from client_autoencoder.images.batches import (
    ImageBatch,
    ImageSource,
    Size,
    Skipped,
    UnreadableImage,
    read_all,
)
from client_autoencoder.images.sources import open_source

CLIENTS = 5
CLIENT_IDS = [f"client-{number}" for number in range(1, CLIENTS + 1)]
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


def write_parts(directory: Path, parts: Parts) -> None:
    """Write ``public.npz`` and, for each client, ``client-N.npz`` and ``unseen-N.npz``.

    Pixels are rounded to 8 bits.
    """
    _write_npz(directory / "public.npz", parts.public)
    shares = np.array_split(np.arange(len(parts.unseen)), len(parts.clients))
    for number, (own, share) in enumerate(zip(parts.clients, shares, strict=True), start=1):
        _write_npz(directory / f"client-{number}.npz", own)
        _write_npz(directory / f"unseen-{number}.npz", parts.unseen.select(share))


def read_parts(directory: Path) -> Parts:
    """Read what ``write_parts`` wrote."""
    numbers = range(1, CLIENTS + 1)
    return Parts(
        directory.name,
        read_part(directory, "public"),
        [read_part(directory, f"client-{number}") for number in numbers],
        read_part(directory, *(f"unseen-{number}" for number in numbers)),
        skipped=[],
    )


def read_part(directory: Path, *names: str) -> ImageBatch:
    """Read one part, or several as one."""
    batches = [read_all(open_source(str(directory / f"{name}.npz")), []) for name in names]
    return ImageBatch(
        np.concatenate([batch.images for batch in batches]),
        [label for batch in batches for label in batch.labels],
        [name for batch in batches for name in batch.names],
    )


def choose_size(source: ImageSource, order: Iterable[int]) -> Size:
    """Return the size to work with: that of the images, or 28x28 above 32 pixels to save time.

    The first image of ``order`` that can be read decides.
    """
    for index in order:
        with suppress(UnreadableImage):
            rows, columns = source.load(int(index)).shape
            small = max(rows, columns) <= _LARGEST_SIDE
            return (rows, columns) if small else (_SMALL_SIDE, _SMALL_SIDE)
    return _SMALL_SIDE, _SMALL_SIDE


def _write_npz(path: Path, images: ImageBatch) -> None:
    pixels = np.rint(images.images[:, 0] * 255).astype(np.uint8)
    np.savez(path, images=pixels, labels=np.array(images.labels), names=np.array(images.names))
