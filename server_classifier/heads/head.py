"""What every head is given and gives back: values and targets, and a ``HeadNetwork``."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from server_classifier.errors import ServerError
from server_classifier.heads.network import HeadNetwork
from server_classifier.heads.settings import TrainingSettings
from server_classifier.heads.values import Targets, Values

OnEpoch = Callable[[int, int], None]
"""Takes the number of epochs done and of all epochs; an exception from it ends the training."""


class TrainingError(ServerError, ValueError):
    """The latents cannot be learned from; the text says what is missing."""


@dataclass(frozen=True, slots=True)
class TrainingReport:
    """What a training did.

    Attributes:
        settings: of the head that learned; none of them is left open.
        steps: of the optimiser; 0 where there is none.
        loss: mean cross-entropy of the last epoch, in nats.
        seconds: of several networks that trained at once, an equal share.
    """

    settings: TrainingSettings
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

    model: HeadNetwork
    report: TrainingReport


def conclude(
    network: HeadNetwork, learner: Learner, rows: int, loss: float, seconds: float
) -> Trained | TrainingError:
    """Return what a training by steps made, unless it diverged."""
    if not math.isfinite(loss):
        return TrainingError("the training diverged: are there latents beyond 1e30?")
    settings = learner.settings
    epochs = settings.epochs_for(rows)
    steps = epochs * settings.steps_for(rows)
    report = TrainingReport(settings, rows, epochs, steps, loss, seconds)
    return Trained(network.eval(), report)


Fit = Callable[[Values, Targets, Sequence[Learner], OnEpoch | None], list[Trained | TrainingError]]
"""What a head does: it trains from scratch on one thread, once for each learner.

It takes values, targets [N] from 0 to P - 1 that all occur, learners with equal ``shape``, and what
hears of each epoch. The same input and seed give the same weights. In the place of a network that
diverged is an error.
"""
