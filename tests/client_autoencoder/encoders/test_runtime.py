"""The light path: no PyTorch, little memory, and shapes that are checked."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from client_autoencoder.encoders.runtime import Encoder
from client_autoencoder.errors import ClientError
from client_autoencoder.images.batches import ImageBatch
from schemas.models.network_manifest import ImageInput, Output
from schemas.quantiser import dequantise, quantise
from stream.artefacts.checksums import ArtefactError
from stream.artefacts.encoder_files import read_encoder

LIGHT_CLIENT = """
import json, sys, time
started = time.process_time()
from pathlib import Path
import numpy as np
import client_autoencoder.images.sources
import client_autoencoder.privacy.mechanism
from client_autoencoder.encoders.runtime import Encoder
encoder = Encoder.load(Path(sys.argv[1]))
latents = encoder.encode(np.zeros((1000, 1, 9, 9), np.float32))
print(json.dumps({
    "heavy": [name for name in ("torch", "onnx", "sklearn", "sqlalchemy") if name in sys.modules],
    "cpu_seconds": time.process_time() - started,
    "memory_mb": __import__("psutil").Process().memory_info().rss / 2**20,
    "shape": latents.shape,
}))
"""


@pytest.fixture(scope="module")
def encoder(encoder_directory: Path) -> Encoder:
    return Encoder.load(encoder_directory)


def test_a_client_that_encodes_needs_no_torch_and_little_memory(encoder_directory: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", LIGHT_CLIENT, str(encoder_directory)],
        capture_output=True,
        text=True,
        check=True,
    )
    report = json.loads(run.stdout)
    assert report["heavy"] == []
    assert report["shape"] == [1000, 6]
    assert report["memory_mb"] < 150
    assert report["cpu_seconds"] < 5  # about 0.5


@pytest.mark.parametrize("count", [0, 1, 63, 64, 65, 200])
def test_batches_do_not_show(encoder: Encoder, count: int) -> None:
    images = np.random.default_rng(count).random((count, 1, 9, 9), np.float32)
    latents = encoder.encode(images)
    assert latents.shape == (count, 6)
    assert latents.dtype == np.float32
    one_by_one = [encoder.encode(image[None])[0] for image in images]
    assert latents == pytest.approx(np.array(one_by_one).reshape(count, 6), abs=1e-6)


def test_latents_fit_into_a_byte_each(encoder: Encoder, public_images: ImageBatch) -> None:
    latents = encoder.encode(public_images.images)
    codes = quantise(latents, encoder.manifest.output.low, encoder.manifest.output.high)
    assert codes.dtype == np.int8
    output = encoder.manifest.output
    step = (output.high - output.low) / 255
    error = np.abs(dequantise(codes, output.low, output.high) - latents)
    assert np.quantile(error, 0.99) <= step / 2 + 1e-6


@pytest.mark.parametrize(
    "images",
    [
        pytest.param(np.zeros((2, 1, 8, 9), np.float32), id="other-size"),
        pytest.param(np.zeros((2, 9, 9), np.float32), id="no-channel"),
        pytest.param(np.zeros((2, 1, 9, 9)), id="float64"),
    ],
)
def test_images_of_another_shape_are_refused(encoder: Encoder, images: np.ndarray) -> None:
    with pytest.raises(ClientError, match=r"float32 images of shape \[N, 1, 9, 9\], not float"):
        encoder.encode(images)


def test_the_id_is_that_of_the_manifest(encoder: Encoder, encoder_directory: Path) -> None:
    assert encoder.encoder_id == read_encoder(encoder_directory).manifest.network_id


def test_a_graph_of_another_sum_is_never_loaded(encoder_directory: Path, tmp_path: Path) -> None:
    for path in encoder_directory.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "network.onnx").write_bytes(b"something else")
    with pytest.raises(ArtefactError, match=r"network\.onnx is not the file"):
        Encoder.load(tmp_path)


def test_a_graph_that_onnx_runtime_cannot_read_is_named(
    encoder_directory: Path, tmp_path: Path
) -> None:
    files = read_encoder(encoder_directory)
    (tmp_path / "network.onnx").write_bytes(b"no graph")
    with pytest.raises(ClientError, match=r"network\.onnx cannot be loaded by ONNX Runtime"):
        Encoder(type(files)(tmp_path, files.manifest))


def describe_otherwise(directory: Path, **changes: Any) -> None:
    """Let the manifest say something else than the file is."""
    manifest = read_encoder(directory).manifest
    (directory / "manifest.json").write_text(replace(manifest, **changes).to_json())


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("input", ImageInput(1, 9, 8), r"says images \[N, 1, 9, 8\] and \[N, 6\]"),
        ("input", ImageInput(3, 9, 9), r"takes images \[N, 1, 9, 9\] and makes \[N, 6\], where"),
        ("output", Output((7,), -3, 3, ("int8",)), r"and \[N, 7\]: file and manifest do not"),
        ("output", Output((6, 1, 1), -3, 3, ("int8",)), r"and \[N, 6, 1, 1\]"),
    ],
)
def test_a_file_of_another_shape_than_its_manifest_is_refused(
    encoder_directory: Path, tmp_path: Path, field: str, value: object, words: str
) -> None:
    copy = shutil.copytree(encoder_directory, tmp_path / "copy")
    describe_otherwise(copy, **{field: value})
    with pytest.raises(ClientError, match=words):
        Encoder.load(copy)
