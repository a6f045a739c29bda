"""What the sites' own decoders make of the latents that travel."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from client_autoencoder.audit.released_latents import released_latents
from client_autoencoder.encoders.files import load_autoencoder
from client_autoencoder.encoders.runtime import Encoder
from client_autoencoder.encoders.training import run
from stream.threads import one_thread

Images = NDArray[np.float32]


def restore(
    directory: Path, encoders: list[str], images: Images, dtype: str
) -> tuple[Images, Images]:
    """Return the latents [N, D] of unseen images as they travel, and what decoders make of them.

    Every client encodes and decodes its stretch of the images [N, 1, H, W].
    """
    latents, restored = [], []
    for out, share in zip(encoders, np.array_split(images, len(encoders)), strict=True):
        released = released_latents(Encoder.load(directory / out), share, dtype)
        decoder = load_autoencoder(directory / out).decoder
        with one_thread(torch):
            restored.append(run(decoder, torch.from_numpy(released)).numpy().clip(0.0, 1.0))
        latents.append(released)
    return np.concatenate(latents), np.concatenate(restored)
