"""What leaves a site, latents or maps, as anybody who reads its messages gets it."""

import numpy as np
from numpy.typing import NDArray

from client_autoencoder.encoders.runtime import Encoder
from client_autoencoder.images.batches import Pixels
from schemas.models.network_manifest import Output
from schemas.vector import Packing
from stream.networks.packing import pack, unpack


def released_latents(
    encoder: Encoder, images: Pixels, dtype: Packing = "int8"
) -> NDArray[np.float32]:
    """Return the values [N, *shape] of images [N, C, H, W] in 0..1; codes are mapped back.

    Args:
        dtype: how the values travel.
    """
    return travel(encoder.encode(images), dtype, encoder.manifest.output)


def travel(values: NDArray[np.float32], dtype: Packing, output: Output) -> NDArray[np.float32]:
    """Return what is left of values [N, *shape] after they were packed and unpacked."""
    return unpack([vector.data for vector in pack(values, dtype, output)], dtype, output)
