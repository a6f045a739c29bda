"""The training of classifiers of latents.

Salehinejad et al. train a multilayer perceptron in mini-batches of 64 on what the database holds;
our batches grow with the set. Every training starts from scratch: a warm start forgets the classes
of sites that sent earlier.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.optim import AdamW
from torch.optim.lr_scheduler import OneCycleLR

from server_classifier.errors import ServerError
from server_classifier.heads.dropout import Dropout
from server_classifier.heads.network_stack import NetworkStack, widen
from server_classifier.heads.perceptron import LatentClassifier
from server_classifier.heads.settings import TrainingSettings
from stream.threads import one_thread

SMALLEST_SCALE = 1e-6  # a latent that varies less than this is a constant and stays unscaled

OnEpoch = Callable[[int, int], None]
"""Takes the number of epochs done and of all epochs; an exception from it ends the training."""


class TrainingError(ServerError):
    """The latents cannot be learned from; the text says what is missing."""


@dataclass(frozen=True, slots=True)
class TrainingReport:
    """What a training did.

    Attributes:
        loss: mean cross-entropy of the last epoch, in nats.
        seconds: of several networks that trained at once, an equal share.
    """

    rows: int
    epochs: int
    steps: int
    loss: float
    seconds: float


class Learner(NamedTuple):
    """A network to train; ``seed`` determines its initial weights, its batches and its dropout."""

    seed: int
    settings: TrainingSettings


class Trained(NamedTuple):
    """A classifier ready to answer, and how it was made."""

    model: LatentClassifier
    report: TrainingReport


def fit(
    values: NDArray[np.float32],
    targets: NDArray[np.int64],
    *,
    seed: int,
    settings: TrainingSettings | None = None,
    on_epoch: OnEpoch | None = None,
) -> Trained:
    """Train a classifier from scratch on one thread; the same input and seed give the same weights.

    Args:
        values: latents [N, D].
        targets: the class of each, [N], from 0 to P - 1.
        seed: of the initial weights, the order of the latents and the dropout.
        settings: the defaults when None.
        on_epoch: called after each epoch.

    Raises:
        TrainingError: fewer than two classes, values and targets that do not fit together, or
            values so large that the training diverged.
    """
    learner = Learner(seed, settings or TrainingSettings())
    (trained,) = fit_stack(values, targets, [learner], on_epoch=on_epoch)
    if isinstance(trained, TrainingError):
        raise trained
    return trained


def fit_stack(
    values: NDArray[np.float32],
    targets: NDArray[np.int64],
    learners: Sequence[Learner],
    *,
    on_epoch: OnEpoch | None = None,
) -> list[Trained | TrainingError]:
    """Train several classifiers at once, each to the weights that ``fit`` gives it.

    A classifier that diverges does not affect the others; the result has an error in its place.

    Args:
        learners: their settings have the same ``shape``.

    Raises:
        TrainingError: fewer than two classes, or values and targets that do not fit together.
    """
    _check(values, targets)
    started = time.perf_counter()
    with one_thread(torch):
        latents = torch.from_numpy(np.ascontiguousarray(values, np.float32))
        spread = latents.std(dim=0, correction=0)
        mean, scale = latents.mean(dim=0), torch.where(spread > SMALLEST_SCALE, spread, 1.0)
        classes = int(targets.max()) + 1
        models = [_make_model(learner, mean, scale, classes) for learner in learners]
        inputs = torch.zeros(len(latents), widen(len(mean)))
        torch.sub(latents, mean, out=inputs[:, : len(mean)]).div_(scale)
        losses = _run_epochs(models, inputs, torch.from_numpy(targets), learners, on_epoch)
    settings, rows = learners[0].settings, len(values)
    epochs = settings.epochs_for(rows)
    steps = epochs * settings.steps_for(rows)
    seconds = (time.perf_counter() - started) / len(learners)
    return [
        Trained(model, TrainingReport(rows, epochs, steps, loss, seconds))
        if math.isfinite(loss)
        else TrainingError("the training diverged: are there latents beyond 1e30?")
        for model, loss in zip(models, losses, strict=True)
    ]


def _check(values: NDArray[np.float32], targets: NDArray[np.int64]) -> None:
    if values.ndim != 2 or len(values) != len(targets):
        raise TrainingError(
            f"latents of shape {values.shape} and {len(targets)} targets do not fit together"
        )
    if len(np.unique(targets)) < 2:
        raise TrainingError("a classifier needs latents of at least two labels")


def _make_model(learner: Learner, mean: Tensor, scale: Tensor, classes: int) -> LatentClassifier:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(learner.seed)
        model = LatentClassifier(len(mean), classes, learner.settings)
    model.mean.copy_(mean)
    model.scale.copy_(scale)
    return model.eval()


def _run_epochs(
    models: Sequence[LatentClassifier],
    latents: Tensor,
    targets: Tensor,
    learners: Sequence[Learner],
    on_epoch: OnEpoch | None,
) -> list[float]:
    """Train in place; return each network's mean loss of the last epoch."""
    settings, rows = [learner.settings for learner in learners], len(latents)
    epochs, batches = settings[0].epochs_for(rows), settings[0].steps_for(rows)
    rngs = [np.random.Generator(np.random.SFC64(learner.seed)) for learner in learners]
    widths = [widen(units) for units in settings[0].hidden]
    dropout = Dropout([model.dropout for model in settings], rngs, widths)
    stack = NetworkStack(models)
    optimizer = _Optimizer(stack, settings, epochs * batches)
    total = torch.zeros(len(models))
    for epoch in range(epochs):
        total.zero_()
        orders = torch.from_numpy(np.stack([rng.permutation(rows) for rng in rngs], axis=1))
        for batch in orders.tensor_split(batches):
            factors = dropout.draw(len(batch))
            total += stack.compute_gradients(latents[batch], targets[batch], factors)
            optimizer.step()
        if on_epoch is not None:
            on_epoch(epoch + 1, epochs)
    stack.write_back()
    return (total / batches).tolist()


class _Optimizer:
    """AdamW on the one-cycle schedule, for each network with its own learning rate and decay.

    Weight decay (Loshchilov & Hutter, ICLR 2019) applies to matrices only, not to biases and batch
    normalisation.
    """

    def __init__(
        self, stack: NetworkStack, settings: Sequence[TrainingSettings], steps: int
    ) -> None:
        groups: dict[tuple[float, float], list[Tensor]] = {}
        for model, weights, gradients in zip(settings, stack.weights, stack.gradients, strict=True):
            split = [stack.matrices, weights.numel() - stack.matrices]
            matrices, others = torch.split(weights, split)
            matrices.grad, others.grad = torch.split(gradients, split)
            groups.setdefault((model.learning_rate, model.weight_decay), []).append(matrices)
            groups.setdefault((model.learning_rate, 0.0), []).append(others)
        params = [{"params": group, "weight_decay": decay} for (_, decay), group in groups.items()]
        self._adam = AdamW(params, fused=True)
        self._schedule = OneCycleLR(self._adam, [peak for peak, _ in groups], total_steps=steps)

    def step(self) -> None:
        """Update the weights by the gradients once."""
        self._adam.step()
        self._schedule.step()
