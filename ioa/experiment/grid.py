"""The paper's grid search, over learning rate, dropout and width, on a named validation split."""

from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from client_autoencoder.encoder import Encoder
from client_autoencoder.image_sets import split
from client_autoencoder.images import ImageBatch
from ioa.experiment.plan import Plan
from ioa.local.controls import find_hits, released_latents
from server_classifier.training_settings import TrainingSettings

VALIDATION = "a fifth of each client's images; the test is not looked at"
LEARNING_RATES = (3e-3, 1e-2, 3e-2)
DROPOUTS = (0.1, 0.3, 0.5)
WIDTHS = ((128, 64, 32), (256, 128, 64), (512, 256, 128))
_SHARE = 5

Labelled = tuple[NDArray[np.float32], list[str | None]]
Row = dict[str, Any]
"""One choice: ``learning_rate``, ``dropout``, ``hidden`` and the ``accuracy`` on the validation."""


def search_grid(
    plan: Plan,
    clients: list[ImageBatch],
    encoder: Path,
    seed: int,
    on_row: Callable[[int], None],
) -> list[Row]:
    """Train the server's classifier with every choice and return all, the best first.

    Latents are those of the originals. Of equals, the smaller network and the slower rate win.

    Args:
        on_row: told how many choices are done.
    """
    learned, validation = _encode(plan, clients, Encoder.load(encoder), seed)
    rows: list[Row] = []
    for hidden, learning_rate, dropout in product(WIDTHS, LEARNING_RATES, DROPOUTS):
        choice = {"hidden": hidden, "learning_rate": learning_rate, "dropout": dropout}
        hits = find_hits(learned, validation, seed, TrainingSettings(**choice))
        rows.append(choice | {"accuracy": float(hits.mean())})
        on_row(len(rows))
    return sorted(rows, key=lambda row: -row["accuracy"])


def _encode(plan: Plan, clients: list[ImageBatch], encoder: Encoder, seed: int) -> list[Labelled]:
    """Return latents and labels to learn from, and those of the validation split."""
    rng = np.random.default_rng(seed)
    parts = [split(client, [len(client) - len(client) // _SHARE], rng) for client in clients]
    return [
        (
            np.concatenate(
                [released_latents(encoder, images.images, plan.dtype) for images in side]
            ),
            [label for images in side for label in images.labels],
        )
        for side in zip(*parts, strict=True)
    ]
