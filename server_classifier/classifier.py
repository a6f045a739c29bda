"""The classifier of latents: a perceptron, by default of 256, 128 and 64 units, and its training.

The third seed trains a multilayer perceptron in mini-batches of 64 on what the database holds;
ours grow with the set.
Training starts from scratch every time: a warm start forgets the classes of sites that sent
earlier. Batch normalisation, dropout and weight decay keep it from learning a small set by heart.
"""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim import AdamW
from torch.optim.lr_scheduler import OneCycleLR

from server_classifier.errors import ServerError
from server_classifier.training_settings import TrainingSettings

SMALLEST_SCALE = 1e-6  # a latent that varies less than this is a constant and stays unscaled


class TrainingError(ServerError):
    """The latents cannot be learned from; the text says what is missing."""


@dataclass(frozen=True, slots=True)
class TrainingReport:
    """What a training did: ``loss`` is the mean cross-entropy of the last epoch, in nats."""

    rows: int
    epochs: int
    steps: int
    loss: float
    seconds: float


class LatentClassifier(nn.Module):
    """Latents [N, D] to logits [N, P]; the standardiser is its first layer."""

    mean: Tensor  # [D]
    scale: Tensor  # [D]

    def __init__(self, latent_dim: int, classes: int, settings: TrainingSettings) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(latent_dim))
        self.register_buffer("scale", torch.ones(latent_dim))
        layers: list[nn.Module] = []
        width = latent_dim
        for units in settings.hidden:
            layers += [
                nn.Linear(width, units),
                nn.BatchNorm1d(units),
                nn.ReLU(),
                nn.Dropout(settings.dropout),
            ]
            width = units
        self.layers = nn.Sequential(*layers, nn.Linear(width, classes))

    def forward(self, latents: Tensor) -> Tensor:
        logits: Tensor = self.layers((latents - self.mean) / self.scale)
        return logits


def fit(
    values: NDArray[np.float32],
    targets: NDArray[np.int64],
    *,
    seed: int,
    settings: TrainingSettings | None = None,
    on_epoch: Callable[[int, int], None] | None = None,
) -> tuple[LatentClassifier, TrainingReport]:
    """Train a classifier from scratch on one thread; the same input and seed give the same weights.

    Args:
        values: latents [N, D].
        targets: the class of each, [N], from 0 to P - 1.
        seed: of the initial weights, the order of the latents and the dropout.
        settings: the defaults when None.
        on_epoch: called after each epoch with how many are done and how many there will be; what
            it raises ends the training.

    Raises:
        TrainingError: fewer than two classes, values and targets that do not fit together, or
            values so large that the training diverged.
    """
    settings = settings or TrainingSettings()
    _check(values, targets)
    started = time.perf_counter()
    with _own_randomness(seed), _one_thread():
        model = LatentClassifier(values.shape[1], int(targets.max()) + 1, settings)
        latents = torch.from_numpy(np.ascontiguousarray(values, np.float32))
        spread = latents.std(dim=0, correction=0)
        model.mean.copy_(latents.mean(dim=0))
        model.scale.copy_(torch.where(spread > SMALLEST_SCALE, spread, 1.0))
        loss = _run_epochs(model, latents, torch.from_numpy(targets), settings, on_epoch)
    if not math.isfinite(loss):
        raise TrainingError("the training diverged: are there latents beyond 1e30?")
    model.eval()
    epochs = settings.epochs_for(len(values))
    steps = epochs * settings.steps_for(len(values))
    return model, TrainingReport(len(values), epochs, steps, loss, time.perf_counter() - started)


def _check(values: NDArray[np.float32], targets: NDArray[np.int64]) -> None:
    if values.ndim != 2 or len(values) != len(targets):
        raise TrainingError(
            f"latents of shape {values.shape} and {len(targets)} targets do not fit together"
        )
    if len(np.unique(targets)) < 2:
        raise TrainingError("a classifier needs latents of at least two labels")


def _run_epochs(
    model: LatentClassifier,
    latents: Tensor,
    targets: Tensor,
    settings: TrainingSettings,
    on_epoch: Callable[[int, int], None] | None,
) -> float:
    """Train in place; return the mean loss of the last epoch."""
    epochs = settings.epochs_for(len(latents))
    batches = settings.steps_for(len(latents))
    optimizer = AdamW(_parameter_groups(model, settings.weight_decay), fused=True)
    schedule = OneCycleLR(optimizer, settings.learning_rate, total_steps=epochs * batches)
    model.train()
    total = torch.zeros(())
    for epoch in range(epochs):
        total.zero_()
        for batch in torch.randperm(len(latents)).tensor_split(batches):
            optimizer.zero_grad()
            loss = cross_entropy(model(latents[batch]), targets[batch])
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            total += loss.detach()
        if on_epoch is not None:
            on_epoch(epoch + 1, epochs)
    return float(total) / batches


def _parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Weight decay pulls on matrices only; biases and batch normalisation stay free."""
    parameters = list(model.parameters())
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]


@contextmanager
def _own_randomness(seed: int) -> Iterator[None]:
    """Seed torch inside, and give its generator back as it was: dropout takes no generator."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


@contextmanager
def _one_thread() -> Iterator[None]:
    """Keep torch to one thread inside: two are slower on batches this small, and repeat less."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
