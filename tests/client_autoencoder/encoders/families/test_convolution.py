"""The blocks fit together at every image size, and ONNX Runtime computes what torch computes."""

from pathlib import Path

import numpy as np
import pytest
import torch

from client_autoencoder.encoders.edge import draw_weights
from client_autoencoder.encoders.families.convolution import ConvolutionConfig, ConvolutionEdge
from client_autoencoder.encoders.files import load_decoder, load_edge, write_encoder
from client_autoencoder.encoders.fitting import TrainingOptions
from client_autoencoder.encoders.runtime import Encoder
from client_autoencoder.encoders.training import train
from client_autoencoder.errors import ClientError
from schemas.models.manifest_fields import TrainingData
from stream.networks.torch_layers import UnknownLayer

DATA = TrainingData("made", "a" * 64, images=60, origin="public")


def draw_edge(config: ConvolutionConfig) -> ConvolutionEdge:
    edge = config.build()
    draw_weights(edge, torch.Generator().manual_seed(0))
    return edge.eval()


@pytest.mark.parametrize(
    ("config", "shape"),
    [
        (ConvolutionConfig(1, 28, 28), (16, 7, 7)),
        (ConvolutionConfig(3, 64, 48, maps=4, blocks=3), (4, 8, 6)),
        (ConvolutionConfig(1, 9, 7, maps=5, blocks=1, kernel=5), (5, 4, 3)),
        (ConvolutionConfig(1, 28, 28, embedding=32), (32,)),
    ],
)
def test_images_become_maps_or_an_embedding(
    config: ConvolutionConfig, shape: tuple[int, ...]
) -> None:
    images = torch.rand(2, *config.image_shape)
    values = draw_edge(config)(images)
    assert values.shape[1:] == shape == config.output_shape
    assert config.build_decoder()(values).shape == images.shape


def test_an_embedding_lies_on_the_unit_sphere() -> None:
    config = ConvolutionConfig(1, 8, 8, embedding=6)
    lengths = draw_edge(config)(torch.rand(9, 1, 8, 8)).norm(dim=1)
    torch.testing.assert_close(lengths, torch.ones(9))


@pytest.mark.parametrize("embedding", [0, 5])
@pytest.mark.parametrize("channels", [1, 3])
def test_what_is_written_computes_what_was_trained(
    tmp_path: Path, channels: int, embedding: int
) -> None:
    images = np.random.default_rng(0).random((60, channels, 12, 10), np.float32)
    config = ConvolutionConfig(channels, 12, 10, maps=4, embedding=embedding)
    options = TrainingOptions(epochs=2, attempts=1)
    trained = train(images, config, options, torch.Generator().manual_seed(0))
    write_encoder(tmp_path / "edge", trained, DATA)
    with torch.no_grad():
        expected = trained.edge(torch.from_numpy(images)).numpy()
        loaded = load_edge(tmp_path / "edge")(torch.from_numpy(images)).numpy()
        restored = load_decoder(tmp_path / "edge")(torch.from_numpy(expected))
    edge = Encoder.load(tmp_path / "edge")
    assert np.abs(edge.encode(images) - expected).max() < 1e-5
    assert np.array_equal(loaded, expected)
    assert restored.shape == images.shape
    assert edge.manifest.input.shape == (channels, 12, 10)
    assert ("jpeg" in edge.manifest.output.packings) == (embedding == 0)


def test_a_network_in_training_is_not_written() -> None:
    edge = draw_edge(ConvolutionConfig(1, 8, 8)).train()
    with pytest.raises(UnknownLayer, match=r"block1 still takes its statistics"):
        edge.list_layers()


@pytest.mark.parametrize(
    ("sizes", "reason"),
    [
        ({"kernel": 4}, "kernel 4 is even"),
        ({"maps": 0}, "must be 1 or more"),
        ({"blocks": 0}, "must be 1 or more"),
        ({"embedding": -1}, "embedding 0 or more"),
        ({"blocks": 4}, "4 blocks leave nothing of an image of 8x8"),
    ],
)
def test_impossible_layers_are_refused(sizes: dict[str, int], reason: str) -> None:
    with pytest.raises(ClientError, match=reason):
        ConvolutionConfig(1, 8, 8, **sizes)
