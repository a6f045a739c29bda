"""Process seconds per epoch of every part of a training, measured in turn on one thread."""

import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim import Adam

from ioa.research.papers.early_exit.networks import Networks

BATCH = 64
_ROUNDS = 25


def measure_seconds(parts: Networks, images: Tensor, targets: Tensor) -> dict[str, float]:
    """Return the process seconds that each part needs for one epoch over images [N, C, H, W].

    The parts take turns, so that what else runs on the machine slows all of them; the median of
    the rounds counts. Training changes the weights.
    """
    batch, truth = images[:BATCH], targets[:BATCH]
    with torch.no_grad():
        maps = parts.edge(batch)
    gradient = torch.randn(maps.shape, generator=torch.Generator().manual_seed(0))
    local = nn.Sequential(parts.edge, parts.exit)

    def edge_forward() -> None:
        with torch.no_grad():
            parts.edge(batch)

    steps = {
        "edge_exit": _make_step(local, lambda: cross_entropy(local(batch), truth)),
        "edge_split": _make_step(parts.edge, lambda: (parts.edge(batch) * gradient).sum()),
        "main": _make_step(parts.main, lambda: _lose(parts.main, maps, truth)),
        "edge_forward": edge_forward,
    }
    rounds = [[_measure(step) for step in steps.values()] for _ in range(_ROUNDS)]
    medians = np.median(np.array(rounds), axis=0) * len(images) / len(batch)
    return dict(zip(steps, medians.tolist(), strict=True))


def _lose(main: nn.Module, maps: Tensor, truth: Tensor) -> Tensor:
    """Return the loss of a main network whose maps ask for a gradient, as in split training."""
    return cross_entropy(main(maps.clone().requires_grad_()), truth)


def _make_step(network: nn.Module, lose: Callable[[], Tensor]) -> Callable[[], None]:
    optimizer = Adam(network.parameters(), fused=True)

    def step() -> None:
        optimizer.zero_grad()
        lose().backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return step


def _measure(step: Callable[[], None]) -> float:
    started = time.process_time()
    step()
    return time.process_time() - started
