"""Fits an image to what a network takes: window, proportions and size, as its manifest says."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from schemas.models.network_manifest import ImageInput

Pixels = NDArray[np.float32]
Size = tuple[int, int]  # rows, columns

_FILTERS = {"bilinear": Image.Resampling.BILINEAR, "area": Image.Resampling.BOX}


def preprocess(pixels: Pixels, wanted: ImageInput) -> Pixels:
    """Return an image [C, H, W] in 0..1 as the network's images [C, height, width] in 0..1.

    Shrinking averages, as Pillow does, in either way of resizing.
    """
    size = wanted.height, wanted.width
    if wanted.window is not None:
        low, high = wanted.window
        pixels = ((pixels - np.float32(low)) / np.float32(high - low)).clip(0.0, 1.0)
    if wanted.aspect == "crop":
        pixels = _crop(pixels, size)
    elif wanted.aspect == "pad":
        pixels = _pad(pixels, size)
    return _resize(pixels, size, _FILTERS[wanted.resize])


def _crop(pixels: Pixels, size: Size) -> Pixels:
    """Cut the middle out of an image [C, H, W], in the proportions of ``size``."""
    rows, columns = pixels.shape[1:]
    height = min(rows, max(1, round(columns * size[0] / size[1])))
    width = min(columns, max(1, round(rows * size[1] / size[0])))
    top, left = (rows - height) // 2, (columns - width) // 2
    return pixels[:, top : top + height, left : left + width]


def _pad(pixels: Pixels, size: Size) -> Pixels:
    """Add black to both sides of an image [C, H, W], up to the proportions of ``size``."""
    rows, columns = pixels.shape[1:]
    below = max(0, round(columns * size[0] / size[1]) - rows)
    beside = max(0, round(rows * size[1] / size[0]) - columns)
    borders = ((0, 0), (below // 2, below - below // 2), (beside // 2, beside - beside // 2))
    return np.pad(pixels, borders)


def _resize(pixels: Pixels, size: Size, kernel: Image.Resampling) -> Pixels:
    if pixels.shape[1:] == size:
        return pixels
    rows, columns = size
    resized = [Image.fromarray(plane).resize((columns, rows), kernel) for plane in pixels]
    return np.stack([np.asarray(plane, np.float32) for plane in resized]).clip(0.0, 1.0)
