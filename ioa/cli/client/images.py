"""The images that a command names: how they are read, and what is said of those skipped."""

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from client_autoencoder.images.batches import ImageSource, Skipped

TOO_MANY_SKIPPED = 3
"""The exit code where more images were skipped than --max-skip permits."""


def choose_images(source: "ImageSource", limit: int | None, seed: int) -> list[int]:
    """Return which images to read; a part of a folder holds all its classes in their shares."""
    import numpy as np

    from client_autoencoder.images.sets import draw

    return draw(source, limit, np.random.default_rng(seed))


def print_skipped(skipped: Iterable["Skipped"]) -> None:
    """Print each image that was skipped and why, on standard error."""
    for image in skipped:
        print(f"skipped: {image.name}: {image.reason}", file=sys.stderr)
