import numpy as np
import pytest

from ioa.research.studies.scoring import SMALLEST_PROBABILITY, compute_macro_f1, score


def test_the_figures_of_four_answers() -> None:
    scores = score(
        np.array([[0.9, 0.1, 0], [0.2, 0.8, 0], [0.6, 0.4, 0], [0.5, 0.3, 0.2]], np.float32),
        np.array([0, 1, 1, 2]),
        np.array([0, 0, 1, 1]),
        labels=("cat", "dog", "fox"),
        sites=("east", "north"),
        majority=1,
    )
    assert (scores.accuracy, scores.baseline) == (0.5, 0.5)
    assert scores.accuracy_by_class == {"cat": 1.0, "dog": 0.5, "fox": 0.0}
    assert scores.accuracy_by_site == {"east": 1.0, "north": 0.0}
    assert scores.loss == pytest.approx(-np.log([0.9, 0.8, 0.4, 0.2]).mean())


def test_a_class_that_was_not_learned_has_a_finite_loss() -> None:
    scores = score(
        np.array([[1, 0]], np.float32),
        np.array([1]),
        np.array([0]),
        labels=("cat", "dog"),
        sites=("east",),
        majority=0,
    )
    assert scores.loss == pytest.approx(-np.log(SMALLEST_PROBABILITY))


def test_macro_f1_is_that_of_scikit_learn() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    answers, targets = rng.integers(0, 5, 200), rng.integers(1, 7, 200)
    expected = metrics.f1_score(targets, answers, average="macro", zero_division=0)
    assert compute_macro_f1(answers, targets) == pytest.approx(expected)
