"""Rounds the weights of an encoder to those that can be stored in one byte each."""

import torch

from client_autoencoder.encoders.autoencoder import Encoder
from stream.networks.int8_weights import round_weights


@torch.no_grad()
def round_encoder(encoder: Encoder) -> None:
    """Round the weights of the linear layers to the values that their codes stand for.

    The few hundred weights of the convolution stay as they are.
    """
    for layer in (encoder.hidden, encoder.latent):
        layer.weight.copy_(torch.from_numpy(round_weights(layer.weight.numpy())))
