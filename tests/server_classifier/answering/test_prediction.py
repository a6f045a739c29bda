import hashlib
import subprocess
import sys
from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch

from server_classifier.answering.prediction import Classifier
from server_classifier.errors import ServerError
from server_classifier.heads.onnx_graph import export_onnx
from server_classifier.heads.settings import TrainingSettings
from server_classifier.heads.training import fit
from server_classifier.store.classifiers import ClassifierRow
from server_classifier.store.latents.training_set import TrainingSet
from server_classifier.versions.trainer import describe_training
from tests.server_classifier.stored import ENCODER, NOW, make_clusters

LABELS = ("cat", "dog", "newt")


@pytest.fixture(scope="module")
def row() -> ClassifierRow:
    latents, targets = make_clusters(90, classes=3, latent_dim=4)
    settings = TrainingSettings(min_steps=100)
    model, report = fit(latents, targets, seed=0, settings=settings)
    file = export_onnx(model)
    training_set = TrainingSet(latents, targets, LABELS, 90, 90, 0)
    manifest = describe_training(ENCODER.network_id, training_set, report, settings, 0, file)
    return ClassifierRow("v1-0123", ENCODER.network_id, manifest.to_json(), NOW, file)


def test_predictions_are_probabilities_of_the_labels(row: ClassifierRow) -> None:
    classifier = Classifier.load(row)
    latents, targets = make_clusters(30, classes=3, latent_dim=4, seed=9)
    probabilities = classifier.predict(latents)
    assert (classifier.version, classifier.labels) == ("v1-0123", LABELS)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    assert (probabilities.argmax(axis=1) == targets).mean() > 0.9


def test_one_latent_is_predicted_as_among_many(row: ClassifierRow) -> None:
    classifier = Classifier.load(row)
    latents, _ = make_clusters(64, classes=3, latent_dim=4, seed=9)
    alone = np.concatenate([classifier.predict(latents[i : i + 1]) for i in range(64)])
    np.testing.assert_allclose(alone, classifier.predict(latents), atol=1e-6)


def test_the_manifest_tells_how_it_was_trained(row: ClassifierRow) -> None:
    manifest = Classifier.load(row).manifest
    assert (manifest.rows, manifest.last_latent_id, manifest.latent_dim) == (90, 90, 4)
    assert manifest.versions["torch"] == torch.__version__
    assert manifest.settings["batch_size"] == 64


def test_a_file_that_was_changed_is_not_loaded(row: ClassifierRow) -> None:
    with pytest.raises(ServerError, match=r"v1-0123 has sha256 .* train a new version"):
        Classifier.load(row._replace(onnx=row.onnx[:-1] + b"\x00"))


def test_a_manifest_of_another_classifier_is_not_loaded(row: ClassifierRow) -> None:
    other = replace(Classifier.load(row).manifest, sha256="0" * 64)
    with pytest.raises(ServerError, match="its manifest says 0000"):
        Classifier.load(row._replace(manifest=other.to_json()))


def test_predicting_needs_neither_torch_nor_onnx_nor_alembic() -> None:
    code = (
        "import sys, server_classifier.answering.prediction, server_classifier.store.latents.rows, "
        "server_classifier.store.database, server_classifier.store.registry.entries\n"
        "print([name for name in ('torch', 'onnx', 'alembic', 'pandas') if name in sys.modules])"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout
    assert found.strip() == "[]"


def test_a_file_with_values_elsewhere_is_not_loaded(row: ClassifierRow) -> None:
    model = onnx.load_from_string(row.onnx)
    tensor = model.graph.initializer[0]
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="weights.bin")
    changed = model.SerializeToString()
    before, after = (hashlib.sha256(content).hexdigest() for content in (row.onnx, changed))
    manifest = row.manifest.replace(before, after)
    with pytest.raises(ServerError, match="keeps values in another file"):
        Classifier.load(row._replace(onnx=changed, manifest=manifest))
