"""The files of an encoder agree with each other and with what was trained."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from client_autoencoder.encoders.edge import Edge, draw_weights
from client_autoencoder.encoders.families.autoencoder import AutoencoderConfig
from client_autoencoder.encoders.files import build_onnx, load_decoder, load_edge, write_encoder
from client_autoencoder.encoders.fitting import TrainingOptions
from client_autoencoder.encoders.int8_weights import round_edge
from client_autoencoder.encoders.objectives.objective import Fitted
from client_autoencoder.encoders.runtime import Encoder
from client_autoencoder.encoders.training import TrainedEncoder
from client_autoencoder.errors import ClientError
from client_autoencoder.images.batches import ImageBatch
from schemas.models.manifest_fields import TrainingData
from stream.artefacts.checksums import ArtefactError
from stream.artefacts.encoder_files import read_encoder
from stream.networks.int8_weights import WeightType

DATA = TrainingData("made", "a" * 64, images=150, origin="private")
# The sum of the file that this made before there were int8 weights.
OLD_ENCODER = "da4731b5c55aede754429a5ddced150f8dac761dc13dc74f624815e802e58db6"


def test_the_manifest_says_what_was_trained(
    encoder_directory: Path, trained: TrainedEncoder
) -> None:
    manifest = read_encoder(encoder_directory).manifest
    assert (manifest.images.height, manifest.images.width, manifest.latent_dim) == (9, 9, 6)
    assert manifest.family.parameters["hidden"] == 64
    inside = trained.values[
        (trained.values >= manifest.output.low) & (trained.values <= manifest.output.high)
    ]
    assert inside.size / trained.values.size == pytest.approx(0.998, abs=0.002)


def test_the_decoder_is_written_but_not_named(encoder_directory: Path) -> None:
    assert (encoder_directory / "decoder.safetensors").is_file()
    manifest = (encoder_directory / "manifest.json").read_text()
    assert "decoder" not in manifest
    assert set(json.loads(manifest)["files"]) == {"network.onnx", "network.safetensors"}


def test_the_report_holds_the_scores(encoder_directory: Path, trained: TrainedEncoder) -> None:
    report = json.loads((encoder_directory / "training.json").read_text())
    assert report["scores"]["skill"] == trained.fitted.scores["skill"]
    assert report["held_out_images"] == 15


@pytest.mark.parametrize("weights", ["int8", "float32"])
@pytest.mark.parametrize(("height", "width"), [(8, 8), (28, 28), (9, 7), (33, 20)])
def test_onnx_gives_what_torch_gives(
    tmp_path: Path, height: int, width: int, weights: WeightType
) -> None:
    edge = draw_edge(AutoencoderConfig(height, width, 16, pool=2), seed=height)
    round_edge(edge, weights)
    write_encoder(tmp_path / "encoder", fake_training(edge, weights), DATA)
    images = torch.rand(130, 1, height, width, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = edge(images).numpy()
    latents = Encoder.load(tmp_path / "encoder").encode(images.numpy())
    assert np.abs(latents - expected).max() < 1e-5


def draw_edge(config: AutoencoderConfig, seed: int = 0) -> Edge:
    edge = config.build()
    draw_weights(edge, torch.Generator().manual_seed(seed))
    return edge


def fake_training(edge: Edge, weights: WeightType) -> TrainedEncoder:
    latents = np.linspace(-1, 1, 16 * 20, dtype=np.float32).reshape(20, 16)
    options = TrainingOptions(weights=weights)
    return TrainedEncoder(edge, Fitted({}, 1.0), latents, (), options, 18, 2, 1, 1, 0.1)


def test_int8_codes_stand_for_the_weights_that_are_computed_with(
    encoder_directory: Path, public_images: ImageBatch
) -> None:
    stored = {
        tensor.name: numpy_helper.to_array(tensor)
        for tensor in onnx.load(encoder_directory / "network.onnx").graph.initializer
    }
    assert stored["hidden.weight.codes"].dtype == stored["latent.weight.codes"].dtype == np.int8
    pixels = public_images.images[:20]
    maps = np.maximum(convolve(pixels, stored["convolution.weight"], stored["convolution.bias"]), 0)
    pooled = maps[:, :, :8, :8].reshape(20, 8, 4, 2, 4, 2).max(axis=(3, 5)).reshape(20, -1)
    units = pooled @ restore(stored, "hidden").T + stored["hidden.bias"]
    units = np.where(units < 0, 0.01 * units, units)
    latents = units @ restore(stored, "latent").T + stored["latent.bias"]
    assert np.abs(Encoder.load(encoder_directory).encode(pixels) - latents).max() < 1e-5


def restore(stored: dict[str, np.ndarray], layer: str) -> np.ndarray:
    return stored[f"{layer}.weight.codes"] * stored[f"{layer}.weight.scales"]


def convolve(images: np.ndarray, kernels: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Images [N, 1, H, W], kernels [maps, 1, 5, 5] -> [N, maps, H, W]."""
    padded = np.pad(images[:, 0], ((0, 0), (2, 2), (2, 2)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (5, 5), axis=(1, 2))
    return np.einsum("nhwij,mij->nmhw", windows, kernels[:, 0]) + bias[:, None, None]


def test_training_keeps_what_the_rounded_weights_give(
    encoder_directory: Path, trained: TrainedEncoder, public_images: ImageBatch
) -> None:
    latents = Encoder.load(encoder_directory).encode(public_images.images)
    distances = np.abs(trained.values[:, None] - latents[None]).max(axis=2).min(axis=1)
    assert distances.max() < 1e-5


@pytest.mark.parametrize(("latent", "most"), [(64, 0.85e6), (784, 1.22e6)])
def test_what_a_client_downloads_is_small(tmp_path: Path, latent: int, most: float) -> None:
    edge = draw_edge(AutoencoderConfig(28, 28, latent))
    round_edge(edge, "int8")
    write_encoder(tmp_path / "encoder", fake_training(edge, "int8"), DATA)
    files = [tmp_path / "encoder" / name for name in ("manifest.json", "network.onnx")]
    assert sum(file.stat().st_size for file in files) < most


def test_a_client_needs_manifest_and_onnx_only(encoder_directory: Path, tmp_path: Path) -> None:
    for name in ("manifest.json", "network.onnx"):
        (tmp_path / name).write_bytes((encoder_directory / name).read_bytes())
    whole, copy = (Encoder.load(directory) for directory in (encoder_directory, tmp_path))
    images = np.random.default_rng(0).random((3, 1, 9, 9), np.float32)
    assert copy.encoder_id == whole.encoder_id
    assert np.array_equal(copy.encode(images), whole.encode(images))


def test_float32_weights_give_the_bytes_that_they_always_gave() -> None:
    edge = AutoencoderConfig(4, 4, 2, hidden=3).build()
    with torch.no_grad():
        for values in edge.parameters():
            values.copy_(torch.arange(values.numel()).reshape(values.shape) / 64)
    built = build_onnx(edge, "float32")
    assert hashlib.sha256(built).hexdigest() == OLD_ENCODER


def test_the_same_weights_give_the_same_id(trained: TrainedEncoder, tmp_path: Path) -> None:
    first, again = (write_encoder(tmp_path / name, trained, DATA) for name in ("a", "b"))
    assert first == again
    assert first != write_encoder(
        tmp_path / "c", trained, TrainingData("made", "b" * 64, images=150, origin="private")
    )


@pytest.mark.parametrize("weights", ["int8", "float32"])
def test_the_graph_is_valid_onnx_of_an_old_opset(
    trained: TrainedEncoder, weights: WeightType
) -> None:
    model = onnx.load_from_string(build_onnx(trained.edge, weights))
    onnx.checker.check_model(model, full_check=True)
    assert (model.opset_import[0].version, model.ir_version) == (17, 8)
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "N"


def test_it_comes_back_into_torch(
    encoder_directory: Path, trained: TrainedEncoder, public_images: object
) -> None:
    edge, decoder = load_edge(encoder_directory), load_decoder(encoder_directory)
    images = torch.rand(5, 1, 9, 9)
    with torch.no_grad():
        latents = trained.edge(images)
        assert torch.equal(edge(images), latents)
        assert torch.equal(decoder(latents), trained.fitted.decoder(latents))


def test_without_its_decoder_it_cannot_restore(trained: TrainedEncoder, tmp_path: Path) -> None:
    write_encoder(tmp_path / "encoder", trained, DATA)
    (tmp_path / "encoder" / "decoder.safetensors").unlink()
    with pytest.raises(ClientError, match=r"no decoder\.safetensors"):
        load_decoder(tmp_path / "encoder")


def test_changed_weights_are_not_loaded(trained: TrainedEncoder, tmp_path: Path) -> None:
    write_encoder(tmp_path / "encoder", trained, DATA)
    path = tmp_path / "encoder" / "network.safetensors"
    path.write_bytes(path.read_bytes()[:-4] + b"\0\0\0\0")
    with pytest.raises(ArtefactError, match="expected sha256"):
        load_edge(tmp_path / "encoder")


def test_a_directory_with_files_is_left_alone(trained: TrainedEncoder, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ClientError, match="not empty"):
        write_encoder(tmp_path, trained, DATA)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_an_empty_directory_is_filled(trained: TrainedEncoder, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    assert write_encoder(tmp_path / "out", trained, DATA)
    assert read_encoder(tmp_path / "out").onnx.is_file()


def test_a_failure_leaves_nothing_behind(trained: TrainedEncoder, tmp_path: Path) -> None:
    constant = replace(trained, values=np.zeros((9, 6), np.float32))
    with pytest.raises(ClientError, match="the same latent"):
        write_encoder(tmp_path / "out", constant, DATA)
    assert list(tmp_path.iterdir()) == []
