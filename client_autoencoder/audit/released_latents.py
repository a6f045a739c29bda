"""The latents that leave a site, as anybody who reads its messages gets them."""

import numpy as np
from numpy.typing import NDArray

from client_autoencoder.encoders.runtime import Encoder
from client_autoencoder.images.batches import Pixels
from schemas.quantiser import dequantise


def released_latents(encoder: Encoder, images: Pixels, dtype: str = "int8") -> NDArray[np.float32]:
    """Return the latents [N, D] of images [N, 1, H, W] in 0..1; int8 codes are mapped back.

    Args:
        dtype: how the latents travel, int8 or float32.
    """
    latents = encoder.encode(images)
    if dtype == "float32":
        return latents
    output = encoder.manifest.output
    return dequantise(encoder.quantise(latents), output.low, output.high)
