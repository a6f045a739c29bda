"""What replies tell about which latents the classifier has learned: membership inference.

For each random seed, 600 latents are drawn and halved at random 8 times; the server's classifier
learns from each half. An attacker who knows all 600 and their labels asks each classifier for all,
and tells members from others by a threshold, or by the likelihood ratio of the other 15.
The area under the curve (AUC) is 0.5 by chance. The subjects are the forms in which an answer could
be given: as it is, rounded, or the label alone. With odd labels, one latent in ten has a random
wrong label, and the AUC is that of these.

Example: IOA_DATA_DIR=data python -m benchmarks.membership --quick
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.measurement import Column, Measurement, make_parser, print_spread, report
from client_autoencoder.audit.membership_attack import (
    compute_auc,
    score_confidence,
    score_likelihood,
)
from client_autoencoder.audit.released_latents import released_latents
from client_autoencoder.encoders.families.autoencoder import AutoencoderConfig
from client_autoencoder.encoders.files import write_encoder
from client_autoencoder.encoders.fitting import TrainingOptions
from client_autoencoder.encoders.runtime import Encoder
from client_autoencoder.encoders.training import train
from client_autoencoder.images.sets import digest
from ioa.research.lab.parts import join
from ioa.research.papers.one_shot_latents.division import divide
from ioa.research.papers.one_shot_latents.plan import Plan
from schemas.models.manifest_fields import TrainingData
from server_classifier.heads.training import fit

COLUMNS = {
    "threshold_auc": Column("AUC of the threshold", "{:.3f}", better="less"),
    "ratio_auc": Column("AUC of the likelihood ratio", "{:.3f}", better="less"),
    "accuracy": Column("accuracy % on others", "{:.1f}", better="more"),
}
ODD_SHARES = {"true": 0.0, "odd": 0.1}
_ROWS = 300
_CLASSIFIERS = 16

Values = NDArray[Any]


class Pool(NamedTuple):
    """Latents [N, D], the labels that are stated of them [N], and which of these are odd [N]."""

    latents: Values
    targets: NDArray[np.int64]
    odd: NDArray[np.bool_]


def round_significant(probabilities: Values) -> Values:
    """Return numbers with three significant digits."""
    return np.vectorize(lambda number: float(f"{number:.3g}"), otypes=[np.float64])(probabilities)


def keep_label(probabilities: Values) -> Values:
    """Return 1 for the likeliest label and 0 for all others."""
    return (probabilities == probabilities.max(axis=1, keepdims=True)).astype(np.float64)


FORMS: dict[str, Callable[[Values], Values]] = {
    "full precision": lambda probabilities: probabilities,
    "3 significant digits": round_significant,
    "3 decimals": lambda probabilities: probabilities.astype(np.float64).round(3),
    "label alone": keep_label,
}


def main() -> None:
    options = read_options()
    measured: list[Measurement] = []
    for plan in options.plans:
        measured += compare(plan, options)
    report(options.out, "membership", measured, COLUMNS)
    print_spread(measured, ("threshold_auc", "ratio_auc"))


def read_options() -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument("--data", type=Path, help="default: mnist.npz in the folder IOA_DATA_DIR")
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    data = options.data or Path(os.environ.get("IOA_DATA_DIR", ".")) / "mnist.npz"
    options.plans = [Plan("digits", latent=16, dtype="int8")]
    if options.quick:
        options.seeds = 1
    else:
        options.plans.append(Plan(str(data), latent=64, dtype="int8"))
    return options


def compare(plan: Plan, options: argparse.Namespace) -> list[Measurement]:
    """Measure all forms of answers about one data set, with the labels true and odd."""
    latents, targets = encode(plan)
    rows: list[Measurement] = []
    for labels, odd_share in ODD_SHARES.items():
        condition = {"data": plan.source, "labels": labels}
        measured = {form: Measurement("membership", condition, form) for form in FORMS}
        for seed in range(options.seeds):
            print(f"{condition}, seed {seed}", file=sys.stderr)
            pool = draw_pool(latents, targets, odd_share, np.random.default_rng(seed))
            for form, figures in attack(pool, seed).items():
                measured[form].runs.append(figures)
        rows += measured.values()
    return rows


def encode(plan: Plan) -> tuple[Values, NDArray[np.int64]]:
    """Return the latents of all clients' images, as they are released, and their labels."""
    parts = divide(plan, 0).parts
    public, images = parts.public.images, join(parts.clients)
    config = AutoencoderConfig(public.shape[2], public.shape[3], plan.latent)
    trained = train(public, config, TrainingOptions(), torch.Generator().manual_seed(0))
    data = TrainingData(plan.source, digest(public), len(public), "public")
    with tempfile.TemporaryDirectory() as folder:
        write_encoder(Path(folder) / "encoder", trained, data)
        latents = released_latents(Encoder.load(Path(folder) / "encoder"), images.images)
    return latents, np.unique(images.labels, return_inverse=True)[1]


def draw_pool(
    latents: Values, targets: NDArray[np.int64], odd_share: float, rng: np.random.Generator
) -> Pool:
    """Draw twice as many latents as one classifier learns, with wrong labels for a share."""
    chosen = rng.permutation(len(latents))[: 2 * _ROWS]
    odd = rng.random(len(chosen)) < odd_share
    classes = targets.max() + 1
    shifts = np.where(odd, rng.integers(1, classes, len(chosen)), 0)
    return Pool(latents[chosen], (targets[chosen] + shifts) % classes, odd)


def attack(pool: Pool, seed: int) -> dict[str, Mapping[str, float]]:
    """Return the figures of each form, as means over classifiers that are attacked in turn."""
    rng = np.random.default_rng(seed)
    halves = [rng.permutation(len(pool.latents)) < _ROWS for _ in range(_CLASSIFIERS // 2)]
    learned = np.array([*halves, *map(np.invert, halves)])
    answers = [ask(pool, half, seed * _CLASSIFIERS + number) for number, half in enumerate(learned)]
    counted = pool.odd if pool.odd.any() else ~pool.odd
    return {
        form: measure(np.array([write(answer) for answer in answers]), learned, pool, counted)
        for form, write in FORMS.items()
    }


def ask(pool: Pool, half: NDArray[np.bool_], seed: int) -> Values:
    """Train on one half, and return the probabilities [N, P] of all latents."""
    model, _ = fit(pool.latents[half], pool.targets[half], seed=seed)
    with torch.no_grad():
        return torch.softmax(model(torch.from_numpy(pool.latents)), dim=1).numpy()


def measure(
    answers: Values, learned: NDArray[np.bool_], pool: Pool, counted: NDArray[np.bool_]
) -> dict[str, float]:
    """Attack each classifier by its answers [K, N, P]; the others are the attacker's shadows."""
    confidence = np.array([score_confidence(answer, pool.targets) for answer in answers])
    runs = []
    for number, half in enumerate(learned):
        shadows, their = np.delete(confidence, number, 0), np.delete(learned, number, 0)
        ratio = score_likelihood(confidence[number], shadows, their)
        members, others = half & counted, ~half & counted
        right = answers[number].argmax(axis=1) == pool.targets
        runs.append(
            {
                "threshold_auc": compute_auc(
                    confidence[number][members], confidence[number][others]
                ),
                "ratio_auc": compute_auc(ratio[members], ratio[others]),
                "accuracy": 100 * right[~half & ~pool.odd].mean(),
            }
        )
    return {name: float(np.mean([run[name] for run in runs])) for name in COLUMNS}


if __name__ == "__main__":
    main()
