"""Who gets which images: what the hospital holds, and the test that nobody learns from."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from client_autoencoder.images.batches import ImageBatch
from client_autoencoder.images.sets import digest, stratified_order
from ioa.research.lab.divided_source import choose_size, divide_source, read_images
from ioa.research.lab.parts import write_part
from ioa.research.papers.early_exit.plan import PACKINGS, Plan

LEARNED = 5000
_FEWEST_IMAGES = 60


@dataclass(frozen=True)
class Division:
    """The images of the hospital, and others that nobody has learned from."""

    learned: ImageBatch
    unseen: ImageBatch

    def write(self, directory: Path) -> None:
        """Write the images for every client; each holds the same, since each packs them anew."""
        for number in range(1, len(PACKINGS) + 1):
            write_part(directory, f"client-{number}", self.learned)
            write_part(directory, f"unseen-{number}", self.unseen)

    def describe(self) -> dict[str, Any]:
        """Return what the result says about the data."""
        height, width = self.unseen.images.shape[2:]
        return {
            "pixels": f"{height}x{width}",
            "classes": sorted({str(label) for label in self.unseen.labels}),
            "learned_images": len(self.learned),
            "test_images": len(self.unseen),
        }

    def digests(self) -> dict[str, str]:
        """Return the sums of both sets."""
        return {"learned": digest(self.learned.images), "test": digest(self.unseen.images)}


def divide(plan: Plan, seed: int) -> Division:
    """Read a source; a seed draws the images that are learned from, the test stays the same.

    Raises:
        ClientError: images are too few, unlabelled or unreadable.
    """
    images = divide_source(plan.data, fewest=_FEWEST_IMAGES, fewest_tests=2)
    labels = [images.learnable.label(int(position)) for position in images.learned]
    order = stratified_order(labels, np.random.default_rng(seed))[:LEARNED]
    learned = images.learned[order]
    wanted = choose_size(images.learnable, learned, plan.size)
    return Division(
        read_images(images.learnable, learned, wanted),
        read_images(images.tests, images.asked, wanted),
    )
