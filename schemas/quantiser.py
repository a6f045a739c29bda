"""Latents as one byte per number: 256 even steps over the range in the encoder's manifest.

The range belongs to the encoder, never to a message. A range per message would reveal something
about the image, and the same code would mean different values in two messages.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from schemas.errors import SchemaError

_LOWEST_CODE = -128
_CODES = 256


def quantise(latents: NDArray[np.float32], low: float, high: float) -> NDArray[np.int8]:
    """Round latents [N, D] to codes [N, D] from -128 (``low``) to 127 (``high``), clipped.

    Raises:
        SchemaError: a latent is NaN or infinite, or the range is empty.
    """
    if not np.isfinite(latents).all():
        position = np.argwhere(~np.isfinite(latents))[0].tolist()
        raise SchemaError("is not a finite number", f"latent{position}")
    step = _step(low, high)
    # In float64, so that rounding exactly undoes the float32 values of dequantise.
    steps = np.rint((latents.astype(np.float64) - low) / step)
    codes: NDArray[np.int8] = (np.clip(steps, 0, _CODES - 1) + _LOWEST_CODE).astype(np.int8)
    return codes


def dequantise(codes: NDArray[np.int8], low: float, high: float) -> NDArray[np.float32]:
    """Return the latents [N, D] of codes [N, D]; each is at most half a step off.

    Raises:
        SchemaError: the range is empty.
    """
    return _list_levels(low, high)[codes.view(np.uint8)]


@lru_cache(maxsize=64)
def _list_levels(low: float, high: float) -> NDArray[np.float32]:
    """Return the latent value of each code in the order of its byte: 0 to 127, then -128 to -1."""
    codes = np.arange(_CODES, dtype=np.uint8).view(np.int8)
    levels = low + (codes.astype(np.intp) - _LOWEST_CODE) * _step(low, high)
    return levels.astype(np.float32)


def _step(low: float, high: float) -> float:
    if not low < high:
        raise SchemaError(f"the range {low} to {high} is empty", "quantiser")
    return (high - low) / (_CODES - 1)
