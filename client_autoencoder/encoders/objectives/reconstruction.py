"""To restore the image: an autoencoder (Salehinejad et al., equation 4)."""

from dataclasses import asdict

import torch
from torch import nn

from client_autoencoder.encoders.edge import Edge, draw_weights
from client_autoencoder.encoders.families import autoencoder
from client_autoencoder.encoders.fitting import OnEpoch, TrainingOptions, fit, run
from client_autoencoder.encoders.int8_weights import round_edge
from client_autoencoder.encoders.objectives.objective import Fitted, Objective, Split
from client_autoencoder.encoders.reconstruction import score


def fit_reconstruction(
    edge: Edge,
    split: Split,
    options: TrainingOptions,
    generator: torch.Generator,
    on_epoch: OnEpoch | None,
) -> Fitted:
    """Train the edge and its decoder to restore the images; the quality is the skill."""
    decoder = edge.config.build_decoder()
    autoencoder = nn.Sequential(edge, decoder)
    draw_weights(autoencoder, generator)
    fit(autoencoder, (split.training, split.training), options, generator, on_epoch)
    round_edge(edge, options.weights)
    restored = run(autoencoder, split.held_out).numpy()
    scores = score(split.held_out.numpy(), restored, split.training.mean(dim=0).numpy())
    return Fitted(asdict(scores), scores.skill, decoder=decoder)


RECONSTRUCTION = Objective(
    fit_reconstruction, family=autoencoder.FAMILY, labelled=False, loss="mse"
)
