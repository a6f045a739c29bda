"""The attack finds what an overfitted classifier has learned, and is at chance where nothing is."""

import numpy as np
import pytest
import torch

from client_autoencoder.audit.membership_attack import (
    compute_auc,
    score_confidence,
    score_likelihood,
)
from server_classifier.heads.settings import TrainingSettings
from server_classifier.heads.training import fit

ROWS, CLASSES, CLASSIFIERS = 200, 4, 8
OVERFITTING = TrainingSettings(hidden=(64,), dropout=0, weight_decay=0, min_steps=200)
RNG = np.random.default_rng(0)
TARGETS = RNG.integers(0, CLASSES, ROWS)
_FIRST = [RNG.permutation(ROWS) < ROWS // 2 for _ in range(CLASSIFIERS // 2)]
HALVES = np.array([*_FIRST, *map(np.invert, _FIRST)])


def compute_both(confidence: np.ndarray) -> list[float]:
    """Return the AUC of the threshold and of the likelihood ratio, on the first classifier."""
    ratio = score_likelihood(confidence[0], confidence[1:], HALVES[1:])
    return [compute_auc(scores[HALVES[0]], scores[~HALVES[0]]) for scores in (confidence[0], ratio)]


def test_it_finds_what_an_overfitted_classifier_has_learned() -> None:
    latents = RNG.normal(0, 1, (ROWS, 8)).astype(np.float32)
    latents[np.arange(ROWS), TARGETS] += 1.5
    answers = []
    for half in HALVES:
        model, _ = fit(latents[half], TARGETS[half], seed=0, settings=OVERFITTING)
        with torch.no_grad():
            answers.append(torch.softmax(model(torch.from_numpy(latents)), dim=1).numpy())
    threshold, ratio = compute_both(
        np.array([score_confidence(answer, TARGETS) for answer in answers])
    )
    assert threshold > 0.6
    assert ratio > threshold


def test_it_is_at_chance_where_answers_do_not_depend_on_membership() -> None:
    answers = RNG.dirichlet(np.ones(CLASSES), (CLASSIFIERS, ROWS))
    confidence = np.array([score_confidence(answer, TARGETS) for answer in answers])
    assert compute_both(confidence) == pytest.approx([0.5, 0.5], abs=0.12)


def test_rounding_to_significant_digits_hides_no_order() -> None:
    """Next to a label that is nearly certain, the small numbers of the others keep their digits."""
    exact = np.array([[1 - 2.7e-9, 2.7e-9], [1 - 2.8e-9, 2.8e-9]])
    rounded = np.array([[float(f"{number:.3g}") for number in row] for row in exact])
    assert rounded[0, 0] == rounded[1, 0] == 1.0
    for answers in (exact, rounded):
        first, second = score_confidence(answers, np.array([0, 0]))
        assert first > second


@pytest.mark.parametrize(
    ("members", "others", "auc"),
    [([2.0, 3.0], [0.0, 1.0], 1.0), ([0.0], [1.0], 0.0), ([1.0, 1.0], [1.0], 0.5)],
)
def test_the_area_counts_a_tie_half(members: list[float], others: list[float], auc: float) -> None:
    assert compute_auc(np.array(members), np.array(others)) == auc
