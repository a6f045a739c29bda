"""Rounds the weights of an edge network to those that can be stored in one byte each."""

import torch

from client_autoencoder.encoders.edge import Edge
from stream.networks.int8_weights import WeightType, round_weights


@torch.no_grad()
def round_edge(edge: Edge, weights: WeightType) -> None:
    """Round its matrices to the values that their codes stand for, if they are stored as int8."""
    for name in edge.matrices if weights == "int8" else ():
        matrix = edge.get_parameter(name)
        matrix.copy_(torch.from_numpy(round_weights(matrix.numpy())))
