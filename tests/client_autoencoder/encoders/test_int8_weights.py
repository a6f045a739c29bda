"""Which weights of an encoder are rounded."""

import torch

from client_autoencoder.encoders.edge import draw_weights
from client_autoencoder.encoders.families.autoencoder import AutoencoderConfig
from client_autoencoder.encoders.int8_weights import round_edge


def test_the_convolution_and_the_biases_stay_as_they_are() -> None:
    config = AutoencoderConfig(8, 8, 6, hidden=32)
    before, after = (config.build() for _ in range(2))
    for edge in (before, after):
        draw_weights(edge, torch.Generator().manual_seed(1))
    round_edge(after, "int8")
    changed = {
        name
        for name, values in after.state_dict().items()
        if not torch.equal(values, before.state_dict()[name])
    }
    assert changed == {"hidden.weight", "latent.weight"}
