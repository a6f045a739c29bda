"""The paper's figures 3 and 4: an image of each class, its latent, and what is made of it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from client_autoencoder.images.batches import ImageBatch
from ioa.research.reporting.picture import PictureRow, as_squares, draw_rows

Images = NDArray[np.float32]


@dataclass(frozen=True)
class Samples:
    """One image per class [N, 1, H, W], its latent [N, D] and its reconstruction [N, 1, H, W]."""

    labels: list[str]
    originals: Images
    latents: Images
    restored: Images

    @classmethod
    def draw(
        cls, unseen: ImageBatch, latents: Images, restored: Images, rng: np.random.Generator
    ) -> "Samples":
        """Draw one image of each class at random, as the paper does."""
        named = np.array(unseen.labels)
        labels = sorted({str(label) for label in unseen.labels})
        chosen = [int(rng.choice(np.flatnonzero(named == label))) for label in labels]
        return cls(labels, unseen.images[chosen], latents[chosen], restored[chosen])


def draw_samples(path: Path, samples: Samples) -> None:
    """Write the figure as PNG."""
    rows = [
        PictureRow("image I", samples.originals[:, 0]),
        PictureRow("latent F(I)", as_squares(samples.latents), grey=False),
        PictureRow("reconstruction\nR(I)", samples.restored[:, 0]),
    ]
    draw_rows(path, rows, samples.labels)
