"""The latents that leave a site, as anybody who reads its messages gets them."""

import numpy as np
from numpy.typing import NDArray

from client_autoencoder.encoders.runtime import Encoder
from client_autoencoder.images.batches import Pixels
from schemas.vector import Packing
from stream.networks.packing import pack, unpack


def released_latents(
    encoder: Encoder, images: Pixels, dtype: Packing = "int8"
) -> NDArray[np.float32]:
    """Return the latents [N, D] of images [N, 1, H, W] in 0..1; int8 codes are mapped back.

    Args:
        dtype: how the latents travel.
    """
    latents = encoder.encode(images)
    output = encoder.manifest.output
    return unpack([vector.data for vector in pack(latents, dtype, output)], dtype, output)
