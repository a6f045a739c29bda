"""The training of classifiers: whatever the head, it begins here."""

from collections.abc import Sequence
from importlib import import_module

import numpy as np
from numpy.typing import NDArray

from server_classifier.heads.head import (
    Fit,
    Learner,
    OnEpoch,
    Trained,
    TrainingError,
    TrainingReport,
)
from server_classifier.heads.registry import HEADS
from server_classifier.heads.settings import TrainingSettings
from server_classifier.heads.values import Targets, Values

__all__ = ["Learner", "Trained", "TrainingError", "TrainingReport", "fit", "fit_stack"]


def fit(
    values: Values,
    targets: NDArray[np.int64],
    *,
    seed: int,
    settings: TrainingSettings | None = None,
    on_epoch: OnEpoch | None = None,
) -> Trained:
    """Train a classifier from scratch on one thread; the same input and seed give the same weights.

    Args:
        values: latents [N, D], or maps [N, C, H, W].
        targets: the class of each, [N], from 0 to P - 1.
        seed: of the initial weights, the order of the latents and the dropout.
        settings: the defaults when None.
        on_epoch: called after each epoch.

    Raises:
        TrainingError: fewer than two classes, values and targets that do not fit together, a head
            for maps and no maps, or values so large that the training diverged.
    """
    learner = Learner(seed, settings or TrainingSettings())
    (trained,) = fit_stack(values, targets, [learner], on_epoch=on_epoch)
    if isinstance(trained, TrainingError):
        raise trained
    return trained


def fit_stack(
    values: Values,
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
        TrainingError: as ``fit``, but where one diverges.
    """
    _check(values, targets)
    maps = len(values.shape) == 4
    resolved = [Learner(seed, settings.resolve(maps=maps)) for seed, settings in learners]
    name = resolved[0].settings.head
    if HEADS[name].needs_maps and not maps:
        raise TrainingError(
            f"the head {name} learns from maps [C, H, W], and these are latents of "
            f"{values.shape[1]} numbers; choose another head"
        )
    fit_head: Fit = import_module(f"server_classifier.heads.{HEADS[name].module}").fit
    return fit_head(values, targets, resolved, on_epoch)


def _check(values: Values, targets: Targets) -> None:
    if len(values.shape) not in (2, 4) or len(values) != len(targets):
        raise TrainingError(
            f"latents of shape {values.shape} and {len(targets)} targets do not fit together"
        )
    counts = np.bincount(targets)
    if len(counts) < 2:
        found = f"{len(counts)} class"
        raise TrainingError(f"{found} found; a classifier needs latents of at least two labels")
    if not counts.all():
        raise TrainingError(f"no latent is of class {counts.argmin()}, though of later ones")
