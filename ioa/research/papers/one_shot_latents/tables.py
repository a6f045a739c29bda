"""The tables of one seed, and their mean and spread over seeds.

Table I is about reconstruction, table II about classification; both per class and in total, for
each subset of the unseen images.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from client_autoencoder.encoders.reconstruction import (
    compute_skill,
    delta_per_image,
    mse_per_image,
    psnr_db_per_image,
    ssim_per_image,
)
from client_autoencoder.images.batches import ImageBatch

Values = NDArray[np.float64]
Images = NDArray[np.float32]
Positions = NDArray[np.intp]
Figures = dict[str, Any]
Average = Callable[[Positions], dict[str, float]]
"""Takes positions of images and returns the scores of these on average."""


def tabulate_reconstruction(
    unseen: ImageBatch, restored: Images, mean_image: Images, subsets: Mapping[str, Positions]
) -> Figures:
    """Return table I: scores per class and in total, with two pictures that show nothing beside it.

    Args:
        mean_image: [1, H, W], of the images that the encoder was trained on.
    """
    originals = unseen.images
    guesses = {
        "reconstruction": restored,
        "all-black image": np.zeros_like(originals),
        "mean image": np.broadcast_to(mean_image, originals.shape),
    }
    scores = {name: _score(originals, guess) for name, guess in guesses.items()}
    floor = scores["mean image"]["mse"]
    return {
        subset: {
            name: _average_each(unseen.labels, positions, _mean_scores(score, floor))
            for name, score in scores.items()
        }
        for subset, positions in subsets.items()
    }


def tabulate_classification(
    unseen: ImageBatch, predictions: list[Figures], subsets: Mapping[str, Positions]
) -> Figures:
    """Return table II: accuracy and the paper's equation 10, per class and in total.

    ``l1_error`` is the mean of |y(p) - t(p)| over the images, p the true class of each, so
    1 - y(p): how much probability the right class lacks. A reply names the 100 likeliest classes;
    the right one, where it is not among them, counts as 0.
    """
    by_name = {one["name"]: one for one in predictions}
    ordered = [by_name[name] for name in unseen.names]
    hits = np.array([one["label"] == one["true_label"] for one in ordered], np.float64)
    lacking = np.array([1 - one["probabilities"].get(one["true_label"], 0.0) for one in ordered])

    def average(chosen: Positions) -> dict[str, float]:
        return {"accuracy": float(hits[chosen].mean()), "l1_error": float(lacking[chosen].mean())}

    return {
        subset: _average_each(unseen.labels, positions, average)
        for subset, positions in subsets.items()
    }


def tabulate_controls(hits: Mapping[str, list[int]], subsets: Mapping[str, Positions]) -> Figures:
    """Return the accuracy of every control on every subset."""
    return {
        subset: {name: float(np.array(right)[positions].mean()) for name, right in hits.items()}
        for subset, positions in subsets.items()
    }


def summarise(seeds: list[Figures]) -> Figures:
    """Return the figures of several seeds as one, every number as its mean and spread.

    The spread is the sample standard deviation, None of a single number. A class that a seed has
    no image of counts where it has.
    """
    summary: Figures = {}
    for name in dict.fromkeys(name for figures in seeds for name in figures):
        values = [figures[name] for figures in seeds if name in figures]
        if isinstance(values[0], dict):
            summary[name] = summarise(values)
        else:
            spread = float(np.std(values, ddof=1)) if len(values) > 1 else None
            summary[name] = {"mean": float(np.mean(values)), "sd": spread}
    return summary


def _score(originals: Images, guess: Images) -> dict[str, Values]:
    return {
        "mse": mse_per_image(originals, guess),
        "psnr_db": psnr_db_per_image(originals, guess),
        "ssim": ssim_per_image(originals, guess),
        "delta_eq9": delta_per_image(originals, guess),
    }


def _mean_scores(score: dict[str, Values], floor: Values) -> Average:
    def average(chosen: Positions) -> dict[str, float]:
        means = {name: float(values[chosen].mean()) for name, values in score.items()}
        return means | {"skill": compute_skill(means["mse"], float(floor[chosen].mean()))}

    return average


def _average_each(labels: Sequence[str | None], positions: Positions, average: Average) -> Figures:
    """Return the averages over all positions, ``total``, and over those of each of ``classes``."""
    named = np.array(labels)[positions]
    return {
        "total": average(positions),
        "classes": {
            name: average(positions[named == name]) for name in sorted(set(named.tolist()))
        },
    }
