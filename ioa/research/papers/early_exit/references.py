"""What early exits are compared with, in a process of its own that runs beside the services.

    python -m ioa.research.papers.early_exit.references DIRECTORY SEED EPOCHS --json

Trains edge and main network as one on raw pixels (the centre; split training has the same
gradients), and edge and main network at once, each with its own loss (the paper). Prints where each
was right, a list of 0 and 1 in the order of the unseen images, and the process seconds per epoch
of every part.
"""

import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim import Adam
from torch.optim.lr_scheduler import OneCycleLR

from client_autoencoder.encoders.fitting import TrainingOptions, fit, run
from client_autoencoder.images.batches import ImageBatch
from ioa.research.lab.parts import read_part
from ioa.research.papers.early_exit.networks import Networks
from ioa.research.papers.early_exit.seconds import BATCH, measure_seconds
from ioa.research.reporting.results import Figures
from schemas.quantiser import dequantise, quantise
from stream.threads import one_thread


def measure(directory: Path, seed: int, epochs: int) -> Figures:
    """Return hits [M] of both references, and the seconds of the parts."""
    learned, unseen = read_part(directory, "client-1"), read_part(directory, "unseen-1")
    names = sorted({str(label) for label in learned.labels})
    images = torch.from_numpy(learned.images)
    targets = torch.tensor([names.index(str(label)) for label in learned.labels])
    shape = tuple(images.shape[1:])
    parts = [Networks.draw((shape[0], shape[1], shape[2]), len(names), seed) for _ in range(3)]
    torch.manual_seed(seed)  # of dropout
    with one_thread(torch):
        seconds = measure_seconds(parts[0], images, targets)
        centre = _train_centre(parts[1], images, targets, seed, epochs)
        paper = _train_at_once(parts[2], images, targets, seed, epochs)
        hits = {
            name: _find_hits(network, unseen, names)
            for name, network in (("centre", centre), ("at_once", paper))
        }
    return {"hits": hits, "seconds": seconds}


def _train_centre(
    parts: Networks, images: Tensor, targets: Tensor, seed: int, epochs: int
) -> nn.Module:
    network = nn.Sequential(parts.edge, parts.main)
    options = TrainingOptions(epochs=epochs, batch_size=BATCH)
    generator = torch.Generator().manual_seed(seed)
    fit(network, (images, targets), options, generator, loss_of=cross_entropy)
    return network


def _train_at_once(
    parts: Networks, images: Tensor, targets: Tensor, seed: int, epochs: int
) -> nn.Module:
    """Train the edge by its exit, and the main network on each epoch's maps as int8."""
    local = nn.Sequential(parts.edge, parts.exit)
    steps = epochs * -(-len(images) // BATCH)
    learners = [_Learner(local, steps), _Learner(parts.main, steps)]
    for batch in _draw_batches(len(images), seed, epochs):
        maps = parts.edge(images[batch])
        learners[0].step(cross_entropy(parts.exit(maps), targets[batch]))
        learners[1].step(cross_entropy(parts.main(_send(maps)), targets[batch]))
    return nn.Sequential(local[0], parts.main).eval()


def _draw_batches(images: int, seed: int, epochs: int) -> Iterator[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    for _ in range(epochs):
        yield from torch.split(torch.randperm(images, generator=generator), BATCH)


def _send(maps: Tensor) -> Tensor:
    """Return maps as they arrive: as int8 over the range of the batch, without their graph."""
    values = maps.detach().numpy()
    low, high = float(values.min()), float(values.max())
    return torch.from_numpy(dequantise(quantise(values, low, high), low, high))


class _Learner:
    """A network with the optimiser and schedule that ``fit`` uses."""

    def __init__(self, network: nn.Module, steps: int) -> None:
        rate = TrainingOptions().learning_rate
        self._optimizer = Adam(network.train().parameters(), lr=rate, fused=True)
        self._schedule = OneCycleLR(self._optimizer, rate, total_steps=steps)

    def step(self, loss: Tensor) -> None:
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()
        self._schedule.step()


def _find_hits(network: nn.Module, unseen: ImageBatch, names: Sequence[str]) -> list[int]:
    chosen = run(network.eval(), torch.from_numpy(unseen.images)).argmax(dim=1).tolist()
    pairs = zip(chosen, unseen.labels, strict=True)
    return [int(names[index] == label) for index, label in pairs]


if __name__ == "__main__":
    os.nice(10)
    print(json.dumps(measure(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))))
