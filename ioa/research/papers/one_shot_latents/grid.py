"""The paper's grid search, over learning rate, dropout and width, on a named validation split."""

from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from client_autoencoder.audit.released_latents import released_latents
from client_autoencoder.encoders.runtime import Encoder
from client_autoencoder.images.augmentation import augment_batches
from client_autoencoder.images.batches import ImageBatch
from client_autoencoder.images.sets import split
from ioa.research.lab.controls import find_hits
from ioa.research.papers.one_shot_latents.plan import Plan

VALIDATION = """\
Learned from four fifths of each client's images of seed 0, copies included; the accuracy is that
on the originals of the other fifth, drawn by class and not by patient. No image of the test is in
either. The best choice is used for every seed, and for the controls."""
LEARNING_RATES = (3e-3, 1e-2, 3e-2)
DROPOUTS = (0.1, 0.3, 0.5)
WIDTHS = ((128, 64, 32), (256, 128, 64), (512, 256, 128))
_SEED = 0

Labelled = tuple[NDArray[np.float32], list[str | None]]
Row = dict[str, Any]
"""One choice: ``learning_rate``, ``dropout``, ``hidden`` and the ``accuracy`` on the validation."""


def search_grid(
    plan: Plan, clients: list[ImageBatch], encoder: Path, on_row: Callable[[int], None]
) -> list[Row]:
    """Train the server's classifier with every choice and return all, the best first.

    Of equals, the smaller network and the slower rate win.

    Args:
        on_row: told how many choices are done.
    """
    learned, validation = _encode(plan, clients, Encoder.load(encoder))
    rows: list[Row] = []
    for hidden, learning_rate, dropout in product(WIDTHS, LEARNING_RATES, DROPOUTS):
        choice = {"hidden": hidden, "learning_rate": learning_rate, "dropout": dropout}
        settings = plan.training.model_copy(update=choice)
        hits = find_hits(learned, validation, _SEED, settings)
        rows.append(choice | {"accuracy": float(hits.mean())})
        on_row(len(rows))
    return sorted(rows, key=lambda row: -row["accuracy"])


def _encode(plan: Plan, clients: list[ImageBatch], encoder: Encoder) -> tuple[Labelled, Labelled]:
    """Return latents and labels to learn from, and those of the validation split."""
    rng = np.random.default_rng(_SEED)
    parts = [split(client, [len(client) - len(client) // 5], rng) for client in clients]
    originals = [learned for learned, _ in parts]
    copies = augment_batches(originals, plan.augment, rng, lambda: "")
    return (
        _release(plan, encoder, list(copies)),
        _release(plan, encoder, [validation for _, validation in parts]),
    )


def _release(plan: Plan, encoder: Encoder, batches: list[ImageBatch]) -> Labelled:
    latents = [released_latents(encoder, batch.images, plan.dtype) for batch in batches]
    return np.concatenate(latents), [label for batch in batches for label in batch.labels]
