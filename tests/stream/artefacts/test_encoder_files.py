"""No file of an encoder is used before its sum has been checked."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from schemas.models.encoder_manifest import (
    Architecture,
    EncoderManifest,
    Preprocessing,
    QuantiserRange,
    TrainingData,
)
from stream.artefacts.checksums import ArtefactError, sha256_of
from stream.artefacts.encoder_files import read_encoder

ONNX_BYTES = b"the graph" * 50_000


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "encoder.onnx").write_bytes(ONNX_BYTES)
    (tmp_path / "encoder.safetensors").write_bytes(b"the weights")
    manifest = EncoderManifest(
        Architecture("conv-autoencoder", maps=8, kernel=5, pool=2, hidden=512),
        Preprocessing(channels=1, height=8, width=8, resize="bilinear", pixels="0..1"),
        16,
        QuantiserRange(-3.0, 3.0, "int8"),
        TrainingData("made", "a" * 64, images=3, origin="public"),
        {
            "encoder.onnx": hashlib.sha256(ONNX_BYTES).hexdigest(),
            "encoder.safetensors": hashlib.sha256(b"the weights").hexdigest(),
        },
    )
    (tmp_path / "manifest.json").write_text(manifest.to_json())
    return tmp_path


def test_a_whole_encoder_is_read(directory: Path) -> None:
    files = read_encoder(directory)
    assert files.manifest.latent_dim == 16
    assert files.onnx.read_bytes() == ONNX_BYTES


def test_one_changed_byte_names_file_and_both_sums(directory: Path) -> None:
    expected = sha256_of(directory / "encoder.onnx")
    (directory / "encoder.onnx").write_bytes(ONNX_BYTES[:-1] + b"!")
    found = sha256_of(directory / "encoder.onnx")
    with pytest.raises(ArtefactError) as caught:
        read_encoder(directory)
    for words in ("encoder.onnx", expected, found):
        assert words in str(caught.value)


def test_a_file_that_is_not_the_first_is_checked_too(directory: Path) -> None:
    (directory / "encoder.safetensors").write_bytes(b"other weights")
    with pytest.raises(ArtefactError, match=r"encoder\.safetensors"):
        read_encoder(directory)


def test_a_missing_file_is_named(directory: Path) -> None:
    (directory / "encoder.onnx").unlink()
    with pytest.raises(ArtefactError, match=r"encoder\.onnx .* cannot be read: No such file"):
        read_encoder(directory)


def test_weights_for_torch_may_be_missing(directory: Path) -> None:
    (directory / "encoder.safetensors").unlink()
    assert read_encoder(directory).onnx.read_bytes() == ONNX_BYTES


def test_a_directory_without_manifest_says_what_to_name(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match="ioa encoder train"):
        read_encoder(tmp_path)


def test_a_broken_manifest_names_the_field(directory: Path) -> None:
    path = directory / "manifest.json"
    path.write_text(path.read_text().replace('"latentDim":16', '"latentDim":"16"'))
    with pytest.raises(ArtefactError, match=r"manifest\.json .* latentDim: "):
        read_encoder(directory)


def test_another_manifest_is_another_encoder(directory: Path) -> None:
    manifest = read_encoder(directory).manifest
    assert replace(manifest, latent_dim=17).encoder_id != manifest.encoder_id
