"""Fits a network: Adam with one learning-rate cycle, on one thread.

The same inputs, generator seed, torch version and machine type give the same weights, bit by bit.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss
from torch.optim import Adam
from torch.optim.lr_scheduler import OneCycleLR

from stream.networks.int8_weights import WeightType

_MIN_EPOCHS, _MAX_EPOCHS = 5, 200
_USEFUL_STEPS = 1500  # about 10 epochs of 5,000 images; small sets take more epochs
_BATCH_WITHOUT_GRADIENT = 256

OnEpoch = Callable[[int, int, float], None]
"""Called after each epoch with the number of epochs done, their total, and the mean loss."""
Loss = Callable[[Tensor, Tensor], Tensor]
"""Takes what the network makes of a batch, and the batch's targets; returns their mean loss."""


@dataclass(frozen=True, slots=True)
class TrainingOptions:
    """How a network is trained.

    Attributes:
        objective: what for: a name in ``objectives.registry``.
        epochs: passes over the images; None for as many as make about 1,500 steps.
        batch_size: images per step.
        learning_rate: the peak of the cycle.
        held_out: share of the images that are only scored.
        enough_skill: a training that ends below this quality on the held-out images probably got
            stuck, and is repeated with other initial weights.
        attempts: most trainings; the best is kept.
        weights: how the encoder's weights are stored. For int8 they are rounded before the held-out
            images are scored and any latent is made.
    """

    objective: str = "reconstruction"
    epochs: int | None = None
    batch_size: int = 32
    learning_rate: float = 3e-3
    held_out: float = 0.1
    enough_skill: float = 0.5
    attempts: int = 3
    weights: WeightType = "int8"

    def epochs_for(self, images: int) -> int:
        """Return the number of epochs for a training set of ``images``."""
        if self.epochs is not None:
            return self.epochs
        useful = math.ceil(_USEFUL_STEPS * self.batch_size / images)
        return min(max(useful, _MIN_EPOCHS), _MAX_EPOCHS)


def fit(
    model: nn.Module,
    pairs: tuple[Tensor, Tensor],
    options: TrainingOptions,
    generator: torch.Generator,
    on_epoch: OnEpoch | None = None,
    loss_of: Loss = mse_loss,
) -> None:
    """Fit ``model(inputs)`` to ``targets``; by default in mean squared error, equation 4 per pixel.

    Leaves the model in evaluation mode.
    """
    inputs, targets = pairs
    epochs = options.epochs_for(len(inputs))
    steps = math.ceil(len(inputs) / options.batch_size)
    optimizer = Adam(model.parameters(), lr=options.learning_rate, fused=True)
    schedule = OneCycleLR(optimizer, options.learning_rate, total_steps=epochs * steps)
    model.train()
    for epoch in range(1, epochs + 1):
        total = 0.0
        order = torch.randperm(len(inputs), generator=generator)
        for batch in torch.split(order, options.batch_size):
            loss = loss_of(model(inputs[batch]), targets[batch])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            total += loss.item() * len(batch)
        if on_epoch is not None:
            on_epoch(epoch, epochs, total / len(inputs))
    model.eval()


@torch.no_grad()
def run(model: nn.Module, inputs: Tensor) -> Tensor:
    """Return ``model(inputs)`` for any number of inputs, in batches, without gradients."""
    return torch.cat([model(batch) for batch in torch.split(inputs, _BATCH_WITHOUT_GRADIENT)])
