"""Scores of a classifier on latents that it has not seen."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

SMALLEST_PROBABILITY = 1e-7
"""The least probability of the right class, because a class that was not learned has none."""

Probabilities = NDArray[np.float32]
Integers = NDArray[np.int64]


class Scores(BaseModel, frozen=True, extra="forbid"):
    """Scores from 0 to 1 on the tested latents, over all and by class and site.

    Attributes:
        macro_f1: the mean F1 of the classes that occurred or were predicted.
        loss: the mean cross-entropy in nats.
        baseline: the accuracy of always predicting the class that was learned most often.
        baseline_f1: its macro-F1.
    """

    accuracy: float
    macro_f1: float
    loss: float
    baseline: float
    baseline_f1: float
    accuracy_by_class: dict[str, float]
    accuracy_by_site: dict[str, float]


def score(
    probabilities: Probabilities,
    targets: Integers,
    site_of: Integers,
    *,
    labels: Sequence[str],
    sites: Sequence[str],
    majority: int,
) -> Scores:
    """Score probabilities [M, P] of M latents.

    Args:
        targets: the right class of each [M], a place in ``labels``.
        site_of: the site of each [M], a place in ``sites``.
        majority: the class that was learned most often.
    """
    answers = probabilities.argmax(axis=1)
    guess = np.full_like(answers, majority)
    hits = answers == targets
    return Scores(
        accuracy=float(hits.mean()),
        macro_f1=compute_macro_f1(answers, targets),
        loss=_compute_loss(probabilities, targets),
        baseline=float((guess == targets).mean()),
        baseline_f1=compute_macro_f1(guess, targets),
        accuracy_by_class=_average_by(targets, hits, labels),
        accuracy_by_site=_average_by(site_of, hits, sites),
    )


def compute_macro_f1(answers: Integers, targets: Integers) -> float:
    """Return the mean over classes of 2 TP / (2 TP + FP + FN)."""
    size = 1 + max(answers.max(), targets.max())
    named = np.bincount(answers, minlength=size) + np.bincount(targets, minlength=size)
    right = np.bincount(targets[answers == targets], minlength=size)
    return float(np.mean(2 * right[named > 0] / named[named > 0]))


def _compute_loss(probabilities: Probabilities, targets: Integers) -> float:
    right = probabilities[np.arange(len(targets)), targets].astype(np.float64)
    return float(-np.log(np.maximum(right, SMALLEST_PROBABILITY)).mean())


def _average_by(
    places: Integers, hits: NDArray[np.bool_], names: Sequence[str]
) -> dict[str, float]:
    counts, sums = np.bincount(places), np.bincount(places, weights=hits)
    occurring = np.flatnonzero(counts).tolist()
    return {names[place]: float(sums[place] / counts[place]) for place in occurring}
