"""Images as one stream of batches, whatever they come from; a file that cannot be read is skipped.

``image_sources`` opens the sources; ``image_sets`` splits what was read and sums it up.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from client_autoencoder.errors import ClientError

BATCH = 64
_MOST_JOINED = 256  # images
_LARGEST_JOINED = 2**24  # bytes
Pixels = NDArray[np.float32]
Size = tuple[int, int]  # rows, columns


class UnreadableImage(ClientError):
    """One image cannot be used; the text is the reason alone, the caller knows the file."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """An image that was left out, and why."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class ImageBatch:
    """Images in memory: ``images`` [N, 1, H, W] float32 in 0..1, and for each a label and a name.

    A label is None where nobody gave one; a name says which file or position it was. Copies of one
    image share its entry in ``image_ids``; without them every image is its own.
    """

    images: Pixels
    labels: list[str | None]
    names: list[str]
    image_ids: list[str] | None = None

    def __len__(self) -> int:
        return len(self.names)

    @property
    def distinct(self) -> int:
        """How many images there are, each counted once with its copies."""
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
        """Return what to call one image in a report."""
        ...

    def label(self, index: int) -> str | None:
        """Return the label of one image, or None; reads no pixels."""
        ...

    def load(self, index: int) -> Pixels:
        """Read one image [H, W] in 0..1, or raise UnreadableImage."""
        ...


def read_batches(
    source: ImageSource,
    skipped: list[Skipped],
    *,
    size: Size | None = None,
    order: Sequence[int] | None = None,
    batch_size: int = BATCH,
) -> Iterator[ImageBatch]:
    """Read images in batches; what cannot be read is added to ``skipped`` and left out.

    Args:
        source: where the images are.
        skipped: grows while the batches are read.
        size: (rows, columns) every image is resized to; without it all must be of the size of
            the first one read.
        order: positions to read, all of them without it.
        batch_size: images per batch at most.
    """
    pieces = _read_each(source, skipped, size, range(len(source)) if order is None else order)
    while batch := list(islice(pieces, batch_size)):
        indices = [index for index, _ in batch]
        yield ImageBatch(
            np.stack([pixels for _, pixels in batch])[:, None],  # -> [n, 1, H, W]
            [source.label(index) for index in indices],
            [source.name_of(index) for index in indices],
        )


def read_all(
    source: ImageSource,
    skipped: list[Skipped],
    *,
    size: Size | None = None,
    order: Sequence[int] | None = None,
) -> ImageBatch:
    """Read images into memory; as ``read_batches``.

    Raises:
        ClientError: not one image could be read.
    """
    batches = list(read_batches(source, skipped, size=size, order=order))
    if not batches:
        raise ClientError(f"no image of {source.name} could be read{_first_reason(skipped)}")
    return _concatenate(batches)


def join_batches(batches: Iterable[ImageBatch]) -> Iterator[ImageBatch]:
    """Yield the same images in fewer batches, of 256 images or 16 MiB and a little more.

    Each batch of messages waits once for the disk.
    """
    joined: list[ImageBatch] = []
    for batch in batches:
        joined.append(batch)
        count, size = sum(map(len, joined)), sum(one.images.nbytes for one in joined)
        if count >= _MOST_JOINED or size >= _LARGEST_JOINED:
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
    """Tell whether more than the share ``max_skip`` of ``total`` images was skipped."""
    return skipped > max_skip * total


def resize(pixels: Pixels, size: Size) -> Pixels:
    """Resize an image [H, W] to ``size``, bilinear; a smaller copy averages, as Pillow does."""
    if pixels.shape == size:
        return pixels
    rows, columns = size
    image = Image.fromarray(pixels).resize((columns, rows), Image.Resampling.BILINEAR)
    return np.asarray(image, np.float32).clip(0.0, 1.0)


def _read_each(
    source: ImageSource, skipped: list[Skipped], size: Size | None, order: Sequence[int]
) -> Iterator[tuple[int, Pixels]]:
    expected = size
    for index in order:
        try:
            pixels = source.load(index)
            if size is not None:
                pixels = resize(pixels, size)
            expected = expected or (pixels.shape[0], pixels.shape[1])
            _check_size(pixels, expected)
        except UnreadableImage as error:
            skipped.append(Skipped(source.name_of(index), str(error)))
        else:
            yield index, pixels


def _check_size(pixels: Pixels, expected: Size) -> None:
    if pixels.shape != expected:
        raise UnreadableImage(
            f"is {pixels.shape[0]}x{pixels.shape[1]} pixels, the first image is "
            f"{expected[0]}x{expected[1]}; name one size with --size to resize all"
        )


def _first_reason(skipped: list[Skipped]) -> str:
    return f"; {skipped[0].name}: {skipped[0].reason}" if skipped else ""
