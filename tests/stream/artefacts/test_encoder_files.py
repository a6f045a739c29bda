"""No file of an encoder is used before its sum has been checked."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from stream.artefacts.checksums import ArtefactError, sha256_of
from stream.artefacts.encoder_files import read_encoder
from tests.support.manifests import make_manifest

ONNX_BYTES = b"\x12\x09the graph" * 50_000  # a field without a meaning here


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "network.onnx").write_bytes(ONNX_BYTES)
    (tmp_path / "network.safetensors").write_bytes(b"the weights")
    files = {
        "network.onnx": hashlib.sha256(ONNX_BYTES).hexdigest(),
        "network.safetensors": hashlib.sha256(b"the weights").hexdigest(),
    }
    manifest = make_manifest(16, files=files)
    (tmp_path / "manifest.json").write_text(manifest.to_json())
    return tmp_path


def test_a_whole_encoder_is_read(directory: Path) -> None:
    files = read_encoder(directory)
    assert files.manifest.latent_dim == 16
    assert files.onnx.read_bytes() == ONNX_BYTES


def test_one_changed_byte_names_file_and_both_sums(directory: Path) -> None:
    expected = sha256_of(directory / "network.onnx")
    (directory / "network.onnx").write_bytes(ONNX_BYTES[:-1] + b"!")
    found = sha256_of(directory / "network.onnx")
    with pytest.raises(ArtefactError) as caught:
        read_encoder(directory)
    for words in ("network.onnx", expected, found):
        assert words in str(caught.value)


def test_a_file_that_is_not_the_first_is_checked_too(directory: Path) -> None:
    (directory / "network.safetensors").write_bytes(b"other weights")
    with pytest.raises(ArtefactError, match=r"network\.safetensors"):
        read_encoder(directory)


def test_a_missing_file_is_named(directory: Path) -> None:
    (directory / "network.onnx").unlink()
    with pytest.raises(ArtefactError, match=r"network\.onnx .* cannot be read: No such file"):
        read_encoder(directory)


def test_weights_for_torch_may_be_missing(directory: Path) -> None:
    (directory / "network.safetensors").unlink()
    assert read_encoder(directory).onnx.read_bytes() == ONNX_BYTES


def test_a_directory_without_manifest_says_what_to_name(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match="ioa encoder train"):
        read_encoder(tmp_path)


def test_a_broken_manifest_names_the_field(directory: Path) -> None:
    path = directory / "manifest.json"
    path.write_text(path.read_text().replace('"low":-3.0', '"low":"-3"'))
    with pytest.raises(ArtefactError, match=r"manifest\.json .* output\.low: "):
        read_encoder(directory)


def test_another_manifest_is_another_encoder(directory: Path) -> None:
    manifest = read_encoder(directory).manifest
    assert replace(manifest, objective="exit").network_id != manifest.network_id
