"""Images and labels that a program hands over in memory: checked as a whole, then in batches.

One that cannot be used is an error and not skipped, as in files: the caller knows what it made.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from client_autoencoder.errors import InputError
from client_autoencoder.images.batches import BATCH, ImageBatch
from schemas.errors import SchemaError, shorten
from schemas.messages.labels import check_label
from schemas.models.network_manifest import ImageInput

_WHITE = np.float32(255)


def check_images(images: ArrayLike, wanted: ImageInput) -> NDArray[Any]:
    """Return images [N, H, W] or [N, C, H, W] as an array [N, C, H, W], uint8 or float in 0..1.

    Args:
        wanted: channels and size that every image must have.

    Raises:
        InputError: they are not such images; the text names the first image at fault.
    """
    array = _to_array(images)
    if array.ndim == 3:
        array = array[:, None]
    if array.ndim != 4 or array.shape[1] != wanted.channels:
        plain = "[N, H, W] or " if wanted.channels == 1 else ""
        raise InputError(
            f"images are of shape {list(np.shape(array))}, they must be {plain}[N, "
            f"{wanted.channels}, H, W]; of one image make images[None]"
            + (", of colours one channel of grey" if wanted.channels == 1 else "")
        )
    rows, columns = array.shape[2:]
    if (rows, columns) != (wanted.height, wanted.width):
        raise InputError(
            f"images are {rows}x{columns} pixels, the encoder takes {wanted.height}x"
            f"{wanted.width}: resize them first, as publish_source and ask_source do with files"
        )
    _check_pixels(array)
    return array


def check_given_labels(labels: Sequence[str], count: int) -> list[str]:
    """Return the labels of ``count`` images as a list.

    Raises:
        InputError: their number differs, or one may not be sent; the text names the first.
    """
    if isinstance(labels, str):
        raise InputError(f"labels are one text, {shorten(labels)}: name a label for each image")
    given: list[object] = list(labels)
    if len(given) != count:
        raise InputError(f"{len(given)} labels for {count} images: name one for each")
    return [_check_label(position, label) for position, label in enumerate(given)]


def name_image(position: int) -> str:
    """Return what to call an image in a report, as ``images[17]``."""
    return f"images[{position}]"


def cut_batches(images: NDArray[Any], labels: Sequence[str | None]) -> Iterator[ImageBatch]:
    """Yield what ``check_images`` and ``check_given_labels`` returned in batches."""
    for start in range(0, len(images), BATCH):
        part = images[start : start + BATCH]
        pixels = np.ascontiguousarray(part, np.float32)
        if images.dtype == np.uint8:
            pixels /= _WHITE  # a copy, since the type has changed
        names = [name_image(position) for position in range(start, start + len(part))]
        yield ImageBatch(pixels, list(labels[start : start + BATCH]), names)


def _to_array(images: ArrayLike) -> NDArray[Any]:
    try:
        array: NDArray[Any] = np.asarray(images)
    except (ValueError, TypeError, RuntimeError) as error:  # ragged lists, tensors on a GPU
        raise InputError(f"images are no array: {error}") from error
    if array.dtype != np.uint8 and array.dtype.kind != "f":
        raise InputError(
            f"images are {array.dtype}, they must be uint8, or float with pixels in 0..1"
        )
    return array


def _check_pixels(images: NDArray[Any]) -> None:
    if images.dtype == np.uint8 or images.size == 0:
        return
    if images.min() >= 0 and images.max() <= 1:  # false for NaN as well
        return
    for position, image in enumerate(images):
        lowest, highest = image.min(), image.max()
        if not (lowest >= 0 and highest <= 1):
            raise InputError(
                f"{name_image(position)} has pixels from {lowest:g} to {highest:g}: floats must be "
                "numbers in 0..1; divide by the value of white, or pass uint8"
            )


def _check_label(position: int, label: object) -> str:
    if not isinstance(label, str):
        raise InputError(f"labels[{position}] is {shorten(label)}, not a text: use str(label)")
    if not label:
        raise InputError(
            f"labels[{position}] is empty, and the server learns from labelled images only"
        )
    try:
        check_label(label)
    except SchemaError as error:
        raise InputError(f"labels[{position}]: {error.reason}") from error
    return str(label)  # numpy's own texts, too
