"""Images in one array in memory."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from client_autoencoder.images.batches import Pixels, UnreadableImage

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

    def load(self, index: int) -> Pixels:
        """Return an image [H, W] in 0..1."""
        pixels = _to_grey(self.images[index].astype(np.float32) / np.float32(self.white))
        if not (pixels.min() >= 0.0 and pixels.max() <= 1.0):  # true for NaN as well
            raise UnreadableImage("has pixels outside 0..1 or that are not numbers")
        return pixels


def _to_grey(pixels: Pixels) -> Pixels:
    """Turn [1, H, W], [H, W, 1] or [H, W, 3] into grey [H, W]."""
    if pixels.ndim == 2:
        return pixels
    if pixels.shape[2] == 3 and pixels.shape[0] != 1:
        grey: Pixels = pixels @ _GREY_WEIGHTS
        return grey.clip(0.0, 1.0)
    return pixels[0] if pixels.shape[0] == 1 else pixels[:, :, 0]
