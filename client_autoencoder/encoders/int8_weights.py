"""Weights of one byte: int8 codes and, for each output of a layer, the scale that restores them.

A client downloads a quarter of the bytes. It still computes in float32, as fast as with weights
of four bytes.
"""

from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from client_autoencoder.encoders.autoencoder import Encoder

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


@torch.no_grad()
def round_weights(encoder: Encoder) -> None:
    """Round the weights of the linear layers to the values that their codes stand for.

    The few hundred weights of the convolution stay as they are.
    """
    for layer in (encoder.hidden, encoder.latent):
        codes, scales = to_codes(layer.weight.numpy())
        layer.weight.copy_(torch.from_numpy(codes * scales))
