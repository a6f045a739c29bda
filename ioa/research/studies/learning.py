"""The server's classifier, trained on some latents of a dataset and asked about others."""

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from server_classifier.heads.head import Learner, TrainingError
from server_classifier.heads.latent_classifier import LatentClassifier, fit_together
from server_classifier.store.datasets.latents import DatasetLatents
from server_classifier.store.datasets.snapshots import read_snapshot

Values = NDArray[np.float32]
Integers = NDArray[np.int64]


def learn_stack(
    values: Values, targets: Integers, learners: Sequence[Learner]
) -> list[LatentClassifier | TrainingError]:
    """Train classifiers at once, on the classes that occur among the targets.

    One that diverges harms no other; its error is returned in its place.

    Raises:
        TrainingError: there is one class only.
    """
    classifiers = [LatentClassifier(settings, seed) for seed, settings in learners]
    errors = fit_together(classifiers, values, targets)
    return [error or own for error, own in zip(errors, classifiers, strict=True)]


def predict(classifier: LatentClassifier, values: Values, classes: int) -> Values:
    """Return probabilities [M, classes] for latents [M, D]; 0 for classes not learned."""
    probabilities = np.zeros((len(values), classes), np.float32)
    probabilities[:, classifier.classes_] = classifier.predict_proba(values)
    return probabilities


def compute_sha256(classifier: LatentClassifier) -> str:
    """Return the hash of its ONNX file, as in the manifest of a classifier."""
    return hashlib.sha256(classifier.to_onnx()).hexdigest()


@lru_cache(maxsize=4)
def load_latents(snapshot: Path) -> DatasetLatents:
    """Return a snapshot's latents, cached for the next trials of this process."""
    return read_snapshot(snapshot)
