"""The tables of one seed.

Table I is about reconstruction, table II about classification; both per class and in total, for
each subset of the unseen images.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from client_autoencoder.encoders.reconstruction import (
    compute_skill,
    delta_per_image,
    mse_per_image,
    psnr_db_per_image,
    ssim_per_image,
)
from client_autoencoder.images.batches import ImageBatch, Pixels
from ioa.research.lab.divided_source import Positions
from ioa.research.reporting.results import Figures

Values = NDArray[np.float64]
Average = Callable[[Positions], dict[str, float]]
"""Takes positions of images and returns their mean scores."""
_SCORES = {
    "mse": mse_per_image,
    "psnr_db": psnr_db_per_image,
    "ssim": ssim_per_image,
    "delta_eq9": delta_per_image,
}


def tabulate_reconstruction(
    unseen: ImageBatch, restored: Pixels, mean_image: Pixels, subsets: Mapping[str, Positions]
) -> Figures:
    """Return table I: scores per class and in total, also of two pictures that show nothing.

    One is black, the other the mean [1, H, W] of the images that the encoder was trained on.
    """
    originals = unseen.images
    guesses = {
        "reconstruction": restored,
        "all-black image": np.zeros_like(originals),
        "mean image": np.broadcast_to(mean_image, originals.shape),
    }
    scores = {
        name: {score: measure(originals, guess) for score, measure in _SCORES.items()}
        for name, guess in guesses.items()
    }
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
    where the right one is not among them, its probability counts as 0.
    """
    by_name = {reply["name"]: reply for reply in predictions}
    replies = [by_name[name] for name in unseen.names]
    hits = np.array([reply["label"] == reply["true_label"] for reply in replies], np.float64)
    right = [reply["probabilities"].get(reply["true_label"], 0.0) for reply in replies]
    lacking = 1 - np.array(right)

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


def _mean_scores(score: dict[str, Values], floor: Values) -> Average:
    def average(chosen: Positions) -> dict[str, float]:
        means = {name: float(values[chosen].mean()) for name, values in score.items()}
        return means | {"skill": compute_skill(means["mse"], float(floor[chosen].mean()))}

    return average


def _average_each(labels: Sequence[str | None], positions: Positions, average: Average) -> Figures:
    """Return the averages over all positions, ``total``, and over those of each class."""
    named = np.array(labels)[positions]
    return {
        "total": average(positions),
        "classes": {
            name: average(positions[named == name]) for name in sorted(set(named.tolist()))
        },
    }
