"""An edge that was trained for an exit names labels by itself."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from client_autoencoder.encoders.families.convolution import ConvolutionConfig
from client_autoencoder.encoders.files import write_encoder
from client_autoencoder.encoders.fitting import TrainingOptions
from client_autoencoder.encoders.objectives.exit import choose_threshold
from client_autoencoder.encoders.runtime import Encoder
from client_autoencoder.encoders.training import TrainedEncoder, train
from client_autoencoder.errors import ClientError
from schemas.models.manifest_fields import TrainingData
from stream.artefacts.encoder_files import read_encoder
from tests.support.images import draw_images

DATA = TrainingData("made", "a" * 64, images=150, origin="public")
CONFIG = ConvolutionConfig(1, 8, 8, maps=8)
OPTIONS = TrainingOptions(objective="exit", epochs=20)


@pytest.fixture(scope="module")
def trained() -> TrainedEncoder:
    images = draw_images(150, side=8, seed=1)
    generator = torch.Generator().manual_seed(0)
    return train(images.images, CONFIG, OPTIONS, generator, labels=images.labels)


def test_unseen_images_get_their_labels(trained: TrainedEncoder, tmp_path: Path) -> None:
    write_encoder(tmp_path / "edge", trained, DATA)
    unseen = draw_images(60, side=8, seed=2)
    values = Encoder.load(tmp_path / "edge").encode(unseen.images)
    session = onnxruntime.InferenceSession(tmp_path / "edge" / "exit.onnx")
    (probabilities,) = session.run(None, {"values": values})
    chosen = [trained.labels[index] for index in np.argmax(probabilities, axis=1)]
    assert np.mean([a == b for a, b in zip(chosen, unseen.labels, strict=True)]) > 0.9
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)


def test_the_manifest_names_exit_labels_and_accuracy(
    trained: TrainedEncoder, tmp_path: Path
) -> None:
    write_encoder(tmp_path / "edge", trained, DATA)
    manifest = read_encoder(tmp_path / "edge").manifest
    assert (manifest.objective, manifest.labels) == ("exit", ("bar", "ring", "square"))
    assert manifest.scores["accuracy"] > 0.9
    assert "exit.onnx" in manifest.files
    assert not (tmp_path / "edge" / "decoder.safetensors").exists()


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        ([], "needs images of at least two labels, and there are 0"),
        (["bar"] * 30, "needs images of at least two labels, and there are 1"),
        (["bar", None] * 15, "an image has no label"),
    ],
)
def test_labels_that_are_missing_are_named(labels: list[str | None], reason: str) -> None:
    images = draw_images(30, side=8).images
    with pytest.raises(ClientError, match=reason):
        train(images, CONFIG, OPTIONS, torch.Generator(), labels=labels)


def test_an_unknown_objective_is_refused() -> None:
    images, options = draw_images(30, side=8).images, TrainingOptions(objective="fame")
    with pytest.raises(ClientError, match="'fame' is no objective; known: reconstruction, exit"):
        train(images, CONFIG, options, torch.Generator())


@pytest.mark.parametrize(
    ("confidence", "wrong", "threshold"),
    [
        pytest.param([0.9, 0.8, 0.7], [], 0.7, id="all right"),
        pytest.param([0.9, 0.8, 0.7], [2], 0.8, id="the least sure is wrong"),
        pytest.param([0.9, 0.8, 0.8, 0.7], [2], 0.9, id="one of two equals is wrong"),
        pytest.param([0.9, 0.8], [0], 1.0, id="the surest is wrong"),
        pytest.param([0.5] * 999 + [0.4], [0, 1, 2], 0.4, id="three of a thousand"),
        pytest.param([0.5] * 999 + [0.4], [0, 1, 2, 3], 1.0, id="four of a thousand"),
    ],
)
def test_the_threshold_costs_three_images_of_a_thousand_at_most(
    confidence: list[float], wrong: list[int], threshold: float
) -> None:
    right = np.ones(len(confidence), bool)
    right[wrong] = False
    shuffled = np.random.default_rng(0).permutation(len(right))
    chosen = choose_threshold(np.array(confidence, np.float32)[shuffled], right[shuffled])
    assert chosen == pytest.approx(threshold)
