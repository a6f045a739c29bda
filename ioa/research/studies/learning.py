"""The server's classifier, trained on some latents of a dataset and asked about others."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from server_classifier.heads.onnx_graph import export_onnx
from server_classifier.heads.perceptron import LatentClassifier
from server_classifier.heads.settings import TrainingSettings
from server_classifier.heads.training import Learner, TrainingError, fit_stack
from server_classifier.store.datasets.latents import DatasetLatents
from server_classifier.store.datasets.snapshots import read_snapshot

Values = NDArray[np.float32]
Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Learned:
    """A trained classifier; ``classes`` [P] are the targets of its outputs."""

    model: LatentClassifier
    classes: Integers

    def compute_sha256(self) -> str:
        """Return the hash of its ONNX file, as in the manifest of a classifier."""
        return hashlib.sha256(export_onnx(self.model)).hexdigest()

    def predict(self, values: Values, classes: int) -> Values:
        """Return probabilities [M, classes] for latents [M, D]; 0 for classes not learned."""
        with torch.no_grad():
            known = self.model(torch.from_numpy(values)).softmax(dim=1).numpy()
        probabilities = np.zeros((len(values), classes), np.float32)
        probabilities[:, self.classes] = known
        return probabilities


def learn(values: Values, targets: Integers, *, seed: int, settings: TrainingSettings) -> Learned:
    """Train one network as ``learn_stack`` does. Raises TrainingError also where it diverges."""
    (learned,) = learn_stack(values, targets, [Learner(seed, settings)])
    if isinstance(learned, TrainingError):
        raise learned
    return learned


def learn_stack(
    values: Values, targets: Integers, learners: Sequence[Learner]
) -> list[Learned | TrainingError]:
    """Train networks at once as the server does: on the classes that occur among the targets.

    A network that diverges harms no other; its error is returned in its place.

    Raises:
        TrainingError: there is one class only.
    """
    classes, numbered = np.unique(targets, return_inverse=True)
    trained = fit_stack(values, numbered.astype(np.int64), learners)
    return [
        result if isinstance(result, TrainingError) else Learned(result.model, classes)
        for result in trained
    ]


@lru_cache(maxsize=4)
def load_latents(snapshot: Path) -> DatasetLatents:
    """Return a snapshot's latents, cached for the next trials of this process."""
    return read_snapshot(snapshot)
