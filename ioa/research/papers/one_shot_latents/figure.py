"""The paper's figures 3 and 4: an image of each class, its latent and its reconstruction."""

from dataclasses import dataclass

import numpy as np

from client_autoencoder.images.batches import ImageBatch, Pixels
from ioa.research.reporting.pictures import PictureRow, as_squares, draw_rows


@dataclass(frozen=True)
class Samples:
    """One image per class [N, 1, H, W], its latent [N, D] and its reconstruction [N, 1, H, W]."""

    labels: list[str]
    originals: Pixels
    latents: Pixels
    restored: Pixels

    @classmethod
    def draw(
        cls, unseen: ImageBatch, latents: Pixels, restored: Pixels, rng: np.random.Generator
    ) -> "Samples":
        """Draw one image of each class at random, as the paper does."""
        named = np.array(unseen.labels)
        labels = sorted({str(label) for label in unseen.labels})
        chosen = [int(rng.choice(np.flatnonzero(named == label))) for label in labels]
        return cls(labels, unseen.images[chosen], latents[chosen], restored[chosen])


def draw_samples(samples: Samples) -> bytes:
    """Return the figure as PNG."""
    rows = [
        PictureRow("image I", samples.originals[:, 0]),
        PictureRow("latent F(I)", as_squares(samples.latents), grey=False),
        PictureRow("reconstruction\nR(I)", samples.restored[:, 0]),
    ]
    return draw_rows(rows, samples.labels)
