"""Which weights of an encoder are rounded."""

import torch

from client_autoencoder.encoders.autoencoder import Autoencoder, AutoencoderConfig
from client_autoencoder.encoders.int8_weights import round_encoder


def test_the_convolution_and_the_biases_stay_as_they_are() -> None:
    config = AutoencoderConfig(8, 8, 6, hidden=32)
    before, after = (Autoencoder(config, torch.Generator().manual_seed(1)) for _ in range(2))
    round_encoder(after.encoder)
    changed = {
        name
        for name, values in after.encoder.state_dict().items()
        if not torch.equal(values, before.encoder.state_dict()[name])
    }
    assert changed == {"hidden.weight", "latent.weight"}
