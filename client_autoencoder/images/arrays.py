"""Images in one array in memory."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from client_autoencoder.images.batches import Channels, Pixels, UnreadableImage

_GREY_WEIGHTS = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R 601, as Pillow's "L"


@dataclass(frozen=True)
class ArraySource:
    """Images of one array [N, H, W], [N, 1, H, W] or [N, H, W, 1 or 3], of any real dtype.

    ``white`` is the value of a white pixel. ``names`` are optional, such as those of the original
    files; without them an image is named by its position in ``array``.
    """

    name: str
    images: NDArray[Any]
    labels: Sequence[str | None]
    white: float
    names: Sequence[str] | None = None
    array: str = "images"

    def __len__(self) -> int:
        return len(self.images)

    def name_of(self, index: int) -> str:
        """Return the name of an image, or its position, as ``test_images[17]``."""
        return f"{self.array}[{index}]" if self.names is None else self.names[index]

    def label(self, index: int) -> str | None:
        """Return the label, or None in an unlabelled source."""
        return self.labels[index]

    def load(self, index: int, channels: Channels = 1) -> Pixels:
        """Return an image [channels, H, W] in 0..1."""
        pixels = _order(self.images[index].astype(np.float32) / np.float32(self.white))
        pixels = _to_grey(pixels) if channels == 1 else np.repeat(pixels, 3 // len(pixels), axis=0)
        if not (pixels.min() >= 0.0 and pixels.max() <= 1.0):  # true for NaN as well
            raise UnreadableImage("has pixels outside 0..1 or that are not numbers")
        return pixels


def _order(pixels: Pixels) -> Pixels:
    """Turn [H, W], [1, H, W], [H, W, 1] or [H, W, 3] into [1 or 3, H, W]."""
    if pixels.ndim == 2:
        return pixels[None]
    return pixels if pixels.shape[0] == 1 else np.moveaxis(pixels, 2, 0)


def _to_grey(pixels: Pixels) -> Pixels:
    """Turn [1 or 3, H, W] into grey [1, H, W]."""
    if len(pixels) == 1:
        return pixels
    grey: Pixels = np.moveaxis(pixels, 0, 2) @ _GREY_WEIGHTS
    return grey[None].clip(0.0, 1.0)
