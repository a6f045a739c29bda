"""Trains an edge network for an objective, some times if need be, and keeps the best."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from client_autoencoder.encoders.edge import Edge, EdgeConfig
from client_autoencoder.encoders.fitting import OnEpoch, TrainingOptions, run
from client_autoencoder.encoders.objectives.objective import Fitted, Split
from client_autoencoder.encoders.objectives.registry import find_objective
from client_autoencoder.errors import ClientError
from client_autoencoder.images.batches import Pixels
from stream.threads import one_thread


@dataclass(frozen=True, slots=True)
class TrainedEncoder:
    """An edge network, what it was trained on, and how well it does on held-out images.

    ``values`` [N, *shape] are what it makes of the training images; ``labels`` those of its exit.
    """

    edge: Edge
    fitted: Fitted
    values: NDArray[np.float32]
    labels: tuple[str, ...]
    options: TrainingOptions
    training_images: int
    held_out_images: int
    epochs: int
    attempts: int
    seconds: float


def train(
    images: Pixels,
    config: EdgeConfig,
    options: TrainingOptions,
    generator: torch.Generator,
    on_epoch: OnEpoch | None = None,
    *,
    labels: Sequence[str | None] = (),
) -> TrainedEncoder:
    """Train on images [N, C, H, W] in 0..1, and score the share that is held out.

    Args:
        generator: draws the weights, the held-out images and the order of the batches.
        on_epoch: receives the progress; optional.
        labels: of the images, where the objective needs them.

    Raises:
        ClientError: there are too few images, or labels; or there is no such objective.
    """
    started = time.perf_counter()
    objective = find_objective(options.objective)
    options = replace(options, batch_size=max(options.batch_size, objective.batch_size))
    split = _split(images, labels if objective.labelled else (), options.held_out, generator)
    if objective.labelled and len(split.labels) < 2:
        raise ClientError(
            f"the objective {options.objective} needs images of at least two labels, "
            f"and there are {len(split.labels)}"
        )
    candidates: list[tuple[Edge, Fitted]] = []
    with one_thread(torch):
        while len(candidates) < options.attempts:
            edge = config.build()
            fitted = objective.fit(edge, split, options, generator, on_epoch)
            candidates.append((edge, fitted))
            if fitted.quality >= options.enough_skill:
                break
        edge, fitted = max(candidates, key=lambda candidate: candidate[1].quality)
        values = run(edge, split.training)
    return TrainedEncoder(
        edge=edge,
        fitted=fitted,
        values=values.numpy(),
        labels=split.labels,
        options=options,
        training_images=len(split.training),
        held_out_images=len(split.held_out),
        epochs=options.epochs_for(len(split.training)),
        attempts=len(candidates),
        seconds=time.perf_counter() - started,
    )


def _split(
    images: Pixels, labels: Sequence[str | None], share: float, generator: torch.Generator
) -> Split:
    names, targets = _number(labels)
    held_out = max(1, round(share * len(images)))
    if len(images) - held_out < 2:
        raise ClientError(f"{len(images)} images are too few to train an encoder")
    order = torch.randperm(len(images), generator=generator)
    last, first = order[:held_out], order[held_out:]
    pixels = torch.from_numpy(images)
    own, others = (targets[first], targets[last]) if names else (targets, targets)
    return Split(pixels[first], pixels[last], names, own, others)


def _number(labels: Sequence[str | None]) -> tuple[tuple[str, ...], Tensor]:
    """Return the names of the classes, sorted, and the class of each image."""
    if None in labels:
        raise ClientError("an image has no label, which this objective needs")
    names = tuple(sorted({str(label) for label in labels}))
    numbers = {name: number for number, name in enumerate(names)}
    return names, torch.tensor([numbers[str(label)] for label in labels], dtype=torch.long)
