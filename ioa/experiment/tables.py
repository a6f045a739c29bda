"""The tables of one seed, and their mean and spread over seeds.

Table I is about reconstruction, table II about classification; both per class and in total, for
each subset of the unseen images.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from client_autoencoder.encoder import Encoder
from client_autoencoder.encoder_files import load_autoencoder
from client_autoencoder.images import ImageBatch
from client_autoencoder.reconstruction import (
    compute_skill,
    delta_per_image,
    mse_per_image,
    psnr_db_per_image,
    ssim_per_image,
)
from client_autoencoder.training import one_thread, run
from ioa.local.controls import released_latents

Values = NDArray[np.float64]
Images = NDArray[np.float32]
Positions = NDArray[np.intp]
Figures = dict[str, Any]
TOTAL = "total"


def restore(
    directory: Path, encoders: list[str], images: Images, dtype: str
) -> tuple[Images, Images]:
    """Return the latents [N, D] of unseen images as they travel, and what decoders make of them.

    Every client encodes and decodes its stretch of the images [N, 1, H, W].
    """
    latents, restored = [], []
    for out, share in zip(encoders, np.array_split(images, len(encoders)), strict=True):
        released = released_latents(Encoder.load(directory / out), share, dtype)
        decoder = load_autoencoder(directory / out).decoder
        with one_thread():
            restored.append(run(decoder, torch.from_numpy(released)).numpy().clip(0.0, 1.0))
        latents.append(released)
    return np.concatenate(latents), np.concatenate(restored)


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
            name: _per_class(unseen.labels, positions, _mean_scores(score, floor))
            for name, score in scores.items()
        }
        for subset, positions in subsets.items()
    }


def tabulate_classification(
    unseen: ImageBatch, predictions: list[Figures], subsets: Mapping[str, Positions]
) -> Figures:
    """Return table II: accuracy and the paper's equation 10, per class and in total.

    ``l1_error`` is the mean of |y(p) - t(p)| over the images, p the true class of each, so
    1 - y(p): how much probability the right class lacks.
    """
    by_name = {one["name"]: one for one in predictions}
    ordered = [by_name[name] for name in unseen.names]
    hits = np.array([one["label"] == one["true_label"] for one in ordered], np.float64)
    lacking = np.array([1 - one["probabilities"].get(one["true_label"], 0.0) for one in ordered])

    def average(chosen: Positions) -> Figures:
        return {"accuracy": float(hits[chosen].mean()), "l1_error": float(lacking[chosen].mean())}

    return {
        subset: _per_class(unseen.labels, positions, average)
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

    The spread is the sample standard deviation, None for a single seed.
    """
    summary: Figures = {}
    for name, first in seeds[0].items():
        values = [figures[name] for figures in seeds]
        if isinstance(first, dict):
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


def _mean_scores(score: dict[str, Values], floor: Values) -> Any:
    def average(chosen: Positions) -> Figures:
        means = {name: float(values[chosen].mean()) for name, values in score.items()}
        return means | {"skill": compute_skill(means["mse"], float(floor[chosen].mean()))}

    return average


def _per_class(labels: list[str | None], positions: Positions, average: Any) -> Figures:
    """Return the averages over all positions and over those of each class."""
    named = np.array(labels)[positions]
    classes = sorted({str(name) for name in named})
    return {TOTAL: average(positions)} | {
        name: average(positions[named == name]) for name in classes
    }
