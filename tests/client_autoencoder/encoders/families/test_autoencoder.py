"""The layers fit together at every image size."""

import pytest
import torch

from client_autoencoder.encoders.edge import draw_weights
from client_autoencoder.encoders.families.autoencoder import AutoencoderConfig
from client_autoencoder.errors import ClientError


@pytest.mark.parametrize(
    ("height", "width", "pool"),
    [(8, 8, 2), (28, 28, 2), (9, 7, 2), (2, 3, 2), (31, 64, 3), (10, 11, 4)],
)
def test_the_reconstruction_has_the_size_of_the_image(height: int, width: int, pool: int) -> None:
    config = AutoencoderConfig(height, width, 5, pool=pool, hidden=12)
    images = torch.rand(3, 1, height, width)
    latents = config.build()(images)
    assert latents.shape == (3, 5)
    assert config.build_decoder()(latents).shape == images.shape


def test_the_generator_alone_draws_the_weights() -> None:
    def weights(seed: int) -> torch.Tensor:
        torch.manual_seed(torch.initial_seed() + 1)  # what others do must not matter
        model = AutoencoderConfig(8, 8, 4).build()
        draw_weights(model, torch.Generator().manual_seed(seed))
        return torch.nn.utils.parameters_to_vector(model.parameters())

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


def test_the_output_is_linear() -> None:
    decoder = AutoencoderConfig(8, 8, 4).build_decoder()
    draw_weights(decoder, torch.Generator().manual_seed(0))
    restored = decoder(torch.randn(50, 4, generator=torch.Generator().manual_seed(0)) * 100)
    assert restored.min() < 0
    assert restored.max() > 1


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"kernel": 4}, "kernel 4 is even"),
        ({"height": 1}, "1x8 is smaller than the pooling"),
        ({"latent_dim": 0}, "must be 1 or more"),
        ({"pool": 0}, "must be 1 or more"),
    ],
)
def test_impossible_layers_are_refused(config: dict[str, int], reason: str) -> None:
    with pytest.raises(ClientError, match=reason):
        AutoencoderConfig(**{"height": 8, "width": 8, "latent_dim": 4, **config})
