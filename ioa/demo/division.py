"""The demo's images: public ones, those of five clients, and unseen ones to ask about."""

import numpy as np

from client_autoencoder.errors import ClientError
from client_autoencoder.images.batches import Skipped, read_all, too_many_skipped
from client_autoencoder.images.sets import split
from client_autoencoder.images.sources import open_source
from ioa.research.lab.parts import Parts, choose_input

CLIENTS = 5
_MOST_PUBLIC = 2000
_MOST_PER_CLIENT = 1000
_MOST_UNSEEN = 1000
_FEWEST_IMAGES = 60


def divide_images(data: str, rng: np.random.Generator, max_skip: float) -> Parts:
    """Read a source and divide it; images over 32 pixels are resized to 28x28 to save time.

    Raises:
        ClientError: there are too few images, unlabelled ones, or too many unreadable.
    """
    source = open_source(data)
    skipped: list[Skipped] = []
    limit = _MOST_PUBLIC + CLIENTS * _MOST_PER_CLIENT + _MOST_UNSEEN
    order = [int(index) for index in rng.permutation(len(source))[:limit]]
    images = read_all(source, skipped, wanted=choose_input(source, order), order=order)
    if too_many_skipped(len(skipped), len(order), max_skip):
        raise ClientError(
            f"{len(skipped)} of {len(order)} images cannot be read, the first: "
            f"{skipped[0].name}: {skipped[0].reason}"
        )
    if None in images.labels or len(set(images.labels)) < 2:
        raise ClientError(f"{data}: the demo needs images of at least two classes, with labels")
    if len(images) < _FEWEST_IMAGES:
        raise ClientError(f"{data}: the demo needs {_FEWEST_IMAGES} images, not {len(images)}")
    public = min(_MOST_PUBLIC, len(images) // 3)
    unseen = min(_MOST_UNSEEN, len(images) * 2 // 9)
    per_client = min(_MOST_PER_CLIENT, (len(images) - public - unseen) // CLIENTS)
    parts = split(images, [public, unseen, *[per_client] * CLIENTS], rng)
    return Parts(source.name, parts[0], parts[2 : 2 + CLIENTS], parts[1], skipped)
