"""``ioa encoder audit``: what an encoder releases is attacked by the command a person types."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner, Result

from client_autoencoder.encoders.families.convolution import ConvolutionConfig
from client_autoencoder.encoders.files import write_encoder
from client_autoencoder.encoders.fitting import TrainingOptions
from client_autoencoder.encoders.training import train
from client_autoencoder.errors import ClientError
from client_autoencoder.images.sets import digest
from ioa.cli.client.encoder import app
from ioa.errors import IoaError, UsageError
from schemas.errors import SchemaError
from schemas.models.manifest_fields import TrainingData
from tests.support.images import draw_images, write_class_folders

GAUSSIAN = ("--mechanism", "gaussian", "--epsilon", 0.5, "--delta", 1e-5, "--clip", 1)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An encoder that makes 12 numbers of an image."""
    batch = draw_images(150, side=8, seed=1)
    config = ConvolutionConfig(1, 8, 8, embedding=12)
    options = TrainingOptions(objective="exit", epochs=4)
    generator = torch.Generator().manual_seed(0)
    trained = train(batch.images, config, options, generator, labels=batch.labels)
    directory = tmp_path_factory.mktemp("encoders") / "exit"
    write_encoder(directory, trained, TrainingData("made", digest(batch.images), 150, "public"))
    return directory


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    images = tmp_path_factory.mktemp("images")
    write_class_folders(images, draw_images(120, side=8, seed=5))
    return images


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["audit", *map(str, arguments)])


def test_noise_hides_the_label_that_the_release_shows(encoder: Path, folder: Path) -> None:
    options = ("--data", folder, "--attack", "label", "--seeds", 2)
    result = invoke(encoder, *options, *GAUSSIAN, "--json")
    assert result.exit_code == 0, result.output
    plain, packed, noised = json.loads(result.stdout.splitlines()[-1])
    assert [row["release"] for row in (plain, packed, noised)] == ["float32", "int8", "gaussian"]
    assert plain["gain"] > 0.8
    assert packed["gain"] > 0.8
    assert noised["gain"] < 0.25
    assert {row["seeds"] for row in (plain, packed, noised)} == {2}


def test_a_person_reads_figures_floor_and_verdict(encoder: Path, folder: Path) -> None:
    text = invoke(encoder, "--data", folder, "--attack", "reidentification").stdout
    assert "float32: found 0.98" in text
    assert "int8: found " in text
    assert "without any release found 0.0167" in text  # 1 of 60 victims
    assert "of what it gets unprotected; another attacker may get more" in text


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        (("--pack", "jpeg"), SchemaError, "jpeg is not a packing of this network"),
        (("--epsilon", 1), UsageError, "belong to --mechanism gaussian"),
        (("--data", "nowhere"), ClientError, "nowhere is neither a file nor a folder"),
    ],
)
def test_what_cannot_be_audited_is_refused(
    encoder: Path, folder: Path, options: tuple[Any, ...], error: type[Exception], words: str
) -> None:
    result = invoke(encoder, "--data", folder, *options)
    assert isinstance(result.exception, error)
    assert words in str(result.exception)


def test_images_without_labels_have_none_to_read(encoder: Path, folder: Path) -> None:
    result = invoke(encoder, "--data", folder / "bar", "--attack", "label")
    assert isinstance(result.exception, ClientError)
    assert "the truth of a release is missing" in str(result.exception)


def test_without_the_extra_it_is_named(
    encoder: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ioa.cli.client.setup.find_spec", lambda _: None)
    result = invoke(encoder, "--data", folder)
    assert isinstance(result.exception, IoaError)
    assert "pip install '.[train]'" in str(result.exception)
