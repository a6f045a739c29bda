"""What every objective is given, and what it returns."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from client_autoencoder.encoders.edge import Edge
from client_autoencoder.encoders.fitting import OnEpoch, TrainingOptions


@dataclass(frozen=True, slots=True)
class Split:
    """Images [N, C, H, W] to train on, and others that are only scored.

    Attributes:
        labels: the names of the classes; none where the images have no labels.
        targets, held_out_targets: the class of each image, [N]; empty without labels.
    """

    training: Tensor
    held_out: Tensor
    labels: tuple[str, ...]
    targets: Tensor
    held_out_targets: Tensor


@dataclass(frozen=True, slots=True)
class Fitted:
    """How well an edge does, and the networks that were trained beside it.

    Attributes:
        scores: on the held-out images, by name; they go into the manifest.
        quality: which of several attempts is best; below ``enough_skill`` another one is made.
        decoder: restores images; stays where it was trained.
        exit: makes logits [N, P] of what the edge makes.
    """

    scores: dict[str, float]
    quality: float
    decoder: nn.Module | None = None
    exit: nn.Module | None = None


Fit = Callable[[Edge, Split, TrainingOptions, torch.Generator, OnEpoch | None], Fitted]


@dataclass(frozen=True, slots=True)
class Objective:
    """What an edge may be trained for.

    Attributes:
        fit: draws the edge's weights and trains them in place.
        family: the family of networks that suits it.
        labelled: whether it needs labels.
        loss: what its progress shows.
        batch_size: the least; a smaller one is raised to it.
        numbers: what it makes of an image unless somebody says how many; None: the family's own.
    """

    fit: Fit
    family: str
    labelled: bool
    loss: str
    batch_size: int = 1
    numbers: int | None = None
