"""The classifier has the manners of scikit-learn's, which is not needed to use it."""

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.utils.estimator_checks import check_estimator

from server_classifier import LatentClassifier, TrainingSettings
from server_classifier.heads.head import TrainingError
from server_classifier.heads.latent_classifier import NotFitted
from server_classifier.heads.registry import HEADS
from tests.server_classifier.stored import make_clusters

QUICK = TrainingSettings(epochs=5, min_steps=150)
NOT_OURS = {
    "check_estimators_unfitted": "raises our own error, because scikit-learn is not imported",
    "check_supervised_y_2d": "labels in a column are refused, and not flattened with a warning",
}


@pytest.mark.filterwarnings("ignore:Estimator LatentClassifier does not inherit")
@pytest.mark.parametrize("head", [name for name, head in HEADS.items() if not head.needs_maps])
def test_it_passes_the_checks_of_scikit_learn(head: str) -> None:
    estimator = LatentClassifier(QUICK.model_copy(update={"head": head}))
    results = check_estimator(
        estimator, expected_failed_checks=NOT_OURS, on_skip=None, on_fail="raise"
    )
    failed = {result["check_name"] for result in results if result["status"] == "xfail"}
    assert failed == set(NOT_OURS)
    assert sum(result["status"] == "passed" for result in results) > 45


def test_scikit_learn_searches_its_settings() -> None:
    values, targets = make_clusters(60, classes=3, latent_dim=4)
    grid = {"settings": [QUICK, TrainingSettings(head="ncm")]}
    search = GridSearchCV(LatentClassifier(), grid, cv=2).fit(values, targets)
    assert search.best_score_ > 0.9
    assert clone(search.best_estimator_).get_params() == search.best_estimator_.get_params()


def test_labels_are_what_they_were() -> None:
    values, targets = make_clusters(60, classes=3, latent_dim=4)
    names = np.array(["newt", "cat", "dog"])[targets]
    classifier = LatentClassifier(QUICK).fit(values, names)
    assert classifier.classes_.tolist() == ["cat", "dog", "newt"]
    assert (classifier.predict(values) == names).all()


@pytest.mark.parametrize(
    ("X", "y", "words"),
    [
        ([[1.0], [2.0]], None, "requires y to be passed"),
        ([[1.0], [2.0]], [0.5, 1.0], "Unknown label type: continuous"),
        ([[1.0], [2.0]], [["cat"], ["dog"]], r"labels of shape \(2, 1\)"),
        ([[1.0], [np.nan]], ["cat", "dog"], "NaN or inf"),
        ([[1.0], [1e39]], ["cat", "dog"], "beyond float32"),
        ([1.0, 2.0], ["cat", "dog"], "neither"),
        (np.zeros((2, 3, 4)), ["cat", "dog"], "neither"),
        (np.zeros((2, 0)), ["cat", "dog"], "0 feature"),
    ],
)
def test_what_cannot_be_learned_from_is_refused(X: Any, y: Any, words: str) -> None:
    with pytest.raises(TrainingError, match=words):
        LatentClassifier(QUICK).fit(X, y)


def test_it_says_what_is_missing_or_too_much() -> None:
    classifier = LatentClassifier(QUICK)
    for ask in (lambda: classifier.predict([[0.0]]), classifier.to_onnx):
        with pytest.raises(NotFitted, match="call fit first"):
            ask()
    with pytest.raises(ValueError, match="there are settings and random_state"):
        classifier.set_params(seed=3)
    values, targets = make_clusters(20, classes=2, latent_dim=4)
    classifier.fit(values, targets)
    with pytest.raises(TrainingError, match="X has 3 features, but LatentClassifier is expecting"):
        classifier.predict(values[:, :3])


def test_it_needs_no_scikit_learn() -> None:
    code = (
        "import sys; sys.modules['sklearn'] = None\n"
        "from server_classifier import LatentClassifier as L, TrainingSettings as T\n"
        "print(L(T(head='ncm')).fit([[0.0], [1.0]], ['a', 'b']).predict([[0.9]])[0])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "b"
