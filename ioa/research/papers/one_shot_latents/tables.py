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
from ioa.research.papers.one_shot_latents.division import Positions
from ioa.research.reporting.results import Figures

Values = NDArray[np.float64]
Average = Callable[[Positions], dict[str, float]]
"""Takes positions of images and returns their mean scores."""


def tabulate_reconstruction(
    unseen: ImageBatch, restored: Pixels, mean_image: Pixels, subsets: Mapping[str, Positions]
) -> Figures:
    """Return table I: scores per class and in total, also of two pictures that show nothing.

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
    where the right one is not among them, its probability counts as 0.
    """
    by_name = {reply["name"]: reply for reply in predictions}
    replies = [by_name[name] for name in unseen.names]
    truth = [reply["true_label"] for reply in replies]
    pairs = list(zip(replies, truth, strict=True))
    hits = np.array([reply["label"] == label for reply, label in pairs], np.float64)
    lacking = np.array([1 - reply["probabilities"].get(label, 0.0) for reply, label in pairs])

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


def _score(originals: Pixels, guess: Pixels) -> dict[str, Values]:
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
    """Return the averages over all positions, ``total``, and over those of each class."""
    named = np.array(labels)[positions]
    return {
        "total": average(positions),
        "classes": {
            name: average(positions[named == name]) for name in sorted(set(named.tolist()))
        },
    }
