"""The head ``conv``: blocks of convolution, batch normalisation and ReLU on maps [C, H, W].

What a cloud's part of a network does behind a local exit (seed 001), trained alone on stored maps.
Each batch is unpacked when it is learned from.
"""

import math
import time
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim import AdamW
from torch.optim.lr_scheduler import OneCycleLR

from server_classifier.heads.head import Learner, OnEpoch, Trained, TrainingError, conclude
from server_classifier.heads.moments import Moments, measure, standardise
from server_classifier.heads.network import HeadNetwork
from server_classifier.heads.settings import TrainingSettings
from server_classifier.heads.values import Targets, Values, read
from stream.threads import one_thread

WIDTHS = (32, 64, 64)
"""Maps of each block; the first halves height and width."""


class ConvolutionNetwork(HeadNetwork):
    """Maps as rows [N, C * H * W] to logits [N, P]; all numbers of a map have one mean and scale.

    A map of one row or column is not halved.
    """

    def __init__(self, shape: tuple[int, ...], classes: int, dropout: float) -> None:
        channels, height, width = shape
        halved = nn.MaxPool2d(2) if min(height, width) > 1 else nn.Identity()
        sides = (height, width) if min(height, width) == 1 else (height // 2, width // 2)
        blocks: list[nn.Module] = []
        for before, maps in pairwise((channels, *WIDTHS)):
            blocks += [
                nn.Conv2d(before, maps, 3, padding=1, bias=False),
                nn.BatchNorm2d(maps),
                nn.ReLU(),
            ]
        blocks.insert(3, halved)
        super().__init__(
            math.prod(shape),
            nn.Sequential(
                nn.Unflatten(1, (channels, height, width)),
                *blocks,
                nn.Flatten(),
                nn.Dropout(dropout),
                nn.Linear(WIDTHS[-1] * math.prod(sides), classes),
            ),
        )


def fit(
    values: Values, targets: Targets, learners: Sequence[Learner], on_epoch: OnEpoch | None
) -> list[Trained | TrainingError]:
    """Train one network after the other."""
    with one_thread(torch):
        moments = measure(values, targets)
        return [_fit_one(values, targets, learner, moments, on_epoch) for learner in learners]


def _fit_one(
    values: Values, targets: Targets, learner: Learner, moments: Moments, on_epoch: OnEpoch | None
) -> Trained | TrainingError:
    started = time.perf_counter()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(learner.seed)
        network = _make_network(values.shape[1:], moments, learner.settings)
        loss = _run_epochs(network, values, targets, learner, on_epoch)
    return conclude(network, learner, len(values), loss, time.perf_counter() - started)


def _make_network(
    shape: tuple[int, ...], moments: Moments, settings: TrainingSettings
) -> ConvolutionNetwork:
    network = ConvolutionNetwork(shape, len(moments.counts), settings.dropout)
    rows, pixels = moments.counts.sum(), math.prod(shape[1:])
    sums = moments.sums.sum(dim=0)
    average = [(total / rows).view(shape[0], -1).mean(dim=1) for total in (sums, moments.squares)]
    for buffer, numbers in zip((network.mean, network.scale), standardise(*average), strict=True):
        buffer.copy_(numbers.repeat_interleave(pixels))
    return network


def _run_epochs(
    network: HeadNetwork,
    values: Values,
    targets: Targets,
    learner: Learner,
    on_epoch: OnEpoch | None,
) -> float:
    """Train in place; return the mean loss of the last epoch."""
    rows, truth = len(values), torch.from_numpy(targets)
    epochs, batches = learner.settings.epochs_for(rows), learner.settings.steps_for(rows)
    rng = np.random.Generator(np.random.SFC64(learner.seed))
    step = _make_optimizer(network, learner.settings, epochs * batches)
    total = torch.zeros(())
    for epoch in range(epochs):
        total.zero_()
        for batch in np.array_split(rng.permutation(rows), batches):
            loss = cross_entropy(network(read(values, batch)), truth[batch])
            step(loss)
            total += loss.detach()
        if on_epoch is not None:
            on_epoch(epoch + 1, epochs)
    return float(total) / batches


def _make_optimizer(
    network: nn.Module, settings: TrainingSettings, steps: int
) -> Callable[[Tensor], None]:
    """Return what learns from a loss: AdamW on the one-cycle schedule.

    Weight decay applies to kernels and matrices only, as in ``mlp``.
    """
    matrices = [weights for weights in network.parameters() if weights.ndim > 1]
    others = [weights for weights in network.parameters() if weights.ndim == 1]
    groups = [
        {"params": matrices, "weight_decay": settings.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    adam = AdamW(groups, fused=True)
    schedule = OneCycleLR(adam, settings.learning_rate, total_steps=steps)

    def step(loss: Tensor) -> None:
        adam.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        adam.step()
        schedule.step()

    return step
