"""To name the label at the edge: a local exit (seed 001, first method).

The server learns from the same maps, so that they go up once and no gradient comes back.
"""

import math

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from client_autoencoder.encoders.edge import Edge, draw_weights
from client_autoencoder.encoders.families import convolution
from client_autoencoder.encoders.fitting import OnEpoch, TrainingOptions, fit, run
from client_autoencoder.encoders.int8_weights import round_edge
from client_autoencoder.encoders.objectives.objective import Fitted, Objective, Split


def fit_exit(
    edge: Edge,
    split: Split,
    options: TrainingOptions,
    generator: torch.Generator,
    on_epoch: OnEpoch | None,
) -> Fitted:
    """Train the edge and a linear exit behind it in cross-entropy."""
    values = math.prod(edge.config.output_shape)
    local_exit = nn.Sequential(nn.Flatten(), nn.Linear(values, len(split.labels)))
    network = nn.Sequential(edge, local_exit)
    draw_weights(network, generator)
    pairs = split.training, split.targets
    fit(network, pairs, options, generator, on_epoch, loss_of=cross_entropy)
    round_edge(edge, options.weights)
    chosen = run(network, split.held_out).argmax(dim=1)
    accuracy = float((chosen == split.held_out_targets).float().mean())
    return Fitted({"accuracy": accuracy}, quality=1.0, exit=local_exit)


EXIT = Objective(fit_exit, family=convolution.FAMILY, labelled=True, loss="cross-entropy")
