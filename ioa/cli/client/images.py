"""The images that a command names: how they are read, and what is said of those skipped."""

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ioa.errors import UsageError

if TYPE_CHECKING:
    from client_autoencoder.images.batches import ImageBatch, ImageSource, Skipped

TOO_MANY_SKIPPED = 3
"""The exit code where more images were skipped than --max-skip permits."""


def choose_images(source: "ImageSource", limit: int | None, seed: int) -> list[int]:
    """Return which images to read; a part of a folder holds all its classes in their shares."""
    import numpy as np

    from client_autoencoder.images.sets import draw

    return draw(source, limit, np.random.default_rng(seed))


def augment_images(
    batches: Iterable["ImageBatch"], copies: int, seed: int | None
) -> Iterable["ImageBatch"]:
    """Add changed copies of each image.

    Raises:
        UsageError: there is a seed, but no copies to make.
    """
    if not copies:
        if seed is not None:
            raise UsageError("--seed belongs to --augment")
        return batches
    import secrets

    import numpy as np

    from client_autoencoder.images.augmentation import augment_batches

    rng = np.random.default_rng(seed)
    return augment_batches(batches, copies, rng, lambda: secrets.token_hex(16))


def print_skipped(skipped: Iterable["Skipped"]) -> None:
    """Print each image that was skipped and why, on standard error."""
    for image in skipped:
        print(f"skipped: {image.name}: {image.reason}", file=sys.stderr)
