"""Weights of one byte: int8 codes and, for each output of a layer, the scale that restores them.

Who downloads a network downloads a quarter of the bytes. It still computes in float32, as fast as
with weights of four bytes.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

WeightType = Literal["int8", "float32"]

_LARGEST_CODE = 127
_SCALE_BITS = 16
_SMALLEST_WEIGHT = 2.0**-64


def to_codes(weights: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Return codes [out, in] and scales [out, 1] whose product is nearest to weights [out, in].

    A scale has 16 significant bits. So its product with a code is exact in float32 on any
    computer, and the codes of restored weights are the codes that they were restored from.
    """
    largest = np.abs(weights.astype(np.float64)).max(axis=1, keepdims=True)
    mantissa, exponent = np.frexp(np.maximum(largest, _SMALLEST_WEIGHT) / _LARGEST_CODE)
    scales = np.ldexp(np.ceil(np.ldexp(mantissa, _SCALE_BITS)), exponent - _SCALE_BITS)
    return np.rint(weights / scales).astype(np.int8), scales.astype(np.float32)


def round_weights(weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the weights [out, in] that the codes of ``weights`` stand for."""
    codes, scales = to_codes(weights)
    return codes * scales
