"""Reads images in batches from any source; an image that cannot be read is skipped.

``sources`` opens the sources; ``sets`` splits what was read and hashes it.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from client_autoencoder.errors import ClientError
from client_autoencoder.images.preprocessing import Pixels as Pixels
from client_autoencoder.images.preprocessing import Size as Size
from client_autoencoder.images.preprocessing import preprocess
from schemas.models.network_manifest import ImageInput

BATCH = 64
_MAX_JOINED_IMAGES = 256
_MAX_JOINED_BYTES = 2**24
Channels = Literal[1, 3]


class UnreadableImage(ClientError):
    """An image cannot be used; the text is the reason alone, since the caller knows the file."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """An image that could not be read, and why."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class ImageBatch:
    """Images in memory: ``images`` [N, C, H, W] float32 in 0..1, and for each a label and a name.

    A label is None where nobody gave one; a name is a file or a position. Copies of an image share
    its id in ``image_ids``; where that is None, the batch holds no copies.
    """

    images: Pixels
    labels: list[str | None]
    names: list[str]
    image_ids: list[str] | None = None

    def __len__(self) -> int:
        return len(self.names)

    @property
    def distinct(self) -> int:
        """How many images there are; an image and its copies count once."""
        return len(self) if self.image_ids is None else len(set(self.image_ids))

    def select(self, indices: Sequence[int] | NDArray[np.intp]) -> "ImageBatch":
        """Copy the images at ``indices``, in that order."""
        chosen = [int(index) for index in indices]
        return ImageBatch(
            self.images[chosen],
            [self.labels[index] for index in chosen],
            [self.names[index] for index in chosen],
            None if self.image_ids is None else [self.image_ids[index] for index in chosen],
        )


class ImageSource(Protocol):
    """Images that can be read one at a time, by position 0 .. len - 1."""

    @property
    def name(self) -> str:
        """What to call the source in a manifest or report."""
        ...

    def __len__(self) -> int: ...

    def name_of(self, index: int) -> str:
        """Return what to call an image in a report."""
        ...

    def label(self, index: int) -> str | None:
        """Return the label of an image, or None; reads no pixels."""
        ...

    def load(self, index: int, channels: Channels = 1) -> Pixels:
        """Read an image [channels, H, W] in 0..1, or raise UnreadableImage.

        Colour becomes grey (ITU-R 601) where one channel is wanted; grey is repeated for three.
        """
        ...


def read_batches(
    source: ImageSource,
    skipped: list[Skipped],
    *,
    wanted: ImageInput | None = None,
    order: Sequence[int] | None = None,
    batch_size: int = BATCH,
) -> Iterator[ImageBatch]:
    """Read images in batches; an image that cannot be read is added to ``skipped`` instead.

    Args:
        source: where the images are.
        skipped: grows while the batches are read.
        wanted: what a network takes, to which every image is fitted; without it they are read in
            grey, and must all be of the size of the first.
        order: positions to read; default: all.
        batch_size: most images per batch.
    """
    images = _read_each(source, skipped, wanted, range(len(source)) if order is None else order)
    while batch := list(islice(images, batch_size)):
        indices = [index for index, _ in batch]
        yield ImageBatch(
            np.stack([pixels for _, pixels in batch]),  # -> [n, C, H, W]
            [source.label(index) for index in indices],
            [source.name_of(index) for index in indices],
        )


def read_all(
    source: ImageSource,
    skipped: list[Skipped],
    *,
    wanted: ImageInput | None = None,
    order: Sequence[int] | None = None,
) -> ImageBatch:
    """Read images into memory, as ``read_batches`` does.

    Raises:
        ClientError: no image could be read.
    """
    batches = list(read_batches(source, skipped, wanted=wanted, order=order))
    if not batches:
        raise ClientError(f"no image of {source.name} could be read{_first_reason(skipped)}")
    return _concatenate(batches)


def join_batches(batches: Iterable[ImageBatch]) -> Iterator[ImageBatch]:
    """Yield the same images in fewer batches, of at least 256 images or 16 MiB, except the last.

    Each batch of messages waits for the disk once, which takes as long as encoding 20 images.
    """
    joined: list[ImageBatch] = []
    for batch in batches:
        joined.append(batch)
        count, size = sum(map(len, joined)), sum(item.images.nbytes for item in joined)
        if count >= _MAX_JOINED_IMAGES or size >= _MAX_JOINED_BYTES:
            yield _concatenate(joined)
            joined = []
    if joined:
        yield _concatenate(joined)


def _concatenate(batches: Sequence[ImageBatch]) -> ImageBatch:
    if len(batches) == 1:
        return batches[0]
    image_ids = [name for batch in batches for name in batch.image_ids or ()]
    return ImageBatch(
        np.concatenate([batch.images for batch in batches]),
        [label for batch in batches for label in batch.labels],
        [name for batch in batches for name in batch.names],
        image_ids or None,
    )


def too_many_skipped(skipped: int, total: int, max_skip: float = 0.02) -> bool:
    """Return whether more than the share ``max_skip`` of ``total`` images was skipped."""
    return skipped > max_skip * total


def _read_each(
    source: ImageSource, skipped: list[Skipped], wanted: ImageInput | None, order: Sequence[int]
) -> Iterator[tuple[int, Pixels]]:
    expected: Size | None = None
    for index in order:
        try:
            if wanted is None:
                pixels = source.load(index)
                rows, columns = pixels.shape[1:]
                expected = expected or (rows, columns)
                _check_size((rows, columns), expected)
            else:
                pixels = preprocess(source.load(index, wanted.channels), wanted)
        except UnreadableImage as error:
            skipped.append(Skipped(source.name_of(index), str(error)))
        else:
            yield index, pixels


def _check_size(size: Size, expected: Size) -> None:
    if size != expected:
        raise UnreadableImage(
            f"is {size[0]}x{size[1]} pixels, the first image is {expected[0]}x{expected[1]}; name "
            "one size with --size to resize all"
        )


def _first_reason(skipped: list[Skipped]) -> str:
    return f"; {skipped[0].name}: {skipped[0].reason}" if skipped else ""
