"""Predicting with a stored classifier on ONNX Runtime; torch is not needed here."""

import hashlib

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from schemas.models.classifier_manifest import ClassifierManifest
from server_classifier.errors import ServerError
from server_classifier.store.classifiers import ClassifierRow
from stream.artefacts.onnx_references import refers_to_files


class Classifier:
    """One version of a classifier, loaded.

    Attributes:
        version: what replies name.
        manifest: how it was trained.
        labels: of the probabilities, in their order.
    """

    def __init__(self, version: str, manifest: ClassifierManifest, onnx: bytes) -> None:
        self.version = version
        self.manifest = manifest
        self.labels = manifest.labels
        self._session = onnxruntime.InferenceSession(
            onnx, _session_options(), providers=["CPUExecutionProvider"]
        )

    @classmethod
    def load(cls, row: ClassifierRow) -> "Classifier":
        """Load a version from the database.

        Raises:
            ServerError: file and manifest do not belong together.
        """
        manifest = ClassifierManifest.from_json(row.manifest)
        found = hashlib.sha256(row.onnx).hexdigest()
        if found != manifest.sha256:
            raise ServerError(
                f"classifier {row.version} has sha256 {found} where its manifest says "
                f"{manifest.sha256}: the database was changed or damaged; train a new version"
            )
        if refers_to_files(row.onnx):
            raise ServerError(
                f"classifier {row.version} keeps values in another file, which no sum covers; "
                "train a new version"
            )
        return cls(row.version, manifest, row.onnx)

    def predict(self, latents: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the probabilities [N, P] of the labels for latents [N, D]."""
        (probabilities,) = self._session.run(["probabilities"], {"latents": latents})
        result: NDArray[np.float32] = probabilities
        return result


def _session_options() -> onnxruntime.SessionOptions:
    # The network is small: one thread is fastest, and a spinning one would starve its neighbours.
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options
