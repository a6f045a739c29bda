"""Trains a classifier with our code, with torch's DataLoader, and with scikit-learn.

All train a perceptron of 256, 128 and 64 units on the same latents of 64 numbers, on one thread,
and are tested on the same unseen images (10,000 of MNIST). Ours is the server's whole recipe: batch
normalisation, dropout, weight decay and one cycle of the learning rate, with 25 epochs up to some
100,000 latents and 2 epochs of a million. The others have none of these. torch's loop is that of
its tutorials: batches of 64, Adam at 0.001, 15 epochs, or 1 of a larger set. scikit-learn's
MLPClassifier has its defaults, with batches of 64 and 15 epochs, or 256 and 2 for a larger set.

A stack is our code on several random seeds at once, as ``ioa experiment run`` trains the trials of
a study. Its ratio compares it with as many single trainings, by the time of one in the same turn.

Example: IOA_DATA_DIR=data python -m benchmarks.training --quick
"""

import argparse
import os
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.measurement import Aim, Column, Measurement, make_parser, report
from benchmarks.training_latents import Latents, Targets, encode_copies, read_pool, train_encoder
from server_classifier.heads.settings import TrainingSettings
from server_classifier.heads.training import Learner, Trained, fit, fit_stack

SIZES = (5_000, 10_000, 100_000, 1_000_000)
MANY = 100_000  # latents from which the others get few epochs
STACKS = (1, 4, 8)
STACKED = 5_000  # latents of the size that is run several times and in stacks
OURS = "fit, the full recipe"
COLUMNS = {
    "seconds": Column("seconds", "{:.2f}", better="less"),
    "accuracy": Column("accuracy in %", "{:.2f}", better="more"),
    "epochs": Column("epochs"),
    "us_per_sample_epoch": Column("us per latent, epoch and network", "{:.1f}", better="less"),
    "of_single": Column("of so many single trainings", "{:.2f} x", better="less"),
}
AIMS = (
    Aim(OURS, "seconds", 2.5, {"latents": 5_000}),
    Aim(OURS, "us_per_sample_epoch", 8.0, {"latents": 1_000_000}),
    Aim("stack of 8", "of_single", 0.4),
)


@dataclass(frozen=True)
class Examples:
    """Latents to train on and to test on."""

    values: Latents
    targets: Targets
    asked: Latents
    truth: Targets

    def take(self, count: int) -> "Examples":
        return Examples(self.values[:count], self.targets[:count], self.asked, self.truth)

    def score(self, model: nn.Module) -> float:
        with torch.no_grad():
            return 100 * float(
                (model(torch.from_numpy(self.asked)).argmax(1).numpy() == self.truth).mean()
            )


Result = tuple[float, float, int]
"""Seconds, accuracy in %, epochs."""
Subject = Callable[[Examples, int], Result]


def main() -> None:
    options = read_options()
    torch.set_num_threads(1)
    examples, name = make_examples(options)
    measured: list[Measurement] = []
    with threadpool_limits(1):
        fit(examples.values[:500], examples.targets[:500], seed=0)  # warm up torch
        for size in options.sizes:
            measured += compare(examples.take(size), {"data": name, "latents": size}, options)
        condition = {"data": name, "latents": STACKED}
        measured += compare_stacks(examples.take(STACKED), condition, options)
    report(options.out, "training", measured, COLUMNS, AIMS)


def read_options() -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    if options.quick:
        options.sizes, options.runs = SIZES[:1], 1
    return options


def make_examples(options: argparse.Namespace) -> tuple[Examples, str]:
    pool = read_pool(os.environ.get("IOA_DATA_DIR"))
    images, epochs = (2_000, 5) if options.quick else (5_000, None)
    with tempfile.TemporaryDirectory() as folder:
        encoder = train_encoder(pool, Path(folder), images=images, epochs=epochs)
        latents = encode_copies(encoder, pool, max(STACKED, *options.sizes))
        return Examples(*latents, encoder.encode(pool.held_out), pool.held_out_targets), pool.name


def compare(
    examples: Examples, condition: Mapping[str, Any], options: argparse.Namespace
) -> list[Measurement]:
    few = len(examples.values) < MANY
    epochs, batch = (15, 64) if few else (2, 256)
    subjects: dict[str, Subject] = {
        OURS: run_ours,
        "torch's DataLoader": partial(run_torch, epochs=15 if few else 1),
        "MLPClassifier": partial(run_sklearn, epochs=epochs, batch_size=batch),
    }
    measured = [Measurement("training", dict(condition), name) for name in subjects]
    for seed in range(options.runs if len(examples.values) <= STACKED else 1):
        for row, subject in zip(measured, subjects.values(), strict=True):
            row.runs.append(describe(subject(examples, seed), len(examples.values)))
    return measured


def compare_stacks(
    examples: Examples, condition: Mapping[str, Any], options: argparse.Namespace
) -> list[Measurement]:
    """Train 1, 4 and 8 networks at once, and a single network in the same turn."""
    measured = [Measurement("training", dict(condition), f"stack of {size}") for size in STACKS]
    for turn in range(options.runs):
        single, *_ = run_ours(examples, turn)
        for row, size in zip(measured, STACKS, strict=True):
            result = run_stack(examples, range(turn, turn + size))
            ratio = {"of_single": result[0] / size / single}
            row.runs.append(describe(result, len(examples.values) * size) | ratio)
    return measured


def describe(result: Result, passed: int) -> dict[str, float]:
    seconds, accuracy, epochs = result
    return {
        "seconds": seconds,
        "accuracy": accuracy,
        "epochs": epochs,
        "us_per_sample_epoch": seconds / epochs / passed * 1e6,
    }


def run_ours(examples: Examples, seed: int) -> Result:
    start = time.perf_counter()
    model, done = fit(examples.values, examples.targets, seed=seed)
    return time.perf_counter() - start, examples.score(model), done.epochs


def run_stack(examples: Examples, seeds: range) -> Result:
    learners = [Learner(seed, TrainingSettings()) for seed in seeds]
    start = time.perf_counter()
    trained = fit_stack(examples.values, examples.targets, learners)
    seconds = time.perf_counter() - start
    done = [result for result in trained if isinstance(result, Trained)]
    accuracy = float(np.mean([examples.score(result.model) for result in done]))
    return seconds, accuracy, done[0].report.epochs


def run_torch(examples: Examples, seed: int, *, epochs: int) -> Result:
    """Train on standardised latents, as the tutorials do."""
    start = time.perf_counter()
    torch.manual_seed(seed)
    latents, asked = standardise(examples)
    data = TensorDataset(torch.from_numpy(latents), torch.from_numpy(examples.targets))
    widths = [latents.shape[1], *TrainingSettings().hidden]
    hidden = [
        layer for width, units in pairwise(widths) for layer in (nn.Linear(width, units), nn.ReLU())
    ]
    model = nn.Sequential(*hidden, nn.Linear(widths[-1], int(examples.targets.max()) + 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for _ in range(epochs):
        for batch, truth in DataLoader(data, batch_size=64, shuffle=True):
            optimizer.zero_grad()
            cross_entropy(model(batch), truth).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    seconds = time.perf_counter() - start
    return seconds, Examples(latents, examples.targets, asked, examples.truth).score(model), epochs


def run_sklearn(examples: Examples, seed: int, *, epochs: int, batch_size: int) -> Result:
    start = time.perf_counter()
    latents, asked = standardise(examples)
    model = MLPClassifier(
        TrainingSettings().hidden, batch_size=batch_size, max_iter=epochs, random_state=seed
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the epochs are limited on purpose
        model.fit(latents, examples.targets)
    seconds = time.perf_counter() - start
    return seconds, 100 * float(model.score(asked, examples.truth)), epochs


def standardise(examples: Examples) -> tuple[Latents, Latents]:
    mean, scale = examples.values.mean(axis=0), examples.values.std(axis=0) + 1e-6
    return (examples.values - mean) / scale, (examples.asked - mean) / scale


if __name__ == "__main__":
    main()
